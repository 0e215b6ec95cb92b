/* ---- to_byte ---- */
/* Rounds a value, in steps of its grid, to the nearest byte. */
static uint8_t to_byte(float value, int zero)
{
    const float shifted = value + (float)zero + 0.5f;
    return shifted <= 0.0f ? 0 : shifted >= 255.0f ? 255 : (uint8_t)shifted;
}
/* ---- convolve ---- */
typedef struct {
    Shape in, out;
    int kernel_height, kernel_width, stride_y, stride_x, dilation_y, dilation_x, top, left, groups, relu;
    int in_zero, out_zero;          /* the bytes that represent 0 */
    const int8_t *weight;           /* [out channels][in channels / groups][kernel height][kernel width] */
    const float *step, *bias;       /* [out channels]: convert a sum to steps of the output */
    const float *factor, *summand;  /* [out channels], after the ReLU; or NULL */
} Convolution;

/* Computes one row of the output at a time, with integer sums. Writes floats if values is not NULL, else bytes. */
static void convolve(const Convolution *layer, const uint8_t *in, uint8_t *out, float *values)
{
    int32_t sums[WIDEST] = {0};     /* gcc cannot see that width is never 0 */
    const int plane = layer->in.height * layer->in.width;
    const int inputs = layer->in.channels / layer->groups;
    const int outputs = layer->out.channels / layer->groups;
    const int width = layer->out.width;
    for (int o = 0; o < layer->out.channels; o++) {
        const uint8_t *source = in + o / outputs * inputs * plane;
        const int8_t *kernel = layer->weight + o * inputs * layer->kernel_height * layer->kernel_width;
        for (int y = 0; y < layer->out.height; y++) {
            for (int x = 0; x < width; x++)
                sums[x] = 0;
            for (int i = 0; i < inputs; i++) {
                for (int ky = 0; ky < layer->kernel_height; ky++) {
                    const int row = y * layer->stride_y + ky * layer->dilation_y - layer->top;
                    if (row < 0 || row >= layer->in.height)
                        continue;       /* padding: contributes 0 */
                    const uint8_t *line = source + i * plane + row * layer->in.width;
                    for (int kx = 0; kx < layer->kernel_width; kx++) {
                        const int weight = kernel[(i * layer->kernel_height + ky) * layer->kernel_width + kx];
                        const int shift = kx * layer->dilation_x - layer->left;
                        int first = 0, end = width;
                        while (first < end && first * layer->stride_x + shift < 0)
                            first++;
                        while (end > first && (end - 1) * layer->stride_x + shift >= layer->in.width)
                            end--;
                        for (int x = first; x < end; x++)
                            sums[x] += weight * (line[x * layer->stride_x + shift] - layer->in_zero);
                    }
                }
            }
            for (int x = 0; x < width; x++) {
                float value = (float)sums[x] * layer->step[o] + layer->bias[o];
                if (layer->relu && value < 0.0f)
                    value = 0.0f;
                if (layer->factor)
                    value = value * layer->factor[o] + layer->summand[o];
                if (values)
                    *values++ = value;
                else
                    *out++ = to_byte(value, layer->out_zero);
            }
        }
    }
}
/* ---- pool ---- */
typedef struct {
    Shape in, out;
    int kernel_height, kernel_width, stride_y, stride_x, top, left, maximum, counts_outside, in_zero, out_zero;
    float step;     /* converts steps of the input to steps of the output */
} Pool;

static void pool(const Pool *layer, const uint8_t *in, uint8_t *out, float *values)
{
    for (int c = 0; c < layer->in.channels; c++, in += layer->in.height * layer->in.width) {
        for (int y = 0; y < layer->out.height; y++) {
            for (int x = 0; x < layer->out.width; x++) {
                int best = 0, count = 0;
                int32_t sum = 0;
                for (int ky = 0; ky < layer->kernel_height; ky++) {
                    const int row = y * layer->stride_y + ky - layer->top;
                    for (int kx = 0; kx < layer->kernel_width; kx++) {
                        const int column = x * layer->stride_x + kx - layer->left;
                        if (row < 0 || row >= layer->in.height || column < 0 || column >= layer->in.width)
                            continue;
                        const int value = in[row * layer->in.width + column];
                        best = value > best ? value : best;
                        sum += value - layer->in_zero;
                        count++;
                    }
                }
                if (layer->counts_outside)
                    count = layer->kernel_height * layer->kernel_width;
                const float mean = (float)sum * layer->step / (float)count;
                if (values)
                    *values++ = mean;
                else
                    *out++ = layer->maximum ? (uint8_t)best : to_byte(mean, layer->out_zero);
            }
        }
    }
}
/* ---- mean_square ---- */
/* One value for each channel. The sum is a float, because the squares of a large map would overflow an integer. */
static void mean_square(const uint8_t *in, int channels, int plane, int in_zero, int out_zero, float step, float added,
                        int root, uint8_t *out, float *values)
{
    for (int c = 0; c < channels; c++) {
        float sum = 0.0f;
        for (int i = 0; i < plane; i++) {
            const int value = *in++ - in_zero;
            sum += (float)(value * value);
        }
        const float mean = sum / (float)plane * step + added;
        const float value = root ? sqrtf(mean) : mean;
        if (values)
            values[c] = value;
        else
            out[c] = to_byte(value, out_zero);
    }
}
/* ---- scale ---- */
/* Applies the factor and summand of each channel, in steps of the output. least is 0 for a ReLU. */
static void scale(const uint8_t *in, int channels, int plane, int in_zero, const float *factor, const float *summand,
                  float least, int out_zero, uint8_t *out)
{
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < plane; i++) {
            const float value = (float)(*in++ - in_zero) * factor[c] + summand[c];
            *out++ = to_byte(value < least ? least : value, out_zero);
        }
}
/* ---- to_bytes ---- */
static void to_bytes(const float *in, int count, float steps, int zero, uint8_t *out)
{
    for (int i = 0; i < count; i++)
        out[i] = to_byte(in[i] * steps, zero);
}
/* ---- to_floats ---- */
static void to_floats(const uint8_t *in, int count, float step, int zero, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = (float)(in[i] - zero) * step;
}
/* ---- look_up ---- */
/* A function of one byte, as a table. */
static void look_up(const uint8_t *in, int count, const uint8_t *table, uint8_t *out)
{
    for (int i = 0; i < count; i++)
        out[i] = table[in[i]];
}
/* ---- prelu ---- */
/* step converts steps of the input to steps of the output. */
static void prelu(const uint8_t *in, int channels, int plane, int in_zero, const float *slopes, float step,
                  int out_zero, uint8_t *out)
{
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < plane; i++) {
            const int value = *in++ - in_zero;
            *out++ = to_byte((float)value * (value < 0 ? step * slopes[c] : step), out_zero);
        }
}
/* ---- add ---- */
/* step and other_step convert to steps of the output. each: 0 if the second value has one number for each channel. */
static void add(const uint8_t *in, const uint8_t *other, int channels, int plane, int each, int in_zero, float step,
                int other_zero, float other_step, int out_zero, uint8_t *out)
{
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < plane; i++) {
            const int second = other[each ? c * plane + i : c] - other_zero;
            *out++ = to_byte((float)(*in++ - in_zero) * step + (float)second * other_step, out_zero);
        }
}
/* ---- multiply ---- */
/* step converts a product to steps of the output. each: 0 if the second value has one number for each channel. */
static void multiply(const uint8_t *in, const uint8_t *other, int channels, int plane, int each, int in_zero,
                     int other_zero, float step, int out_zero, uint8_t *out)
{
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < plane; i++) {
            const int second = other[each ? c * plane + i : c] - other_zero;
            *out++ = to_byte((float)((*in++ - in_zero) * second) * step, out_zero);
        }
}
