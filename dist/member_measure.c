/* What a member measures: all ranks and the network before the first step, and where its own time goes. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>

#include "dist/measure.h"
#include "dist/member_inside.h"

int cr_member_measure(struct cr_comm *c, const struct cr_workload *w, struct cr_error *e)
{
    struct cr_member *m = c->self;
    int rc = CR_COMM_AGAIN;
    pthread_mutex_lock(&m->lock);
    const int late = m->committed != 0; /* the model came with START */
    const int reserved = cr_member_reserve(m, w->bytes, e);
    pthread_mutex_unlock(&m->lock);
    if (reserved < 0 || late) return reserved;
    m->workload = w;
    while (rc == CR_COMM_AGAIN) {
        const struct cr_message_shape shape = { .sums64 = (size_t)(CR_MEASURE_WORDS * c->size) };
        if (c->begin(c, shape, CR_PHASE_START)) rc = c->reduce(c, e);
        else rc = cr_fail(e, CR_E_NOMEM, "out of memory for what ranks exchange");
    }
    m->workload = NULL;
    if (rc == 0) c->commit(c, m->step);
    return rc;
}

void cr_member_take_measured(struct cr_member *m, const struct cr_message *message)
{
    struct cr_measured x;
    struct cr_writer w = { 0 };
    int64_t speed[CR_MAX_RANKS];
    cr_measured_from(&x, message, m->comm.size, m->workload, speed);
    m->roster.model = x.model;
    cr_deal_init(&m->deal, m->comm.size, speed);
    cr_measured_put(&w, &x);
    if (!w.failed) cr_member_say(m, CR_WORD_MEASURED, atomic_load(&m->adopted), m->committed, 0, w.bytes, w.size);
    free(w.bytes);
}

void cr_member_account(struct cr_member *m, const struct cr_message *message, int64_t came)
{
    const int64_t *const took = message->sum64 + m->user_shape.sums64;
    const int64_t own = took[CR_DEAL_WORDS * m->comm.rank], before = m->left;
    int64_t longest = own;
    m->left = 0;
    if (!message->shape.sums32) return;
    m->left = cr_clock();
    if (!before) return;
    for (int i = 0; i < m->comm.size; i++)
        if (took[CR_DEAL_WORDS * i] > longest) longest = took[CR_DEAL_WORDS * i];
    const int64_t here = m->left - came, wait = longest - own < here ? longest - own : here;
    m->spent.steps++;
    m->spent.compute += came - before;
    m->spent.wait += wait;
    m->spent.network += here - wait;
}

void cr_member_say_done(struct cr_member *m, uint32_t view)
{
    struct cr_writer w = { 0 };
    cr_spent_put(&w, &m->spent);
    cr_member_say(m, CR_WORD_DONE, view, m->committed, 0, w.bytes, w.failed ? 0 : w.size);
    free(w.bytes);
}
