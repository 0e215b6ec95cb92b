/* What every stage does with its own z: sums for normalisation, random bits for dropout, and the gradient at z.

   Set before: I, C, H, W, TYPE, NORM, RECTIFIED (ReLU before the normalisation), DROP, BIAS. */

#define SIZE ((size_t)C * H * CHANNEL(W))
#define AT(y, c, x, u) ((((size_t)(y) * C + (c)) * CHANNEL(W)) + (x) * IMAGES + (u) * LANES)

/* Store a value of z, after ReLU, and add it to the sums. row: of z. near: to be set to a value of z by the first. */
INLINE void FN(put)(TYPE *row, vec *sums, float *near, int first, int c, int x, vec *value)
{
    (void)sums, (void)near, (void)first;
    UNROLL for (int u = 0; u < VECTORS; u++) {
        if (RECTIFIED) value[u] = relu(value[u]);
        PUT(row + c * CHANNEL(W) + x * IMAGES + u * LANES, value[u]);
    }
    if (NORM) {
        if (first && x == 0) near[c] = value[0][0];
        const vec from = set(near[c]);
        vec sum = sums[2 * c], square = sums[2 * c + 1];
        UNROLL for (int u = 0; u < VECTORS; u++) {
            const vec d = value[u] - from;
            sum += d, square += d * d;
        }
        sums[2 * c] = sum, sums[2 * c + 1] = square;
    }
}

#if DROP
/* Draw what dropout keeps of row y of slice s. Each row of a channel has generators of its own, which start at a hash
   of the step, the stage and the place: Marsaglia's xorshift (2003). */
INLINE void FN(draw)(Net *net, int s, int y)
{
    const int least = (int)lrintf((1 - stages[I].keep) * 65536);
    Kept *kept = net->kept[I] + ((size_t)s * H + y) * C * W;
    for (int c = 0; c < C; c++, kept += W) {
        ivec random = started(net->key, I, (s * H + y) * C + c);
        for (int x = 0; x < W; x++) kept[x] = net->training ? drawn(&random, least) : KEEP_ALL;
    }
}
#endif

/* Add the sums of row y to those of the thread. Sums of single rows first: thousands of equal numbers, as ReLU gives
   them, added to one float would all be rounded the same way. */
INLINE void FN(end_row)(Net *net, int t, int s, int y)
{
    const TYPE *row = (const TYPE *)net->z[I] + (size_t)s * SIZE + AT(y, 0, 0, 0);
    Local *local = &net->local[I][t];
    for (int c = 0; NORM && c < C; c++) {
        vec *sums = local->row_sums + 2 * c;
        if (partial(net, s)) {          /* some of its images do not belong to the batch */
            sums[0] = sums[1] = ZERO;
            for (int x = 0; x < W; x++)
                for (int u = 0; u < VECTORS; u++) {
                    const mask valid = as_mask(net->mask[u]);
                    const vec value = GET(row + AT(0, c, x, u)), d = value - set(local->near[c]);
                    sums[0] += where(valid, d), sums[1] += where(valid, d * d);
                }
        }
        local->sums[2 * c] += sums[0], local->sums[2 * c + 1] += sums[1];
        sums[0] = sums[1] = ZERO;
    }
#if DROP
    FN(draw)(net, s, y);
#endif
}

/* Write one row of the gradient at z, through normalisation and ReLU, for channels c to c + at_once. */
INLINE void FN(gradient_row)(Net *net, int t, int s, int y, float *restrict to, float *restrict natural, int width,
                             int left, int apart, int form)
{
    const TYPE *g = gradient_of(net, I, s);
    const TYPE *z = (const TYPE *)net->z[I] + (size_t)s * SIZE;
    const Local *local = &net->local[I][t];
    const int at_once = form == PAIRS ? 2 : 1, whole = !partial(net, s);
    for (int c = 0; c < C; c += at_once) {
        vec a[2] = {ZERO, ZERO}, b[2] = {ZERO, ZERO}, d[2] = {ZERO, ZERO}, bias[2] = {ZERO, ZERO};
        for (int e = 0; e < at_once && c + e < C; e++) {
            if (NORM) {
                const float *rest = local->rest + 3 * (c + e);
                a[e] = set(rest[0]), b[e] = set(rest[1]), d[e] = set(rest[2]);
            }
            if (BIAS) bias[e] = local->bias_sums[c + e];
        }
        for (int x = 0; x < W; x++)
            UNROLL for (int u = 0; u < VECTORS; u++) {
                vec r[2] = {ZERO, ZERO};
                UNROLL for (int e = 0; e < at_once; e++) {
                    if (C % 2 && c + e >= C) continue;
                    r[e] = GET(g + AT(y, c + e, x, u));
                    const vec zz = NORM || RECTIFIED ? GET(z + AT(y, c + e, x, u)) : ZERO;
                    if (NORM) r[e] = a[e] * r[e] + (b[e] * zz + d[e]);
                    if (RECTIFIED) r[e] = where(above(zz, ZERO), r[e]);
                    if (!whole) r[e] = where(as_mask(net->mask[u]), r[e]);
                    if (BIAS) bias[e] += r[e];
                    if (form == PAIRS)
                        store_half((void *)(natural + (c + e) * NATURAL(width) + ((x * apart + left) * IMAGES + u * LANES) / 2), r[e]);
                }
                const int at = (x * apart + left) * IMAGES + u * LANES;
                if (form == PAIRS) store(to + c / 2 * CHANNEL(width) + at, paired(r[0], r[1]));
                else store(to + c * CHANNEL(width) + at, r[0]);
            }
        for (int e = 0; BIAS && e < at_once && c + e < C; e++) local->bias_sums[c + e] = bias[e];
    }
}
