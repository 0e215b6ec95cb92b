/* ---- pad ---- */
/* Adds rows and columns around each channel. Negative pads crop the channel. */
static void pad(Shape from, Shape to, int top, int left, @value@ value, const @value@ *in, @value@ *out)
{
    for (int c = 0; c < from.channels; c++, in += from.height * from.width)
        for (int y = -top; y < to.height - top; y++)
            for (int x = -left; x < to.width - left; x++)
                *out++ = y < 0 || y >= from.height || x < 0 || x >= from.width ? value : in[y * from.width + x];
}
/* ---- move ---- */
/* Values at other places: five loops with the step that each takes through the input. */
static void move(const @value@ *in, const int *sizes, const int *steps, @value@ *out)
{
    for (int a = 0; a < sizes[0]; a++)
        for (int b = 0; b < sizes[1]; b++)
            for (int c = 0; c < sizes[2]; c++)
                for (int d = 0; d < sizes[3]; d++)
                    for (int e = 0; e < sizes[4]; e++)
                        *out++ = in[a * steps[0] + b * steps[1] + c * steps[2] + d * steps[3] + e * steps[4]];
}
/* ---- move_listed ---- */
static void move_listed(const @value@ *in, int count, const uint16_t *places, @value@ *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[places[i]];
}
/* ---- spread ---- */
/* Zeros between rows and columns. */
static void spread(Shape from, Shape to, int stride_y, int stride_x, @value@ zero, const @value@ *in, @value@ *out)
{
    for (int i = 0; i < to.channels * to.height * to.width; i++)
        out[i] = zero;
    for (int c = 0; c < from.channels; c++)
        for (int y = 0; y < from.height; y++)
            for (int x = 0; x < from.width; x++)
                out[(c * to.height + y * stride_y) * to.width + x * stride_x] = *in++;
}
