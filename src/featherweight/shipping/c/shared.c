/* ---- types ---- */
typedef struct { int channels, height, width; } Shape;
/* ---- one_hot ---- */
static void one_hot(int number, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = i == number ? 1.0f : 0.0f;
}
/* ---- copy ---- */
static void copy(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i];
}
/* ---- log_softmax ---- */
static void log_softmax(const float *in, int count, float *out)
{
    float most = in[0], sum = 0.0f;
    for (int i = 1; i < count; i++)
        most = in[i] > most ? in[i] : most;
    for (int i = 0; i < count; i++)
        sum += expf(in[i] - most);
    for (int i = 0; i < count; i++)
        out[i] = in[i] - most - logf(sum);
}
/* ---- softmax ---- */
static void softmax(const float *in, int count, float *out)
{
    float most = in[0], sum = 0.0f;
    for (int i = 1; i < count; i++)
        most = in[i] > most ? in[i] : most;
    for (int i = 0; i < count; i++)
        sum += out[i] = expf(in[i] - most);
    for (int i = 0; i < count; i++)
        out[i] /= sum;
}
/* ---- upright ---- */
/* Shifts the rows of light ink on black sideways, in steps of 1/256 pixel, until the axis of the ink is vertical. */
static int pixel_at(const uint8_t *row, int width, int x)
{
    return x >= 0 && x < width ? row[x] : 0;
}

static const uint8_t *upright(const uint8_t *image, int height, int width, uint8_t *out)
{
    double ink = 0, ink_x = 0, ink_y = 0, ink_xy = 0, ink_yy = 0;   /* integers, so the sums are exact */
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const double here = image[y * width + x];
            ink += here;
            ink_x += here * x;
            ink_y += here * y;
            ink_xy += here * x * y;
            ink_yy += here * y * y;
        }
    const double variance = ink * ink_yy - ink_y * ink_y;
    double slope = variance > 0 ? (ink * ink_xy - ink_x * ink_y) / variance : 0;     /* columns per row */
    slope = slope > 1 ? 1 : slope < -1 ? -1 : slope;
    const double middle = ink > 0 ? ink_y / ink : 0;
    for (int y = 0; y < height; y++) {
        const double moved = 256 * (slope * (y - middle)) + 0.5;
        const int steps = (int)moved - (moved < (int)moved);        /* rounded down */
        const int rest = (steps % 256 + 256) % 256, whole = (steps - rest) / 256;
        const uint8_t *row = image + y * width;
        for (int x = 0; x < width; x++) {
            const int left = pixel_at(row, width, x + whole), right = pixel_at(row, width, x + whole + 1);
            out[y * width + x] = (uint8_t)((left * (256 - rest) + right * rest + 128) / 256);
        }
    }
    return out;
}
/* ---- most_probable ---- */
static int most_probable(const float *probabilities, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        best = probabilities[i] > probabilities[best] ? i : best;
    return best;
}
