/* The courier: a process beside ssh that brings the program to the host, if it is not there, and then the summons.
 *
 * ssh runs one fixed line, which reads a fixed script from standard input. The script answers on standard output; when
 * the program is there it becomes `corering rank`, with standard output turned to standard error. So ssh's standard
 * error is all a rank says, its standard output is the courier's alone, and the pipe to its standard input is shared
 * by the courier, who writes first and goes, and the launcher, who holds it open for the life of the run. */
#ifndef CR_DIST_LAUNCH_SSH_H
#define CR_DIST_LAUNCH_SSH_H

#include "dist/launch.h"

enum { CR_SSH_WORDS = 64 };

struct cr_courier {
    char *argv[CR_SSH_WORDS + 1];  /* of ssh, NULL-terminated; into text */
    char *text;                    /* owned */
    const char *summons;           /* these are kept by reference */
    const struct cr_launch_options *options;
    const char *host;
};

/* Put together what is to be run. -CR_E_USAGE when --ssh has no or too many words, -CR_E_NOMEM. Free it whatever the
 * outcome. */
int cr_courier_prepare(struct cr_courier *c, const struct cr_host *host, const struct cr_launch_options *o,
                       const char *summons, struct cr_error *e);
void cr_courier_free(struct cr_courier *c);

/* In a forked process: talk to the script over `to` (ssh's standard input) and `from` (its standard output), and say
 * what goes wrong on `output`. Returns when the summons is delivered, something failed, or the launcher is gone. */
void cr_courier_work(const struct cr_courier *c, int to, int from, int output);

#endif
