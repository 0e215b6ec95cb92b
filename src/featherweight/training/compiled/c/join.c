/* A join of parts: sum, concatenation, padding, cropping, or a copy of one part.

   Each part is a view of an earlier stage. It is added to z from channel FROM on, DOWN rows and RIGHT columns further.
   EACH_PART(do) calls `do` with the name of each part. */

typedef struct {
    float view[PART_ROW] __attribute__((aligned(64)));          /* one row of the largest part */
    float sum[C * CHANNEL(W)] __attribute__((aligned(64)));     /* one row of z, or of its gradient */
} FN(Room);

STAGE_PASS FN(forward)(Net *net, int t, int s)
{
    FN(Room) *room = net->room[t];
    Local *local = &net->local[I][t];
    TYPE *z = (TYPE *)net->z[I] + (size_t)s * SIZE;
    for (int y = 0; y < H; y++) {
        memset(room->sum, 0, sizeof room->sum);
#define ADD_ROW(reader) NAMED(add_row, reader)(net, t, s, y, room->view, room->sum);
        EACH_PART(ADD_ROW)
        for (int c = 0; c < C; c++)
            for (int x = 0; x < W; x++)
                FN(put)(z + AT(y, 0, 0, 0), local->row_sums, local->near, s == t && y == 0, c, x,
                        (vec *)(room->sum + c * CHANNEL(W) + x * IMAGES));
        FN(end_row)(net, t, s, y);
    }
}

STAGE_PASS FN(backward)(Net *net, int t, int s)
{
    FN(Room) *room = net->room[t];
    for (int y = 0; y < H; y++) {
        FN(gradient_row)(net, t, s, y, room->sum, NULL, W, 0, 1, FLOATS);
#define BACK_ROW_OF(reader) NAMED(give_row, reader)(net, t, s, y, room->sum);
        EACH_PART(BACK_ROW_OF)
    }
}
#undef ADD_ROW
#undef BACK_ROW_OF
