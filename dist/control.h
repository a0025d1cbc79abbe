/* The control channel: what a rank and the arbiter say to each other in frames (dist/frame.h). Internal to dist/.
 *
 * `view` and `collective` of a frame are what the word is about; `number` and payload as told here. */
#ifndef CR_DIST_CONTROL_H
#define CR_DIST_CONTROL_H

#include "dist/address.h"
#include "dist/allreduce.h"
#include "dist/comm.h"
#include "dist/frame.h"

enum cr_word {
    /* arbiter to rank */
    CR_WORD_BRIEF = 1, /* first of all. payload: the run's brief, for the program */
    CR_WORD_FILE,      /* answer to NEED. number: how many files follow; payload: name, size, place, bytes of it */
    CR_WORD_ENTER,     /* payload: the state after `collective` */
    CR_WORD_PREPARE,   /* dist/view.h tells these apart */
    CR_WORD_FETCH,
    CR_WORD_PATCH,     /* payload: the reduced message; empty for a checkpoint */
    CR_WORD_SNAPSHOT,
    CR_WORD_START,     /* payload: struct cr_roster */
    CR_WORD_SAVED,     /* checkpoint `collective` is on disk */
    CR_WORD_ASK,       /* number: CR_ASK_... bits */
    CR_WORD_LEAVE,     /* the run is done */
    CR_WORD_FAIL,      /* the run has failed. number: enum cr_err; payload: why */
    CR_WORD_PING,      /* the arbiter lives */
    /* rank to arbiter */
    CR_WORD_NEED,      /* the data set is not here: send its files */
    CR_WORD_ABLE,      /* ready to enter. payload: struct cr_card */
    CR_WORD_READY,     /* collective: the last one committed */
    CR_WORD_MESSAGE,   /* payload: the reduced message */
    CR_WORD_STATE,     /* payload: the state after `collective` */
    CR_WORD_SAVE,      /* has come to a checkpoint. payload: the state, from the first member; else empty */
    CR_WORD_PULSE,     /* collective: committed; number: step << 8 | enum cr_phase */
    CR_WORD_TELL,      /* number: key; payload: the event */
    CR_WORD_COMPLAINT, /* number: ms since it was heard of << 32 | rank that cannot be reached; payload: why */
    CR_WORD_DONE,      /* has committed the last collective. payload: struct cr_spent */
    CR_WORD_ERROR,     /* cannot go on. number: enum cr_err; payload: why */
    CR_WORD_MEASURED,  /* before the first step. payload: struct cr_measured */
    CR_WORDS
};

/* ms between pulses of a rank to the arbiter and between neighbours, and between pings of the arbiter. */
enum { CR_PULSE_MS = 100, CR_PING_MS = 500 };
/* Seconds for which ranks bear a silent arbiter. */
enum { CR_SILENCE_OF_ARBITER = 10 };
/* How --host-timeout is spent, in parts of a hundred. Silent to the arbiter for most of it, a rank is lost. Two members
 * that do not hear each other get a second chance within the same time: silence, new connections, and a moment for the
 * complaints of others to come. */
enum { CR_SILENCE_OF_RANK = 90, CR_SILENCE_OF_LINK = 35, CR_TIME_TO_CONNECT = 45, CR_TIME_TO_JUDGE = 10 };
/* That part of it, in ns. */
int64_t cr_part_of(double host_timeout, int percent);
/* A frame's greatest payload: a state or a file of the data set. */
#define CR_FRAME_MOST (UINT64_C(1) << 36)

/* What a rank says of itself. */
struct cr_card {
    struct cr_candidates candidates;
    char host[256], isa[16];
    int64_t threads;
};
void cr_card_put(struct cr_writer *w, const struct cr_card *c);
/* 0 or -CR_E_PEER. */
int cr_card_get(struct cr_card *c, const struct cr_frame *f, struct cr_error *e);

/* Where a rank's time went, over all steps it did. Waiting is for the slowest rank to finish its blocks. */
struct cr_spent {
    uint64_t steps;
    int64_t compute, wait, network; /* ns */
};
void cr_spent_put(struct cr_writer *w, const struct cr_spent *s);
/* 0 or -CR_E_PEER. */
int cr_spent_get(struct cr_spent *s, const struct cr_frame *f, struct cr_error *e);

/* What a view's members have to know of it. */
struct cr_member_entry {
    int rank;
    uint32_t incarnation;
    int64_t weight;          /* for the first deal */
    int count;
    struct cr_address address[CR_MAX_ADDRESSES];
};
struct cr_roster {
    int size;
    struct cr_link_model model;
    struct cr_member_entry *entry; /* (size) in order of rank; owned */
};
void cr_roster_put(struct cr_writer *w, const struct cr_roster *r);
/* The caller frees with cr_roster_free whatever the outcome. 0, -CR_E_PEER, -CR_E_NOMEM. */
int cr_roster_get(struct cr_roster *r, const struct cr_frame *f, struct cr_error *e);
void cr_roster_free(struct cr_roster *r);

#endif
