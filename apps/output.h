/* What a training run says, as text for people and as JSON lines for programs. All can be on at once.
 *
 * The fields of the JSON events are a public contract (the man page lists them): every line is an object with
 * `event` and `v`, the version of the form. */
#ifndef CR_APPS_OUTPUT_H
#define CR_APPS_OUTPUT_H

#include <stdio.h>

#include "core/json.h"
#include "core/trainer.h"

enum { CR_EVENT_VERSION = 1 };

/* ---- text (output_text.c) ---- */

struct cr_text {
    FILE *out;
    int verbose;   /* also kernels, and checkpoints as they are written */
    double epochs; /* of the whole run, from the start event; 0 = it was not told (--quiet) */
};
/* The members of an events table that print to *t. */
struct cr_train_events cr_text_events(struct cr_text *t);
void cr_text_end(const struct cr_text *t, const struct cr_train_result *r);

/* ---- JSON lines (output_json.c) ---- */

struct cr_log {
    FILE *out;                  /* NULL = no log: nothing is written */
    int anew;                   /* when the run starts, what is in the file goes */
    struct cr_json_writer line; /* the event in the making */
};
void cr_log_free(struct cr_log *l);

struct cr_train_events cr_log_events(struct cr_log *l);
/* status: the exit status of the program. */
void cr_log_end(struct cr_log *l, const struct cr_train_result *r, int status);
void cr_log_error(struct cr_log *l, const struct cr_error *e);
void cr_log_warning(struct cr_log *l, const char *sentence);

/* Events of other commands: between begin and finish, the caller puts fields into l->line. */
void cr_log_begin(struct cr_log *l, const char *event);
void cr_log_finish(struct cr_log *l);

/* ---- to people, on stderr (output_people.c) ---- */

/* Warnings, hosts that come and go; and, if asked for, the line of progress. */
struct cr_train_events cr_people_events(int progress);

/* ---- several of them (output_tee.c) ---- */

enum { CR_TEE_WAYS = 4 };

/* Hands every event to several tables, in order. */
struct cr_tee {
    struct cr_train_events to[CR_TEE_WAYS];
    int count;
};
struct cr_train_events cr_tee_events(struct cr_tee *t);

#endif
