#define _POSIX_C_SOURCE 200809L
#include "apps/mpi_run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/commands.h"
#include "apps/signals.h"
#include "core/conduct.h"
#include "core/part.h"
#include "dist/mpi.h"

/* Rank 0's bytes to all ranks: a sum to which the others add nothing. size 0 = there are none. *all is malloc'd. */
static int share(struct cr_comm *c, const void *mine, size_t size, void **all, size_t *total, struct cr_error *e)
{
    struct cr_message *m = c->begin(c, (struct cr_message_shape){ .sums64 = 1 }, CR_PHASE_START);
    if (!m) return cr_fail(e, CR_E_NOMEM, "out of memory for what ranks exchange");
    m->sum64[0] = (int64_t)size;
    CR_TRY(c->reduce(c, e));
    *total = (size_t)m->sum64[0];
    c->commit(c, 0);
    if (*total == 0) return 0;

    const size_t words = (*total + 3) / 4;
    *all = malloc(words * 4);
    m = c->begin(c, (struct cr_message_shape){ .sums32 = words }, CR_PHASE_START);
    if (!m || !*all) return cr_fail(e, CR_E_NOMEM, "out of memory for the state of the run");
    memset(m->sum32, 0, words * 4);
    if (size) memcpy(m->sum32, mine, size);
    CR_TRY(c->reduce(c, e));
    memcpy(*all, m->sum32, *total);
    c->commit(c, 0);
    return 0;
}

static int take_part(struct cr_comm *c, const struct cr_conduct *conduct, const struct cr_train_options *o,
                     const struct cr_data *data, struct cr_train_result *result, struct cr_error *e)
{
    void *state = NULL;
    size_t size = 0, total = 0;
    const void *mine = conduct ? cr_conduct_state(conduct, &size) : NULL;
    int rc = share(c, mine, size, &state, &total, e);
    if (rc == 0 && total == 0) return 0; /* rank 0 could not begin, and says why */
    if (rc == 0) rc = cr_part_run(state, total, o->threads, data, c, NULL, result, e);
    free(state);
    return rc;
}

int cr_train_over_mpi(const struct cr_train_options *o, const struct cr_net *net, const struct cr_data *data,
                      const struct cr_train_events *events, struct cr_train_result *result, struct cr_error *e)
{
    struct cr_conduct *conduct = NULL; /* on rank 0 alone */
    struct cr_keeper keeper = { .keep = cr_conduct_keep, .kept = cr_conduct_kept, .told = cr_conduct_told,
                                .ask = cr_signals_ask };
    struct cr_error first = { .code = CR_OK };
    struct cr_comm *c = cr_mpi_new(NULL, NULL, &keeper, e);
    if (!c) return -(int)e->code;
    if (c->rank != 0) {
        signal(SIGINT, SIG_IGN); /* sent to all ranks; rank 0 ends the run in order */
        signal(SIGTERM, SIG_IGN);
    }
    if (c->rank == 0) conduct = cr_conduct_begin(o, net, data, events, c->size, &first);
    keeper.user = conduct;
    int rc = take_part(c, conduct, o, data, result, e);
    if (conduct) rc = cr_conduct_end(conduct, rc, result, e);
    if (first.code) {
        *e = first;
        rc = -(int)first.code;
    }
    const int alone = rc < 0 && !first.code && rc != -CR_E_INTERRUPTED && rc != -CR_E_DIVERGED;
    if (alone) fprintf(stderr, "corering: rank %d: %s\n", c->rank, e->text); /* nothing comes after the abort */
    const int is_first = c->rank == 0;
    cr_mpi_free(c, alone);
    return rc == -CR_E_INTERRUPTED && !is_first ? 0 : rc; /* rank 0 tells of it */
}
