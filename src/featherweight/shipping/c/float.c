/* ---- convolve ---- */
typedef struct {
    Shape in, out;
    int kernel_height, kernel_width, stride_y, stride_x, dilation_y, dilation_x, top, left, groups, relu;
    const float *weight;            /* [out channels][in channels / groups][kernel height][kernel width] */
    const float *bias;              /* [out channels] */
    const float *factor, *summand;  /* [out channels], after the ReLU; or NULL */
} Convolution;

/* Computes one row of the output at a time: the innermost loop runs along this row. */
static void convolve(const Convolution *layer, const float *in, float *out)
{
    const int plane = layer->in.height * layer->in.width;
    const int inputs = layer->in.channels / layer->groups;
    const int outputs = layer->out.channels / layer->groups;
    const int width = layer->out.width;
    for (int o = 0; o < layer->out.channels; o++) {
        const float *source = in + o / outputs * inputs * plane;
        const float *kernel = layer->weight + o * inputs * layer->kernel_height * layer->kernel_width;
        for (int y = 0; y < layer->out.height; y++, out += width) {
            for (int x = 0; x < width; x++)
                out[x] = layer->bias[o];
            for (int i = 0; i < inputs; i++) {
                for (int ky = 0; ky < layer->kernel_height; ky++) {
                    const int row = y * layer->stride_y + ky * layer->dilation_y - layer->top;
                    if (row < 0 || row >= layer->in.height)
                        continue;       /* padding: contributes 0 */
                    const float *line = source + i * plane + row * layer->in.width;
                    for (int kx = 0; kx < layer->kernel_width; kx++) {
                        const float weight = kernel[(i * layer->kernel_height + ky) * layer->kernel_width + kx];
                        const int shift = kx * layer->dilation_x - layer->left;
                        int first = 0, end = width;
                        while (first < end && first * layer->stride_x + shift < 0)
                            first++;
                        while (end > first && (end - 1) * layer->stride_x + shift >= layer->in.width)
                            end--;
                        for (int x = first; x < end; x++)
                            out[x] += weight * line[x * layer->stride_x + shift];
                    }
                }
            }
            for (int x = 0; x < width; x++) {
                if (layer->relu && out[x] < 0.0f)
                    out[x] = 0.0f;
                if (layer->factor)
                    out[x] = out[x] * layer->factor[o] + layer->summand[o];
            }
        }
    }
}
/* ---- pool ---- */
typedef struct {
    Shape in, out;
    int kernel_height, kernel_width, stride_y, stride_x, top, left, maximum, counts_outside;
} Pool;

static void pool(const Pool *layer, const float *in, float *out)
{
    for (int c = 0; c < layer->in.channels; c++, in += layer->in.height * layer->in.width) {
        for (int y = 0; y < layer->out.height; y++) {
            for (int x = 0; x < layer->out.width; x++) {
                float best = 0.0f, sum = 0.0f;
                int count = 0;
                for (int ky = 0; ky < layer->kernel_height; ky++) {
                    const int row = y * layer->stride_y + ky - layer->top;
                    for (int kx = 0; kx < layer->kernel_width; kx++) {
                        const int column = x * layer->stride_x + kx - layer->left;
                        if (row < 0 || row >= layer->in.height || column < 0 || column >= layer->in.width)
                            continue;
                        const float value = in[row * layer->in.width + column];
                        if (count == 0 || value > best)
                            best = value;
                        sum += value;
                        count++;
                    }
                }
                if (layer->counts_outside)
                    count = layer->kernel_height * layer->kernel_width;
                *out++ = layer->maximum ? best : sum / (float)count;
            }
        }
    }
}
/* ---- mean_square ---- */
/* One value for each channel. */
static void mean_square(const float *in, int channels, int plane, float added, int root, float *out)
{
    for (int c = 0; c < channels; c++) {
        float sum = 0.0f;
        for (int i = 0; i < plane; i++, in++)
            sum += *in * *in;
        out[c] = sum / (float)plane + added;
        out[c] = root ? sqrtf(out[c]) : out[c];
    }
}
/* ---- pixels ---- */
/* Converts bytes to floats and normalises each channel. */
static void pixels(const uint8_t *in, int channels, int plane, const float *factor, const float *summand, float *out)
{
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < plane; i++)
            *out++ = (float)*in++ * factor[c] + summand[c];
}
/* ---- scale ---- */
static void scale(const float *in, int channels, int plane, const float *factor, const float *summand, float *out)
{
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < plane; i++)
            *out++ = *in++ * factor[c] + summand[c];
}
/* ---- relu ---- */
static void relu(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] > 0.0f ? in[i] : 0.0f;
}
/* ---- prelu ---- */
static void prelu(const float *in, int channels, int plane, const float *slopes, float *out)
{
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < plane; i++, in++)
            *out++ = *in > 0.0f ? *in : *in * slopes[c];
}
/* ---- standardise ---- */
/* Mean 0 and variance 1 within each group. */
static void standardise(const float *in, int groups, int count, float added, float *out)
{
    for (int g = 0; g < groups; g++, in += count, out += count) {
        float mean = 0.0f, variance = 0.0f;
        for (int i = 0; i < count; i++)
            mean += in[i];
        mean /= (float)count;
        for (int i = 0; i < count; i++)
            variance += (in[i] - mean) * (in[i] - mean);
        const float scale = 1.0f / sqrtf(variance / (float)count + added);
        for (int i = 0; i < count; i++)
            out[i] = (in[i] - mean) * scale;
    }
}
/* ---- resample ---- */
/* Linear interpolation between two rows and two columns. */
static void resample(Shape from, Shape to, const uint16_t *row_places, const float *rows,
                     const uint16_t *column_places, const float *columns, const float *in, float *out)
{
    for (int c = 0; c < from.channels; c++, in += from.height * from.width)
        for (int y = 0; y < to.height; y++)
            for (int x = 0; x < to.width; x++, out++) {
                *out = 0.0f;
                for (int i = 0; i < 2; i++)
                    for (int j = 0; j < 2; j++)
                        *out += rows[2 * y + i] * columns[2 * x + j]
                                * in[row_places[2 * y + i] * from.width + column_places[2 * x + j]];
            }
}
/* ---- add ---- */
/* each: 0 if the second value has one number for each channel, else 1. */
static void add(const float *in, const float *other, int channels, int plane, int each, float *out)
{
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < plane; i++)
            *out++ = *in++ + other[each ? c * plane + i : c];
}
/* ---- multiply ---- */
/* each: 0 if the second value has one number for each channel, else 1. */
static void multiply(const float *in, const float *other, int channels, int plane, int each, float *out)
{
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < plane; i++)
            *out++ = *in++ * other[each ? c * plane + i : c];
}
/* ---- sigmoid ---- */
static void sigmoid(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = 1.0f / (1.0f + expf(-in[i]));
}
/* ---- hyperbolic_tangent ---- */
static void hyperbolic_tangent(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = tanhf(in[i]);
}
/* ---- silu ---- */
static void silu(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] / (1.0f + expf(-in[i]));
}
/* ---- gelu ---- */
static void gelu(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = 0.5f * in[i] * (1.0f + erff(0.70710678f * in[i]));
}
/* ---- gelu_tanh ---- */
static void gelu_tanh(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = 0.5f * in[i] * (1.0f + tanhf(0.79788456f * (in[i] + 0.044715f * in[i] * in[i] * in[i])));
}
/* ---- hardsigmoid ---- */
static void hardsigmoid(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] <= -3.0f ? 0.0f : in[i] >= 3.0f ? 1.0f : in[i] / 6.0f + 0.5f;
}
/* ---- hardswish ---- */
static void hardswish(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] <= -3.0f ? 0.0f : in[i] >= 3.0f ? in[i] : in[i] * (in[i] + 3.0f) / 6.0f;
}
/* ---- softplus ---- */
static void softplus(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] > 20.0f ? in[i] : logf(1.0f + expf(in[i]));
}
/* ---- mish ---- */
static void mish(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] * tanhf(in[i] > 20.0f ? in[i] : logf(1.0f + expf(in[i])));
}
/* ---- leaky_relu ---- */
static void leaky_relu(const float *in, int count, float slope, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] > 0.0f ? in[i] : in[i] * slope;
}
/* ---- elu ---- */
static void elu(const float *in, int count, float alpha, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] > 0.0f ? in[i] : alpha * (expf(in[i]) - 1.0f);
}
/* ---- clip ---- */
static void clip(const float *in, int count, float low, float high, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] < low ? low : in[i] > high ? high : in[i];
}
/* ---- square ---- */
static void square(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] * in[i];
}
/* ---- square_root ---- */
static void square_root(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = sqrtf(in[i]);
}
/* ---- absolute ---- */
static void absolute(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = fabsf(in[i]);
}
