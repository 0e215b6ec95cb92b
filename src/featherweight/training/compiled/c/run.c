/* Weights in the order of the kernels, images in and out, threads, and the functions that Python calls. */

/* Weights forward: [row][column][input][output] of each group; backward: the turned kernel, [output][input]. For dot
   products the numbers of two channels lie side by side as bf16. */
static void arrange(Net *net, int i)
{
    const Stage *stage = &stages[i];
    const int groups = stage->groups, in = stage->inputs / groups, out = stage->c / groups, places = stage->kh * stage->kw;
    const int dots = DOTS && groups == 1;
    uint32_t *pairs = (uint32_t *)net->forward_weights[i], *back_pairs = (uint32_t *)net->backward_weights[i];
    if (dots) memset(pairs, 0, (size_t)places * CEIL(in, 2) * out * 4), memset(back_pairs, 0, (size_t)places * CEIL(out, 2) * in * 4);
    for (int g = 0; g < groups; g++)
        for (int o = 0; o < out; o++)
            for (int c = 0; c < in; c++)
                for (int k = 0; k < places; k++) {
                    const float w = net->parameters[i].weight[((g * out + o) * in + c) * (ptrdiff_t)places + k];
                    const size_t ahead = (size_t)g * places * in * out;
                    if (!dots) {
                        net->forward_weights[i][ahead + ((size_t)k * in + c) * out + o] = w;
                        net->backward_weights[i][ahead + ((size_t)(places - 1 - k) * out + o) * in + c] = w;
                    } else {
                        pairs[((size_t)k * CEIL(in, 2) + c / 2) * out + o] |= (uint32_t)rounded(w) << 16 * (c % 2);
                        back_pairs[((size_t)(places - 1 - k) * CEIL(out, 2) + o / 2) * in + c] |= (uint32_t)rounded(w) << 16 * (o % 2);
                    }
                }
}

static void prepare(Net *net, int t)
{
    for (int i = 0; i < STAGES; i++) {
        const Stage *stage = &stages[i];
        Local *local = &net->local[i][t];
        if (stage->kh && i % net->threads == t) arrange(net, i);
        memset(local->sums, 0, 2 * stage->c * sizeof(vec));
        if (!net->training) continue;
        memset(local->backward_sums, 0, 2 * stage->c * sizeof(vec));
        if (stage->kh) memset(local->weight_sums, 0, weights_of(stage) * sizeof(vec));
        if (stage->kh) memset(local->bias_sums, 0, stage->c * sizeof(vec));
    }
}

/* Sum the gradients of weights and biases over threads and images. */
static void collect(Net *net, int t)
{
    for (int i = 0, turn = 0; i < STAGES; i++) {
        const Stage *stage = &stages[i];
        const Parameters *p = &net->parameters[i];
        if (!stage->kh) continue;
        const int groups = stage->groups, in = stage->inputs / groups, out = stage->c / groups;
        for (int o = 0; o < stage->c; o++) {
            if (turn++ % net->threads != t) continue;
            if (p->bias_gradient) {
                vec sum = ZERO;
                for (int u = 0; u < net->threads; u++) sum += net->local[i][u].bias_sums[o];
                p->bias_gradient[o] = (float)total(sum);
            }
            if (!p->weight_gradient) continue;
            for (int c = 0; c < in; c++)
                for (int a = 0; a < stage->kh; a++)
                    for (int b = 0; b < stage->kw; b++) {
                        const size_t at = ((((size_t)(o / out) * stage->kh + a) * in + c) * out + o % out) * stage->kw + b;
                        vec sum = ZERO;
                        for (int u = 0; u < net->threads; u++) sum += net->local[i][u].weight_sums[at];
                        p->weight_gradient[(((size_t)o * in + c) * stage->kh + a) * stage->kw + b] = sum_of_lanes(sum);
                    }
        }
    }
}

/* Copy `columns` columns of a row of `count` images into the place of an input's stage, images innermost. apart: floats
   from one image to the next. */
INLINE void turn(stored *to, const float *from, size_t apart, int count, int columns)
{
    float block[COLUMNS][IMAGES] __attribute__((aligned(64)));
    if (count < IMAGES) memset(block, 0, sizeof block);
    for (int n = 0; n < count; n++)
        for (int x = 0; x < columns; x++) block[x][n] = from[n * apart + x];
    for (int x = 0; x < columns; x++)
        for (int u = 0; u < VECTORS; u++) PUT(to + x * IMAGES + u * LANES, load(block[x] + u * LANES));
}

/* Copy float (N, C, H, W) into the slices of an input's stage. Images beyond the batch are 0. */
static void take_in(Net *net, int t, int i, const float *images)
{
    const Stage *stage = &stages[i];
    const size_t apart = (size_t)stage->c * stage->h * stage->w;
    for (int s = t; s < net->slices; s += net->threads) {
        stored *z = (stored *)net->z[i] + s * size_of(stage);
        const int count = LEAST(IMAGES, net->images - s * IMAGES);
        for (int y = 0; y < stage->h; y++)
            for (int c = 0; c < stage->c; c++)
                for (int x = 0; x < stage->w; x += COLUMNS)
                    turn(z + (y * stage->c + c) * CHANNEL(stage->w) + x * IMAGES,
                         images + s * IMAGES * apart + (c * stage->h + y) * stage->w + x, apart, count,
                         LEAST(COLUMNS, stage->w - x));
    }
}

/* Copy the outputs of a head's stage into float (N, C), or its gradient from there. */
static void give_out(Net *net, int t, int i, float *head)
{
    const int c = stages[i].c;
    for (int s = t; s < net->slices; s += net->threads)
        for (int n = 0; n < LEAST(IMAGES, net->images - s * IMAGES); n++)
            for (int o = 0; o < c; o++)
                head[(s * IMAGES + n) * c + o] = ((float *)net->z[i])[s * size_of(&stages[i]) + o * CHANNEL(1) + n];
}

static void take_gradient(Net *net, int t, int i, const float *head)
{
    const int c = stages[i].c;
    for (int s = t; s < net->slices; s += net->threads)
        for (int n = 0; n < IMAGES; n++)
            for (int o = 0; o < c; o++)
                ((float *)gradient_of(net, i, s))[o * CHANNEL(1) + n] =
                    s * IMAGES + n < net->images ? head[(s * IMAGES + n) * c + o] : 0;
}

__attribute__((unused)) static void clear(Net *net, int t, int i)
{
    const size_t bytes = size_of(&stages[i]) * stages[i].bytes;
    for (int s = t; s < net->slices; s += net->threads) memset(gradient_of(net, i, s), 0, bytes);
}

/* ---- threads: they take the slices in turn and meet where all need the sums of all */

INLINE void pause_(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Wait until *at differs from `before`: a moment in a loop, then asleep, so that other processes get the core. */
static void wait_for_change(Net *net, int *at, int before, pthread_cond_t *news)
{
    for (int n = 0; n < SPINS; n++) {
        if (__atomic_load_n(at, __ATOMIC_ACQUIRE) != before) return;
        pause_();
    }
    pthread_mutex_lock(&net->lock);
    while (__atomic_load_n(at, __ATOMIC_ACQUIRE) == before) pthread_cond_wait(news, &net->lock);
    pthread_mutex_unlock(&net->lock);
}

static void announce(Net *net, int *at, pthread_cond_t *news)
{
    pthread_mutex_lock(&net->lock);
    __atomic_add_fetch(at, 1, __ATOMIC_RELEASE);
    pthread_cond_broadcast(news);
    pthread_mutex_unlock(&net->lock);
}

static void meet(Net *net)
{
    if (net->threads == 1) return;
    const int phase = __atomic_load_n(&net->phase, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&net->arrived, 1, __ATOMIC_ACQ_REL) == net->threads) {
        net->arrived = 0;
        announce(net, &net->phase, &net->met);
    } else {
        wait_for_change(net, &net->phase, phase, &net->met);
    }
}

#if TIMED
#include <time.h>
INLINE double now(void)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (double)moment.tv_sec + 1e-9 * (double)moment.tv_nsec;
}
#define EACH(work, i, direction) \
    do { \
        const double begun = now(); \
        for (int s = t; s < net->slices; s += net->threads) work(net, t, s); \
        if (t == 0) net->seconds[direction][i] = now() - begun; \
    } while (0)
#else
#define EACH(work, i, direction) for (int s = t; s < net->slices; s += net->threads) work(net, t, s)
#endif

enum { FORWARD, BACKWARD, SHARE, END };

static void forward_all(Net *net, int t);
static void backward_all(Net *net, int t);

/* Do a thread's part of the shared work. */
static void do_part(Net *net, int t)
{
    Shared *s = &net->shared;
    const int64_t begin = s->count * t / net->threads, end = s->count * (t + 1) / net->threads;
    const int64_t wrong = s->piece(s->first, s->second, begin, end, s->memory + t * s->bytes);
    if (wrong < 0) return;
    pthread_mutex_lock(&net->lock);
    if (s->wrong < 0 || wrong < s->wrong) s->wrong = wrong;
    pthread_mutex_unlock(&net->lock);
}

static void work(Net *net, int t)
{
    if (net->job == FORWARD) forward_all(net, t);
    if (net->job == BACKWARD) backward_all(net, t);
    if (net->job == SHARE) do_part(net, t);
    meet(net);
}

static void *help(void *given)
{
    const Helper *helper = given;
    for (int seen = 0;; seen++) {
        wait_for_change(helper->net, &helper->net->jobs, seen, &helper->net->wake);
        if (helper->net->job == END) return NULL;
        work(helper->net, helper->thread);
    }
}

static void run(Net *net, int job)
{
    net->job = job;
    if (net->threads > 1) announce(net, &net->jobs, &net->wake);
    work(net, 0);
}

/* ---- the functions that Python calls */

/* Return zeroed memory that destroy() frees, or NULL. The first page of a block points to the block before it. */
static void *room_for(Net *net, size_t bytes)
{
    enum { PAGE = 4096 };
    void *block = NULL;
    const size_t whole = CEIL(bytes, PAGE) * PAGE + 2 * PAGE;
    if (posix_memalign(&block, PAGE, whole)) return NULL;
    memset(block, 0, whole);
    *(void **)block = net->blocks;
    net->blocks = block;
    return (char *)block + PAGE;
}

/* training: with the buffers of the backward pass. */
static int allocate(Net *net, size_t room, int training)
{
    const int slices = CEIL(net->largest, IMAGES);
    size_t of_slot[STAGES] = {0};
    int good = 1;
#define ROOM(place, bytes) good = ((place) = room_for(net, bytes)) != NULL && good
    for (int i = 0; i < STAGES; i++)
        if (stages[i].slot >= 0)
            of_slot[stages[i].slot] = MOST(of_slot[stages[i].slot], CEIL(size_of(&stages[i]) * stages[i].bytes, 64) * 64);
    for (int i = 0; i < STAGES; i++)
        if (training && of_slot[i]) ROOM(net->slot[i], slices * of_slot[i]);
    ROOM(net->room, net->threads * sizeof(void *));
    ROOM(net->ids, net->threads * sizeof(pthread_t));
    ROOM(net->helpers, net->threads * sizeof(Helper));
    for (int t = 0; good && t < net->threads; t++) ROOM(net->room[t], room);
    for (int i = 0; good && i < STAGES; i++) {
        const Stage *stage = &stages[i];
        const size_t c = stage->c;
        ROOM(net->z[i], slices * size_of(stage) * stage->bytes);
        if (stage->slot >= 0) net->gradient[i] = net->slot[stage->slot], net->apart[i] = of_slot[stage->slot];
        if (stage->dropout) ROOM(net->kept[i], slices * c * stage->h * stage->w * sizeof(Kept));
        if (stage->kh) ROOM(net->forward_weights[i], weights_of(stage) * 8);
        if (stage->kh) ROOM(net->backward_weights[i], weights_of(stage) * 8);
        ROOM(net->local[i], net->threads * sizeof(Local));
        for (int t = 0; good && t < net->threads; t++) {
            Local *local = &net->local[i][t];
            ROOM(local->sums, 2 * c * sizeof(vec));
            ROOM(local->row_sums, 2 * c * sizeof(vec));
            ROOM(local->backward_sums, 2 * c * sizeof(vec));
            if (training && stage->kh) ROOM(local->weight_sums, weights_of(stage) * sizeof(vec));
            if (stage->kh) ROOM(local->bias_sums, c * sizeof(vec));
            ROOM(local->near, c * sizeof(float));
            ROOM(local->factor, c * sizeof(float));
            ROOM(local->summand, c * sizeof(float));
            ROOM(local->mean, c * sizeof(float));
            ROOM(local->rest, 3 * c * sizeof(float));
        }
    }
    return good;
}

void destroy(Net *net)
{
    if (net->started) {
        net->job = END;
        announce(net, &net->jobs, &net->wake);
        for (int t = 1; t <= net->started; t++) pthread_join(net->ids[t], NULL);
    }
    for (void *block = net->blocks, *next; block; block = next) {
        next = *(void **)block;
        free(block);
    }
    free(net);
}

/* Return a network for batches of up to `largest` images, or NULL without memory or threads. training: 0 if it is
   only for forward passes in evaluation mode. */
Net *create(int largest, int threads, int training)
{
    Net *net = NULL;
    if (posix_memalign((void **)&net, 64, sizeof(Net))) return NULL;    /* aligned for the vectors in it */
    memset(net, 0, sizeof(Net));
    net->largest = largest, net->threads = threads;
    pthread_mutex_init(&net->lock, NULL);
    pthread_cond_init(&net->wake, NULL);
    pthread_cond_init(&net->met, NULL);
    int good = allocate(net, largest_room(), training);
    for (int t = 1; good && t < threads; t++) {
        net->helpers[t] = (Helper){net, t};
        good = !pthread_create(&net->ids[t], NULL, help, &net->helpers[t]);
        net->started += good;
    }
    if (good) return net;
    destroy(net);
    return NULL;
}

/* pointers: of each stage, in the order of Parameters. */
void bind_tensors(Net *net, void *const *pointers) { memcpy(net->parameters, pointers, sizeof net->parameters); }

/* inputs: float (N, C, H, W) of each input; heads: float (N, C) of each output, to be written. */
void forward(Net *net, int images, int training, uint32_t key, const float *const *inputs, float *const *heads)
{
    net->images = images, net->training = training, net->key = key;
    net->slices = CEIL(images, IMAGES);
    for (int n = 0; n < IMAGES; n++)
        net->mask[n / LANES][n % LANES] = (net->slices - 1) * IMAGES + n < images ? -1 : 0;
    net->inputs = inputs, net->heads = heads;
    run(net, FORWARD);
}

/* head_gradients: float (N, C) of the loss at each output, for the batch of the last forward(). */
void backward(Net *net, const float *const *head_gradients)
{
    net->head_gradients = head_gradients;
    run(net, BACKWARD);
}

int threads_of(const Net *net) { return net->threads; }

/* Call `piece` for `count` images, each thread for its part. memory: `bytes` for each thread. Returns -1, or the first
   wrong image. */
int64_t share(Net *net, Piece *piece, const void *first, const void *second, int64_t count, void *memory, int64_t bytes)
{
    net->shared = (Shared){piece, first, second, count, bytes, memory, -1};
    run(net, SHARE);
    return net->shared.wrong;
}

#if TIMED
/* seconds: of the last forward (STAGES numbers) and backward pass (STAGES numbers) of each stage, of thread 0. */
void times(const Net *net, double *seconds) { memcpy(seconds, net->seconds, sizeof net->seconds); }
#endif
