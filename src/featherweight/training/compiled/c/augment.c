/* Random changes of a batch of images, the same as augment.py, in one pass from stored bytes to normalised floats.
 *
 * Bilinear resampling reads four neighbours of each position. Their bytes are packed into one 32-bit number first, so
 * that a position costs one load, and all else is plain loops over a row, which the compiler vectorises.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3,no-trapping-math")     /* without these, gcc 12 does not vectorise the loops */
#endif

enum { GRID = 5, AFFINE = 6, BENDS = 2 * GRID * GRID, LANES = 16 };

/* Settings of an augmentation and the images it reads. Everything is fixed for one training. */
struct augmentation {
    const uint8_t *images;              /* (stored, channels, height, width) */
    int64_t stored, channels, height, width;
    const float *mean, *std;            /* (channels) */
    const float *across, *down;         /* (GRID, width), (height, GRID): bicubic weights */
    int32_t moves, bends, erases;       /* true if the change is on */
    float rotation, shear;              /* radians */
    float shift, scale;
    float crop, elastic;                /* crop: kept pixels, 0 is off */
    double crop_probability, erasing;   /* compared with random numbers: must be rounded as in Python */
};

/* A batch: image i is changed by column i of the numbers. */
struct batch {
    const int64_t *picked;              /* (count): indices of stored images */
    const float *numbers;               /* (numbers, count) in [-1, 1] */
    int64_t count;
    double left;                        /* strength of the changes, 0 to 1 */
    float *out;                         /* (count, channels, height, width) */
};

/* Memory for one thread. A pixel's entry is at [row * width + column]. */
struct scratch {
    uint8_t *bordered;                  /* (height + 3, stride): a channel with a black border of one pixel or more */
    uint32_t *neighbours;               /* (height + 2, stride): four bytes from each position of the bordered channel */
    int32_t *place;                     /* of each pixel: index into neighbours */
    uint32_t *found;                    /* of each pixel: its four neighbours */
    float *right, *below;               /* of each pixel: weights of its right and of its lower neighbours */
    float *bent_x, *bent_y;             /* (columns), of a row of pixels: displacements, in pixels */
    float *field;                       /* (2, GRID, columns): displacements between grid columns */
};

/* Position in the input of output pixel (row, column): start + column * by_column + row * by_row. In pixels. */
struct line {
    float start, by_column, by_row;
};

/* Rows and columns from the first to before the end. */
struct rectangle {
    int64_t top, bottom, left, right;
};

/* Columns are computed in whole vectors. Those beyond the width are overwritten by the next row, or lie in the spare
 * entries behind the last row.
 */
static int32_t whole_vectors(int64_t width)
{
    return (int32_t)((width + LANES - 1) / LANES * LANES);
}

static int32_t stride_of(const struct augmentation *a)
{
    return whole_vectors(a->width + 2);
}

/* Divide the memory between the arrays. Returns the bytes they take. */
static int64_t divide(char *memory, const struct augmentation *a, struct scratch *s)
{
    int64_t stride = stride_of(a), columns = whole_vectors(a->width), pixels = a->height * a->width + LANES;
    char *next = memory;
    s->neighbours = (uint32_t *)next, next += 4 * (a->height + 2) * stride;
    s->place = (int32_t *)next, next += 4 * pixels;
    s->found = (uint32_t *)next, next += 4 * pixels;
    s->right = (float *)next, next += 4 * pixels;
    s->below = (float *)next, next += 4 * pixels;
    s->bent_x = (float *)next, next += 4 * columns;
    s->bent_y = (float *)next, next += 4 * columns;
    s->field = (float *)next, next += 4 * 2 * GRID * columns;
    s->bordered = (uint8_t *)next, next += (a->height + 3) * stride + LANES;
    return next - memory;
}

int64_t augmentation_scratch(const struct augmentation *a)
{
    struct scratch s;
    return divide(NULL, a, &s);
}

/* Numbers of one image: entry k is at [k * count]. */
static float number(const struct batch *b, int64_t image, int64_t k)
{
    return b->numbers[k * b->count + image];
}

/* The affine map of an image in pixels. Coordinates of torch run from -1 to 1 over the edges of the image. */
static void affine(const struct augmentation *a, const struct batch *b, int64_t image, struct line *x, struct line *y)
{
    double width = (double)a->width, height = (double)a->height;
    float left = (float)b->left;
    float angle = number(b, image, 0) * left * a->rotation;
    double shear = tanf(number(b, image, 1) * left * a->shear);
    double zoom = 1 + number(b, image, 2) * left * a->scale;
    if (a->crop > 0 && number(b, image, 3) < (float)(2 * a->crop_probability * b->left - 1))
        zoom *= width / a->crop;
    double cosine = cosf(angle) / zoom, sine = sinf(angle) / zoom;
    double to_x[3] = {cosine, cosine * shear - sine, number(b, image, 4) * left * 2 * a->shift};
    double to_y[3] = {sine, sine * shear + cosine, number(b, image, 5) * left * 2 * a->shift};
    double first_x = 1 / width - 1, first_y = 1 / height - 1;           /* coordinates of the first pixel's centre */
    x->by_column = (float)to_x[0];
    x->by_row = (float)(to_x[1] * width / height);
    x->start = (float)(((to_x[0] * first_x + to_x[1] * first_y + to_x[2] + 1) * width - 1) / 2);
    y->by_column = (float)(to_y[0] * height / width);
    y->by_row = (float)to_y[1];
    y->start = (float)(((to_y[0] * first_x + to_y[1] * first_y + to_y[2] + 1) * height - 1) / 2);
}

/* Displacements of the points of the grid, interpolated between its columns. Their numbers follow the affine ones. */
static void bend_columns(const struct augmentation *a, const struct batch *b, int64_t image, struct scratch *s)
{
    int32_t columns = whole_vectors(a->width);
    for (int64_t row = 0; row < 2 * GRID; row++) {
        float *restrict field = s->field + row * columns;
        memset(field, 0, sizeof *field * (size_t)columns);
        for (int64_t k = 0; k < GRID; k++) {
            float pixels = number(b, image, AFFINE + row * GRID + k) * (float)b->left * a->elastic;
            const float *restrict weights = a->across + k * a->width;
            for (int64_t column = 0; column < a->width; column++)
                field[column] += pixels * weights[column];
        }
    }
}

/* Displacements of a row of pixels, in x or y: field is (GRID, columns), weights are those of the row. */
static void bend_row(int32_t columns, const float *restrict field, const float *weights, float *restrict bent)
{
    for (int32_t column = 0; column < columns; column++) {
        float sum = 0;
        for (int32_t k = 0; k < GRID; k++)
            sum += weights[k] * field[k * columns + column];
        bent[column] = sum;
    }
}

/* Pack the pixels at (y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1) for y, x from -1. The border is black already. */
static void pack(const struct augmentation *a, const uint8_t *pixels, struct scratch *s)
{
    int32_t stride = stride_of(a);
    for (int64_t y = 0; y < a->height; y++)
        memcpy(s->bordered + (y + 1) * stride + 1, pixels + y * a->width, (size_t)a->width);
    for (int64_t y = 0; y < a->height + 2; y++) {
        const uint8_t *restrict row = s->bordered + y * stride, *restrict next = row + stride;
        uint32_t *restrict neighbours = s->neighbours + y * stride;
        for (int32_t x = 0; x < stride; x++)
            neighbours[x] = row[x] | (uint32_t)row[x + 1] << 8 | (uint32_t)next[x] << 16 | (uint32_t)next[x + 1] << 24;
    }
}

/* A position between -1 and size. Further outside all neighbours are black as well. NaN becomes -1. */
static inline float inside(float position, float size)
{
    position = position > -1 ? position : -1;
    return position < size ? position : size;
}

/* Find the neighbours of a row of positions and their weights. */
static void locate(const struct augmentation *a, int64_t row, struct line to_x, struct line to_y, struct scratch *s)
{
    float *restrict right = s->right + row * a->width, *restrict below = s->below + row * a->width;
    const float *restrict bent_x = s->bent_x, *restrict bent_y = s->bent_y;
    int32_t *restrict place = s->place + row * a->width;
    int32_t columns = whole_vectors(a->width), stride = stride_of(a);
    float width = (float)a->width, height = (float)a->height;
    float start_x = to_x.start + (float)row * to_x.by_row, start_y = to_y.start + (float)row * to_y.by_row;
    for (int32_t column = 0; column < columns; column++) {
        float x = inside(start_x + (float)column * to_x.by_column + bent_x[column], width) + 1;
        float y = inside(start_y + (float)column * to_y.by_column + bent_y[column], height) + 1;
        int32_t whole_x = (int32_t)x, whole_y = (int32_t)y;             /* both are 0 or more: this rounds down */
        right[column] = x - (float)whole_x;
        below[column] = y - (float)whole_y;
        place[column] = whole_y * stride + whole_x;
    }
}

/* Interpolate all pixels of a channel between their neighbours, scale and normalise them. */
static void interpolate(int64_t pixels, const struct scratch *s, float mean, float std, float *restrict out)
{
    const uint32_t *restrict neighbours = s->neighbours;
    const int32_t *restrict place = s->place;
    const float *restrict right = s->right, *restrict below = s->below;
    uint32_t *restrict found = s->found;
    float factor = 1 / (255 * std), offset = -mean / std;
    for (int64_t i = 0; i < pixels; i++)
        found[i] = neighbours[place[i]];
    for (int64_t i = 0; i < pixels; i++) {
        float here = (float)(int32_t)(found[i] & 255), there = (float)(int32_t)(found[i] >> 8 & 255);
        float under = (float)(int32_t)(found[i] >> 16 & 255), beside = (float)(int32_t)(found[i] >> 24);
        float upper = here + right[i] * (there - here), lower = under + right[i] * (beside - under);
        out[i] = (upper + below[i] * (lower - upper)) * factor + offset;
    }
}

static void resample(const struct augmentation *a, const struct batch *b, int64_t image, struct scratch *s, float *out)
{
    int64_t area = a->height * a->width;
    const uint8_t *pixels = a->images + b->picked[image] * a->channels * area;
    int32_t columns = whole_vectors(a->width);
    struct line x, y;
    affine(a, b, image, &x, &y);
    if (a->bends)
        bend_columns(a, b, image, s);
    for (int64_t row = 0; row < a->height; row++) {
        if (a->bends) {
            bend_row(columns, s->field, a->down + row * GRID, s->bent_x);
            bend_row(columns, s->field + GRID * columns, a->down + row * GRID, s->bent_y);
        }
        locate(a, row, x, y, s);
    }
    for (int64_t channel = 0; channel < a->channels; channel++) {
        pack(a, pixels + channel * area, s);
        interpolate(area, s, a->mean[channel], a->std[channel], out + channel * area);
    }
}

/* Scale and normalise an image that does not move. Divides as torch does, so the results are the same bit for bit. */
static void copy(const struct augmentation *a, int64_t picked, float *restrict out)
{
    int64_t area = a->height * a->width;
    for (int64_t channel = 0; channel < a->channels; channel++) {
        const uint8_t *restrict pixels = a->images + (picked * a->channels + channel) * area;
        float mean = a->mean[channel], std = a->std[channel];
        for (int64_t i = 0; i < area; i++)
            out[channel * area + i] = ((float)pixels[i] / 255 - mean) / std;
    }
}

/* The pixels of an axis whose centres lie from low to below high, both as parts of the axis. */
static void between(int64_t size, float low, float high, int64_t *first, int64_t *end)
{
    *first = 0;
    while (*first < size && ((float)*first + 0.5f) / (float)size < low)
        ++*first;
    *end = *first;
    while (*end < size && ((float)*end + 0.5f) / (float)size < high)
        ++*end;
}

/* The erased rectangle of an image, from its last five numbers. It is empty if the image is not hit. */
static struct rectangle hole(const struct augmentation *a, const struct batch *b, int64_t image)
{
    int64_t first = AFFINE * a->moves + BENDS * a->bends;
    float uniform[5];
    struct rectangle hole = {0, 0, 0, 0};
    for (int64_t k = 0; k < 5; k++)
        uniform[k] = (number(b, image, first + k) + 1) / 2;
    if (!(uniform[4] < (float)(a->erasing * b->left)))
        return hole;
    float area = 0.02f + 0.18f * uniform[0], aspect = 0.3f * powf((float)(3.3 / 0.3), uniform[1]);
    float tall = fminf(sqrtf(area * aspect), 1), wide = fminf(sqrtf(area / aspect), 1);
    float top = uniform[2] * (1 - tall), left = uniform[3] * (1 - wide);
    between(a->height, top, top + tall, &hole.top, &hole.bottom);
    between(a->width, left, left + wide, &hole.left, &hole.right);
    return hole;
}

static void erase(const struct augmentation *a, struct rectangle hole, float *out)
{
    for (int64_t channel = 0; channel < a->channels; channel++)
        for (int64_t row = hole.top; row < hole.bottom; row++)
            for (int64_t column = hole.left; column < hole.right; column++)
                out[(channel * a->height + row) * a->width + column] = (0 - a->mean[channel]) / a->std[channel];
}

/* Change images begin to end of the batch. memory: augmentation_scratch() bytes, aligned for floats, not shared.
 * Threads may work on disjoint ranges at once. Returns -1, or the first image whose index is out of range.
 */
int64_t augment(const struct augmentation *a, const struct batch *b, int64_t begin, int64_t end, void *memory)
{
    struct scratch s;
    memset(memory, 0, (size_t)divide(memory, a, &s));       /* the border is black, and without bends all stay 0 */
    for (int64_t image = begin; image < end; image++) {
        float *out = b->out + image * a->channels * a->height * a->width;
        if (b->picked[image] < 0 || b->picked[image] >= a->stored)
            return image;
        if (a->moves)
            resample(a, b, image, &s, out);
        else
            copy(a, b->picked[image], out);
        if (a->erases)
            erase(a, hole(a, b, image), out);
    }
    return -1;
}
