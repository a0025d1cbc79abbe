/* What the parts of a member share. On the computing thread: member.c (joining and leaving), member_comm.c (the comm),
 * member_wait.c (what it waits for), member_links.c (connections to other members), member_measure.c (speeds and
 * times); the control thread is in member_control.c. Internal to them. */
#ifndef CR_DIST_MEMBER_INSIDE_H
#define CR_DIST_MEMBER_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "dist/control.h"
#include "dist/deal.h"
#include "dist/door.h"
#include "dist/member.h"
#include "dist/ways.h"

enum {
    MEMBER_INCOMING = 64,                /* connections of others that wait to be used */
    MEMBER_PEERS = CR_DOUBLING_PEERS + 2 /* those that the all-reduce names, at most */
};

/* A connection that another member made to our door. */
struct incoming {
    int used;
    struct cr_connection connection;
};

/* The heartbeat between two members that exchange data: a link that is cut shows by it alone, for that data does not
 * come is no reason to suspect anybody. */
struct pulse_link {
    struct cr_frames *frames; /* NULL = none */
    int rank;
    uint32_t view;
    int64_t heard;            /* ns */
    int complained;
};

struct cr_member {
    struct cr_member_options options;
    struct cr_key key;
    struct cr_hello hello;        /* ours, as dialer and behind the door */
    struct cr_comm comm;
    pthread_t control;
    int control_runs;
    int wake[2];                  /* a pipe: something is there for the control thread */

    pthread_mutex_t lock;         /* over all below, but for what is marked as one thread's own */
    pthread_cond_t changed;

    /* the arbiter */
    struct cr_frames *arbiter;
    int64_t heard;                /* ns, when it last spoke */
    void *brief, *state;          /* owned */
    size_t brief_size, state_size;
    struct {
        char name[256];
        uint8_t *bytes;
        size_t size, got;
        int there;                /* all of it has come, and waits to be taken */
        uint64_t follow;          /* so many more come after it */
    } file;
    int entered, leave, gone;     /* ENTER has come; LEAVE or FAIL has come; the arbiter is lost */
    struct cr_error why;          /* of gone, or of FAIL */
    int failed;                   /* FAIL has come */
    atomic_uint asked;

    /* views */
    struct cr_roster roster;      /* of the view started last */
    double host_timeout;          /* seconds */
    uint32_t prepared, started;   /* numbers announced and begun by the arbiter */
    atomic_uint adopted;          /* the one the computing thread works in */
    atomic_uint announced;        /* = prepared, for those without the lock */
    uint32_t broken;              /* a view whose connections do not hold */
    uint64_t committed;
    uint64_t saved;               /* checkpoint the arbiter has on disk */
    uint32_t saved_view;
    int patched;                  /* the collective in work came as a PATCH */
    int snapshot;                 /* a SNAPSHOT is asked for */
    int settled;                  /* the state stands at `committed`: nobody is applying a message */
    int parked;                   /* the computing thread is in a wait of this module */
    int trading;                  /* it is combining the message in work: nobody else may write there */
    int owes_ready;               /* the view announced last has not been answered yet, for that reason */
    enum cr_phase phase;
    uint64_t step;

    /* connections to members */
    struct cr_door *door;         /* control thread's own */
    struct cr_address route;      /* if narrow, the one address at which it is */
    int narrow;
    struct incoming incoming[MEMBER_INCOMING];
    struct pulse_link pulse[MEMBER_PEERS];
    struct cr_transport *transport; /* computing thread's own, but for cancel; NULL = not connected in this view */

    /* messages: two take turns */
    struct cr_message message[2];
    void *buffer[2];
    size_t room[2];
    struct cr_message_shape user_shape; /* without the words of the deal */
    struct cr_deal deal;

    /* computing thread's own */
    const struct cr_workload *workload; /* the collective in work measures; else NULL */
    int64_t left;                 /* ns, when the last step's message was there; 0 = something else came since */
    struct cr_spent spent;
};

/* Queue a frame for the arbiter; the same for an answer, a heartbeat, and a complaint about the view started last. With
 * the lock. */
void cr_member_say(struct cr_member *m, enum cr_word word, uint32_t view, uint64_t collective, uint64_t number,
                   const void *payload, size_t size);
/* The same with a payload that is not copied; it is taken over. */
void cr_member_say_blob(struct cr_member *m, enum cr_word word, uint32_t view, uint64_t collective,
                        struct cr_blob *payload);
void cr_member_ready(struct cr_member *m); /* to the view announced last */
void cr_member_pulse(struct cr_member *m);
void cr_member_complain(struct cr_member *m, int about, int64_t silence, const char *why);
void cr_member_wake(struct cr_member *m);

/* member_wait.c, on the computing thread, with the lock. Wait for news, doing what only this thread can: the state
 * stands still while it is here. */
void cr_member_wait(struct cr_member *m);
struct timespec cr_member_in_ms(int ms);
/* What this rank is at. The arbiter hears of it at once, so that it can say where a lost rank was. */
void cr_member_turn_to(struct cr_member *m, enum cr_phase phase);
/* The arbiter is lost, and this thread is where it can give the state away. Returns why. */
int cr_member_end_as_orphan(struct cr_member *m, struct cr_error *e);
/* 0, or why there is nothing left to wait for. */
int cr_member_check(struct cr_member *m, struct cr_error *e);
/* Take over the view the arbiter has begun; is it that one, and whole? */
void cr_member_adopt(struct cr_member *m);
int cr_member_is_current(const struct cr_member *m);

/* member_comm.c: m->comm, of one rank at first. */
void cr_member_fill_comm(struct cr_member *m);
/* With the lock, before the first step: room for two messages of `size` bytes, of any number of ranks. Later there is
 * nowhere to say that there is no memory. */
int cr_member_reserve(struct cr_member *m, size_t size, struct cr_error *e);

/* member_control.c: the thread, until m->leave or m->gone and then until told. */
void *cr_member_control(void *member);

/* member_links.c, on the computing thread, without the lock: connect to the peers of the adopted view. 0, or negative
 * and *about = the rank that could not be reached. */
int cr_member_connect(struct cr_member *m, int *about, struct cr_error *e);
/* Drop all connections to members of views before the one started last. With the lock. */
void cr_member_disconnect(struct cr_member *m);
/* The heartbeats. Both with the lock; the connection is taken over, and closed when there is no room. */
void cr_member_add_pulse(struct cr_member *m, struct cr_connection *c, int rank, uint32_t view);
void cr_member_drop_pulses(struct cr_member *m);

/* member_measure.c, on the computing thread: the comm's measure. */
int cr_member_measure(struct cr_comm *c, const struct cr_workload *w, struct cr_error *e);
/* With the lock. Its collective is reduced: take over the model, tell it. */
void cr_member_take_measured(struct cr_member *m, const struct cr_message *message);
/* A collective is reduced that was come to at `came` (ns): where the time went since the last one. */
void cr_member_account(struct cr_member *m, const struct cr_message *message, int64_t came);
/* The run is done here. */
void cr_member_say_done(struct cr_member *m, uint32_t view);

#endif
