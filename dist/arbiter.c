#define _POSIX_C_SOURCE 200809L
#include "dist/arbiter.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/control.h"
#include "dist/crew.h"
#include "dist/hmac.h"
#include "dist/view.h"

static const int64_t second = 1000000000;

/* A rank as the arbiter knows it. */
struct rank {
    struct cr_frames *frames;    /* NULL = not connected */
    uint32_t incarnation;
    int able;                    /* has said that it can work */
    int joined;                  /* and the user was told */
    struct cr_card card;
    int64_t heard;               /* ns */
    uint64_t step;
    enum cr_phase phase;
    struct cr_spent spent;       /* as it said when it was done */
    int64_t doubted;             /* ns: another member has not heard from it since; 0 = none complains */
    char doubt[640];             /* what that one says */
};

/* A checkpoint on its way to the disk, on a thread of its own: a slow disk must not look like a dead arbiter. */
struct writer {
    pthread_t thread;
    int runs;
    void *bytes;
    size_t size;
    uint64_t collective;         /* the checkpoint in work, or the last one kept */
    int rc;
    struct cr_error error;
    int done[2];                 /* a pipe: the thread has ended */
};

struct blob {
    void *bytes;
    size_t size;
};

struct cr_arbiter {
    struct cr_arbiter_options options;
    struct cr_hello hello;
    struct cr_door *door;
    struct cr_crew *crew;        /* NULL = ranks come by themselves */
    struct cr_views views;
    struct rank *rank;           /* (ranks) */
    struct blob message, state;  /* fetched last */
    struct writer writer;
    uint64_t kept;               /* the last collective that is a checkpoint on disk */
    uint64_t wanted;             /* the checkpoint the members have come to; 0 = none */
    uint64_t last_key;           /* of the last event shown */
    int64_t began, looked, judge_at, ping_at; /* looked: at the clock */
    int doubts;                  /* some rank is doubted */
    int begun;                   /* cr_views_begin was called */
    int over, rc;                /* the run is over, and how */
    int last_save;               /* too few are left: the run fails once its state is kept */
    int told_refusal;            /* of somebody who knocked in vain */
    struct cr_error error;
    int measured;                /* the ranks have said what they measured */
};

static const char *name_of(const struct cr_arbiter *a, int rank)
{
    if (a->options.hosts) return a->options.hosts->host[rank].name;
    return a->rank[rank].card.host[0] ? a->rank[rank].card.host : "?";
}

static double since_start(const struct cr_arbiter *a)
{
    return (double)(cr_clock() - a->began) * 1e-9;
}

/* ---- saying */

static void say(struct cr_arbiter *a, int rank, enum cr_word word, uint32_t view, uint64_t collective, uint64_t number,
                const void *payload, size_t size)
{
    struct rank *r = &a->rank[rank];
    const struct cr_frame f = { .kind = word, .view = view, .collective = collective, .number = number, .size = size,
                                .payload = payload };
    if (r->frames) cr_frames_put(r->frames, &f, NULL); /* one that cannot be reached is found out by its silence */
}

static void say_to_all(struct cr_arbiter *a, enum cr_word word, uint64_t collective, uint64_t number,
                       const void *payload, size_t size)
{
    for (int i = 0; i < a->options.ranks; i++) say(a, i, word, a->views.view, collective, number, payload, size);
}

/* The run ends here; every rank is told why. The first reason stands. */
static void end(struct cr_arbiter *a, int rc)
{
    if (a->over) return;
    a->over = 1;
    a->rc = rc;
    if (rc < 0) say_to_all(a, CR_WORD_FAIL, 0, (uint64_t)-rc, a->error.text, strlen(a->error.text));
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
    if (!w.failed) say(a, to, CR_WORD_START, a->views.view, collective, 0, w.bytes, w.size);
    free(w.bytes);
    cr_roster_free(&roster);
}

/* ---- losing */

static void forget(struct cr_arbiter *a, int rank)
{
    struct rank *r = &a->rank[rank];
    cr_frames_free(r->frames);
    r->frames = NULL;
    r->able = 0;
}

/* The rank is out: close, kill, tell; and start it again after a while. since: when it was heard of last. */
static void drop(struct cr_arbiter *a, int rank, int64_t since, const char *reason)
{
    struct rank *r = &a->rank[rank];
    if (r->joined && a->options.events.lost && !a->over) {
        const struct cr_rank_news n = {
            .rank = rank, .host = name_of(a, rank), .step = r->step, .phase = r->phase, .reason = reason,
            .seconds = since_start(a), .noticed = (double)(cr_clock() - since) * 1e-9,
        };
        a->options.events.lost(a->options.events.user, &n);
    }
    r->joined = 0;
    forget(a, rank);
    if (!a->crew || a->over) return;
    cr_crew_kill(a->crew, rank);
    if (a->begun) cr_crew_restart(a->crew, rank);
}

static void lose(struct cr_arbiter *a, int rank, const char *reason)
{
    drop(a, rank, a->rank[rank].heard, reason);
    cr_views_lost(&a->views, rank);
}

/* ---- doubting: members that do not reach each other */

/* Either of the two who do not reach each other may be judged. The first complaint is the one nearest to the cause. */
static void doubt(struct cr_arbiter *a, int rank, int other, int64_t since, const char *why)
{
    struct rank *r = &a->rank[rank];
    if (r->doubted) return;
    r->doubted = since;
    snprintf(r->doubt, sizeof r->doubt, "no way between it and %.64s: %s", name_of(a, other), why);
    a->doubts = 1;
}

static void forget_doubts(struct cr_arbiter *a)
{
    for (int i = 0; i < a->options.ranks; i++) a->rank[i].doubted = 0;
    a->doubts = 0;
}

static void hear_complaint(struct cr_arbiter *a, int from, const struct cr_frame *f)
{
    const uint64_t about = f->number & UINT32_MAX, ms = f->number >> 32;
    char why[512], warning[768];
    if (about >= (uint64_t)a->options.ranks || f->view != a->views.view || a->views.stage != CR_VIEW_RUNNING) return;
    const int64_t since = cr_clock() - (int64_t)ms * (second / 1000);
    const int again = a->views.reconnected;
    snprintf(why, sizeof why, "%.*s", (int)(f->size < sizeof why ? f->size : sizeof why - 1), (const char *)f->payload);
    doubt(a, (int)about, from, since, why);
    doubt(a, from, (int)about, since, why);
    cr_views_complaint(&a->views, f->view, from, (int)about);
    if (again || !a->views.reconnected || !a->options.events.warning) return;
    snprintf(warning, sizeof warning, "no way between %.64s and %.64s: %s; all connect anew", name_of(a, from),
             name_of(a, (int)about), why);
    a->options.events.warning(a->options.events.user, warning);
}

/* ---- acts */

static void replace(struct blob *b, const struct cr_frame *f)
{
    free(b->bytes);
    b->bytes = malloc(f->size ? f->size : 1);
    b->size = b->bytes ? f->size : 0;
    if (b->size) memcpy(b->bytes, f->payload, f->size);
}

static void *write_checkpoint(void *arbiter)
{
    struct cr_arbiter *a = arbiter;
    struct writer *w = &a->writer;
    const char byte = 0;
    w->rc = a->options.keeper.keep(a->options.keeper.user, w->bytes, w->size, &w->error);
    const ssize_t n = write(w->done[1], &byte, 1);
    (void)n;
    return NULL;
}

/* Put a state on disk; bytes are taken over. */
static void keep(struct cr_arbiter *a, uint64_t collective, void *bytes, size_t size)
{
    struct writer *w = &a->writer;
    if (w->runs || !bytes) { /* the same checkpoint is on its way already */
        free(bytes);
        return;
    }
    *w = (struct writer){ .bytes = bytes, .size = size, .collective = collective, .done = { w->done[0], w->done[1] } };
    w->runs = pthread_create(&w->thread, NULL, write_checkpoint, a) == 0;
    if (w->runs) return;
    cr_fail(&a->error, CR_E_NOMEM, "cannot start another thread to write a checkpoint");
    end(a, -CR_E_NOMEM);
}

static void enter(struct cr_arbiter *a, int rank, uint64_t collective)
{
    const int first = collective == 0;
    say(a, rank, CR_WORD_ENTER, a->views.view, collective, 0, first ? a->options.state : a->state.bytes,
        first ? a->options.state_size : a->state.size);
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
                "from its last checkpoint with --resume", left, a->options.ranks, a->options.least);
    end(a, -(int)a->error.code);
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
    case CR_ACT_PREPARE: say(a, t->rank, CR_WORD_PREPARE, t->view, t->collective, 0, NULL, 0); break;
    case CR_ACT_FETCH: say(a, t->rank, CR_WORD_FETCH, t->view, t->collective, 0, NULL, 0); break;
    case CR_ACT_PATCH:
        say(a, t->rank, CR_WORD_PATCH, t->view, t->collective, 0, a->message.bytes, a->message.size);
        break;
    case CR_ACT_SNAPSHOT: say(a, t->rank, CR_WORD_SNAPSHOT, t->view, t->collective, 0, NULL, 0); break;
    case CR_ACT_ENTER: enter(a, t->rank, t->collective); break;
    case CR_ACT_START: say_start(a, t->rank, t->collective); break;
    case CR_ACT_LEAVE:
        say(a, t->rank, CR_WORD_LEAVE, t->view, t->collective, 0, NULL, 0);
        if (a->options.events.spent)
            a->options.events.spent(a->options.events.user, t->rank, name_of(a, t->rank), &a->rank[t->rank].spent);
        a->over = 1;
        break;
    case CR_ACT_SAVE:
        keep(a, t->collective, a->state.bytes, a->state.size);
        a->state = (struct blob){ 0 };
        break;
    case CR_ACT_FAIL: too_few(a); break;
    }
}

static void do_acts(struct cr_arbiter *a)
{
    struct cr_act t;
    while (cr_views_next(&a->views, &t)) act(a, &t);
    if (a->views.disputed && !a->judge_at)
        a->judge_at = cr_clock() + cr_part_of(a->options.host_timeout, CR_TIME_TO_JUDGE);
    if (!a->views.disputed) a->judge_at = 0;
    if (a->doubts && !a->views.disputed && !a->views.reconnected) forget_doubts(a);
}

/* ---- hearing */

/* A checkpoint is confirmed when it is on disk and every member has come to it. */
static void confirm(struct cr_arbiter *a)
{
    int member[CR_MAX_RANKS];
    if (!a->wanted || a->kept != a->wanted || !cr_views_all_came(&a->views, a->wanted)) return;
    const int n = cr_views_members(&a->views, member);
    for (int i = 0; i < n; i++) say(a, member[i], CR_WORD_SAVED, a->views.view, a->wanted, 0, NULL, 0);
    a->wanted = 0;
}

static void hear_save(struct cr_arbiter *a, int rank, const struct cr_frame *f)
{
    if (f->view != a->views.view) return;
    cr_views_came(&a->views, f->view, rank, f->collective);
    a->wanted = f->collective;
    if (f->size && a->kept != f->collective) {
        struct blob b = { 0 };
        replace(&b, f);
        keep(a, f->collective, b.bytes, b.size);
    }
    confirm(a);
}

static void finish_writing(struct cr_arbiter *a)
{
    struct writer *w = &a->writer;
    char byte;
    if (read(w->done[0], &byte, 1) != 1) return;
    pthread_join(w->thread, NULL);
    w->runs = 0;
    free(w->bytes);
    w->bytes = NULL;
    if (w->rc < 0) {
        a->error = w->error;
        end(a, w->rc);
        return;
    }
    a->kept = w->collective;
    a->options.keeper.kept(a->options.keeper.user);
    if (a->last_save) too_few(a);
    confirm(a);
}

static void hear_able(struct cr_arbiter *a, int rank, const struct cr_frame *f)
{
    struct rank *r = &a->rank[rank];
    struct cr_error e;
    if (cr_card_get(&r->card, f, &e) < 0) {
        lose(a, rank, e.text);
        return;
    }
    if (!cr_views_arrived(&a->views, rank, r->incarnation)) {
        const char text[] = "this rank has been here before with the same incarnation, or the run is over";
        say(a, rank, CR_WORD_FAIL, 0, 0, CR_E_PEER, text, strlen(text));
        return;
    }
    r->card.candidates.seen = cr_frames_connection(r->frames)->peer;
    r->able = 1;
    r->joined = 1;
    const struct cr_rank_news n = { .rank = rank, .host = name_of(a, rank), .seconds = since_start(a),
                                    .isa = r->card.isa, .threads = (long)r->card.threads };
    if (a->options.events.joined) a->options.events.joined(a->options.events.user, &n);
}

static void send_files(struct cr_arbiter *a, int rank)
{
    const char *name;
    const void *bytes;
    size_t size;
    for (int i = 0; i < a->options.files; i++) {
        struct cr_writer w = { 0 };
        if (!a->options.file(a->options.file_user, i, &name, &bytes, &size)) return;
        cr_put_text(&w, name);
        cr_put_bytes(&w, bytes, size);
        if (!w.failed) say(a, rank, CR_WORD_FILE, 0, 0, (uint64_t)(a->options.files - 1 - i), w.bytes, w.size);
        free(w.bytes);
    }
}

static void hear_tell(struct cr_arbiter *a, const struct cr_frame *f)
{
    if (f->number && f->number <= a->last_key) return; /* another rank has told it */
    if (f->number) a->last_key = f->number;
    a->options.keeper.told(a->options.keeper.user, f->payload, f->size);
}

/* The first to say it speaks for all. Who joins later is told the model by START. */
static void hear_measured(struct cr_arbiter *a, const struct cr_frame *f)
{
    struct cr_measured x;
    struct cr_reader r = { .at = f->payload, .end = (const uint8_t *)f->payload + f->size };
    int member[CR_MAX_RANKS];
    cr_measured_get(&r, &x);
    if (r.failed || a->measured) return;
    const int n = cr_views_members(&a->views, member);
    a->measured = 1;
    a->options.model = x.model;
    if (a->options.events.measured)
        a->options.events.measured(a->options.events.user, &x,
                                   x.hindrance >= 0 && x.hindrance < n ? name_of(a, member[x.hindrance]) : NULL);
}

static void hear_done(struct cr_arbiter *a, int rank, const struct cr_frame *f)
{
    if (cr_spent_get(&a->rank[rank].spent, f, NULL) < 0) a->rank[rank].spent = (struct cr_spent){ 0 };
    cr_views_done(&a->views, rank);
}

static void text_of(const struct cr_frame *f, char text[768])
{
    const size_t n = f->size < 768 ? f->size : 767;
    if (n) memcpy(text, f->payload, n);
    text[n] = 0;
}

/* A rank cannot go on: for what would stop every rank alike, the run ends; otherwise only this one is lost. */
static void hear_error(struct cr_arbiter *a, int rank, const struct cr_frame *f)
{
    char text[768];
    text_of(f, text);
    if (f->number == CR_E_DIVERGED || f->number == CR_E_INPUT || f->number == CR_E_USAGE) {
        cr_fail(&a->error, (enum cr_err)f->number, "%s", text);
        a->error.rank = rank;
        end(a, -(int)f->number);
    } else {
        lose(a, rank, text);
    }
}

static void hear(struct cr_arbiter *a, int rank, const struct cr_frame *f)
{
    struct rank *r = &a->rank[rank];
    switch ((enum cr_word)f->kind) {
    case CR_WORD_NEED: send_files(a, rank); break;
    case CR_WORD_ABLE: hear_able(a, rank, f); break;
    case CR_WORD_READY: cr_views_ready(&a->views, f->view, rank, f->collective); break;
    case CR_WORD_MESSAGE:
        replace(&a->message, f);
        cr_views_fetched(&a->views, f->view, rank, f->collective);
        break;
    case CR_WORD_STATE:
        replace(&a->state, f);
        cr_views_snapshot(&a->views, f->view, rank, f->collective);
        break;
    case CR_WORD_SAVE: hear_save(a, rank, f); break;
    case CR_WORD_PULSE:
        r->step = f->number >> 8;
        r->phase = (enum cr_phase)(f->number & 0xff);
        cr_views_progress(&a->views, f->view, rank, f->collective);
        break;
    case CR_WORD_TELL: hear_tell(a, f); break;
    case CR_WORD_COMPLAINT: hear_complaint(a, rank, f); break;
    case CR_WORD_MEASURED: hear_measured(a, f); break;
    case CR_WORD_DONE: hear_done(a, rank, f); break;
    case CR_WORD_ERROR: hear_error(a, rank, f); break;
    default: break;
    }
    do_acts(a);
}

/* All that has come from a rank, before anything is judged by its silence. */
static void hear_rank(struct cr_arbiter *a, int rank)
{
    struct rank *r = &a->rank[rank];
    struct cr_frame f;
    struct cr_error e;
    for (;;) {
        struct cr_frames *const frames = r->frames;
        int rc = cr_frames_next(frames, &f, &e);
        if (rc > 0) {
            hear(a, rank, &f);
            if (r->frames != frames) return; /* it was lost by what it said */
            continue;
        }
        if (rc == 0) rc = cr_frames_fill(frames, &e);
        if (rc == 0) return;
        if (rc > 0) {
            r->heard = cr_clock();
            continue;
        }
        if (a->over)
            forget(a, rank);
        else
            lose(a, rank, "its connection was closed");
        do_acts(a);
        return;
    }
}

static void welcome(void *arbiter, struct cr_connection *c)
{
    struct cr_arbiter *a = arbiter;
    const struct cr_hello *h = &c->theirs;
    struct rank *r = h->rank >= 0 && h->rank < a->options.ranks ? &a->rank[h->rank] : NULL;
    const int expected = r && h->channel == CR_CHANNEL_CONTROL && h->to == CR_RANK_ARBITER &&
                         (!a->crew || h->incarnation == cr_crew_incarnation(a->crew, h->rank)) &&
                         (!r->frames || h->incarnation > r->incarnation) && !a->over;
    if (!expected) {
        cr_connection_close(c);
        return;
    }
    if (r->frames) lose(a, h->rank, "it came again");
    r->incarnation = h->incarnation;
    r->heard = cr_clock();
    r->frames = cr_frames_new(c, CR_FRAME_MOST);
    if (!r->frames) return;
    say(a, h->rank, CR_WORD_BRIEF, 0, 0, 0, a->options.brief, a->options.brief_size);
    do_acts(a);
}

/* Where ranks come by themselves, one of them may be among those turned away while the others wait for it: told once.
 * Later, and where the launcher has started all, they are strangers. */
static void turned_away(void *arbiter, const struct cr_address *from, const struct cr_error *why)
{
    struct cr_arbiter *a = arbiter;
    char address[CR_ADDRESS_TEXT], sentence[CR_ADDRESS_TEXT + sizeof why->text + 32];
    if (a->crew || a->begun || a->told_refusal || !a->options.events.warning) return;
    a->told_refusal = 1;
    cr_address_text(from, address);
    snprintf(sentence, sizeof sentence, "a process at %s was turned away: %s", address, why->text);
    a->options.events.warning(a->options.events.user, sentence);
}

/* ---- by the clock */

/* Who has not come in time. May still join. */
static void tell_missing(const struct cr_arbiter *a)
{
    char sentence[160];
    for (int i = 0; i < a->options.ranks && a->options.events.warning; i++) {
        if (a->rank[i].able) continue;
        snprintf(sentence, sizeof sentence, "rank %d%s%.64s has not come within %g s; the run begins without it", i,
                 a->crew ? " on " : "", a->crew ? name_of(a, i) : "", a->options.start_seconds);
        a->options.events.warning(a->options.events.user, sentence);
    }
}

static void begin_if_ready(struct cr_arbiter *a, int64_t now)
{
    int here = 0, coming = 0;
    if (a->begun) return;
    for (int i = 0; i < a->options.ranks; i++) {
        here += a->rank[i].able;
        coming += !a->rank[i].able && (!a->crew || cr_crew_runs(a->crew, i) || a->rank[i].frames);
    }
    const int late = now - a->began > (int64_t)(a->options.start_seconds * 1e9);
    if (coming && !late) return;
    if (here < a->options.ranks && here < a->options.least) {
        if (!a->error.code)
            cr_fail(&a->error, CR_E_PEER, "only %d of %d hosts have come within %g s; --min-hosts N goes on with fewer",
                    here, a->options.ranks, a->options.start_seconds);
        end(a, -CR_E_PEER);
        return;
    }
    a->begun = 1;
    a->error = (struct cr_error){ .rank = -1 };
    if (late) tell_missing(a);
    if (a->options.events.began) a->options.events.began(a->options.events.user, here);
    cr_views_begin(&a->views);
    for (int i = 0; i < a->options.ranks && a->crew; i++)
        if (!a->rank[i].able && !cr_crew_runs(a->crew, i)) cr_crew_restart(a->crew, i);
}

/* Who did not run itself, because the machine was busy or stood still, cannot tell how long others were silent. */
static void excuse(struct cr_arbiter *a, int64_t now)
{
    const int64_t late = now - a->looked - 2 * CR_PULSE_MS * (second / 1000);
    for (int i = 0; i < a->options.ranks && late > 0; i++) a->rank[i].heard += late;
    a->looked = now;
}

static void look_at_clock(struct cr_arbiter *a, int64_t now)
{
    excuse(a, now);
    const int64_t most = cr_part_of(a->options.host_timeout, CR_SILENCE_OF_RANK);
    char reason[96];
    for (int i = 0; i < a->options.ranks; i++) {
        const int64_t silence = now - a->rank[i].heard;
        if (!a->rank[i].frames || silence < most) continue;
        snprintf(reason, sizeof reason, "no sign of life for %.1f s", (double)silence * 1e-9);
        lose(a, i, reason);
    }
    if (a->judge_at && now >= a->judge_at) {
        a->judge_at = 0;
        cr_views_judge(&a->views);
    }
    begin_if_ready(a, now);
    do_acts(a);
    if (a->options.keeper.ask) {
        const unsigned ask = a->options.keeper.ask(a->options.keeper.user);
        if (ask) say_to_all(a, CR_WORD_ASK, 0, ask, NULL, 0);
    }
    if (now < a->ping_at) return;
    say_to_all(a, CR_WORD_PING, 0, 0, NULL, 0);
    a->ping_at = now + CR_PING_MS * (second / 1000);
}

/* ---- the loop */

static void turn(struct cr_arbiter *a, struct pollfd *p)
{
    const int n = a->options.ranks;
    int64_t deadline = cr_clock() + CR_PULSE_MS * (second / 1000);
    if (a->judge_at && a->judge_at < deadline) deadline = a->judge_at;
    const int64_t most = cr_part_of(a->options.host_timeout, CR_SILENCE_OF_RANK);
    for (int i = 0; i < n; i++) {
        struct cr_frames *f = a->rank[i].frames;
        if (f && a->rank[i].heard + most < deadline) deadline = a->rank[i].heard + most;
        p[i] = (struct pollfd){ .fd = f ? cr_frames_fd(f) : -1,
                                .events = (short)(POLLIN | (f && cr_frames_waiting(f) ? POLLOUT : 0)) };
    }
    p[n] = (struct pollfd){ .fd = a->writer.done[0], .events = POLLIN };
    const int doors = cr_door_poll(a->door, p + n + 1, &deadline);
    const int crew = a->crew ? cr_crew_poll(a->crew, p + n + 1 + doors, &deadline) : 0;
    poll(p, (nfds_t)(n + 1 + doors + crew), cr_clock_left(deadline));

    cr_door_serve(a->door, p + n + 1, doors, welcome, turned_away, a);
    for (int i = 0; i < n; i++)
        if (a->rank[i].frames) hear_rank(a, i);
    if (p[n].revents) finish_writing(a);
    if (a->crew) cr_crew_serve(a->crew, p + n + 1 + doors, crew);
    do_acts(a);
    look_at_clock(a, cr_clock());
    for (int i = 0; i < n; i++) /* what cannot be sent is noticed when nothing is heard any more */
        if (a->rank[i].frames && cr_frames_waiting(a->rank[i].frames)) cr_frames_flush(a->rank[i].frames, NULL);
}

/* Everything has been said; give it a moment to arrive. */
static void part(struct cr_arbiter *a, struct pollfd *p)
{
    const int64_t deadline = cr_clock() + 2 * second;
    int left = 1;
    while (left && cr_clock() < deadline) {
        turn(a, p);
        left = 0;
        for (int i = 0; i < a->options.ranks; i++) left += a->rank[i].frames != NULL;
    }
}

int cr_arbiter_run(struct cr_arbiter *a, struct cr_error *e)
{
    struct pollfd *p = calloc((size_t)(2 * a->options.ranks + CR_DOOR_PENDING + 2), sizeof *p);
    if (!p) return cr_fail(e, CR_E_NOMEM, "out of memory for %d ranks", a->options.ranks);
    a->began = a->looked = cr_clock();
    for (int i = 0; a->crew && i < a->options.ranks; i++) cr_crew_start(a->crew, i);
    while (!a->over || a->writer.runs) turn(a, p);
    part(a, p);
    free(p);
    if (a->rc < 0 && e) *e = a->error;
    return a->rc;
}

/* ---- opening and closing */

static void says(void *arbiter, int rank, const char *line)
{
    struct cr_arbiter *a = arbiter;
    if (a->options.events.says) a->options.events.says(a->options.events.user, rank, name_of(a, rank), line);
}

/* A process ended: of a connected rank the connection tells; of one that never came this is all there is to tell. */
static void ended(void *arbiter, int rank, const struct cr_error *why)
{
    struct cr_arbiter *a = arbiter;
    if (a->over || a->rank[rank].frames) return;
    if (!a->begun && !a->error.code) a->error = *why; /* the reason, should too few have come */
    if (a->options.events.warning) a->options.events.warning(a->options.events.user, why->text);
    if (a->begun) cr_crew_restart(a->crew, rank);
}

static int open_crew(struct cr_arbiter *a, struct cr_error *e)
{
    struct cr_crew_options o = { .hosts = a->options.hosts, .launch = a->options.launch, .says = says, .ended = ended,
                                 .user = a };
    memcpy(o.summons.job, a->hello.common.job, sizeof o.summons.job);
    o.summons.key = a->options.key;
    o.summons.secure = a->options.common.secure;
    o.summons.count = cr_address_own(o.summons.arbiter, cr_door_port(a->door));
    if (a->options.data) snprintf(o.summons.data, sizeof o.summons.data, "%s", a->options.data);
    a->crew = cr_crew_new(&o);
    return a->crew ? 0 : cr_fail(e, CR_E_NOMEM, "out of memory for %d ranks", a->options.ranks);
}

static int open_all(struct cr_arbiter *a, struct cr_error *e)
{
    a->writer.done[0] = a->writer.done[1] = -1;
    if (!a->rank) return cr_fail(e, CR_E_NOMEM, "out of memory for %d ranks", a->options.ranks);
    a->hello = (struct cr_hello){ .common = a->options.common, .rank = CR_RANK_ARBITER };
    static const uint8_t none[16];
    if (memcmp(a->hello.common.job, none, sizeof none) == 0) CR_TRY(cr_random_bytes(a->hello.common.job, 16, e));
    a->door = cr_door_open(a->options.only, a->options.port, e);
    if (!a->door) return -(int)CR_E_IO;
    cr_door_expect(a->door, &a->options.key, &a->hello);
    if (pipe(a->writer.done) < 0) return cr_fail(e, CR_E_IO, "cannot make a pipe: too many files are open");
    for (int i = 0; i < 2; i++) fcntl(a->writer.done[i], F_SETFD, FD_CLOEXEC);
    cr_views_init(&a->views, a->options.ranks, a->options.least);
    return a->options.hosts ? open_crew(a, e) : 0;
}

struct cr_arbiter *cr_arbiter_open(const struct cr_arbiter_options *o, struct cr_error *e)
{
    struct cr_arbiter *a = calloc(1, sizeof *a);
    if (!a) {
        cr_fail(e, CR_E_NOMEM, "out of memory for an arbiter");
        return NULL;
    }
    a->options = *o;
    a->rank = calloc((size_t)o->ranks, sizeof *a->rank);
    if (open_all(a, e) == 0) return a;
    cr_arbiter_close(a);
    return NULL;
}

uint16_t cr_arbiter_port(const struct cr_arbiter *a)
{
    return cr_door_port(a->door);
}

const uint8_t *cr_arbiter_job(const struct cr_arbiter *a)
{
    return a->hello.common.job;
}

void cr_arbiter_close(struct cr_arbiter *a)
{
    if (!a) return;
    for (int i = 0; a->rank && i < a->options.ranks; i++) cr_frames_free(a->rank[i].frames);
    cr_crew_free(a->crew);
    if (a->door) cr_door_close(a->door);
    for (int i = 0; i < 2; i++)
        if (a->writer.done[i] >= 0) close(a->writer.done[i]);
    free(a->writer.bytes);
    free(a->message.bytes);
    free(a->state.bytes);
    free(a->rank);
    free(a);
}
