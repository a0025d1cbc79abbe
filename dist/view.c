#include "dist/view.h"

#include <string.h>

void cr_views_init(struct cr_views *v, int ranks, int least)
{
    memset(v, 0, sizeof *v);
    v->ranks = ranks;
    v->least = least > 1 ? least : 1;
    v->source = -1;
}

/* ---- acts: a bit for each kind, so that a rank's memory of what it is to be told has a fixed size ---- */

static void tell(struct cr_views *v, int rank, enum cr_act_kind kind)
{
    v->rank[rank].acts |= 1U << kind;
    v->acts |= 1U << kind;
    v->cursor = 0;
}

int cr_views_next(struct cr_views *v, struct cr_act *act)
{
    while (v->acts) {
        enum cr_act_kind kind = CR_ACT_DROP;
        while (!(v->acts >> kind & 1)) kind++;
        *act = (struct cr_act){ .kind = kind, .rank = -1, .view = v->view, .collective = v->collective };
        for (; v->cursor < v->ranks; v->cursor++) {
            struct cr_view_rank *const r = &v->rank[v->cursor];
            if (!(r->acts >> kind & 1)) continue;
            r->acts &= ~(1U << kind);
            act->rank = v->cursor;
            return 1;
        }
        v->acts &= ~(1U << kind);
        v->cursor = 0;
        if (kind == CR_ACT_SAVE || kind == CR_ACT_FAIL) return 1;
    }
    return 0;
}

/* ---- who is here ---- */

static int count(const struct cr_views *v, enum cr_standing standing)
{
    int n = 0;
    for (int i = 0; i < v->ranks; i++) n += v->rank[i].standing == standing;
    return n;
}

static int count_done(const struct cr_views *v)
{
    int n = 0;
    for (int i = 0; i < v->ranks; i++) n += v->rank[i].standing == CR_MEMBER && v->rank[i].done;
    return n;
}

/* Once a member has the last collective nobody new is needed, and few are enough: the others only have to get it. */
static int finishing(const struct cr_views *v)
{
    return count_done(v) > 0;
}

static int too_few(const struct cr_views *v)
{
    return !finishing(v) && count(v, CR_MEMBER) + count(v, CR_WAITING) < v->least;
}

int cr_views_members(const struct cr_views *v, int *rank)
{
    int n = 0;
    for (int i = 0; i < v->ranks; i++)
        if (v->rank[i].standing == CR_MEMBER) rank[n++] = i;
    return n;
}

uint64_t cr_views_common(const struct cr_views *v)
{
    uint64_t least = v->collective;
    for (int i = 0; i < v->ranks; i++)
        if (v->rank[i].standing == CR_MEMBER && v->rank[i].committed < least) least = v->rank[i].committed;
    return least;
}

int cr_views_all_came(const struct cr_views *v, uint64_t collective)
{
    for (int i = 0; i < v->ranks; i++)
        if (v->rank[i].standing == CR_MEMBER && v->rank[i].came != collective) return 0;
    return v->stage == CR_VIEW_RUNNING;
}

static int member_at(const struct cr_views *v, uint64_t committed)
{
    for (int i = 0; i < v->ranks; i++)
        if (v->rank[i].standing == CR_MEMBER && v->rank[i].committed == committed) return i;
    return -1;
}

int cr_views_slowest(const struct cr_views *v)
{
    if (v->source >= 0) return v->source;
    const uint64_t least = cr_views_common(v);
    for (int i = 0; i < v->ranks; i++) {
        const struct cr_view_rank *const r = &v->rank[i];
        if (r->standing != CR_MEMBER) continue;
        if (v->stage == CR_VIEW_PREPARING ? !r->ready : !r->done && r->committed == least) return i;
    }
    return -1;
}

/* ---- the change of view, from its last stage to its first ---- */

static void fail(struct cr_views *v)
{
    v->acts |= 1U << CR_ACT_FAIL;
    v->stage = CR_VIEW_OVER;
}

/* All members are at v->collective, and the driver has the state if anybody needs it. */
static void start(struct cr_views *v)
{
    v->source = -1;
    if (too_few(v)) {
        v->acts |= 1U << CR_ACT_SAVE;
        fail(v);
        return;
    }
    const int closed = finishing(v);
    for (int i = 0; i < v->ranks; i++) {
        struct cr_view_rank *const r = &v->rank[i];
        if (r->standing == CR_WAITING && !closed) {
            r->standing = CR_MEMBER;
            r->committed = v->collective;
            tell(v, i, CR_ACT_ENTER);
        }
        if (r->standing == CR_MEMBER) tell(v, i, CR_ACT_START);
    }
    v->base = v->collective;
    v->stage = CR_VIEW_RUNNING;
}

/* All members are at v->collective: who wants the state? */
static void take_state(struct cr_views *v)
{
    const int newcomers = !finishing(v) && count(v, CR_WAITING) > 0;
    if (v->collective == 0 && too_few(v)) {
        fail(v);
    } else if (v->collective > 0 && (newcomers || too_few(v))) {
        v->stage = CR_VIEW_SNAPSHOT;
        v->source = member_at(v, v->collective);
        tell(v, v->source, CR_ACT_SNAPSHOT);
    } else {
        start(v);
    }
}

static void drop(struct cr_views *v, int rank);
static void change(struct cr_views *v);

/* Every member has stopped and said where it stands. */
static void level(struct cr_views *v)
{
    if (count(v, CR_MEMBER) == 0 && v->view > 1) { /* nobody has the state any more */
        fail(v);
        return;
    }
    v->collective = 0;
    for (int i = 0; i < v->ranks; i++)
        if (v->rank[i].standing == CR_MEMBER && v->rank[i].committed > v->collective)
            v->collective = v->rank[i].committed;
    const uint64_t common = cr_views_common(v);
    if (common == v->collective) {
        take_state(v);
    } else if (common + 1 == v->collective) {
        v->stage = CR_VIEW_FETCHING;
        v->source = member_at(v, v->collective);
        tell(v, v->source, CR_ACT_FETCH);
    } else { /* two apart: cannot be, and whoever is behind can be brought forward by joining anew only */
        for (int i = 0; i < v->ranks; i++)
            if (v->rank[i].standing == CR_MEMBER && v->rank[i].committed + 1 < v->collective) drop(v, i);
        change(v);
    }
}

static void level_when_ready(struct cr_views *v)
{
    for (int i = 0; i < v->ranks; i++)
        if (v->rank[i].standing == CR_MEMBER && !v->rank[i].ready) return;
    level(v);
}

static void change(struct cr_views *v)
{
    v->view++;
    v->stage = CR_VIEW_PREPARING;
    v->source = -1;
    v->disputed = 0;
    for (int i = 0; i < v->ranks; i++) {
        struct cr_view_rank *const r = &v->rank[i];
        r->ready = 0;
        r->complaints = 0;
        r->came = 0;
        if (r->standing == CR_MEMBER) tell(v, i, CR_ACT_PREPARE);
    }
    level_when_ready(v);
}

/* ---- what happened ---- */

/* If all members have the last collective, the run ends well, whatever stage it is in. */
static int finish(struct cr_views *v)
{
    if (!finishing(v) || count_done(v) < count(v, CR_MEMBER)) return 0;
    for (int i = 0; i < v->ranks; i++)
        if (v->rank[i].standing != CR_ABSENT) tell(v, i, CR_ACT_LEAVE);
    v->source = -1;
    v->disputed = 0;
    v->stage = CR_VIEW_OVER;
    return 1;
}

/* The rank's incarnation is gone; returns whether a member went. */
static int remove_rank(struct cr_views *v, int rank, enum cr_standing now)
{
    struct cr_view_rank *const r = &v->rank[rank];
    const int member = r->standing == CR_MEMBER;
    r->standing = now;
    r->committed = 0;
    r->done = r->ready = 0;
    r->acts = 0;
    if (member) v->reconnected = 0;
    return member;
}

static void drop(struct cr_views *v, int rank)
{
    remove_rank(v, rank, CR_ABSENT);
    tell(v, rank, CR_ACT_DROP);
}

static void go_on_without(struct cr_views *v, int rank)
{
    drop(v, rank);
    if (!finish(v)) change(v);
}

int cr_views_arrived(struct cr_views *v, int rank, uint32_t incarnation)
{
    if (v->stage == CR_VIEW_OVER || incarnation <= v->rank[rank].incarnation) return 0;
    v->rank[rank].incarnation = incarnation;
    if (remove_rank(v, rank, CR_WAITING)) {
        if (!finish(v)) change(v);
    } else if (v->stage == CR_VIEW_RUNNING && !finishing(v)) {
        change(v);
    }
    return 1;
}

void cr_views_begin(struct cr_views *v)
{
    if (v->stage == CR_VIEW_GATHERING) change(v);
}

void cr_views_lost(struct cr_views *v, int rank)
{
    if (remove_rank(v, rank, CR_ABSENT) && v->stage != CR_VIEW_OVER && !finish(v)) change(v);
}

/* The answer `collective` to what was asked of v->source: is it what was meant? */
static int answers(struct cr_views *v, enum cr_view_stage stage, uint32_t view, int rank, uint64_t collective)
{
    if (v->stage != stage || v->view != view || v->source != rank) return 0;
    if (collective == v->collective) return 1;
    go_on_without(v, rank); /* it said it had another: its word is worth nothing */
    return 0;
}

void cr_views_ready(struct cr_views *v, uint32_t view, int rank, uint64_t committed)
{
    struct cr_view_rank *const r = &v->rank[rank];
    if (v->stage != CR_VIEW_PREPARING || v->view != view || r->standing != CR_MEMBER || r->ready) return;
    r->ready = 1;
    r->committed = committed;
    level_when_ready(v);
}

void cr_views_fetched(struct cr_views *v, uint32_t view, int rank, uint64_t collective)
{
    if (!answers(v, CR_VIEW_FETCHING, view, rank, collective)) return;
    for (int i = 0; i < v->ranks; i++) {
        struct cr_view_rank *const r = &v->rank[i];
        if (r->standing != CR_MEMBER || r->committed == v->collective) continue;
        r->committed = v->collective;
        tell(v, i, CR_ACT_PATCH);
    }
    take_state(v);
}

void cr_views_snapshot(struct cr_views *v, uint32_t view, int rank, uint64_t collective)
{
    if (answers(v, CR_VIEW_SNAPSHOT, view, rank, collective)) start(v);
}

void cr_views_progress(struct cr_views *v, uint32_t view, int rank, uint64_t committed)
{
    struct cr_view_rank *const r = &v->rank[rank];
    if (v->stage != CR_VIEW_RUNNING || v->view != view || r->standing != CR_MEMBER) return;
    if (committed > r->committed) r->committed = committed;
    if (committed > v->collective) v->collective = committed;
    /* One member's progress proves nothing about the links of another. */
    if (v->reconnected && cr_views_common(v) > v->base) v->reconnected = 0;
}

void cr_views_came(struct cr_views *v, uint32_t view, int rank, uint64_t collective)
{
    if (v->stage != CR_VIEW_RUNNING || v->view != view || v->rank[rank].standing != CR_MEMBER) return;
    v->rank[rank].came = collective;
    cr_views_progress(v, view, rank, collective - 1);
}

void cr_views_done(struct cr_views *v, int rank)
{
    if (v->stage == CR_VIEW_OVER || v->rank[rank].standing != CR_MEMBER) return;
    v->rank[rank].done = 1;
    finish(v);
}

/* The same members, over new connections. */
static void reconnect(struct cr_views *v)
{
    v->reconnected = 1;
    change(v);
}

void cr_views_complaint(struct cr_views *v, uint32_t view, int from, int about)
{
    struct cr_view_rank *const r = v->rank;
    if (v->stage != CR_VIEW_RUNNING || v->view != view || from == about) return;
    if (r[from].standing != CR_MEMBER || r[about].standing != CR_MEMBER) return;
    r[from].complaints++;
    r[about].complaints++;
    v->disputed = 1;
    if (!v->reconnected) reconnect(v);
}

void cr_views_judge(struct cr_views *v)
{
    if (!v->disputed) return;
    if (!v->reconnected) { /* all have made progress meanwhile: this is another trouble than the last */
        reconnect(v);
        return;
    }
    int worst = -1;
    for (int i = 0; i < v->ranks; i++)
        if (v->rank[i].standing == CR_MEMBER && (worst < 0 || v->rank[i].complaints >= v->rank[worst].complaints))
            worst = i;
    go_on_without(v, worst);
}
