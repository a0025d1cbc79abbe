#include "tests/explore_view.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/view.h"

enum {
    N = EXPLORE_RANKS,
    QUEUE = 8,
    VIEWS = 16,
    DEPTH = 512,
    VIEW_BYTES = offsetof(struct cr_views, rank) + N * sizeof(struct cr_view_rank),
};

enum word {
    PREPARE = 1, FETCH, PATCH, SNAPSHOT, ENTER, START, SAVED,     /* down, to a rank */
    READY, FETCHED, STATE, DONE, COMPLAINT, PROGRESS, CHECKPOINT, /* up, to the arbiter */
};

struct channel {
    uint8_t count;
    struct note {
        uint8_t word, view, collective, extra; /* extra: whom a complaint is about; members of a view */
    } note[QUEUE];
};

/* All that a state is; bytes only, so that two are the same when their bytes are. */
static struct world {
    struct process {
        uint8_t alive, linked;       /* linked: the arbiter holds a connection to it */
        uint8_t incarnation;
        uint8_t view, prepared, members, committed;
        uint8_t kept;                /* the collective whose reduced message it has; 0 = none */
        uint8_t complained;          /* of whom in this view */
    } p[N];
    struct channel up[N], down[N];
    uint8_t sent[VIEWS][N];          /* the last collective a rank contributed to in a view */
    uint8_t cut;                     /* bits of pairs that cannot reach each other */
    uint8_t faults, restarts;        /* left */
    uint8_t message, state;          /* what the arbiter holds: the collective each is of */
    uint8_t bytes, confirmed;        /* the view in which a checkpoint's bytes came, and was confirmed */
    uint8_t begun, begun_members, begun_base; /* the latest view that began */
    uint8_t views[VIEW_BYTES];       /* of struct cr_views below, while it is not in use */
} w;
static struct cr_views v;

static struct explore_config config;
static struct explore_result *result;

static void broken(const char *what)
{
    if (!result->broken) result->broken = what;
}

static void must(int holds, const char *what)
{
    if (!holds) broken(what);
}

/* ---- channels ---- */

static void put(struct channel *c, enum word word, int view, int collective, int extra)
{
    if (c->count == QUEUE) {
        broken("a channel of the test is too short");
        return;
    }
    c->note[c->count++] = (struct note){ (uint8_t)word, (uint8_t)view, (uint8_t)collective, (uint8_t)extra };
}

static struct note take(struct channel *c)
{
    const struct note first = c->note[0];
    c->count--;
    memmove(c->note, c->note + 1, c->count * sizeof c->note[0]);
    memset(&c->note[c->count], 0, sizeof c->note[0]);
    return first;
}

static int bit_of_pair(int a, int b)
{
    return 1 << (a + b - 1); /* 0-1, 0-2, 1-2 */
}

/* ---- a rank ---- */

/* To the arbiter; nobody listens to one who was given up. */
static void say(int rank, enum word word, int view, int collective, int extra)
{
    if (w.p[rank].linked) put(&w.up[rank], word, view, collective, extra);
}

/* Contribute to the next collective, or say that there is none. */
static void go_on(int rank)
{
    struct process *const p = &w.p[rank];
    if (p->committed == config.last) {
        say(rank, DONE, 0, 0, 0);
    } else {
        w.sent[p->view][rank] = (uint8_t)(p->committed + 1);
        if (p->committed + 1 == config.checkpoint) say(rank, CHECKPOINT, p->view, config.checkpoint, 0);
    }
}

static void commit(int rank)
{
    struct process *const p = &w.p[rank];
    p->committed++;
    p->kept = p->committed;
    if (p->view != w.begun) {
        must(!(w.begun_members >> rank & 1), "a member of a later view commits in an older one");
        must(p->committed <= w.begun_base + 1, "two halves advance");
    }
    for (int i = 0; i < N; i++)
        must(!(p->members >> i & 1) || w.sent[p->view][i] >= p->committed, "a collective without somebody's part");
    if (p->committed != config.checkpoint && p->committed < config.last) say(rank, PROGRESS, p->view, p->committed, 0);
    go_on(rank);
}

static int stopped(const struct process *p)
{
    return p->prepared != p->view && config.breach != BREACH_NO_STOP;
}

/* Everybody's part is there, and this rank could have got it: otherwise it notices, and complains. */
static int can_complete(int rank)
{
    const struct process *const p = &w.p[rank];
    const int next = p->committed + 1;
    if (!p->alive || !p->view || stopped(p) || next > config.last || next == config.checkpoint) return 0;
    for (int i = 0; i < N; i++) {
        if (!(p->members >> i & 1)) continue;
        if (w.sent[p->view][i] < next) return 0;
        for (int k = 0; k < i; k++)
            if (p->members >> k & 1 && w.cut & bit_of_pair(i, k)) return 0;
    }
    return 1;
}

static int can_complain(int rank, int about)
{
    const struct process *const p = &w.p[rank];
    return rank != about && p->alive && p->linked && p->view && p->prepared == p->view && p->members >> about & 1 &&
           !(p->complained >> about & 1) &&
           (w.cut & bit_of_pair(rank, about) || (config.kinds & FAULT_SEEN && !w.p[about].alive));
}

static void hear(int rank)
{
    struct process *const p = &w.p[rank];
    const struct note n = take(&w.down[rank]);
    switch ((enum word)n.word) {
    case PREPARE:
        must(n.view > p->prepared, "an older view is announced after a newer one");
        p->prepared = n.view;
        say(rank, READY, n.view, p->committed, 0);
        break;
    case FETCH:
        must(p->kept == n.collective, "a message is fetched from one who has not got it");
        say(rank, FETCHED, n.view, p->kept, 0);
        break;
    case PATCH:
        must(n.view == p->prepared && n.collective == p->committed + 1, "a patch that does not fit");
        p->committed = p->kept = n.collective;
        break;
    case SNAPSHOT:
        must(p->committed == n.collective, "a state is taken from one who is elsewhere");
        say(rank, STATE, n.view, p->committed, 0);
        break;
    case ENTER:
        must(!p->view && !p->prepared, "a member is made to enter");
        p->committed = n.collective;
        break;
    case START:
        must(n.view == p->prepared || !p->prepared, "a view begins that was not announced");
        must(n.collective == p->committed, "a view begins elsewhere than where a member is");
        must(n.extra >> rank & 1, "a view begins for one who is not in it");
        p->view = p->prepared = n.view;
        p->members = n.extra;
        p->complained = 0;
        go_on(rank);
        break;
    case SAVED:
        if (p->view != n.view || stopped(p)) break;
        must(n.collective == p->committed + 1, "a checkpoint is confirmed to one who is elsewhere");
        commit(rank);
        break;
    case READY: case FETCHED: case STATE: case DONE: case COMPLAINT: case PROGRESS: case CHECKPOINT:
        broken("a rank hears what it should not");
        break;
    }
}

/* ---- the arbiter around its head ---- */

static int members(void)
{
    int rank[CR_MAX_RANKS], bits = 0;
    for (int i = cr_views_members(&v, rank); i-- > 0;) bits |= 1 << rank[i];
    return bits;
}

static void disconnect(int rank)
{
    w.p[rank].linked = 0;
    memset(&w.up[rank], 0, sizeof w.up[rank]);
    memset(&w.down[rank], 0, sizeof w.down[rank]);
}

static void leave(void)
{
    must(members() != 0, "the end without anybody");
    for (int i = 0; i < N; i++)
        must(!(members() >> i & 1) || !w.p[i].alive || w.p[i].committed == config.last,
             "the end before all have the last collective");
    result->left++;
}

static void fail(void)
{
    int here = 0, having = 0;
    for (int i = 0; i < N; i++) {
        here += v.rank[i].standing != CR_ABSENT;
        having += v.rank[i].standing == CR_MEMBER;
    }
    must(here < config.least || !having, "the run fails with enough hosts");
    result->failed++;
}

static void act(int judging)
{
    struct cr_act a;
    while (cr_views_next(&v, &a)) {
        const int view = (int)a.view, collective = (int)a.collective;
        struct channel *const down = a.rank >= 0 ? &w.down[a.rank] : NULL;
        if (down && a.kind != CR_ACT_DROP) must(w.p[a.rank].linked, "word is sent to one who is gone");
        switch (a.kind) {
        case CR_ACT_PREPARE: put(down, PREPARE, view, 0, 0); break;
        case CR_ACT_FETCH: put(down, FETCH, view, collective, 0); break;
        case CR_ACT_PATCH:
            if (config.breach == BREACH_NO_PATCH) break;
            must(w.message == collective, "the message held is another than the patch needs");
            put(down, PATCH, view, w.message, 0);
            break;
        case CR_ACT_SNAPSHOT: put(down, SNAPSHOT, view, collective, 0); break;
        case CR_ACT_ENTER:
            must(collective == 0 || w.state == collective, "the state held is another than the joiner needs");
            put(down, ENTER, view, collective - (collective > 0 && config.breach == BREACH_OLD_STATE), 0);
            break;
        case CR_ACT_START:
            w.begun = (uint8_t)view;
            w.begun_members = (uint8_t)members();
            w.begun_base = (uint8_t)collective;
            put(down, START, view, collective, members());
            break;
        case CR_ACT_DROP:
            must(judging, "a member is so far behind that it is given up");
            w.p[a.rank].alive = 0;
            disconnect(a.rank);
            break;
        case CR_ACT_LEAVE: leave(); break;
        case CR_ACT_SAVE: must(w.state == collective, "another state is saved than the last"); break;
        case CR_ACT_FAIL: fail(); break;
        }
    }
    must(v.view < VIEWS, "the views do not end");
}

/* All have come to the checkpoint and its bytes are on disk. */
static void confirm(void)
{
    if (w.bytes != v.view || w.confirmed == v.view) return;
    if (!cr_views_all_came(&v, (uint64_t)config.checkpoint) && config.breach != BREACH_SAVED_EARLY) return;
    w.confirmed = (uint8_t)v.view;
    for (int i = 0; i < N; i++)
        if (members() >> i & 1) put(&w.down[i], SAVED, (int)v.view, config.checkpoint, 0);
}

static void listen_to(int rank)
{
    const struct note n = take(&w.up[rank]);
    int all[CR_MAX_RANKS];
    switch ((enum word)n.word) {
    case READY: cr_views_ready(&v, n.view, rank, n.collective); break;
    case FETCHED:
        w.message = n.collective;
        cr_views_fetched(&v, n.view, rank, n.collective);
        break;
    case STATE:
        w.state = n.collective;
        cr_views_snapshot(&v, n.view, rank, n.collective);
        break;
    case DONE:
        if (config.breach == BREACH_LEAVE_EARLY) leave();
        cr_views_done(&v, rank);
        break;
    case COMPLAINT: cr_views_complaint(&v, n.view, rank, n.extra); break;
    case PROGRESS: cr_views_progress(&v, n.view, rank, n.collective); break;
    case CHECKPOINT:
        cr_views_came(&v, n.view, rank, n.collective);
        if (n.view == v.view && cr_views_members(&v, all) > 0 && all[0] == rank) w.bytes = n.view;
        confirm();
        break;
    case PREPARE: case FETCH: case PATCH: case SNAPSHOT: case ENTER: case START: case SAVED:
        broken("the arbiter hears what it should not");
        break;
    }
    act(0);
}

/* ---- what can happen ---- */

enum event {
    HEAR, COMPLETE, COMPLAIN, LISTEN, NOTICE, JUDGE, EVENTS_OF_THE_RUN,
    CRASH = EVENTS_OF_THE_RUN, ISOLATE, CUT, ARRIVE, END, EVENTS,
};
static const char *const event_name[EVENTS] = {
    [HEAR] = "hears", [COMPLETE] = "completes", [COMPLAIN] = "complains of", [LISTEN] = "is listened to",
    [NOTICE] = "is found dead", [JUDGE] = "judge", [CRASH] = "crashes", [ISOLATE] = "is given up",
    [CUT] = "is cut from", [ARRIVE] = "arrives", [END] = "ends, cut off",
};

/* Can it happen now? The second rank is meant by COMPLAIN and CUT only, and is 0 else. */
static int possible(enum event e, int rank, int other)
{
    const struct process *const p = &w.p[rank];
    if (e != COMPLAIN && e != CUT && other) return 0;
    switch (e) {
    case HEAR: return p->alive && w.down[rank].count > 0;
    case COMPLETE: return can_complete(rank);
    case COMPLAIN: return can_complain(rank, other);
    case LISTEN: return w.up[rank].count > 0;
    case NOTICE: return p->linked && !p->alive && config.breach != BREACH_DEAF;
    case JUDGE: return rank == 0 && v.disputed && config.breach != BREACH_NO_JUDGE;
    case CRASH: return w.faults && config.kinds & FAULT_CRASH && p->alive && p->linked;
    case ISOLATE: return w.faults && config.kinds & FAULT_ISOLATE && p->alive && p->linked;
    case CUT: return w.faults && config.kinds & FAULT_CUT && rank < other && !(w.cut & bit_of_pair(rank, other));
    case ARRIVE: return !p->alive && (!p->incarnation || w.restarts);
    case END: return p->alive && !p->linked;
    case EVENTS: break;
    }
    return 0;
}

static void happen(enum event e, int rank, int other)
{
    struct process *const p = &w.p[rank];
    switch (e) {
    case HEAR: hear(rank); break;
    case COMPLETE: commit(rank); break;
    case COMPLAIN:
        p->complained |= (uint8_t)(1 << other);
        say(rank, COMPLAINT, p->view, 0, other);
        break;
    case LISTEN: listen_to(rank); break;
    case NOTICE:
        disconnect(rank);
        cr_views_lost(&v, rank);
        act(0);
        break;
    case JUDGE:
        cr_views_judge(&v);
        act(1);
        break;
    case CRASH:
        w.faults--;
        p->alive = 0;
        break;
    case ISOLATE:
        w.faults--;
        disconnect(rank);
        cr_views_lost(&v, rank);
        act(0);
        break;
    case CUT:
        w.faults--;
        w.cut |= (uint8_t)bit_of_pair(rank, other);
        break;
    case ARRIVE:
        if (p->incarnation) w.restarts--;
        disconnect(rank);
        *p = (struct process){ .alive = 1, .linked = 1, .incarnation = (uint8_t)(p->incarnation + 1) };
        must(cr_views_arrived(&v, rank, p->incarnation), "a new incarnation is refused");
        act(0);
        break;
    case END: p->alive = 0; break;
    case EVENTS: break;
    }
}

/* What can make no difference any more is forgotten, so that states that differ in it only are one. */
static void forget(void)
{
    for (int i = 0; i < N; i++) {
        if (w.p[i].alive) continue;
        w.p[i] = (struct process){ .linked = w.p[i].linked, .incarnation = w.p[i].incarnation };
        memset(&w.down[i], 0, sizeof w.down[i]);
    }
    for (int view = 0; view < VIEWS; view++) {
        int used = view == w.begun;
        for (int i = 0; i < N; i++) used |= w.p[i].alive && w.p[i].view == view;
        if (!used) memset(w.sent[view], 0, sizeof w.sent[view]);
    }
}

/* ---- depth first ---- */

/* Hashes of the states seen; the lowest bit says that the state is on the way from the first to the present one. */
static struct {
    uint64_t *slot;
    size_t room, used;
} seen;

static uint64_t hash(void)
{
    uint64_t h = 0x9e3779b97f4a7c15U, word;
    const unsigned char *const bytes = (const unsigned char *)&w;
    for (size_t i = 0; i < sizeof w; i += sizeof word) {
        word = 0;
        memcpy(&word, bytes + i, sizeof w - i < sizeof word ? sizeof w - i : sizeof word);
        h = (h ^ word) * 0xd6e8feb86659fd93U;
        h ^= h >> 32;
    }
    h *= 0xd6e8feb86659fd93U;
    return (h ^ h >> 29) | 2; /* 0 and 1 are empty slots */
}

static uint64_t *find(uint64_t h)
{
    size_t i = (size_t)(h >> 1) % seen.room;
    while (seen.slot[i] && seen.slot[i] >> 1 != h >> 1) i = i + 1 < seen.room ? i + 1 : 0;
    return &seen.slot[i];
}

static void grow(void)
{
    uint64_t *const old = seen.slot;
    const size_t room = seen.room;
    seen.room = room ? 2 * room : 1 << 16;
    seen.slot = calloc(seen.room, sizeof *seen.slot);
    if (!seen.slot) abort();
    for (size_t i = 0; i < room; i++)
        if (old[i]) *find(old[i]) = old[i];
    free(old);
}

static struct step {
    uint8_t event, rank, other;
} way[DEPTH];

static void describe(int depth)
{
    size_t n = 0;
    for (int i = 0; i < depth && n < sizeof result->how - 64; i++) {
        const struct step s = way[i];
        n += (size_t)snprintf(result->how + n, 64, s.event == COMPLAIN || s.event == CUT ? "%d %s %d; " : "%d %s; ",
                              s.rank, event_name[s.event], s.other);
    }
}

static void explore(int depth)
{
    forget();
    memcpy(w.views, &v, VIEW_BYTES);
    const uint64_t h = hash();
    uint64_t *const slot = find(h);
    if (*slot & 1) broken("a state comes again: the run may go on for ever");
    if (!result->broken && depth == DEPTH) broken("the test's stack is too short");
    if (result->broken) {
        describe(depth);
        return;
    }
    if (*slot) return;
    *slot = h | 1;
    result->states++;
    if (++seen.used > seen.room / 2) grow();

    const struct world here = w;
    int moves = 0;
    for (enum event e = HEAR; v.stage != CR_VIEW_OVER && e < EVENTS; e++) {
        if (e == EVENTS_OF_THE_RUN && !moves) {
            broken("nothing can happen any more");
            describe(depth);
        }
        for (int rank = 0; rank < N; rank++) {
            for (int other = 0; other < N; other++) {
                if (!possible(e, rank, other)) continue;
                moves++;
                way[depth] = (struct step){ (uint8_t)e, (uint8_t)rank, (uint8_t)other };
                happen(e, rank, other);
                explore(depth + 1);
                if (result->broken) return;
                w = here;
                memcpy(&v, w.views, VIEW_BYTES);
            }
        }
    }
    *find(h) = h & ~(uint64_t)1;
}

void explore_view(const struct explore_config *c, struct explore_result *r)
{
    config = *c;
    result = r;
    memset(r, 0, sizeof *r);
    memset(&w, 0, sizeof w);
    w.faults = (uint8_t)c->faults;
    w.restarts = (uint8_t)c->restarts;
    cr_views_init(&v, N, c->least);
    for (int i = 0; i < N - c->late; i++) happen(ARRIVE, i, 0);
    cr_views_begin(&v);
    act(0);
    grow();
    explore(0);
    free(seen.slot);
    memset(&seen, 0, sizeof seen);
}
