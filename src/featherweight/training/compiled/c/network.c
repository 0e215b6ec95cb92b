/* A network in training: its buffers, its parameters, and the places of its stages.

   A stage is one convolution, one join of earlier stages, or one input. It stores its result z. Normalisation, ReLU,
   dropout and pooling follow z; they are not stored, but computed again, row by row, wherever a later stage reads
   them. z is stored as [slice][row][channel][column][image of the slice]. */

enum { NO_POOL, MAX_POOL, MEAN_POOL, ROOT_POOL };
enum { FLOATS, PAIRS, NATURAL_HALVES };          /* forms of a row: floats, pairs of channels, bf16 in order */
enum { SPINS = 2000, COLUMNS = 32 };    /* waits in a loop before sleep; columns of images that are turned at once */

typedef struct {                /* one stage, as the generator wrote it */
    int c, h, w;                /* of z */
    int bytes;                  /* of one number of z and of its gradient */
    int inputs, kh, kw, groups; /* of its weights; kh is 0 if it has none */
    int dropout, slot;          /* slot: its gradient is stored in this buffer; -1: it needs none */
    float eps, momentum, keep;  /* keep: part of the values that dropout keeps */
} Stage;

typedef struct {                /* pointers into the tensors of the network; NULL if missing */
    const float *weight, *bias, *gain, *shift;
    float *mean, *variance;
    int64_t *batches;
    float *weight_gradient, *bias_gradient, *gain_gradient, *shift_gradient;
} Parameters;

typedef struct {                /* what a thread knows about a stage */
    vec *sums, *row_sums;       /* of z - near and of its square, for each channel; of all rows and of one */
    vec *backward_sums;         /* of the gradient g, and of g (z - mean) */
    vec *weight_sums;           /* gradients of the weights, not yet summed over the images of a vector */
    vec *bias_sums;
    float *near;                /* a value of z in each channel, to which the variance is computed */
    float *factor, *summand;    /* normalised = factor z + summand */
    float *mean, *rest;         /* of the batch; rest: 3 numbers from which the gradient at z is computed */
} Local;

/* A function of other C that works on parts of a batch: from image `begin` to before `end`, in memory of its own. It
   returns -1, or the number of the first image that is wrong. */
typedef int64_t Piece(const void *first, const void *second, int64_t begin, int64_t end, void *memory);

typedef struct {                /* work of other C that the threads share */
    Piece *piece;
    const void *first, *second;
    int64_t count, bytes;       /* images; bytes: of each thread's memory */
    char *memory;
    int64_t wrong;
} Shared;

typedef struct Net Net;

typedef struct { Net *net; int thread; } Helper;

struct Net {
    int largest, threads;       /* images of the largest batch */
    int images, slices;         /* of this batch */
    int training;
    uint32_t key;               /* of the random numbers of this step */
    Parameters parameters[STAGES];
    void *z[STAGES], *gradient[STAGES], *slot[STAGES];
    size_t apart[STAGES];       /* bytes from one slice of a gradient to the next: threads share a slot */
    Kept *kept[STAGES];         /* whether dropout keeps a value, [slice][row][channel][column] */
    float *forward_weights[STAGES], *backward_weights[STAGES];
    Local *local[STAGES];       /* of each thread */
    void **room;                /* scratch rows of each thread */
    ivec mask[VECTORS];         /* images of the last slice that belong to the batch */
    const float *const *inputs;
    float *const *heads;
    const float *const *head_gradients;
    Shared shared;
    int job, jobs, arrived, phase, started;     /* started: helping threads */
    double seconds[2][STAGES];  /* of each stage, forward and backward, if TIMED */
    void *blocks;               /* of memory, each with a pointer to the next */
    pthread_mutex_t lock;
    pthread_cond_t wake, met;
    pthread_t *ids;
    Helper *helpers;
};

INLINE size_t size_of(const Stage *stage) { return (size_t)stage->c * stage->h * CHANNEL(stage->w); }
INLINE size_t weights_of(const Stage *stage)
{
    return (size_t)stage->kh * stage->kw * stage->c * (stage->inputs / MOST(stage->groups, 1));
}
INLINE void *gradient_of(const Net *net, int i, int s) { return (char *)net->gradient[i] + s * net->apart[i]; }
INLINE int partial(const Net *net, int s) { return (s + 1) * IMAGES > net->images; }

/* Power of two of at least n rows: all rows of a small map, else those that a kernel of k rows needs. */
#define POWER(n) ((n) <= 1 ? 1 : (n) <= 2 ? 2 : (n) <= 4 ? 4 : (n) <= 8 ? 8 : (n) <= 16 ? 16 : (n) <= 32 ? 32 : \
                  (n) <= 64 ? 64 : (n) <= 128 ? 128 : (n) <= 256 ? 256 : (n) <= 512 ? 512 : 1024)
#define RING(rows, k) POWER((rows) <= 12 ? (rows) : (k))

#define GET(p) _Generic(*(p), float: load, uint16_t: load_half)((const void *)(p))
#define PUT(p, x) _Generic(*(p), float: store, uint16_t: store_half)((void *)(p), x)

#define JOINED(name, i) name##_##i
#define NAMED(name, i) JOINED(name, i)
#define FN(name) NAMED(name, I)
#define PFN(name) NAMED(name, READER)
