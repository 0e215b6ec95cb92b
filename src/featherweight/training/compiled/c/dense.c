/* Convolutions that mix channels. A block of channels of one place stays in registers; weights are read one by one. */

#define BLOCK_OF(n) CEIL(n, CEIL(n, (REGISTERS - 4) / VECTORS))
#define ACROSS CEIL(KW, CEIL(KW, 8))            /* columns of the kernel whose weights are summed at once */
#define TOGETHER (KW > 1 || GIN % 2 ? 1 : 2)    /* input channels at once */
#define SUMMED (KW > 1 ? MOST(1, LEAST(12, (REGISTERS - 5) / ACROSS)) : LEAST(10, (REGISTERS - 5) / 2))
#define SUM_BLOCK CEIL(GOUT, CEIL(GOUT, SUMMED))
#define PLACE (PAIR ? LANES : IMAGES)           /* floats from one column to the next, of rows that are multiplied */
#define X_CHANNEL (PAIR ? NATURAL(X_WIDTH) : CHANNEL(X_WIDTH))
#define D_CHANNEL (PAIR ? NATURAL(D_WIDTH) : CHANNEL(D_WIDTH))

/* Add to `count` sums, for rows i0 to i1 and columns j0 to j1 of the kernel. place: where column 0 reads, in the row
   that row 0 of the kernel reads. */
INLINE void FN(add_up)(vec (*a)[VECTORS], int count, const float *ring, int mask, int row, int channel, int spread,
                       int base, int i0, int i1, int j0, int j1, const float *weights, int inputs, int outputs)
{
    for (int i = i0; i < i1; i++) {
        if (spread > 1 && (base + i) % spread) continue;
        const float *r = ring + (ptrdiff_t)((base + i) / spread & mask) * row;
        for (int j = j0; j < j1; j++) {
            const float *p = r + j * IMAGES, *q = weights + (ptrdiff_t)(i * KW + j) * inputs * outputs;
            for (int c = 0; c < inputs; c++, p += channel, q += outputs) {
                vec x[VECTORS];
                UNROLL for (int u = 0; u < VECTORS; u++) x[u] = load(p + u * LANES);
                UNROLL for (int n = 0; n < count; n++) {
                    const vec w = set(q[n]);
                    UNROLL for (int u = 0; u < VECTORS; u++) a[n][u] = plus_product(a[n][u], w, x[u], PAIR);
                }
            }
        }
    }
}

INLINE void FN(forward_block)(Net *net, const float *ring, int base, int x, int group, int o, int count, TYPE *to,
                              vec *sums, float *near, int first)
{
    const float *weights = net->forward_weights[I] + (size_t)group * KH * KW * GIN * GOUT + o;
    const int inputs = PAIR ? CEIL(GIN, 2) : GIN, channel = CHANNEL(X_WIDTH);
    vec a[BLOCK_OF(GOUT)][VECTORS];
    UNROLL for (int n = 0; n < count; n++)
        UNROLL for (int u = 0; u < VECTORS; u++)
            a[n][u] = BIAS ? set(net->parameters[I].bias[group * GOUT + o + n]) : ZERO;
    FN(add_up)(a, count, ring + group * GIN * channel + x * STRIDE * IMAGES, X_MASK, X_ROW, channel, 1, base,
               MOST(0, -base), LEAST(KH, HIN - base), 0, KW, weights, inputs, GOUT);
    UNROLL for (int n = 0; n < count; n++) FN(put)(to, sums, near, first, group * GOUT + o + n, x, a[n]);
}

INLINE void FN(forward_row)(Net *net, const float *ring, int y, TYPE *to, vec *sums, float *near, int first)
{
    const int base = y * STRIDE - TOP;
    for (int x = 0; x < W; x++)
        for (int group = 0; group < GROUPS; group++) {
            int o = 0;
            for (; o + BLOCK_OF(GOUT) <= GOUT; o += BLOCK_OF(GOUT))
                FN(forward_block)(net, ring, base, x, group, o, BLOCK_OF(GOUT), to, sums, near, first);
            if (GOUT % BLOCK_OF(GOUT))
                FN(forward_block)(net, ring, base, x, group, o, GOUT % BLOCK_OF(GOUT), to, sums, near, first);
        }
}

#if BACK
INLINE void FN(back_block)(Net *net, int t, int s, const float *ring, int base, int y, int x, int group, int c,
                           int count)
{
    const float *weights = net->backward_weights[I] + (size_t)group * KH * KW * GIN * GOUT + c;
    const int inputs = PAIR ? CEIL(GOUT, 2) : GOUT, channel = CHANNEL(D_WIDTH), place = x + LEFT - (KW - 1);
    vec a[BLOCK_OF(GIN)][VECTORS];
    UNROLL for (int n = 0; n < count; n++) UNROLL for (int u = 0; u < VECTORS; u++) a[n][u] = ZERO;
    FN(add_up)(a, count, ring + (ptrdiff_t)group * GOUT * channel + (ptrdiff_t)place * IMAGES, D_MASK, D_ROW, channel,
               STRIDE, base, MOST(0, -base), LEAST(KH, (H - 1) * STRIDE + 1 - base), MOST(0, -place),
               LEAST(KW, D_LENGTH - place), weights, inputs, GIN);
    UNROLL for (int n = 0; n < count; n++) PFN(back)(net, t, s, group * GIN + c + n, y, x, a[n]);
}

/* The gradient of row y of the input: a convolution of the gradient at z with the turned kernel. */
INLINE void FN(back_row)(Net *net, int t, int s, const float *ring, int y)
{
    const int base = y + TOP - (KH - 1);
    for (int x = 0; x < WIN; x++)
        for (int group = 0; group < GROUPS; group++) {
            int c = 0;
            for (; c + BLOCK_OF(GIN) <= GIN; c += BLOCK_OF(GIN))
                FN(back_block)(net, t, s, ring, base, y, x, group, c, BLOCK_OF(GIN));
            if (GIN % BLOCK_OF(GIN)) FN(back_block)(net, t, s, ring, base, y, x, group, c, GIN % BLOCK_OF(GIN));
        }
}
#else
INLINE void FN(back_row)(Net *net, int t, int s, const float *ring, int y) { (void)net, (void)t, (void)s, (void)ring, (void)y; }
#endif

/* Add products of gradients and inputs of rows y0 to y1 to the gradients of weights: row i of the kernel, columns from
   j, input channels from c, `count` output channels from o. */
INLINE void FN(weight_block)(const float *x, const float *d, int y0, int y1, vec *sums, int group, int i, int c, int o,
                             int count, int j, int columns)
{
    vec a[TOGETHER][SUM_BLOCK][ACROSS];
    vec *at = sums + ((((size_t)group * KH + i) * GIN + c) * GOUT + o) * KW + j;
    UNROLL for (int h = 0; h < TOGETHER; h++)
        UNROLL for (int n = 0; n < count; n++)
            UNROLL for (int b = 0; b < columns; b++) a[h][n][b] = at[(h * GOUT + n) * KW + b];
    for (int y = y0; y < y1; y++) {
        const int row = y * STRIDE + i - TOP;
        if (row < 0 || row >= HIN) continue;
        const float *p = x + (ptrdiff_t)(row & X_MASK) * BACK_ROW + (group * GIN + c) * X_CHANNEL + j * PLACE;
        const float *q = d + (ptrdiff_t)(y & D_MASK) * (PAIR ? N_ROW : D_ROW) + (group * GOUT + o) * D_CHANNEL;
        for (int column = 0; column < W; column++, p += STRIDE * PLACE, q += STRIDE * PLACE)
            UNROLL for (int u = 0; u < PLACE / LANES; u++) {
                vec in[TOGETHER][ACROSS];
                UNROLL for (int h = 0; h < TOGETHER; h++)
                    UNROLL for (int b = 0; b < columns; b++) {
                        in[h][b] = load(p + h * X_CHANNEL + b * PLACE + u * LANES);
                        KEEP(in[h][b]);
                    }
                UNROLL for (int n = 0; n < count; n++) {
                    vec e = load(q + n * D_CHANNEL + u * LANES);
                    KEEP(e);
                    UNROLL for (int h = 0; h < TOGETHER; h++)
                        UNROLL for (int b = 0; b < columns; b++)
                            a[h][n][b] = plus_product(a[h][n][b], e, in[h][b], PAIR);
                }
            }
    }
    UNROLL for (int h = 0; h < TOGETHER; h++)
        UNROLL for (int n = 0; n < count; n++)
            UNROLL for (int b = 0; b < columns; b++) at[(h * GOUT + n) * KW + b] = a[h][n][b];
}

INLINE void FN(weight_columns)(const float *x, const float *d, int y0, int y1, vec *sums, int group, int i, int c, int o,
                               int count)
{
    int j = 0;
    for (; j + ACROSS <= KW; j += ACROSS) FN(weight_block)(x, d, y0, y1, sums, group, i, c, o, count, j, ACROSS);
    if (KW % ACROSS) FN(weight_block)(x, d, y0, y1, sums, group, i, c, o, count, j, KW % ACROSS);
}

INLINE void FN(weight_rows)(const float *x, const float *d, int y0, int y1, vec *sums)
{
    for (int group = 0; group < GROUPS; group++)
        for (int o = 0; o < GOUT; o += SUM_BLOCK)
            for (int i = 0; i < KH; i++)
                for (int c = 0; c < GIN; c += TOGETHER) {
                    if (o + SUM_BLOCK <= GOUT) FN(weight_columns)(x, d, y0, y1, sums, group, i, c, o, SUM_BLOCK);
                    else FN(weight_columns)(x, d, y0, y1, sums, group, i, c, o, MOST(1, GOUT % SUM_BLOCK));
                }
}
