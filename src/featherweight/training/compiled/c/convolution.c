/* A convolution: its rows forward, the gradient of its weights, and the gradient of what it reads.

   Set before: CIN, HIN, WIN, C, H, W, KH, KW, STRIDE, TOP, LEFT, GROUPS, BIAS, BACK (its input needs a gradient), and
   what view.c and stage.c need. */

#define DEPTHWISE (GROUPS > 1 && CIN == GROUPS && C == GROUPS)
#define PAIR (DOTS && GROUPS == 1)
#define GIN (CIN / GROUPS)                      /* channels of a group */
#define GOUT (C / GROUPS)
#define DIRECT (!HALF && P_PLAIN && X_WIDTH == WIN)      /* z itself is read */
#define X_WIDTH MOST(LEFT + WIN, (W - 1) * STRIDE + KW)
#define X_ROWS RING(HIN, KH)
#define X_MASK (DIRECT ? -1 : X_ROWS - 1)
#define X_ROW ((PAIR ? CEIL(CIN, 2) : CIN) * CHANNEL(X_WIDTH))
#define BACK_ROW (PAIR ? CIN * NATURAL(X_WIDTH) : X_ROW)
#define D_PAD (DEPTHWISE ? KW - 1 : 0)          /* zeros at both ends of a row of gradients */
#define D_LENGTH ((W - 1) * STRIDE + 1)         /* with zeros between the columns of a stride */
#define D_WIDTH (DEPTHWISE ? MOST(D_LENGTH + 2 * D_PAD, WIN + LEFT + D_PAD) : D_LENGTH)
#define D_ROWS RING(H, KH)
#define D_MASK (D_ROWS - 1)
#define D_ROW ((PAIR ? CEIL(C, 2) : C) * CHANNEL(D_WIDTH))
#define N_ROW (PAIR ? C * NATURAL(D_WIDTH) : 1)
#define WHOLE ((DIRECT || X_ROWS >= HIN) && D_ROWS >= H)       /* all rows fit: one pass for the weights */

typedef struct {
    float x[DIRECT ? 1 : X_ROWS * MOST(X_ROW, BACK_ROW)] __attribute__((aligned(64)));
    float d[D_ROWS * D_ROW] __attribute__((aligned(64)));
    float natural[D_ROWS * N_ROW] __attribute__((aligned(64)));
} FN(Room);

#if GROUPS > 1 && CIN == GROUPS && C == GROUPS
#include "depthwise.c"
#else
#include "dense.c"
#endif

INLINE float *FN(rows_read)(Net *net, int t, int s)
{
    FN(Room) *room = net->room[t];
    return DIRECT ? (float *)net->z[P] + (size_t)s * P_SIZE : room->x;
}

/* Rows of the input that exist and that row y of the output needs, counted from the first. */
INLINE int FN(needed)(int y) { return LEAST(HIN, y * STRIDE - TOP + KH); }

STAGE_PASS FN(forward)(Net *net, int t, int s)
{
    FN(Room) *room = net->room[t];
    Local *local = &net->local[I][t];
    float *rows = FN(rows_read)(net, t, s);
    TYPE *z = (TYPE *)net->z[I] + (size_t)s * SIZE;
    if (!DIRECT && X_WIDTH > WIN) memset(room->x, 0, sizeof room->x);
    for (int y = 0, done = 0; y < H; y++) {
        for (; !DIRECT && done < FN(needed)(y); done++)
            PFN(row)(net, t, s, done, rows + (ptrdiff_t)(done & X_MASK) * X_ROW, X_WIDTH, LEFT, PAIR ? PAIRS : FLOATS);
        fetch(z + AT(y + 1, 0, 0, 0), AT(1, 0, 0, 0) * sizeof *z, 1);
        FN(forward_row)(net, rows, y, z + AT(y, 0, 0, 0), local->row_sums, local->near, s == t && y == 0);
        FN(end_row)(net, t, s, y);
    }
}

STAGE_PASS FN(backward)(Net *net, int t, int s)
{
    FN(Room) *room = net->room[t];
    Local *local = &net->local[I][t];
    float *rows = FN(rows_read)(net, t, s), *gradients = PAIR ? room->natural : room->d;
    if (!DIRECT && X_WIDTH > WIN) memset(room->x, 0, sizeof room->x);
    if (D_PAD || STRIDE > 1) memset(room->d, 0, sizeof room->d), memset(room->natural, 0, sizeof room->natural);
    for (int y = 0, done = 0, next = 0; y < H; y++) {
        for (; !DIRECT && done < FN(needed)(y); done++)
            PFN(row)(net, t, s, done, rows + (ptrdiff_t)(done & X_MASK) * BACK_ROW, X_WIDTH, LEFT,
                     PAIR ? NATURAL_HALVES : FLOATS);
        FN(gradient_row)(net, t, s, y, room->d + (y & D_MASK) * D_ROW, room->natural + (y & D_MASK) * N_ROW, D_WIDTH,
                         D_PAD, STRIDE, PAIR ? PAIRS : FLOATS);
        if (!WHOLE) FN(weight_rows)(rows, gradients, y, y + 1, local->weight_sums);
        else if (y == H - 1) FN(weight_rows)(rows, gradients, 0, H, local->weight_sums);
        for (; BACK && next < (y < H - 1 ? LEAST(HIN, (y + 1) * STRIDE - TOP) : HIN); next++)
            FN(back_row)(net, t, s, room->d, next), PFN(fetch)(net, s, next + 1);
    }
}
