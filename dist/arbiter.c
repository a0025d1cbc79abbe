/* The arbiter's loop: what is to be read, what the clock says; opening and closing. */
#define _POSIX_C_SOURCE 200809L
#include "dist/arbiter.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/arbiter_inside.h"
#include "dist/hmac.h"

/* ---- by the clock */

/* Who has not come in time. May still join. */
static void tell_missing(const struct cr_arbiter *a)
{
    char sentence[160];
    for (int i = 0; i < a->options.ranks && a->options.events.warning; i++) {
        if (a->rank[i].able) continue;
        snprintf(sentence, sizeof sentence, "rank %d%s%.64s has not come within %g s; the run begins without it", i,
                 a->crew ? " on " : "", a->crew ? cr_arbiter_name(a, i) : "", a->options.start_seconds);
        a->options.events.warning(a->options.events.user, sentence);
    }
}

static void begin_if_ready(struct cr_arbiter *a, int64_t now)
{
    int here = 0, coming = 0, loading = 0;
    if (a->begun || a->over) return;
    for (int i = 0; i < a->options.ranks; i++) {
        here += a->rank[i].able;
        loading += !a->rank[i].able && a->rank[i].frames;
        coming += !a->rank[i].able && (!a->crew || cr_crew_runs(a->crew, i) || a->rank[i].frames);
    }
    const int late = now - a->began > (int64_t)(a->options.start_seconds * 1e9);
    const int too_few = here < a->options.ranks && here < a->options.least;
    if (coming && !late) return;
    if (too_few && loading) return; /* they are there; it may be much data that they lack */
    if (too_few) {
        char within[32] = "";
        if (late) snprintf(within, sizeof within, " within %g s", a->options.start_seconds);
        if (!a->error.code)
            cr_fail(&a->error, CR_E_PEER, "only %d of %d hosts have come%s%s", here, a->options.ranks, within,
                    here ? "; --min-hosts N goes on with fewer" : "");
        cr_arbiter_end(a, -(int)a->error.code);
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
    const int64_t late = now - a->looked - 2 * CR_PULSE_MS * (CR_SECOND / 1000);
    for (int i = 0; i < a->options.ranks && late > 0; i++) a->rank[i].heard += late;
    a->looked = now;
}

/* For how long a rank may be silent. If all are, at once (the last words of some came a little later than those of
 * others), it is this host that is cut off: they have patience with it, and it has with them, also when it is back, for
 * TCP tries again at longer and longer intervals. */
static int64_t patience(struct cr_arbiter *a, int64_t now)
{
    const int64_t most = cr_part_of(a->options.host_timeout, CR_SILENCE_OF_RANK);
    const int64_t of_ranks = CR_SILENCE_OF_ARBITER * CR_SECOND;
    int connected = 0, silent = 0;
    for (int i = 0; i < a->options.ranks; i++) {
        connected += a->rank[i].frames != NULL;
        silent += a->rank[i].frames && now - a->rank[i].heard >= most / 2;
    }
    if (connected > 1 && silent == connected) a->cut_off = now;
    return a->cut_off && now - a->cut_off < of_ranks && of_ranks > most ? of_ranks : most;
}

/* Whoever wants the run to end before it has begun does not want to wait for hosts. */
static void heed(struct cr_arbiter *a, unsigned ask)
{
    if (ask & CR_ASK_END && !a->begun && !a->over) {
        cr_fail(&a->error, CR_E_INTERRUPTED, "interrupted before the first step");
        cr_arbiter_end(a, -CR_E_INTERRUPTED);
    } else if (ask & CR_ASK_END) {
        cr_arbiter_say_to_all(a, CR_WORD_ASK, 0, ask, NULL, 0);
    } else if (ask) { /* one tells all with its next message; two might tell them of it twice */
        int i = 0;
        while (i < a->options.ranks && !a->rank[i].able) i++;
        if (i < a->options.ranks) cr_arbiter_say(a, i, CR_WORD_ASK, a->views.view, 0, ask, NULL, 0);
    }
}

static void look_at_clock(struct cr_arbiter *a, int64_t now)
{
    excuse(a, now);
    const int64_t most = patience(a, now);
    char reason[96];
    for (int i = 0; i < a->options.ranks; i++) {
        const int64_t silence = now - a->rank[i].heard;
        if (!a->rank[i].frames || silence < most) continue;
        snprintf(reason, sizeof reason, "no sign of life for %.1f s", (double)silence * 1e-9);
        cr_arbiter_lose(a, i, reason);
    }
    if (a->judge_at && now >= a->judge_at) {
        a->judge_at = 0;
        cr_views_judge(&a->views);
    }
    begin_if_ready(a, now);
    cr_arbiter_do_acts(a);
    if (a->options.keeper.ask) heed(a, a->options.keeper.ask(a->options.keeper.user));
    if (now < a->ping_at) return;
    cr_arbiter_say_to_all(a, CR_WORD_PING, 0, 0, NULL, 0);
    a->ping_at = now + CR_PING_MS * (CR_SECOND / 1000);
}

/* ---- the loop */

static void turn(struct cr_arbiter *a, struct pollfd *p)
{
    const int n = a->options.ranks;
    int64_t deadline = cr_clock() + CR_PULSE_MS * (CR_SECOND / 1000);
    if (a->judge_at && a->judge_at < deadline) deadline = a->judge_at;
    const int64_t most = patience(a, cr_clock());
    for (int i = 0; i < n; i++) {
        struct cr_frames *f = a->rank[i].frames;
        if (f && a->rank[i].heard + most < deadline) deadline = a->rank[i].heard + most;
        const int more = f && (cr_frames_waiting(f) || a->rank[i].file < a->options.files);
        p[i] = (struct pollfd){ .fd = f ? cr_frames_fd(f) : -1, .events = (short)(POLLIN | (more ? POLLOUT : 0)) };
    }
    p[n] = (struct pollfd){ .fd = a->writer.done[0], .events = POLLIN };
    const int doors = cr_door_poll(a->door, p + n + 1, &deadline);
    const int crew = a->crew ? cr_crew_poll(a->crew, p + n + 1 + doors, &deadline) : 0;
    poll(p, (nfds_t)(n + 1 + doors + crew), cr_clock_left(deadline));

    cr_door_serve(a->door, p + n + 1, doors, cr_arbiter_welcome, cr_arbiter_turned_away, a);
    for (int i = 0; i < n; i++)
        if (a->rank[i].frames) cr_arbiter_hear(a, i);
    if (p[n].revents) cr_arbiter_kept(a);
    if (a->crew) cr_crew_serve(a->crew, p + n + 1 + doors, crew);
    cr_arbiter_do_acts(a);
    look_at_clock(a, cr_clock());
    for (int i = 0; i < n; i++) { /* what cannot be sent is noticed when nothing is heard any more */
        if (!a->rank[i].frames) continue;
        cr_arbiter_feed(a, i);
        if (cr_frames_waiting(a->rank[i].frames)) cr_frames_flush(a->rank[i].frames, NULL);
    }
}

/* Everything has been said; give it a moment to arrive. */
static void part(struct cr_arbiter *a, struct pollfd *p)
{
    const int64_t deadline = cr_clock() + 2 * CR_SECOND;
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
    if (a->options.events.says) a->options.events.says(a->options.events.user, rank, cr_arbiter_name(a, rank), line);
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
    if (a->options.only) {
        o.summons.arbiter[0] = *a->options.only;
        o.summons.arbiter[0].port = cr_door_port(a->door);
        o.summons.count = 1;
    }
    if (a->options.data) snprintf(o.summons.data, sizeof o.summons.data, "%s", a->options.data);
    a->crew = cr_crew_new(&o);
    return a->crew ? 0 : cr_fail(e, CR_E_NOMEM, "out of memory for %d ranks", a->options.ranks);
}

static int open_all(struct cr_arbiter *a, struct cr_error *e)
{
    a->writer.done[0] = a->writer.done[1] = -1;
    if (!a->rank) return cr_fail(e, CR_E_NOMEM, "out of memory for %d ranks", a->options.ranks);
    a->start = cr_blob_of(a->options.state, a->options.state_size);
    if (!a->start) return cr_fail(e, CR_E_NOMEM, "out of memory for an arbiter");
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
    cr_blob_drop(a->writer.state);
    cr_blob_drop(a->message);
    cr_blob_drop(a->state);
    cr_blob_drop(a->start);
    free(a->rank);
    free(a);
}
