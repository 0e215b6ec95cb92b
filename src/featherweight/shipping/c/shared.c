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
/* ---- most_probable ---- */
static int most_probable(const float *probabilities, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        best = probabilities[i] > probabilities[best] ? i : best;
    return best;
}
