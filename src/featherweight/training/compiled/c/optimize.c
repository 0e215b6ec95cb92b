/* One step of an optimizer (SGD, Adam, AdamW or Muon) and of the average of the weights, for all parameters at once.
 *
 * Weights, gradients and state are the memory of torch tensors. A tensor and those that belong to it have the same
 * layout, with the outputs first, so that all of them are read as plain arrays.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")      /* at -O2, gcc 12 vectorises few loops. Adam's loop needs -fno-math-errno too, for sqrtf */
#endif

enum { LANES = 16 };
#ifdef __AVX512F__
enum { ROWS = 8 };      /* rows of a product that are summed in registers at once */
#else
enum { ROWS = 4 };      /* a vector of 16 floats takes two registers of 8 or four of 4 */
#endif

typedef float vector __attribute__((vector_size(4 * LANES), may_alias));     /* the same memory is read as floats */

enum rule { SGD, ADAM, MUON };

/* A parameter of `size` numbers with its gradient and its state. first, second: momentum or Adam's averages, or NULL. */
struct parameter {
    float *weight;
    const float *gradient;
    float *first, *second;
    float *steps;               /* Adam's steps up to now, or NULL */
    int64_t size, rows;         /* rows: number of outputs, read by Muon only */
};

/* Parameters with the same settings. The settings are named as in torch. */
struct group {
    int32_t rule, nesterov, decoupled;      /* decoupled: weight decay as in AdamW */
    double lr, momentum, weight_decay, beta1, beta2, eps;
    const struct parameter *parameters;
    int64_t count;
};

/* A tensor of the averaged network and the same tensor of the trained network. counts: int64, else float. */
struct pair {
    void *average;
    const void *current;
    int64_t size, counts;
};

/* The exponential moving average of a network. updates: the number of updates up to now. */
struct average {
    int64_t *updates;
    double decay;
    const struct pair *pairs;
    int64_t count;
};

/* ---- SGD and Adam ---- */

static void sgd(const struct group *g, const struct parameter *p)
{
    float *restrict weight = p->weight, *restrict buffer = p->first;
    const float *restrict gradient = p->gradient;
    float lr = (float)g->lr, decay = (float)g->weight_decay, momentum = (float)g->momentum;
    if (!buffer) {
        for (int64_t i = 0; i < p->size; i++)
            weight[i] -= lr * (gradient[i] + decay * weight[i]);
        return;
    }
    float ahead = g->nesterov ? momentum : 1, direct = g->nesterov ? 1 : 0;
    for (int64_t i = 0; i < p->size; i++) {
        float slope = gradient[i] + decay * weight[i];
        buffer[i] = momentum * buffer[i] + slope;               /* a new buffer is 0: the first step copies the slope */
        weight[i] -= lr * (direct * slope + ahead * buffer[i]);
    }
}

static void adam(const struct group *g, const struct parameter *p)
{
    float *restrict weight = p->weight, *restrict mean = p->first, *restrict square = p->second;
    const float *restrict gradient = p->gradient;
    double steps = *p->steps += 1;
    float rate = (float)(g->lr / (1 - pow(g->beta1, steps)));
    float root = (float)(1 / sqrt(1 - pow(g->beta2, steps)));
    float beta = (float)g->beta2, fresh_mean = (float)(1 - g->beta1), fresh_square = (float)(1 - g->beta2);
    float kept = g->decoupled ? (float)(1 - g->lr * g->weight_decay) : 1;
    float decay = g->decoupled ? 0 : (float)g->weight_decay, eps = (float)g->eps;
    for (int64_t i = 0; i < p->size; i++) {
        float slope = gradient[i] + decay * weight[i];
        mean[i] += fresh_mean * (slope - mean[i]);
        square[i] = beta * square[i] + fresh_square * slope * slope;
        weight[i] = kept * weight[i] - rate * mean[i] / (sqrtf(square[i]) * root + eps);
    }
}

/* ---- Muon ---- */

/* A matrix with its longer side down, in rows of `width` floats: fewer columns rounded up to whole vectors. The numbers
 * beyond its sides are 0. The arrays have `height` rows, or `side` rows for products of columns with columns.
 */
struct matrix {
    int64_t fewer, more, width, height, side;
    int32_t transposed;         /* true if the parameter has its longer side across */
    float *near, *next;         /* (height, width) */
    float *square, *mixed;      /* (side, width) */
};

static int64_t rounded_up(int64_t size, int64_t unit)
{
    return (size + unit - 1) / unit * unit;
}

static struct matrix layout(int64_t size, int64_t rows, float *memory)
{
    int64_t columns = size / rows;
    struct matrix m;
    m.transposed = columns > rows;
    m.fewer = m.transposed ? rows : columns;
    m.more = m.transposed ? columns : rows;
    m.width = rounded_up(m.fewer, LANES);
    m.height = rounded_up(m.more, ROWS);
    m.side = rounded_up(m.fewer, ROWS);
    m.near = memory;
    m.next = m.near + m.height * m.width;
    m.square = m.next + m.height * m.width;
    m.mixed = m.square + m.side * m.width;
    return m;
}

/* Bytes of scratch memory for a matrix with these sides. It must be aligned to 64 bytes. */
int64_t muon_scratch(int64_t size, int64_t rows)
{
    struct matrix m = layout(size, rows, NULL);
    return 8 * (m.height + m.side) * m.width;
}

/* A left factor: the number in row r and column k is at [r * row + k * column]. */
struct factor {
    const float *numbers;
    int64_t row, column;
};

/* out = keep * kept + times * left right, for rows of `width` floats. kept may be NULL. depth: rows of right. rows must
 * be a multiple of ROWS. ROWS rows of one vector are summed in registers.
 */
static void multiply(const struct matrix *m, float *restrict out, int64_t rows, struct factor left, const float *right,
                     int64_t depth, float times, float keep, const float *kept)
{
    for (int64_t row = 0; row < rows; row += ROWS)
        for (int64_t column = 0; column < m->width; column += LANES) {
            vector sum[ROWS] = {{0}};
            for (int64_t k = 0; k < depth; k++) {
                vector line = *(const vector *)(right + k * m->width + column);
                for (int r = 0; r < ROWS; r++)
                    sum[r] += left.numbers[(row + r) * left.row + k * left.column] * line;
            }
            for (int r = 0; r < ROWS; r++) {
                int64_t place = (row + r) * m->width + column;
                vector product = times * sum[r];
                if (kept)
                    product += keep * *(const vector *)(kept + place);
                *(vector *)(out + place) = product;
            }
        }
}

/* Divide the matrix by its norm. */
static void shrink(struct matrix *m)
{
    const float small = 1e-8f;
    vector *vectors = (vector *)m->near, sums = {0};
    double norm = 0;
    for (int64_t i = 0; i < m->height * m->width / LANES; i++)
        sums += vectors[i] * vectors[i];
    for (int lane = 0; lane < LANES; lane++)
        norm += sums[lane];
    float divisor = fmaxf((float)sqrt(norm), small);
    for (int64_t i = 0; i < m->height * m->width / LANES; i++)
        vectors[i] /= divisor;
}

/* Move all singular values close to 1, by the Newton-Schulz iteration of muon.py. */
static void orthogonalise(struct matrix *m)
{
    const float a = 3.4445f, b = -4.7750f, c = 2.0315f;
    shrink(m);
    for (int iteration = 0; iteration < 5; iteration++) {
        struct factor columns = {m->near, 1, m->width}, rows = {m->near, m->width, 1}, square = {m->square, m->width, 1};
        multiply(m, m->square, m->side, columns, m->near, m->more, 1, 0, NULL);
        multiply(m, m->mixed, m->side, square, m->square, m->fewer, c, b, m->square);
        multiply(m, m->next, m->height, rows, m->mixed, m->fewer, 1, a, m->near);
        float *old = m->near;
        m->near = m->next, m->next = old;
    }
}

/* The place of a parameter's number (row, column) in its matrix. */
static inline int64_t place_of(const struct matrix *m, int64_t row, int64_t column)
{
    return m->transposed ? column * m->width + row : row * m->width + column;
}

static void muon(const struct group *g, const struct parameter *p, float *memory)
{
    struct matrix m = layout(p->size, p->rows, memory);
    int64_t columns = p->size / p->rows;
    float momentum = (float)g->momentum, kept = (float)(1 - g->lr * g->weight_decay);
    float rate = (float)(g->lr * sqrt(fmax(1, (double)p->rows / (double)columns)));
    memset(m.near, 0, sizeof *m.near * (size_t)(m.height * m.width));
    for (int64_t i = 0; i < p->size; i++)
        p->first[i] = momentum * p->first[i] + p->gradient[i];
    for (int64_t row = 0; row < p->rows; row++)
        for (int64_t column = 0; column < columns; column++) {
            int64_t i = row * columns + column;
            m.near[place_of(&m, row, column)] = g->nesterov ? p->gradient[i] + momentum * p->first[i] : p->first[i];
        }
    orthogonalise(&m);
    for (int64_t row = 0; row < p->rows; row++)
        for (int64_t column = 0; column < columns; column++) {
            float *weight = p->weight + row * columns + column;
            *weight = kept * *weight - rate * m.near[place_of(&m, row, column)];
        }
}

/* ---- the average of the weights ---- */

/* Average counters as torch does: in float32, rounded after each operation, then rounded towards 0.
 * volatile keeps the compiler from a fused multiply-add, which rounds once only: 9.9999999 is another counter than 10.
 */
static void average_counts(int64_t *average, const int64_t *current, int64_t size, double decay)
{
    float kept = (float)decay, fresh = (float)(1 - decay);
    for (int64_t i = 0; i < size; i++) {
        volatile float old = (float)average[i] * kept;
        volatile float new = (float)current[i] * fresh;
        average[i] = (int64_t)(old + new);
    }
}

static void average_floats(float *restrict average, const float *restrict current, int64_t size, double decay)
{
    float kept = (float)decay, fresh = (float)(1 - decay);
    for (int64_t i = 0; i < size; i++) {
        float change = current[i] - average[i];
        average[i] = fresh < 0.5f ? average[i] + fresh * change : current[i] - kept * change;
    }
}

/* The first update copies, later ones average. */
static void update_average(const struct average *a)
{
    for (const struct pair *pair = a->pairs; pair < a->pairs + a->count; pair++) {
        if (*a->updates == 0)
            memcpy(pair->average, pair->current, (size_t)pair->size * (pair->counts ? sizeof(int64_t) : sizeof(float)));
        else if (pair->counts)
            average_counts(pair->average, pair->current, pair->size, a->decay);
        else
            average_floats(pair->average, pair->current, pair->size, a->decay);
    }
    ++*a->updates;
}

/* Do one step of all groups, then update the average unless it is NULL. memory: see muon_scratch. */
void optimize(const struct group *groups, int64_t count, const struct average *average, float *memory)
{
    for (const struct group *group = groups; group < groups + count; group++)
        for (const struct parameter *p = group->parameters; p < group->parameters + group->count; p++) {
            if (group->rule == SGD)
                sgd(group, p);
            else if (group->rule == ADAM)
                adam(group, p);
            else
                muon(group, p, memory);
        }
    if (average)
        update_average(average);
}
