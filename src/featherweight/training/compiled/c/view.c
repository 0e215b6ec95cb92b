/* The rows that a stage reads of an earlier stage P, and the gradient on its way back to P.

   Between P's stored z and these rows lie, in this order and each only if P has it: normalisation, ReLU, dropout,
   pooling, dropout after pooling (P_LATE).
   Set before: READER, P, P_C, P_H, P_W, P_TYPE, P_NORM, P_RELU, P_DROP, P_LATE, P_POOL, P_KH, P_KW, P_ADDED, ADD. */

#define P_SIZE ((size_t)P_C * P_H * CHANNEL(P_W))
#define P_AT(y, c, x, u) ((((size_t)(y) * P_C + (c)) * CHANNEL(P_W)) + (x) * IMAGES + (u) * LANES)
#define VIEW_H (P_H / P_KH)
#define VIEW_W (P_W / P_KW)
#define WINDOW (P_KH * P_KW)
#undef EACH_OF_WINDOW
#if P_KH * P_KW <= 9
#define EACH_OF_WINDOW(i, j) UNROLL for (int i = 0; i < P_KH; i++) UNROLL for (int j = 0; j < P_KW; j++)
#else
#define EACH_OF_WINDOW(i, j) for (int i = 0; i < P_KH; i++) for (int j = 0; j < P_KW; j++)
#endif

typedef struct {                /* one channel of P for a slice */
    const P_TYPE *z;
    const Kept *kept;
    vec factor, summand, scale; /* normalised = factor z + summand; scale: of the values that dropout keeps */
    int c;
} PFN(Channel);

INLINE PFN(Channel) PFN(channel)(const Net *net, int t, int s, int c)
{
    const Local *local = &net->local[P][t];
    PFN(Channel) channel = {.z = (const P_TYPE *)net->z[P] + (size_t)s * P_SIZE, .c = c};
    if (P_NORM) channel.factor = set(local->factor[c]), channel.summand = set(local->summand[c]);
    if (P_DROP) channel.kept = net->kept[P] + (size_t)s * P_H * P_C * P_W;
    if (P_DROP) channel.scale = set(net->training ? 1 / stages[P].keep : 1);
    return channel;
}

/* What dropout leaves of a value. */
INLINE vec PFN(dropped)(const PFN(Channel) *at, vec value, int y, int x, int u)
{
    return where(kept_of(at->kept + (y * P_C + at->c) * P_W + x, u), value * at->scale);
}

/* The value of z after normalisation, ReLU and dropout. */
INLINE vec PFN(value)(const PFN(Channel) *at, int y, int x, int u)
{
    vec value = GET(at->z + P_AT(y, at->c, x, u));
    if (P_NORM) value = value * at->factor + at->summand;
    if (P_RELU) value = relu(value);
    return P_DROP && !P_LATE ? PFN(dropped)(at, value, y, x, u) : value;
}

/* The value of a pool at (y, x), before dropout. A NaN in a window is found if `watch`: the largest may hide it. */
INLINE vec PFN(pooled)(const PFN(Channel) *at, int y, int x, int u, const int watch)
{
    vec r = ZERO;
    mask broken = (mask){0};
    EACH_OF_WINDOW(i, j) {
        const vec value = PFN(value)(at, y * P_KH + i, x * P_KW + j, u);
        if (watch && P_POOL == MAX_POOL) broken |= not_a_number(value);
        if (P_POOL == MAX_POOL) r = i + j ? larger(r, value) : value;
        else if (P_POOL == ROOT_POOL) r += value * value;
        else r += value;
    }
    if (P_POOL == MAX_POOL) return watch ? blend(broken, set(NAN), r) : r;
    r *= set(1.0f / WINDOW);
    return P_POOL == ROOT_POOL ? root(r + set(P_ADDED)) : r;
}

/* One value of the view. */
INLINE vec PFN(seen)(const PFN(Channel) *at, int y, int x, int u)
{
    const vec value = P_POOL ? PFN(pooled)(at, y, x, u, 1) : PFN(value)(at, y, x, u);
    return P_DROP && P_LATE ? PFN(dropped)(at, value, y, x, u) : value;
}

/* Write row y of the view of slice s, all channels, into `to`: float rows of CHANNEL(width), pairs of channels, or
   bf16 numbers in the order of the images. The row begins `left` places after the start. */
INLINE void PFN(row)(const Net *net, int t, int s, int y, float *restrict to, int width, int left, int form)
{
    const int at_once = form == PAIRS ? 2 : 1;
    for (int c = 0; c < P_C; c += at_once) {
        const PFN(Channel) channels[2] = {
            PFN(channel)(net, t, s, c), PFN(channel)(net, t, s, LEAST(c + 1, P_C - 1)),
        };
        for (int x = 0; x < VIEW_W; x++)
            UNROLL for (int u = 0; u < VECTORS; u++) {
                const int at = (x + left) * IMAGES + u * LANES;
                const vec first = PFN(seen)(&channels[0], y, x, u);
                if (form == PAIRS) {
                    const int alone = P_C % 2 && c + 1 == P_C;
                    const vec second = alone ? ZERO : PFN(seen)(&channels[1], y, x, u);
                    store(to + (c / 2) * CHANNEL(width) + at, paired(first, second));
                } else if (form == FLOATS) {
                    store(to + c * CHANNEL(width) + at, first);
                } else {
                    store_half((void *)(to + c * NATURAL(width) + at / 2), first);
                }
            }
    }
}

/* Ask for row y of the view's gradient, and for the part of z from which it is computed. */
INLINE void PFN(fetch)(const Net *net, int s, int y)
{
    if (P_POOL) return;
    fetch((const P_TYPE *)net->z[P] + (size_t)s * P_SIZE + P_AT(y, 0, 0, 0), P_AT(1, 0, 0, 0) * sizeof(P_TYPE), 0);
    fetch((const P_TYPE *)gradient_of(net, P, s) + P_AT(y, 0, 0, 0), P_AT(1, 0, 0, 0) * sizeof(P_TYPE), 1);
}

/* The gradient g at place (y, x) of the view, on its way to the values of z: before it is divided among a window. */
INLINE vec PFN(shared)(const PFN(Channel) *at, vec g, int y, int x, int u)
{
    if (P_DROP && P_LATE) g = PFN(dropped)(at, g, y, x, u);
    if (P_DROP && !P_LATE) g *= at->scale;
    if (P_POOL == MEAN_POOL) g *= set(1.0f / WINDOW);
    if (P_POOL == ROOT_POOL)        /* images beyond the batch have no gradient, but their root may be 0 */
        g = where(~equal(g, ZERO), g / (PFN(pooled)(at, y, x, u, 0) * set(WINDOW)));
    return g;
}

/* Add the gradient g at place (y, x) of channel c of the view to the gradient of z, and to the sums of the
   normalisation. */
INLINE void PFN(back)(Net *net, int t, int s, int c, int y, int x, const vec *g)
{
    const PFN(Channel) at = PFN(channel)(net, t, s, c);
    const Local *local = &net->local[P][t];
    const vec mean = P_NORM ? set(local->mean[c]) : ZERO;
    vec sum = P_NORM ? local->backward_sums[2 * c] : ZERO, product = P_NORM ? local->backward_sums[2 * c + 1] : ZERO;
    UNROLL for (int u = 0; u < VECTORS; u++) {
        const vec shared = PFN(shared)(&at, g[u], y, x, u);
        const vec top = P_POOL == MAX_POOL ? PFN(pooled)(&at, y, x, u, 0) : ZERO;
        mask open = P_POOL == MAX_POOL && P_RELU ? above(top, ZERO) : ALL;      /* the largest value is yet to come */
        EACH_OF_WINDOW(i, j) {
            const int yy = y * P_KH + i, xx = x * P_KW + j;
            const vec z = GET(at.z + P_AT(yy, c, xx, u)), value = PFN(value)(&at, yy, xx, u);
            vec given = shared;
            if (P_POOL == MAX_POOL) {
                const mask hit = equal(value, top) & open;
                open &= ~hit;
                given = where(hit, given);
            } else if (P_RELU) {
                given = where(above(P_NORM ? (vec)(z * at.factor + at.summand) : z, ZERO), given);
            }
            if (P_POOL == ROOT_POOL) given *= value;
            if (P_DROP && !P_LATE) given = where(kept_of(at.kept + (yy * P_C + c) * P_W + xx, u), given);
            if (P_NORM) sum += given, product += given * (z - mean);
            P_TYPE *to = (P_TYPE *)gradient_of(net, P, s) + P_AT(yy, c, xx, u);
            PUT(to, ADD ? (vec)(given + GET(to)) : given);
        }
    }
    if (P_NORM) local->backward_sums[2 * c] = sum, local->backward_sums[2 * c + 1] = product;
}
