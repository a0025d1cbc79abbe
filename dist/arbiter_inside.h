/* What the three parts of the arbiter share: arbiter.c (the loop and the clock), arbiter_hear.c (what ranks say) and
 * arbiter_act.c (what is done about it). Internal to them; all on the thread of cr_arbiter_run. */
#ifndef CR_DIST_ARBITER_INSIDE_H
#define CR_DIST_ARBITER_INSIDE_H

#include <pthread.h>

#include "dist/arbiter.h"
#include "dist/control.h"
#include "dist/crew.h"
#include "dist/view.h"

#define CR_SECOND INT64_C(1000000000) /* in ns */

/* A rank as the arbiter knows it. */
struct arbiter_rank {
    struct cr_frames *frames;    /* NULL = not connected */
    uint32_t incarnation;
    int able;                    /* has said that it can work */
    int joined;                  /* and the user was told */
    struct cr_card card;
    int64_t heard;               /* ns */
    int file;                    /* of the data set, the one it is being sent; files = none */
    size_t file_at;              /* so much of it has been queued */
    uint64_t step;
    enum cr_phase phase;
    struct cr_spent spent;       /* as it said when it was done */
    int64_t doubted;             /* ns: another member has not heard from it since; 0 = none complains */
    char doubt[640];             /* what that one says */
    char unfit[128];             /* why it was lost before it could work, as far as it was told */
};

/* A checkpoint on its way to the disk, on a thread of its own: a slow disk must not look like a dead arbiter. */
struct arbiter_writer {
    pthread_t thread;
    int runs;
    struct cr_blob *state;
    uint64_t collective;         /* the checkpoint in work, or the last one kept */
    int rc;
    struct cr_error error;
    int done[2];                 /* a pipe: the thread has ended */
};

struct cr_arbiter {
    struct cr_arbiter_options options;
    struct cr_hello hello;
    struct cr_door *door;
    struct cr_crew *crew;        /* NULL = ranks come by themselves */
    struct cr_views views;
    struct arbiter_rank *rank;           /* (ranks) */
    struct cr_blob *start;               /* what the run begins with */
    struct cr_blob *message, *state;     /* fetched last; NULL = none */
    struct arbiter_writer writer;
    uint64_t kept;               /* the last collective that is a checkpoint on disk */
    uint64_t wanted;             /* the checkpoint the members have come to; 0 = none */
    uint64_t last_key;           /* of the last event shown */
    int64_t began, looked, judge_at, ping_at; /* looked: at the clock */
    int64_t cut_off;             /* when this host seemed to be so last; 0 = never */
    int doubts;                  /* some rank is doubted */
    int begun;                   /* cr_views_begin was called */
    int over, rc;                /* the run is over, and how */
    int last_save;               /* too few are left: the run fails once its state is kept */
    int told_refusal;            /* of somebody who knocked in vain */
    struct cr_error error;
    int measured;                /* the ranks have said what they measured */
};

const char *cr_arbiter_name(const struct cr_arbiter *a, int rank);
double cr_arbiter_since_start(const struct cr_arbiter *a);

/* arbiter_act.c */
void cr_arbiter_say(struct cr_arbiter *a, int rank, enum cr_word word, uint32_t view, uint64_t collective,
                    uint64_t number, const void *payload, size_t size);
void cr_arbiter_say_to_all(struct cr_arbiter *a, enum cr_word word, uint64_t collective, uint64_t number,
                           const void *payload, size_t size);
/* The run ends here; every rank is told why (a->error). The first reason stands. */
void cr_arbiter_end(struct cr_arbiter *a, int rc);
/* Close its connection, no more. */
void cr_arbiter_forget(struct cr_arbiter *a, int rank);
/* The rank is gone: out with it, and on to another view. */
void cr_arbiter_lose(struct cr_arbiter *a, int rank, const char *reason);
/* Do what dist/view.h has decided. */
void cr_arbiter_do_acts(struct cr_arbiter *a);
/* The same with a payload that is not copied. */
void cr_arbiter_say_blob(struct cr_arbiter *a, int rank, enum cr_word word, uint32_t view, uint64_t collective,
                         struct cr_blob *payload);
/* Put a state on disk; it is taken over. */
void cr_arbiter_keep(struct cr_arbiter *a, uint64_t collective, struct cr_blob *state);
/* Send a rank more of the files it needs, as long as not much is waiting to be sent. */
void cr_arbiter_feed(struct cr_arbiter *a, int rank);
/* The thread that does has ended. */
void cr_arbiter_kept(struct cr_arbiter *a);
/* Tell the members of a checkpoint that it is on disk, once all have come to it. */
void cr_arbiter_confirm(struct cr_arbiter *a);

/* arbiter_hear.c */
/* All that has come from a rank, before anything is judged by its silence. */
void cr_arbiter_hear(struct cr_arbiter *a, int rank);
/* For the door (dist/door.h). */
void cr_arbiter_welcome(void *arbiter, struct cr_connection *c);
void cr_arbiter_turned_away(void *arbiter, const struct cr_address *from, const struct cr_error *why);

#endif
