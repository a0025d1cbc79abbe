#include "dist/plain.h"

#include <stdlib.h>

#include "dist/dial.h"
#include "dist/fixed.h"

/* A rank that says nothing for so long is as good as gone; one that dies is noticed at once, by its connections. */
static const int64_t patience = 600 * INT64_C(1000000000); /* ns */

struct plain {
    struct cr_transport *transport;
    struct cr_link_model model;
};

static int combine(void *user, struct cr_message *m, struct cr_error *e)
{
    const struct plain *const p = user;
    struct cr_transport *const t = p->transport;
    t->collective++;
    return cr_allreduce(t, cr_allreduce_way(t->size, m->size, &p->model), m, cr_clock() + patience, e);
}

struct cr_comm *cr_plain_new(struct cr_transport *t, const struct cr_link_model *model, const struct cr_keeper *keeper)
{
    struct plain *const p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->transport = t;
    p->model = *model;
    struct cr_comm *const c = cr_fixed_new(t->rank, t->size, combine, p, keeper);
    if (!c) free(p);
    return c;
}

void cr_plain_free(struct cr_comm *c)
{
    if (!c) return;
    free(cr_fixed_user(c));
    cr_fixed_free(c);
}
