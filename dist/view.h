/* Who is in, and from which collective on: the arbiter's decisions, as a machine without sockets, clocks or memory of
 * its own beyond the struct. What happens goes in by calls, what is to be done comes out as acts. That makes it small
 * enough to be explored exhaustively (tests/check_explore.c) and to be modelled (tests/model/).
 *
 * A view is a number, its members with their incarnations, and the collective it begins after. To change the view:
 *   1. PREPARE n to every member of the last view that is still there. It stops the collective in work for good and
 *      answers READY with the last collective it committed. Members are never more than one apart.
 *   2. If they differ, FETCH the reduced message of the later collective from one who has it and PATCH those behind.
 *   3. If somebody joins, take a SNAPSHOT from a member (now at that collective) and let the joiners ENTER with it.
 *   4. START n with all of them, at the collective after.
 * Whatever goes wrong on the way begins again at 1 with n + 1. No view proceeds without all its members and a member
 * is in one view at a time, so no two halves can both advance. A collective that is redone gives the same bits, so
 * nothing a lost member committed can be contradicted. (Membership after the manner of virtual synchrony: Birman,
 * Joseph, "Exploiting virtual synchrony in distributed systems", SOSP 1987.)
 *
 * What the machine relies on, and its driver and the ranks see to:
 *   - What is sent to a rank, and what it sends, arrives in order. Inputs come from a rank's present incarnation only.
 *   - A rank commits a collective only while no view later than its own was announced to it, and a collective after c
 *     only when every member of its view has committed c. Sums have that of themselves, being made of everybody's
 *     contribution; a checkpoint needs cr_views_all_came.
 *   - A rank that has the last collective says done, and stays to answer until it is told to LEAVE.
 *
 * Ranks here are lines of the hosts file, 0..ranks-1, for the whole run; a member's place in a view is its index among
 * the members, in order of rank. Every call is O(ranks) at most and cannot fail. One thread at a time. */
#ifndef CR_DIST_VIEW_H
#define CR_DIST_VIEW_H

#include <stdint.h>

#include "dist/comm.h"

enum cr_standing {
    CR_ABSENT,   /* never came, or gone */
    CR_WAITING,  /* has arrived; to be taken into the next view */
    CR_MEMBER,   /* of the last view that was begun */
};

/* In the order in which those of one input come out. */
enum cr_act_kind {
    CR_ACT_DROP,     /* rank is out: close its connection, kill its process */
    CR_ACT_PREPARE,  /* tell rank: view `view` is coming; stop and answer READY */
    CR_ACT_FETCH,    /* ask rank for the reduced message of `collective` */
    CR_ACT_PATCH,    /* give rank the message fetched last, of `collective` */
    CR_ACT_SNAPSHOT, /* ask rank for the run's state after `collective` */
    CR_ACT_ENTER,    /* give rank the state after `collective`: the snapshot taken last, the first state when 0. Once in
                        an incarnation, and START follows at once */
    CR_ACT_START,    /* tell rank: `view` begins, with members() as they are now, at `collective` + 1 */
    CR_ACT_LEAVE,    /* tell rank: everyone has the last collective; end */
    CR_ACT_SAVE,     /* too few are left: keep the snapshot taken last as a checkpoint. FAIL follows */
    CR_ACT_FAIL,     /* too few hosts are left, or none that has the state; the run is over: end everybody */
};
struct cr_act {
    enum cr_act_kind kind;
    int rank;            /* -1 where none is meant */
    uint32_t view;
    uint64_t collective;
};

struct cr_views {
    int ranks, least;                /* in the hosts file; --min-hosts */
    uint32_t view;                   /* the latest number announced; 0 = none yet */
    enum cr_view_stage {
        CR_VIEW_GATHERING,           /* cr_views_begin has not been called */
        CR_VIEW_PREPARING,           /* waits for READY of every member */
        CR_VIEW_FETCHING,            /* waits for a message */
        CR_VIEW_SNAPSHOT,            /* waits for the state */
        CR_VIEW_RUNNING,
        CR_VIEW_OVER,                /* LEAVE or FAIL was the last word */
    } stage;
    uint64_t collective;             /* the last one committed by a member, as far as told */
    uint64_t base;                   /* the one after which the view that runs began */
    int source;                      /* rank asked for a message or a snapshot; -1 */
    int reconnected;                 /* complaints led to a view of the same members, without progress of all since */
    int disputed;                    /* complaints of the view that runs wait for cr_views_judge */
    unsigned acts;                   /* 1 << kind: what is to be done at all */
    int cursor;                      /* ranks below it have been looked at for the first kind of acts */
    struct cr_view_rank {
        enum cr_standing standing;
        uint32_t incarnation;        /* 0 = none yet */
        uint64_t committed;          /* last collective committed, as far as told */
        int ready;                   /* has answered PREPARE of the latest number */
        uint64_t came;               /* the checkpoint it has come to in the view that runs; 0 = none */
        int done;                    /* has committed the last collective of the run */
        unsigned complaints;         /* by it or about it, in the view that runs */
        unsigned acts;               /* 1 << enum cr_act_kind: what is to be done about it */
    } rank[CR_MAX_RANKS];
};

void cr_views_init(struct cr_views *v, int ranks, int least);

/* What is to be done next: 1 and *act, or 0. Take all before the next input, also before telling that a rank was lost
 * while doing it; only losses may be told several at once. */
int cr_views_next(struct cr_views *v, struct cr_act *act);

/* ---- what happened ---- */

/* A rank's process has come, authenticated and able to work. An incarnation of it that is still here is lost by that
 * (there is no DROP for it: the driver knows both connections). 1 = taken; 0 = refuse it: its incarnation is not
 * greater than one before (they begin with 1), or the run is over. */
int cr_views_arrived(struct cr_views *v, int rank, uint32_t incarnation);
/* Those who are here may begin: all have come, or the time for it is over. The run fails if they are too few. */
void cr_views_begin(struct cr_views *v);
/* The rank is gone: its connection closed, it was silent too long, or it broke the protocol. */
void cr_views_lost(struct cr_views *v, int rank);
/* Member `from` of view `view` cannot reach member `about`; said once for each of them in a view. The first time the
 * same members try again over new connections; after that it waits for cr_views_judge. */
void cr_views_complaint(struct cr_views *v, uint32_t view, int from, int about);
/* While v->disputed, call this a moment after the first complaint, so that the others' have come: the member with most
 * complaints goes, on a tie the higher rank (or all reconnect, if all have made progress since the last time). A
 * complaint counts against both, since who of them is cut off is only seen
 * by what third ones say: of a host without network each neighbour complains once, and it of each of them. */
void cr_views_judge(struct cr_views *v);
/* Answer to PREPARE. */
void cr_views_ready(struct cr_views *v, uint32_t view, int rank, uint64_t committed);
/* Answer to FETCH: the driver holds the message now. Answer to SNAPSHOT: likewise the state. */
void cr_views_fetched(struct cr_views *v, uint32_t view, int rank, uint64_t collective);
void cr_views_snapshot(struct cr_views *v, uint32_t view, int rank, uint64_t collective);
/* A member's heartbeat: it has committed `committed` in view `view`. */
void cr_views_progress(struct cr_views *v, uint32_t view, int rank, uint64_t committed);
/* A member has come to the checkpoint that is `collective`, and waits for its confirmation. */
void cr_views_came(struct cr_views *v, uint32_t view, int rank, uint64_t collective);
/* A member has committed the last collective of the run. When all have, they may leave. */
void cr_views_done(struct cr_views *v, int rank);

/* ---- asked by the driver ---- */

/* Members of the view being started or running, in order of rank, into rank[] (CR_MAX_RANKS); returns how many. */
int cr_views_members(const struct cr_views *v, int *rank);
/* The last collective that all members have committed, as far as told. */
uint64_t cr_views_common(const struct cr_views *v);
/* May the checkpoint that is `collective` be confirmed to the members, once it is safe? Only when all of them have come
 * to it in the view that runs: earlier, one could get two ahead of another, or ahead of one who is not there to be
 * patched. */
int cr_views_all_came(const struct cr_views *v, uint64_t collective);
/* Whom everybody waits for: who has not answered, or is not done, or has the least progress, the lowest of them; -1
 * when there is none. */
int cr_views_slowest(const struct cr_views *v);

#endif
