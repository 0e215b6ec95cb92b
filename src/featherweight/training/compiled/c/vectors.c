/* Vectors of images: types, loads and stores, and arithmetic, for AVX-512, AVX, NEON and any other processor.

   A slice holds IMAGES images. Each value of a feature map is stored for all images of a slice, side by side, as
   VECTORS vectors of LANES floats. So every operation works on whole vectors, however few channels a layer has. */

#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define LANES 16
#define REGISTERS 32
#define REPEATED(a) {a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a}
#elif defined(__AVX__)       /* without immintrin.h, which takes a quarter of the time to compile a network */
#define LANES 8
#define REGISTERS 16
#define REPEATED(a) {a, a, a, a, a, a, a, a}
#else
#define LANES 4
#define REGISTERS 32
#define REPEATED(a) {a, a, a, a}
#endif
#define VECTORS 2
#define IMAGES (VECTORS * LANES)

/* Products of two bf16 numbers, summed in pairs, in one instruction. */
#if HALF && defined(__AVX512BF16__)
#define DOTS 1
#else
#define DOTS 0
#endif

#define INLINE static inline __attribute__((always_inline))
#define PRIVATE __attribute__((visibility("hidden")))   /* of this library, for all of its parts */
#define STAGE_PASS PRIVATE __attribute__((noinline)) void   /* the pass of one stage, compiled by itself */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 64")
#endif
#define CEIL(a, b) (((a) + (b) - 1) / (b))
#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define MOST(a, b) ((a) > (b) ? (a) : (b))

typedef float vec __attribute__((vector_size(4 * LANES), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), may_alias));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES), may_alias));
typedef uint16_t halves __attribute__((vector_size(2 * LANES), may_alias));

static const vec ZERO = {0};

INLINE vec set(float a) { return (vec)REPEATED(a); }
INLINE ivec iset(int32_t a) { return (ivec)REPEATED(a); }
INLINE vec load(const float *p) { return *(const vec *)p; }
INLINE void store(float *p, vec x) { *(vec *)p = x; }

/* A mask has a bit, or a number of equal bits, for each lane. Masks are combined by &, | and ~. */
#if defined(__AVX512F__)
typedef __mmask16 mask;
#define ALL ((mask)-1)
INLINE mask above(vec a, vec b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ); }
INLINE mask equal(vec a, vec b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ); }
INLINE mask not_a_number(vec a) { return _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_UNORD_Q); }
INLINE mask with_bits(ivec a, ivec bits) { return _mm512_test_epi32_mask((__m512i)a, (__m512i)bits); }
INLINE vec where(mask m, vec x) { return (vec)_mm512_maskz_mov_ps(m, (__m512)x); }
INLINE vec blend(mask m, vec yes, vec no) { return (vec)_mm512_mask_mov_ps((__m512)no, m, (__m512)yes); }
INLINE mask as_mask(ivec a) { return with_bits(a, a); }
#else
typedef ivec mask;
#define ALL iset(-1)
INLINE mask above(vec a, vec b) { return a > b; }
INLINE mask equal(vec a, vec b) { return a == b; }
INLINE mask not_a_number(vec a) { return a != a; }
INLINE mask with_bits(ivec a, ivec bits) { return (a & bits) != iset(0); }
INLINE vec where(mask m, vec x) { return (vec)((ivec)x & m); }
INLINE vec blend(mask m, vec yes, vec no) { return (vec)(((ivec)yes & m) | ((ivec)no & ~m)); }
INLINE mask as_mask(ivec a) { return a; }
#endif

/* The images of a slice that dropout keeps. */
#if defined(__AVX512BW__)
typedef uint32_t Kept;
#define KEEP_ALL ((Kept)-1)
INLINE mask kept_of(const Kept *kept, int u) { return (mask)(*kept >> 16 * u); }
#else
typedef struct { ivec of[VECTORS]; } Kept;
#define KEEP_ALL ((Kept){{REPEATED(-1), REPEATED(-1)}})
INLINE mask kept_of(const Kept *kept, int u) { return as_mask(kept->of[u]); }
#endif

/* A NaN stays a NaN: MAXPS returns its second operand if one operand is NaN. */
INLINE vec relu(vec x)
{
#if defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)ZERO, (__m512)x);
#elif defined(__AVX__)
    return (vec)__builtin_ia32_maxps256(ZERO, x);
#else
    return (vec)((ivec)x & ~(x < ZERO));
#endif
}

/* The larger one; b if one of both is NaN. */
INLINE vec larger(vec a, vec b)
{
#if defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (vec)__builtin_ia32_maxps256(a, b);
#else
    return blend(above(a, b), a, b);
#endif
}

INLINE vec root(vec x)
{
    vec r;
    for (int lane = 0; lane < LANES; lane++) r[lane] = sqrtf(x[lane]);
    return r;
}

/* Sum over the lanes, in pairs: fast, for many sums. */
INLINE float sum_of_lanes(vec x)
{
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)x);
#else
    float sums[4] = {0};
    for (int lane = 0; lane < LANES; lane++) sums[lane % 4] += x[lane];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
#endif
}

INLINE double total(vec x)
{
    double sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += x[lane];
    return sum;
}

/* Keep a value in a register, instead of loading it for each use. */
#if defined(__x86_64__)
#define KEEP(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define KEEP(x) __asm__("" : "+w"(x))
#else
#define KEEP(x) ((void)0)
#endif

/* Ask for memory that is needed soon, as the processor does not guess jumps from row to row. written: 1 to write it. */
INLINE void fetch(const void *from, size_t bytes, const int written)
{
    for (size_t at = 0; at < bytes; at += 64) {
        if (written) __builtin_prefetch((const char *)from + at, 1, 2);
        else __builtin_prefetch((const char *)from + at, 0, 2);
    }
}

/* ---- storage of feature maps: float, or bf16 if HALF */

INLINE uint16_t rounded(float x)
{
    union { float f; uint32_t u; } a = {x};
    if (x != x) return 0x7fc0;      /* adding to a NaN of all ones would give 0 */
    return (uint16_t)((a.u + 0x7fff + (a.u >> 16 & 1)) >> 16);
}

#if HALF
typedef uint16_t stored;
INLINE vec load_half(const uint16_t *p)
{
#if defined(__AVX512F__)
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(*(const __m256i *)p), 16);
#else
    return (vec)(__builtin_convertvector(*(const halves *)p, uvec) << 16);
#endif
}
INLINE void store_half(uint16_t *p, vec x)
{
#if DOTS
    *(__m256i *)p = (__m256i)_mm512_cvtneps_pbh((__m512)x);
#else
    const uvec u = (uvec)x;
    const uvec nearest = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    *(halves *)p = __builtin_convertvector((uvec)blend(x == x, (vec)nearest, (vec)iset(0x7fc0)), halves);
#endif
}
#else
typedef float stored;
#define load_half load
#define store_half store
#endif

#if DOTS
/* bf16 numbers of two channels, in turn, for one dot product of channels. */
INLINE vec paired(vec a, vec b)
{
    const __m512i turns = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                           23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (vec)_mm512_permutexvar_epi16(turns, (__m512i)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a));
}
INLINE vec dots(vec sum, vec x, vec y)
{
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)y);
}
#else
INLINE vec paired(vec a, vec b) { (void)b; return a; }
INLINE vec dots(vec sum, vec x, vec y) { return sum + x * y; }
#endif

/* sum + x y. in_pairs: of bf16 numbers, two for each number of the sum. */
INLINE vec plus_product(vec sum, vec x, vec y, int in_pairs) { return in_pairs ? dots(sum, x, y) : (vec)(sum + x * y); }

/* Distance from one channel of a row of w places to the next, in floats: an odd number of vectors, which spreads the
   channels over all sets of the cache. NATURAL: of a row of bf16 numbers in the order of the images. */
#define CHANNEL(w) ((w) * IMAGES + ((w) * VECTORS % 2 ? 0 : LANES))
#define NATURAL(w) ((w) * LANES + ((w) % 2 ? 0 : LANES))
