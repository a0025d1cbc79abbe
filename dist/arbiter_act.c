/* What the arbiter does: the words it sends, ranks it drops, views it starts, checkpoints it puts on disk. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/arbiter_inside.h"

const char *cr_arbiter_name(const struct cr_arbiter *a, int rank)
{
    if (a->options.hosts) return a->options.hosts->host[rank].name;
    return a->rank[rank].card.host[0] ? a->rank[rank].card.host : "?";
}

double cr_arbiter_since_start(const struct cr_arbiter *a)
{
    return (double)(cr_clock() - a->began) * 1e-9;
}

/* ---- saying */

void cr_arbiter_say(struct cr_arbiter *a, int rank, enum cr_word word, uint32_t view, uint64_t collective,
                    uint64_t number, const void *payload, size_t size)
{
    struct arbiter_rank *r = &a->rank[rank];
    const struct cr_frame f = { .kind = word, .view = view, .collective = collective, .number = number, .size = size,
                                .payload = payload };
    if (r->frames) cr_frames_put(r->frames, &f, NULL); /* one that cannot be reached is found out by its silence */
}

void cr_arbiter_say_blob(struct cr_arbiter *a, int rank, enum cr_word word, uint32_t view, uint64_t collective,
                         struct cr_blob *payload)
{
    struct arbiter_rank *r = &a->rank[rank];
    const struct cr_frame f = { .kind = word, .view = view, .collective = collective };
    if (r->frames && payload) cr_frames_put_blob(r->frames, &f, payload, NULL);
}

void cr_arbiter_say_to_all(struct cr_arbiter *a, enum cr_word word, uint64_t collective, uint64_t number,
                           const void *payload, size_t size)
{
    for (int i = 0; i < a->options.ranks; i++)
        cr_arbiter_say(a, i, word, a->views.view, collective, number, payload, size);
}

/* A piece of a file goes when little is waiting: so a rank's data takes no memory here, and pings find their way. */
void cr_arbiter_feed(struct cr_arbiter *a, int rank)
{
    enum { PIECE = 1 << 20, WAITING = 4 * PIECE };
    struct arbiter_rank *const r = &a->rank[rank];
    while (r->frames && r->file < a->options.files && cr_frames_waiting(r->frames) < WAITING) {
        struct cr_writer w = { 0 };
        const char *name;
        size_t size;
        const void *const bytes = a->options.file(a->options.file_user, r->file, r->file_at, PIECE, &name, &size);
        const size_t left = size - r->file_at, piece = left < PIECE ? left : PIECE;
        cr_put_text(&w, name);
        cr_put_u64(&w, size);
        cr_put_u64(&w, r->file_at);
        if (bytes) cr_put_bytes(&w, bytes, piece);
        else w.failed = 1;
        const uint64_t follow = (uint64_t)(a->options.files - 1 - r->file);
        if (w.failed) cr_arbiter_lose(a, rank, "no memory to send it the data");
        else cr_arbiter_say(a, rank, CR_WORD_FILE, 0, 0, follow, w.bytes, w.size);
        free(w.bytes);
        if (w.failed) return;
        r->file_at += piece;
        if (r->file_at < size) continue;
        r->file++;
        r->file_at = 0;
    }
}

/* The run ends here; every rank is told why. The first reason stands. */
void cr_arbiter_end(struct cr_arbiter *a, int rc)
{
    if (a->over) return;
    a->over = 1;
    a->rc = rc;
    if (rc < 0) cr_arbiter_say_to_all(a, CR_WORD_FAIL, 0, (uint64_t)-rc, a->error.text, strlen(a->error.text));
}

static void say_start(struct cr_arbiter *a, int to, uint64_t collective)
{
    struct cr_candidates all[CR_MAX_RANKS];
    struct cr_writer w = { 0 };
    int member[CR_MAX_RANKS];
    struct cr_roster roster = { .size = cr_views_members(&a->views, member), .model = a->options.model };
    roster.entry = calloc((size_t)roster.size, sizeof *roster.entry);
    if (!roster.entry) return;
    for (int i = 0; i < roster.size; i++) all[i] = a->rank[member[i]].card.candidates;
    cr_candidates_prune(all, roster.size);
    for (int i = 0; i < roster.size; i++) {
        struct cr_member_entry *m = &roster.entry[i];
        m->rank = member[i];
        m->incarnation = a->rank[member[i]].incarnation;
        m->weight = a->rank[member[i]].card.threads;
        m->count = all[i].count;
        memcpy(m->address, all[i].list, sizeof m->address);
    }
    cr_roster_put(&w, &roster);
    if (!w.failed) cr_arbiter_say(a, to, CR_WORD_START, a->views.view, collective, 0, w.bytes, w.size);
    free(w.bytes);
    cr_roster_free(&roster);
}

/* ---- losing */

void cr_arbiter_forget(struct cr_arbiter *a, int rank)
{
    struct arbiter_rank *r = &a->rank[rank];
    cr_frames_free(r->frames);
    r->frames = NULL;
    r->able = 0;
}

/* A rank that was on its way is lost before it could work. Told once a reason, for it is started again and again; and
 * it is the reason, should too few have come. */
static void tell_unfit(struct cr_arbiter *a, int rank, const char *reason)
{
    struct arbiter_rank *r = &a->rank[rank];
    char sentence[768];
    snprintf(sentence, sizeof sentence, "%.64s (rank %d) cannot take part: %s", cr_arbiter_name(a, rank), rank, reason);
    if (!a->begun && !a->error.code) cr_fail(&a->error, CR_E_PEER, "%s", sentence);
    if (strncmp(r->unfit, reason, sizeof r->unfit - 1) == 0) return;
    snprintf(r->unfit, sizeof r->unfit, "%s", reason);
    if (a->options.events.warning) a->options.events.warning(a->options.events.user, sentence);
}

/* The rank is out: close, kill, tell; and start it again after a while. since: when it was heard of last. */
static void drop(struct cr_arbiter *a, int rank, int64_t since, const char *reason)
{
    struct arbiter_rank *r = &a->rank[rank];
    if (r->joined && a->options.events.lost && !a->over) {
        const struct cr_rank_news n = {
            .rank = rank, .host = cr_arbiter_name(a, rank), .step = r->step, .phase = r->phase, .reason = reason,
            .seconds = cr_arbiter_since_start(a), .noticed = (double)(cr_clock() - since) * 1e-9,
        };
        a->options.events.lost(a->options.events.user, &n);
    }
    if (!r->joined && !a->over) tell_unfit(a, rank, reason);
    r->joined = 0;
    cr_arbiter_forget(a, rank);
    if (!a->crew || a->over) return;
    cr_crew_kill(a->crew, rank);
    if (a->begun) cr_crew_restart(a->crew, rank);
}

void cr_arbiter_lose(struct cr_arbiter *a, int rank, const char *reason)
{
    drop(a, rank, a->rank[rank].heard, reason);
    cr_views_lost(&a->views, rank);
}

/* ---- acts */

static void *write_checkpoint(void *arbiter)
{
    struct cr_arbiter *a = arbiter;
    struct arbiter_writer *w = &a->writer;
    const char byte = 0;
    w->rc = a->options.keeper.keep(a->options.keeper.user, w->state->bytes, w->state->size, &w->error);
    const ssize_t n = write(w->done[1], &byte, 1);
    (void)n;
    return NULL;
}

void cr_arbiter_keep(struct cr_arbiter *a, uint64_t collective, struct cr_blob *state)
{
    struct arbiter_writer *w = &a->writer;
    if (w->runs || !state) { /* the same checkpoint is on its way already */
        cr_blob_drop(state);
        return;
    }
    *w = (struct arbiter_writer){ .state = state, .collective = collective, .done = { w->done[0], w->done[1] } };
    w->runs = pthread_create(&w->thread, NULL, write_checkpoint, a) == 0;
    if (w->runs) return;
    cr_fail(&a->error, CR_E_NOMEM, "cannot start another thread to write a checkpoint");
    cr_arbiter_end(a, -CR_E_NOMEM);
}

static void enter(struct cr_arbiter *a, int rank, uint64_t collective)
{
    cr_arbiter_say_blob(a, rank, CR_WORD_ENTER, a->views.view, collective, collective ? a->state : a->start);
}

static void too_few(struct cr_arbiter *a)
{
    if (a->writer.runs) { /* told once it is on disk */
        a->last_save = 1;
        return;
    }
    int left = 0;
    for (int i = 0; i < a->options.ranks; i++) left += a->rank[i].able;
    if (!a->error.code)
        cr_fail(&a->error, CR_E_PEER, "only %d of %d hosts are left, fewer than --min-hosts %d: the run ends; go on "
                "from its last checkpoint with --resume%s", left, a->options.ranks, a->options.least,
                left ? "" : "; hosts that lost this launcher save their state and say where");
    cr_arbiter_end(a, -(int)a->error.code);
}

static void act(struct cr_arbiter *a, const struct cr_act *t)
{
    switch (t->kind) {
    case CR_ACT_DROP:
        if (a->rank[t->rank].doubted)
            drop(a, t->rank, a->rank[t->rank].doubted, a->rank[t->rank].doubt);
        else
            drop(a, t->rank, a->rank[t->rank].heard, "what it says makes no sense");
        break;
    case CR_ACT_PREPARE: cr_arbiter_say(a, t->rank, CR_WORD_PREPARE, t->view, t->collective, 0, NULL, 0); break;
    case CR_ACT_FETCH: cr_arbiter_say(a, t->rank, CR_WORD_FETCH, t->view, t->collective, 0, NULL, 0); break;
    case CR_ACT_PATCH:
        cr_arbiter_say_blob(a, t->rank, CR_WORD_PATCH, t->view, t->collective, a->message);
        break;
    case CR_ACT_SNAPSHOT: cr_arbiter_say(a, t->rank, CR_WORD_SNAPSHOT, t->view, t->collective, 0, NULL, 0); break;
    case CR_ACT_ENTER: enter(a, t->rank, t->collective); break;
    case CR_ACT_START: say_start(a, t->rank, t->collective); break;
    case CR_ACT_LEAVE:
        cr_arbiter_say(a, t->rank, CR_WORD_LEAVE, t->view, t->collective, 0, NULL, 0);
        if (a->options.events.spent)
            a->options.events.spent(a->options.events.user, t->rank, cr_arbiter_name(a, t->rank),
                                    &a->rank[t->rank].spent);
        a->over = 1;
        break;
    case CR_ACT_SAVE:
        cr_arbiter_keep(a, t->collective, a->state);
        a->state = NULL;
        break;
    case CR_ACT_FAIL: too_few(a); break;
    }
}

static void forget_doubts(struct cr_arbiter *a)
{
    for (int i = 0; i < a->options.ranks; i++) a->rank[i].doubted = 0;
    a->doubts = 0;
}

void cr_arbiter_do_acts(struct cr_arbiter *a)
{
    struct cr_act t;
    while (cr_views_next(&a->views, &t)) act(a, &t);
    if (a->views.disputed && !a->judge_at)
        a->judge_at = cr_clock() + cr_part_of(a->options.host_timeout, CR_TIME_TO_JUDGE);
    if (!a->views.disputed) a->judge_at = 0;
    if (a->doubts && !a->views.disputed && !a->views.reconnected) forget_doubts(a);
}

/* ---- checkpoints on disk */

/* A checkpoint is confirmed when it is on disk and every member has come to it. */
void cr_arbiter_confirm(struct cr_arbiter *a)
{
    int member[CR_MAX_RANKS];
    if (!a->wanted || a->kept != a->wanted || !cr_views_all_came(&a->views, a->wanted)) return;
    const int n = cr_views_members(&a->views, member);
    for (int i = 0; i < n; i++) cr_arbiter_say(a, member[i], CR_WORD_SAVED, a->views.view, a->wanted, 0, NULL, 0);
    a->wanted = 0;
}

void cr_arbiter_kept(struct cr_arbiter *a)
{
    struct arbiter_writer *w = &a->writer;
    char byte;
    if (read(w->done[0], &byte, 1) != 1) return;
    pthread_join(w->thread, NULL);
    w->runs = 0;
    cr_blob_drop(w->state);
    w->state = NULL;
    if (w->rc < 0) {
        a->error = w->error;
        cr_arbiter_end(a, w->rc);
        return;
    }
    a->kept = w->collective;
    a->options.keeper.kept(a->options.keeper.user);
    if (a->last_save) too_few(a);
    cr_arbiter_confirm(a);
}
