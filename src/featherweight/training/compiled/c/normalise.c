/* Batch normalisation: statistics of the batch, and what they add to the gradients. Sums of threads are added up by
   each thread for itself, always in the same order. */

INLINE double values_of(const Net *net, int t, const Stage *stage)
{
    int images = 0;
    for (int s = t; s < net->slices; s += net->threads) images += LEAST(IMAGES, net->images - s * IMAGES);
    return (double)images * stage->h * stage->w;
}

/* Mean and sum of squared distances of channel c, over all threads. Source: Chan et al. (1979). */
static void statistics(const Net *net, int i, int c, double *mean, double *squares)
{
    double count = 0;
    *mean = *squares = 0;
    for (int t = 0; t < net->threads; t++) {
        const double n = values_of(net, t, &stages[i]);
        if (n == 0) continue;
        const Local *local = &net->local[i][t];
        const double sum = total(local->sums[2 * c]), square = total(local->sums[2 * c + 1]);
        const double own = local->near[c] + sum / n, apart = own - *mean;
        *squares += fmax(square - sum * sum / n, 0) + apart * apart * count * n / (count + n);
        *mean += apart * n / (count + n);
        count += n;
        if (square != square) *squares = square;        /* fmax drops a NaN */
    }
}

static void normalise(Net *net, int t, int i)
{
    const Parameters *p = &net->parameters[i];
    const Stage *stage = &stages[i];
    Local *local = &net->local[i][t];
    const double n = (double)net->images * stage->h * stage->w;
    for (int c = 0; c < stage->c; c++) {
        double mean, squares;
        if (net->training) statistics(net, i, c, &mean, &squares);
        else mean = p->mean[c], squares = p->variance[c] * n;
        const double r = 1 / sqrt(squares / n + stage->eps), factor = (p->gain ? p->gain[c] : 1) * r;
        local->factor[c] = (float)factor;
        local->summand[c] = (float)((p->shift ? p->shift[c] : 0) - mean * factor);
        local->mean[c] = (float)mean;
        local->rest[3 * c] = (float)r;
        if (t == 0 && net->training && p->mean) {
            p->mean[c] += stage->momentum * ((float)mean - p->mean[c]);
            p->variance[c] += stage->momentum * ((float)(squares / (n - 1)) - p->variance[c]);
        }
    }
    if (t == 0 && net->training && p->batches) ++*p->batches;
}

/* Gradients of gain and shift, and 3 numbers a, b, d for each channel: gradient at z = a g + b z + d. */
static void normalise_back(Net *net, int t, int i)
{
    const Parameters *p = &net->parameters[i];
    const Stage *stage = &stages[i];
    Local *local = &net->local[i][t];
    const double n = (double)net->images * stage->h * stage->w;
    for (int c = 0; c < stage->c; c++) {
        double sum = 0, product = 0;
        for (int u = 0; u < net->threads; u++) {
            sum += total(net->local[i][u].backward_sums[2 * c]);
            product += total(net->local[i][u].backward_sums[2 * c + 1]);
        }
        float *rest = local->rest + 3 * c;
        const double r = rest[0], mean = local->mean[c], a = (p->gain ? p->gain[c] : 1) * r, slope = a * r * r * product / n;
        rest[0] = (float)a, rest[1] = (float)-slope, rest[2] = (float)(slope * mean - a * sum / n);
        if (t == 0 && p->gain_gradient) p->gain_gradient[c] = (float)(r * product);
        if (t == 0 && p->shift_gradient) p->shift_gradient[c] = (float)sum;
    }
}
