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
/* ---- root_mean_square ---- */
/* One value for each channel. */
static void root_mean_square(const float *in, int channels, int plane, float added, float *out)
{
    for (int c = 0; c < channels; c++) {
        float sum = 0.0f;
        for (int i = 0; i < plane; i++, in++)
            sum += *in * *in;
        out[c] = sqrtf(sum / (float)plane + added);
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
/* ---- pad ---- */
/* Adds rows and columns around each channel. Negative pads crop the channel. */
static void pad(Shape from, Shape to, int top, int left, float value, const float *in, float *out)
{
    for (int c = 0; c < from.channels; c++, in += from.height * from.width)
        for (int y = -top; y < to.height - top; y++)
            for (int x = -left; x < to.width - left; x++)
                *out++ = y < 0 || y >= from.height || x < 0 || x >= from.width ? value : in[y * from.width + x];
}
/* ---- relu ---- */
static void relu(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] > 0.0f ? in[i] : 0.0f;
}
