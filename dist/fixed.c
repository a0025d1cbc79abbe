#include "dist/fixed.h"

#include <stdlib.h>

struct buffer {
    void *bytes;
    size_t room;
};

struct fixed {
    struct cr_comm comm;
    cr_combine_fn *combine;
    void *user;
    const struct cr_keeper *keeper;
    int64_t share[CR_MAX_RANKS];
    struct cr_message message[2];
    struct buffer buffer[2]; /* of the collective in work, and the one before it */
    int work;                /* which of them is which */
};

/* At least `bytes`; what was in it is lost. 0, or -CR_E_NOMEM. */
static int reserve(struct buffer *b, size_t bytes)
{
    if (bytes <= b->room) return 0;
    const size_t room = (bytes + CR_MESSAGE_ALIGN - 1) / CR_MESSAGE_ALIGN * CR_MESSAGE_ALIGN;
    free(b->bytes);
    b->bytes = aligned_alloc(CR_MESSAGE_ALIGN, room);
    b->room = b->bytes ? room : 0;
    return b->bytes ? 0 : -CR_E_NOMEM;
}

static struct cr_message *begin(struct cr_comm *c, struct cr_message_shape shape, enum cr_phase phase)
{
    struct fixed *const f = c->self;
    const size_t bytes = cr_message_size(shape);
    (void)phase;
    if (reserve(&f->buffer[f->work], bytes) < 0) return NULL;
    f->message[f->work] = cr_message_in(f->buffer[f->work].bytes, shape);
    return &f->message[f->work];
}

static int reduce(struct cr_comm *c, struct cr_error *e)
{
    struct fixed *const f = c->self;
    CR_TRY(f->combine(f->user, &f->message[f->work], e));
    f->work = !f->work;
    return 0;
}

static void commit(struct cr_comm *c, uint64_t step)
{
    (void)c;
    (void)step;
}

static int keep(struct cr_comm *c, const struct cr_keeper *keeper, struct cr_error *e)
{
    void *bytes;
    size_t size;
    CR_TRY(c->snapshot(c->run, &bytes, &size, e));
    const int rc = keeper->keep(keeper->user, bytes, size, e);
    if (rc == 0) keeper->kept(keeper->user);
    free(bytes);
    return rc;
}

/* Rank 0 keeps its snapshot, which is everybody's; the others wait to hear how that went. */
static int save(struct cr_comm *c, struct cr_error *e)
{
    struct fixed *const f = c->self;
    _Alignas(CR_MESSAGE_ALIGN) char word[CR_MESSAGE_ALIGN];
    struct cr_message failed = cr_message_in(word, (struct cr_message_shape){ .sums64 = 1 });
    const int rc = c->rank == 0 && f->keeper ? keep(c, f->keeper, e) : 0;
    failed.sum64[0] = rc < 0;
    /* What went wrong here is told, whatever else does. */
    CR_TRY(f->combine(f->user, &failed, rc < 0 ? NULL : e));
    if (rc == 0 && failed.sum64[0]) return cr_fail(e, CR_E_IO, "rank 0 could not write the checkpoint; it says why");
    return rc;
}

static void tell(struct cr_comm *c, uint64_t key, const void *event, size_t size)
{
    const struct fixed *const f = c->self;
    (void)key;
    if (c->rank == 0 && f->keeper) f->keeper->told(f->keeper->user, event, size);
}

static unsigned asked(struct cr_comm *c)
{
    const struct fixed *const f = c->self;
    return c->rank == 0 && f->keeper && f->keeper->ask ? f->keeper->ask(f->keeper->user) : 0;
}

static int stale(const struct cr_comm *c)
{
    (void)c;
    return 0;
}

static void took(struct cr_comm *c, int64_t nanoseconds, long blocks)
{
    (void)c;
    (void)nanoseconds;
    (void)blocks;
}

struct cr_comm *cr_fixed_new(int rank, int size, cr_combine_fn *combine, void *user, const struct cr_keeper *keeper)
{
    struct fixed *const f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->combine = combine;
    f->user = user;
    f->keeper = keeper;
    for (int i = 0; i < size; i++) f->share[i] = 1;
    f->comm = (struct cr_comm){
        .rank = rank, .size = size, .share = f->share,
        .begin = begin, .reduce = reduce, .commit = commit, .save = save, .tell = tell, .asked = asked,
        .stale = stale, .took = took, .self = f,
    };
    return &f->comm;
}

void *cr_fixed_user(const struct cr_comm *c)
{
    const struct fixed *const f = c->self;
    return f->user;
}

void cr_fixed_free(struct cr_comm *c)
{
    if (!c) return;
    struct fixed *const f = c->self;
    for (int i = 0; i < 2; i++) free(f->buffer[i].bytes);
    free(f);
}
