/* The processes the launcher has started: one per line of the hosts file, what they say, and starting lost ones again
 * after a while that grows. For the poll loop of the arbiter; one thread. */
#ifndef CR_DIST_CREW_H
#define CR_DIST_CREW_H

#include <poll.h>

#include "dist/launch.h"

struct cr_crew;

struct cr_crew_options {
    const struct cr_hosts *hosts;   /* the caller's */
    struct cr_launch_options launch;
    struct cr_summons summons;      /* for all; rank, incarnation, slots and data are filled in for each */
    /* A line that a rank's process said on stdout or stderr. May be NULL. */
    void (*says)(void *user, int rank, const char *line);
    /* A process has ended, or could not be started; why is one sentence with the remedy. */
    void (*ended)(void *user, int rank, const struct cr_error *why);
    void *user;
};

/* NULL when out of memory. Nothing is started yet. */
struct cr_crew *cr_crew_new(const struct cr_crew_options *o);
/* End every process: close its input, wait two seconds in all, kill. */
void cr_crew_free(struct cr_crew *c);

/* Start rank with its next incarnation, at once or after its back-off: 1, 2, 4 ... 60 s, and 1 again when it had run
 * for a minute. A host that is lost again and again must not hold up the others for most of the time. */
void cr_crew_start(struct cr_crew *c, int rank);
void cr_crew_restart(struct cr_crew *c, int rank);
uint32_t cr_crew_incarnation(const struct cr_crew *c, int rank);
/* Kill the process of a rank that is out. */
void cr_crew_kill(struct cr_crew *c, int rank);
/* Is its process running? */
int cr_crew_runs(const struct cr_crew *c, int rank);
/* The last lines a rank said, '\n' between them. */
const char *cr_crew_last_lines(const struct cr_crew *c, int rank);

/* As dist/door.h: what to poll for (room for one per rank), and what to do then and by the clock. */
int cr_crew_poll(const struct cr_crew *c, struct pollfd *p, int64_t *deadline);
void cr_crew_serve(struct cr_crew *c, const struct pollfd *p, int n);

#endif
