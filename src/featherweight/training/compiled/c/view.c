/* The rows that a stage reads of an earlier stage P, and the gradient on its way back to P.

   Between P's stored z and these rows lie, in this order and each only if P has it: normalisation, ReLU, dropout,
   pooling, dropout after pooling.
   Set before: READER, P, P_C, P_H, P_W, P_TYPE, P_NORM, P_RELU, P_DROP, P_LATE, P_POOL, P_KH, P_KW, P_ADDED, ADD. */

#undef P_SIZE
#define P_SIZE ((size_t)P_C * P_H * CHANNEL(P_W))
#define WORDS CEIL(P_W, 32)                 /* of 32 columns with one bit each */
#define VIEW_H (P_H / P_KH)
#define VIEW_W (P_W / P_KW)
#define WINDOW (P_KH * P_KW)
#undef OVER_WINDOW
#if P_KH * P_KW <= 9
#define OVER_WINDOW UNROLL
#else
#define OVER_WINDOW
#endif
#define P_AT(y, c, x, u) ((((size_t)(y) * P_C + (c)) * CHANNEL(P_W)) + (x) * IMAGES + (u) * LANES)
#define KEPT(y, c, x, u) kept_bit(kept, (((y) * P_C + (c)) * WORDS + (x) / 32) * VECTORS + (u), x)

#ifndef VIEW_ONCE
#define VIEW_ONCE
/* All ones for the images in which dropout keeps column x. */
INLINE ivec kept_bit(const ivec *kept, int at, int x) { return (kept[at] & iset(1u << (x % 32))) != iset(0); }
#endif

/* The value of z after normalisation, ReLU and dropout. */
INLINE vec PFN(value)(vec z, vec factor, vec summand, vec scale, const ivec *kept, int c, int y, int x, int u)
{
    (void)factor, (void)summand, (void)scale, (void)kept, (void)c, (void)y, (void)x, (void)u;
    if (P_NORM) z = z * factor + summand;
    if (P_RELU) z = relu(z);
    if (P_DROP && !P_LATE) z = select_(KEPT(y, c, x, u), z * scale);
    return z;
}

/* One value of the view. */
INLINE vec PFN(seen)(const P_TYPE *z, vec factor, vec summand, vec scale, const ivec *kept, int c, int y, int x, int u)
{
    vec r = ZERO;
    OVER_WINDOW for (int i = 0; i < P_KH; i++)
        OVER_WINDOW for (int j = 0; j < P_KW; j++) {
            const int yy = y * P_KH + i, xx = x * P_KW + j;
            const vec v = PFN(value)(GET(z + P_AT(yy, c, xx, u)), factor, summand, scale, kept, c, yy, xx, u);
            if (P_POOL == MAX_POOL) r = i + j ? larger(r, v) : v;
            else if (P_POOL == ROOT_POOL) r += v * v;
            else r += v;
        }
    if (P_POOL == MEAN_POOL) r *= set(1.0f / WINDOW);
    if (P_POOL == ROOT_POOL) r = root(r * set(1.0f / WINDOW) + set(P_ADDED));
    if (P_DROP && P_LATE) r = select_(KEPT(y, c, x, u), r * scale);
    return r;
}

/* Write row y of the view of slice s, all channels, into `to`: float rows of CHANNEL(width), pairs of channels, or
   bf16 numbers in the order of the images. The row begins `left` places after the start. */
INLINE void PFN(row)(const Net *net, int t, int s, int y, float *restrict to, int width, int left, int form)
{
    const P_TYPE *z = (const P_TYPE *)net->z[P] + (size_t)s * P_SIZE;
    const Local *local = &net->local[P][t];
    const ivec *kept = P_DROP ? net->kept[P] + (size_t)s * P_H * P_C * WORDS * VECTORS : NULL;
    const vec scale = set(P_DROP && net->training ? 1 / stages[P].keep : 1);
    const int at_once = form == PAIRS ? 2 : 1;
    for (int c = 0; c < P_C; c += at_once) {
        vec factor[2] = {ZERO, ZERO}, summand[2] = {ZERO, ZERO};
        for (int e = 0; P_NORM && e < at_once && c + e < P_C; e++)
            factor[e] = set(local->factor[c + e]), summand[e] = set(local->summand[c + e]);
        for (int x = 0; x < VIEW_W; x++)
            UNROLL for (int u = 0; u < VECTORS; u++) {
                vec r[2] = {ZERO, ZERO};
                UNROLL for (int e = 0; e < at_once; e++)
                    if (P_C % 2 == 0 || c + e < P_C)
                        r[e] = PFN(seen)(z, factor[e], summand[e], scale, kept, c + e, y, x, u);
                const int at = (x + left) * IMAGES + u * LANES;
                if (form == PAIRS) store(to + (c / 2) * CHANNEL(width) + at, paired(r[0], r[1]));
                else if (form == FLOATS) store(to + c * CHANNEL(width) + at, r[0]);
                else store_half((void *)(to + c * NATURAL(width) + at / 2), r[0]);
            }
    }
}

/* Add the gradient g at place (y, x) of channel c of the view to the gradient of z, and to the sums of the
   normalisation. */
INLINE void PFN(back)(Net *net, int t, int s, int c, int y, int x, const vec *g)
{
    const P_TYPE *z = (const P_TYPE *)net->z[P] + (size_t)s * P_SIZE;
    P_TYPE *to = gradient_of(net, P, s);
    const Local *local = &net->local[P][t];
    const ivec *kept = P_DROP ? net->kept[P] + (size_t)s * P_H * P_C * WORDS * VECTORS : NULL;
    const vec scale = set(P_DROP ? 1 / stages[P].keep : 1);
    const vec factor = P_NORM ? set(local->factor[c]) : ZERO, summand = P_NORM ? set(local->summand[c]) : ZERO;
    const vec mean = P_NORM ? set(local->mean[c]) : ZERO;
    vec sum = ZERO, product = ZERO;
    if (P_NORM) sum = local->backward_sums[2 * c], product = local->backward_sums[2 * c + 1];
    UNROLL for (int u = 0; u < VECTORS; u++) {
        vec e = g[u], top = ZERO;
        ivec open = iset(-1);                   /* the largest value of the window was not found yet */
        if (P_DROP && P_LATE) e = select_(KEPT(y, c, x, u), e * scale);
        if (P_DROP && !P_LATE) e *= scale;
        if (P_POOL == MEAN_POOL) e *= set(1.0f / WINDOW);
        if (P_POOL == MAX_POOL || P_POOL == ROOT_POOL)
            OVER_WINDOW for (int i = 0; i < P_KH; i++)
                OVER_WINDOW for (int j = 0; j < P_KW; j++) {
                    const int yy = y * P_KH + i, xx = x * P_KW + j;
                    const vec v = PFN(value)(GET(z + P_AT(yy, c, xx, u)), factor, summand, scale, kept, c, yy, xx, u);
                    if (P_POOL == MAX_POOL) top = i + j ? larger(top, v) : v;
                    else top += v * v;
                }
        if (P_POOL == MAX_POOL && P_RELU) open = top > ZERO;
        if (P_POOL == ROOT_POOL)        /* images beyond the batch have no gradient, but their root may be 0 */
            e = select_(e != ZERO, e / (root(top * set(1.0f / WINDOW) + set(P_ADDED)) * set(WINDOW)));
        OVER_WINDOW for (int i = 0; i < P_KH; i++)
            OVER_WINDOW for (int j = 0; j < P_KW; j++) {
                const int yy = y * P_KH + i, xx = x * P_KW + j;
                const size_t at = P_AT(yy, c, xx, u);
                const vec zz = P_NORM || P_RELU || P_POOL == MAX_POOL || P_POOL == ROOT_POOL ? GET(z + at) : ZERO;
                vec given = e;
                if (P_POOL == MAX_POOL || P_POOL == ROOT_POOL) {
                    const vec v = PFN(value)(zz, factor, summand, scale, kept, c, yy, xx, u);
                    const ivec hit = (v == top) & open;
                    if (P_POOL == MAX_POOL) open &= ~hit, given = select_(hit, given);
                    else given *= v;
                } else if (P_RELU) {
                    given = select_((P_NORM ? (vec)(zz * factor + summand) : zz) > ZERO, given);
                }
                if (P_DROP && !P_LATE) given = select_(KEPT(yy, c, xx, u), given);
                if (P_NORM) sum += given, product += given * (zz - mean);
                if (ADD) given += GET(to + at);
                PUT(to + at, given);
            }
    }
    if (P_NORM) local->backward_sums[2 * c] = sum, local->backward_sums[2 * c + 1] = product;
}
