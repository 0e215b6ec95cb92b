/* Cross-entropy of one head with labels and with soft labels, its gradient, and the number of right predictions.

   The same as featherweight.tasks.Loss. Source: Hinton et al. (2015), Distilling the Knowledge in a Neural Network. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>

struct head {
    const float *outputs;       /* (count, classes): logits or log-probabilities */
    const int64_t *targets;     /* (count) */
    const float *soft;          /* (count, soft_classes): probabilities of a teacher, or NULL */
    const float *weights;       /* (count): weight of the loss of each image, or NULL if all are 1 */
    int64_t count, classes, soft_classes;
    double weight, temperature; /* of the part that follows the teacher */
    float *gradient;            /* (count, classes), written: of the mean loss */
    float *each;                /* (count): the loss of each image is added, or NULL */
    double *loss;               /* the sum of the losses is added */
    int64_t *right;             /* the number of right predictions is added */
};

static int64_t largest(const float *row, int64_t classes)
{
    int64_t best = 0;
    for (int64_t c = 1; c < classes; c++)
        if (row[c] > row[best]) best = c;
    return best;
}

/* Write the softmax of row / temperature, and return the logarithm of its denominator, above row[top] / temperature. */
static double softmax(const float *row, int64_t classes, int64_t top, float temperature, float *to)
{
    float sum = 0;
    for (int64_t c = 0; c < classes; c++) sum += to[c] = expf((row[c] - row[top]) / temperature);
    for (int64_t c = 0; c < classes; c++) to[c] /= sum;
    return logf(sum);
}

/* Loss of one image with the label, and its gradient times `share`. */
static double with_label(const struct head *h, const float *row, int64_t top, int64_t target, float share, float *gradient)
{
    const double denominator = softmax(row, h->classes, top, 1, gradient);
    for (int64_t c = 0; c < h->classes; c++) gradient[c] *= share;
    gradient[target] -= share;
    return denominator - (row[target] - row[top]);
}

/* Loss of one image with soft labels. Its gradient times `share` is added. scratch: `classes` numbers. */
static double with_soft(const struct head *h, const float *row, int64_t top, const float *soft, float share, float *scratch,
                        float *gradient)
{
    const float temperature = (float)h->temperature;
    const double denominator = softmax(row, h->classes, top, temperature, scratch);
    double loss = 0, whole = 0;
    for (int64_t c = 0; c < h->soft_classes; c++) {
        whole += soft[c];
        loss += soft[c] * (denominator - (row[c] - row[top]) / temperature);
    }
    for (int64_t c = 0; c < h->classes; c++) {
        const float expected = c < h->soft_classes ? soft[c] : 0;
        gradient[c] += share / temperature * ((float)whole * scratch[c] - expected);
    }
    return loss;
}

/* scratch: `classes` numbers. */
void cross_entropy(const struct head *h, float *scratch)
{
    const double square = h->temperature * h->temperature, followed = h->soft ? h->weight * square : 0;
    const double hard = h->soft ? 1 - h->weight : 1;
    double sum = 0;
    for (int64_t n = 0; n < h->count; n++) {
        const float *row = h->outputs + n * h->classes;
        float *gradient = h->gradient + n * h->classes;
        const int64_t top = largest(row, h->classes);
        const double weight = h->weights ? h->weights[n] : 1, count = (double)h->count;
        double loss = hard * with_label(h, row, top, h->targets[n], (float)(hard * weight / count), gradient);
        if (h->soft)
            loss += followed * with_soft(h, row, top, h->soft + n * h->soft_classes, (float)(followed * weight / count),
                                         scratch, gradient);
        loss *= weight;
        if (h->each) h->each[n] += (float)loss;
        *h->right += top == h->targets[n];
        sum += loss;
    }
    *h->loss += sum;
}
