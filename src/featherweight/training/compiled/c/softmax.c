/* Softmax, or its logarithm if LOG, over the channels of each place. Set before: as for convolution.c. */

typedef struct {
    float view[C * CHANNEL(W)] __attribute__((aligned(64)));
    float gradient[C * CHANNEL(W)] __attribute__((aligned(64)));
} FN(Room);

INLINE vec FN(exponential)(vec x)
{
    for (int lane = 0; lane < LANES; lane++) x[lane] = expf(x[lane]);
    return x;
}

STAGE_PASS FN(forward)(Net *net, int t, int s)
{
    FN(Room) *room = net->room[t];
    TYPE *z = (TYPE *)net->z[I] + (size_t)s * SIZE;
    for (int y = 0; y < H; y++) {
        PFN(row)(net, t, s, y, room->view, W, 0, FLOATS);
        for (int x = 0; x < W * IMAGES; x += LANES) {
            vec top = load(room->view + x), sum = ZERO;
            for (int c = 1; c < C; c++) top = larger(top, load(room->view + c * CHANNEL(W) + x));
            for (int c = 0; c < C; c++) {
                const vec e = FN(exponential)(load(room->view + c * CHANNEL(W) + x) - top);
                store(room->gradient + c * CHANNEL(W) + x, e);
                sum += e;
            }
            vec logarithm = sum;
            for (int lane = 0; LOG && lane < LANES; lane++) logarithm[lane] = logf(sum[lane]);
            for (int c = 0; c < C; c++) {
                const float *from = room->view + c * CHANNEL(W) + x;
                const vec r = LOG ? (vec)(load(from) - top - logarithm) : (vec)(load(room->gradient + c * CHANNEL(W) + x) / sum);
                PUT(z + (size_t)(y * C + c) * CHANNEL(W) + x, r);
            }
        }
        FN(end_row)(net, t, s, y);
    }
}

STAGE_PASS FN(backward)(Net *net, int t, int s)
{
    FN(Room) *room = net->room[t];
    const TYPE *z = (const TYPE *)net->z[I] + (size_t)s * SIZE;
    for (int y = 0; y < H; y++) {
        FN(gradient_row)(net, t, s, y, room->gradient, NULL, W, 0, 1, FLOATS);
        for (int x = 0; x < W; x++) {
            vec sums[VECTORS] = {ZERO, ZERO};
            for (int c = 0; c < C; c++)
                for (int u = 0; u < VECTORS; u++) {
                    const vec g = load(room->gradient + c * CHANNEL(W) + x * IMAGES + u * LANES);
                    sums[u] += LOG ? g : (vec)(g * GET(z + AT(y, c, x, u)));
                }
            for (int c = 0; c < C; c++) {
                vec r[VECTORS];
                for (int u = 0; u < VECTORS; u++) {
                    const vec g = load(room->gradient + c * CHANNEL(W) + x * IMAGES + u * LANES);
                    const vec own = GET(z + AT(y, c, x, u));
                    r[u] = LOG ? (vec)(g - FN(exponential)(own) * sums[u]) : (vec)(own * (g - sums[u]));
                }
                PFN(back)(net, t, s, c, y, x, r);
            }
        }
    }
}
