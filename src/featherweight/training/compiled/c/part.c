/* One part of a join: how its rows are added, and how it gets its gradient. Set before: what view.c needs, and FROM,
   DOWN, RIGHT, H, W, BACK. */

#define X0 MOST(0, -(RIGHT))
#define X1 LEAST(VIEW_W, W - (RIGHT))

INLINE void PFN(add_row)(Net *net, int t, int s, int y, float *view, float *sum)
{
    if (y - (DOWN) < 0 || y - (DOWN) >= VIEW_H) return;
    PFN(row)(net, t, s, y - (DOWN), view, VIEW_W, 0, FLOATS);
    for (int c = 0; c < P_C; c++)
        for (int x = X0 * IMAGES; x < X1 * IMAGES; x += LANES) {
            float *to = sum + (FROM + c) * CHANNEL(W) + (RIGHT) * IMAGES + x;
            store(to, load(to) + load(view + c * CHANNEL(VIEW_W) + x));
        }
}

INLINE void PFN(give_row)(Net *net, int t, int s, int y, const float *gradient)
{
#if BACK
    if (y - (DOWN) < 0 || y - (DOWN) >= VIEW_H) return;
    for (int c = 0; c < P_C; c++)
        for (int x = X0; x < X1; x++)
            PFN(back)(net, t, s, c, y - (DOWN), x,
                      (const vec *)(gradient + (FROM + c) * CHANNEL(W) + ((RIGHT) + x) * IMAGES));
#else
    (void)net, (void)t, (void)s, (void)y, (void)gradient;
#endif
}
#undef X0
#undef X1
