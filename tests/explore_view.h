/* Every way a small run can go: the real dist/view.c as the arbiter's head, three ranks reduced to what matters for the
 * membership, channels between them that keep order, and faults at any point; all interleavings, depth first.
 *
 * A rank is its view, the view last announced to it, and its last committed collective; its state is that number. A
 * collective completes at a rank when all members of its view have contributed to it, or, if it is a checkpoint, when
 * the arbiter says so. A rank contributes as soon as it can: that later ones are slow is what not completing means.
 *
 * Checked in every state reached:
 *   no lost step   each rank commits 1, 2, 3, ..., or enters with a state and goes on from there; a patch is the one
 *                  it lacks, a message or state is what it is labelled as, and a view begins after what each member has
 *   no two halves  once view m has begun, nobody commits anything in an older one, but for ranks that are not in m, and
 *                  they at most the one collective that m begins with (with the same bits): they cannot go on
 *   the end        LEAVE is said when all members have committed the last collective, FAIL only below the least number
 *                  of hosts, or with nobody left who has the state
 *   progress       while the run is not over, something other than a fault can happen, and no state ever comes again:
 *                  so every run ends */
#ifndef CR_TESTS_EXPLORE_VIEW_H
#define CR_TESTS_EXPLORE_VIEW_H

enum { EXPLORE_RANKS = 3 };

/* What may go wrong. */
enum {
    FAULT_CRASH = 1,   /* a rank's process dies; what it sent before may still arrive */
    FAULT_ISOLATE = 2, /* the arbiter gives a rank up that lives: it goes on until it notices */
    FAULT_CUT = 4,     /* two ranks cannot reach each other any more; both say so in each view */
    FAULT_SEEN = 8,    /* not a fault: ranks complain of the dead, too */
};

/* Ways to break the rules on purpose, to see that it is noticed. */
enum explore_breach {
    BREACH_NONE,
    BREACH_SAVED_EARLY, /* a checkpoint is confirmed when its bytes have come, whoever else has come to it */
    BREACH_NO_STOP,     /* a rank completes its collective although the next view was announced */
    BREACH_LEAVE_EARLY, /* the first that is done lets all leave */
    BREACH_NO_PATCH,    /* those behind are not brought forward */
    BREACH_OLD_STATE,   /* joiners are given the state one collective too old */
    BREACH_NO_JUDGE,    /* complaints lead to nothing */
    BREACH_DEAF,        /* a loss is not told to the machine */
};

struct explore_config {
    int late;              /* ranks that come only after the run has begun: the highest ones */
    int least;             /* --min-hosts */
    int last, checkpoint;  /* collectives of the run; the one that is a checkpoint, 0 = none */
    int faults, kinds;     /* how many at most, of FAULT_... */
    int restarts;          /* how many dead ranks come back at most */
    enum explore_breach breach;
};

struct explore_result {
    long states;
    int left, failed;      /* ends reached */
    const char *broken;    /* what does not hold; NULL = all holds */
    char how[2048];        /* the events that lead there */
};

void explore_view(const struct explore_config *c, struct explore_result *r);

#endif
