/* Peak of one core: multiply-adds of independent numbers in registers. peak.py puts vectors.c of the package before it. */

#include <time.h>

enum { SUMS = REGISTERS * 5 / 8, LOOPS = 5000 };    /* enough sums to hide the latency of an instruction */

static volatile float sink;

static double now(void)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (double)moment.tv_sec + 1e-9 * (double)moment.tv_nsec;
}

/* Return the GFLOP/s of one run. in_pairs: of dot products of bf16 pairs, else of float32. */
INLINE double speed(const int in_pairs)
{
    vec sums[SUMS], x = set(1.0f), y = set(1e-6f);
    for (int i = 0; i < SUMS; i++) sums[i] = set((float)i);
    const double begun = now();
    for (int loop = 0; loop < LOOPS; loop++) {
        UNROLL for (int i = 0; i < SUMS; i++) sums[i] = plus_product(sums[i], x, y, in_pairs);
        KEEP(x);        /* the compiler must not compute a product once for all loops */
    }
    const double seconds = now() - begun;
    for (int i = 1; i < SUMS; i++) sums[0] += sums[i];
    sink = sums[0][0];
    return 1e-9 * 2 * LANES * (1 + in_pairs) * SUMS * LOOPS / seconds;
}

double float_speed(void) { return speed(0); }

/* 0 if the processor has no dot products of bf16. */
double pair_speed(void) { return DOTS ? speed(1) : 0; }
