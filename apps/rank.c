#define _POSIX_C_SOURCE 200809L
#include "apps/rank.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/agreement.h"
#include "apps/brief.h"
#include "apps/commands.h"
#include "apps/find.h"
#include "core/checkpoint.h"
#include "core/file.h"
#include "core/part.h"
#include "core/team.h"
#include "dist/member.h"

/* ---- the data set */

static int is_wanted(struct cr_data *d, const struct cr_brief *b)
{
    cr_data_measure(d);
    return cr_data_fingerprint(d) == b->train && cr_brief_test(d) == b->test;
}

static int open_if_wanted(struct cr_data *d, const char *folder, const struct cr_brief *b)
{
    if (!*folder || cr_data_open(d, folder, NULL) < 0) return 0;
    if (is_wanted(d, b)) return 1;
    cr_data_close(d);
    return 0;
}

/* A file that came from the launcher. */
static int take_file(void *folder, const char *name, const void *bytes, size_t size, struct cr_error *e)
{
    char path[704];
    struct cr_file f;
    if (strchr(name, '/') || name[0] == '.') return cr_fail(e, CR_E_PEER, "the launcher sent a file named '%s'", name);
    snprintf(path, sizeof path, "%s/%s", (const char *)folder, name);
    CR_TRY(cr_file_create(&f, path, e));
    const int rc = cr_file_write(&f, bytes, size, e);
    if (rc == 0) return cr_file_commit(&f, e);
    cr_file_discard(&f);
    return rc;
}

static int find_data(struct cr_data *d, const struct cr_summons *s, const struct cr_brief *b, struct cr_member *m,
                     struct cr_error *e)
{
    char name[64], folder[512];
    snprintf(name, sizeof name, "data-%016" PRIx64 "-%016" PRIx64, b->train, b->test);
    cr_cache_folder(name, folder);
    if (open_if_wanted(d, s->data, b) || open_if_wanted(d, b->path, b) || open_if_wanted(d, folder, b)) return 0;
    if (!b->ship)
        return cr_fail(e, CR_E_IO, "the data set of this run is not in %s on this host; copy it there, name its folder "
                       "with data= in the hosts file, or leave --no-ship-data away", *s->data ? s->data : b->path);
    CR_TRY(cr_file_mkdirs(folder, e));
    CR_TRY(cr_member_need_files(m, take_file, folder, e));
    CR_TRY(cr_data_open(d, folder, e));
    if (is_wanted(d, b)) return 0;
    cr_data_close(d);
    return cr_fail(e, CR_E_IO, "the data set sent to %s is not the one of this run; is the disk damaged?", folder);
}

/* ---- when the launcher is lost */

struct orphan {
    int rank;
    const uint8_t *job; /* so that runs do not share a folder */
};

static void save_orphan(void *user, const void *state, size_t size, const struct cr_error *why, int hurry)
{
    const struct orphan *o = user;
    struct cr_net net;
    struct cr_state s;
    struct cr_error e;
    char name[48], folder[512], file[640];
    snprintf(name, sizeof name, "orphan-%d-%02x%02x%02x%02x", o->rank, o->job[0], o->job[1], o->job[2], o->job[3]);
    cr_cache_folder(name, folder);
    int rc = state ? cr_file_mkdirs(folder, &e) : cr_fail(&e, CR_E_PEER, "it had none yet");
    if (rc == 0) rc = cr_checkpoint_unpack(state, size, &net, &s, &e);
    if (rc == 0) {
        cr_checkpoint_name(folder, s.step, file);
        rc = cr_checkpoint_save(file, &net, &s, &e);
        if (rc == 0) cr_checkpoint_prune(folder, 0);
        cr_state_free(&s);
        cr_net_free(&net);
    }
    if (rc == 0)
        fprintf(stderr, "corering: %s; rank %d saved its state: go on with --resume %s\n", why->text, o->rank,
                file);
    else
        fprintf(stderr, "corering: %s; rank %d could not save its state: %s\n", why->text, o->rank, e.text);
    if (hurry) _exit(3);
}

/* ---- the whole */

static int take_part(struct cr_member *m, const struct cr_summons *s, const struct cr_brief *b, struct cr_error *e)
{
    struct cr_data data;
    struct cr_train_result result;
    const void *state;
    size_t size;
    if (*b->isa) CR_TRY(cr_isa_choose(b->isa, e));
    CR_TRY(find_data(&data, s, b, m, e));
    const long threads = s->slots ? s->slots : cr_threads_default();
    int rc = cr_member_enter(m, threads, cr_kernels()->isa, b->host_timeout, &state, &size, e);
    if (rc == 0) rc = cr_part_run(state, size, threads, &data, cr_member_comm(m), NULL, &result, e);
    cr_data_close(&data);
    return rc;
}

int cr_rank_run(const struct cr_summons *s, int lifeline, double patience, void (*arrived)(void), struct cr_error *e)
{
    struct orphan orphan = { s->rank, s->job };
    struct cr_cpus cpus;
    const void *bytes;
    size_t size;
    struct cr_brief brief;
    cr_cpus_allowed(&cpus);
    struct cr_member_options o = {
        .rank = s->rank, .incarnation = s->incarnation, .key = s->key, .arbiter = s->arbiter, .arbiters = s->count,
        .lifeline = lifeline, .dial_seconds = patience,
        .spin = (s->slots ? s->slots : cr_threads_default()) < cpus.count, .orphan = save_orphan, .user = &orphan,
    };
    CR_TRY(cr_agreement_fill(&o.common, e));
    memcpy(o.common.job, s->job, sizeof o.common.job);
    o.common.secure = s->secure;
    struct cr_member *m = cr_member_open(&o, &bytes, &size, e);
    if (!m) return -(int)e->code;
    if (arrived) arrived();
    int rc = cr_brief_get(&brief, bytes, size, e);
    if (rc == 0) rc = take_part(m, s, &brief, e);
    return cr_member_close(m, rc, e);
}
