/* Convolutions of each channel alone. The weights of a channel stay in registers for a whole row. */

/* One row of a channel. rows: of zeros at both ends. at: where column 0 of place 0 reads. */
INLINE void FN(add_up)(vec *a, const float *const *rows, int x, const vec *w, const float *weights, int i0, int i1)
{
    if (i0 == 0 && i1 == KH) {
        UNROLL for (int i = 0; i < KH; i++)
            UNROLL for (int j = 0; j < KW; j++)
                UNROLL for (int u = 0; u < VECTORS; u++)
                    a[u] += w[i * KW + j] * load(rows[i] + (x + j) * IMAGES + u * LANES);
    } else {
        for (int i = i0; i < i1; i++)
            UNROLL for (int j = 0; j < KW; j++)
                UNROLL for (int u = 0; u < VECTORS; u++)
                    a[u] += set(weights[i * KW + j]) * load(rows[i] + (x + j) * IMAGES + u * LANES);
    }
}

INLINE void FN(forward_row)(Net *net, const float *ring, int y, TYPE *to, vec *sums, float *near, int first)
{
    const int base = y * STRIDE - TOP, i0 = MOST(0, -base), i1 = LEAST(KH, HIN - base);
    for (int c = 0; c < C; c++) {
        const float *weights = net->forward_weights[I] + (size_t)c * KH * KW, *rows[KH];
        vec w[KH * KW];
        UNROLL for (int k = 0; k < KH * KW; k++) w[k] = set(weights[k]);
        for (int i = 0; i < KH; i++)
            rows[i] = ring + (ptrdiff_t)((base + i) & X_MASK) * X_ROW + c * CHANNEL(X_WIDTH);
        const vec start = BIAS ? set(net->parameters[I].bias[c]) : ZERO;
        for (int x = 0; x < W; x++) {
            vec a[VECTORS];
            UNROLL for (int u = 0; u < VECTORS; u++) a[u] = start;
            FN(add_up)(a, rows, x * STRIDE, w, weights, i0, i1);
            FN(put)(to, sums, near, first, c, x, a);
        }
    }
}

INLINE void FN(back_row)(Net *net, int t, int s, const float *ring, int y)
{
    const int base = y + TOP - (KH - 1), i0 = MOST(0, -base), i1 = LEAST(KH, (H - 1) * STRIDE + 1 - base);
    for (int c = 0; BACK && c < C; c++) {
        const float *weights = net->backward_weights[I] + (size_t)c * KH * KW, *rows[KH];
        static const float zeros[CHANNEL(D_WIDTH)] __attribute__((aligned(64)));
        vec w[KH * KW];
        UNROLL for (int k = 0; k < KH * KW; k++) w[k] = set(weights[k]);
        for (int i = 0; i < KH; i++)
            rows[i] = ((base + i) % STRIDE ? zeros : ring + (ptrdiff_t)((base + i) / STRIDE & D_MASK) * D_ROW
                       + c * CHANNEL(D_WIDTH)) + LEFT * IMAGES;
        for (int x = 0; x < WIN; x++) {
            vec a[VECTORS];
            UNROLL for (int u = 0; u < VECTORS; u++) a[u] = ZERO;
            FN(add_up)(a, rows, x, w, weights, i0, i1);
#if BACK
            PFN(back)(net, t, s, c, y, x, a);
#endif
        }
    }
}

INLINE void FN(weight_rows)(const float *x, const float *d, int y0, int y1, vec *sums)
{
    static const float zeros[CHANNEL(X_WIDTH)] __attribute__((aligned(64)));
    for (int c = 0; c < C; c++) {
        vec a[KH * KW], *at = sums + c * KH * KW;
        UNROLL for (int k = 0; k < KH * KW; k++) a[k] = at[k];
        for (int y = y0; y < y1; y++) {
            const float *p[KH], *q = d + (ptrdiff_t)(y & D_MASK) * D_ROW + c * CHANNEL(D_WIDTH) + D_PAD * IMAGES;
            UNROLL for (int i = 0; i < KH; i++) {
                const int row = y * STRIDE + i - TOP;
                const int inside = row >= 0 && row < HIN;
                p[i] = inside ? x + (ptrdiff_t)(row & X_MASK) * X_ROW + c * CHANNEL(X_WIDTH) : zeros;
            }
            for (int column = 0; column < W; column++)
                UNROLL for (int u = 0; u < VECTORS; u++) {
                    const int at_x = column * STRIDE * IMAGES + u * LANES;
                    vec e = load(q + at_x);
                    KEEP(e);
                    UNROLL for (int i = 0; i < KH; i++)
                        UNROLL for (int j = 0; j < KW; j++)
                            a[i * KW + j] += e * load(p[i] + j * IMAGES + at_x);
                }
        }
        UNROLL for (int k = 0; k < KH * KW; k++) at[k] = a[k];
    }
}
