#include "dist/plain.h"

#include <stdlib.h>

#include "dist/dial.h"

/* A rank that says nothing for so long is as good as gone; one that dies is noticed at once, by its connections. */
static const int64_t patience = 600 * INT64_C(1000000000); /* ns */

struct buffer {
    void *bytes;
    size_t room;
};

struct plain {
    struct cr_comm comm;
    struct cr_transport *transport;
    struct cr_link_model model;
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
    struct plain *const p = c->self;
    const size_t bytes = cr_message_size(shape);
    (void)phase;
    if (reserve(&p->buffer[p->work], bytes) < 0) return NULL;
    p->message[p->work] = cr_message_in(p->buffer[p->work].bytes, shape);
    return &p->message[p->work];
}

static int combine(struct plain *p, struct cr_message *m, struct cr_error *e)
{
    struct cr_transport *const t = p->transport;
    t->collective++;
    return cr_allreduce(t, cr_allreduce_way(t->size, m->size, &p->model), m, cr_clock() + patience, e);
}

static int reduce(struct cr_comm *c, struct cr_error *e)
{
    struct plain *const p = c->self;
    CR_TRY(combine(p, &p->message[p->work], e));
    p->work = !p->work;
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
    free(bytes);
    return rc;
}

/* Rank 0 keeps its snapshot, which is everybody's; the others wait to hear how that went. */
static int save(struct cr_comm *c, struct cr_error *e)
{
    struct plain *const p = c->self;
    _Alignas(CR_MESSAGE_ALIGN) char word[CR_MESSAGE_ALIGN];
    struct cr_message failed = cr_message_in(word, (struct cr_message_shape){ .sums64 = 1 });
    const int rc = c->rank == 0 && p->keeper ? keep(c, p->keeper, e) : 0;
    failed.sum64[0] = rc < 0;
    /* What went wrong here is told, whatever else does. */
    CR_TRY(combine(p, &failed, rc < 0 ? NULL : e));
    if (rc == 0 && failed.sum64[0]) return cr_fail(e, CR_E_IO, "rank 0 could not write the checkpoint; it says why");
    return rc;
}

static void tell(struct cr_comm *c, uint64_t key, const void *event, size_t size)
{
    const struct plain *const p = c->self;
    (void)key;
    if (c->rank == 0 && p->keeper) p->keeper->told(p->keeper->user, event, size);
}

static unsigned asked(struct cr_comm *c)
{
    const struct plain *const p = c->self;
    return c->rank == 0 && p->keeper && p->keeper->ask ? p->keeper->ask(p->keeper->user) : 0;
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

struct cr_comm *cr_plain_new(struct cr_transport *t, const struct cr_link_model *model, const struct cr_keeper *keeper)
{
    struct plain *const p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->transport = t;
    p->model = *model;
    p->keeper = keeper;
    for (int i = 0; i < t->size; i++) p->share[i] = 1;
    p->comm = (struct cr_comm){
        .rank = t->rank, .size = t->size, .share = p->share,
        .begin = begin, .reduce = reduce, .commit = commit, .save = save, .tell = tell, .asked = asked,
        .stale = stale, .took = took, .self = p,
    };
    return &p->comm;
}

void cr_plain_free(struct cr_comm *c)
{
    if (!c) return;
    struct plain *const p = c->self;
    for (int i = 0; i < 2; i++) free(p->buffer[i].bytes);
    free(p);
}
