/* The arbiter: the process that numbers views, deals with lost and joining ranks, and hands checkpoints and events to
 * the keeper. It never computes. dist/view.h decides; this is the poll loop around it. */
#ifndef CR_DIST_ARBITER_H
#define CR_DIST_ARBITER_H

#include "dist/control.h"
#include "dist/door.h"
#include "dist/hosts.h"
#include "dist/keeper.h"
#include "dist/launch.h"
#include "dist/measure.h"

/* What became of a rank; for host_lost and host_joined. */
struct cr_rank_news {
    int rank;
    const char *host;        /* its name in the hosts file, or what it says of itself */
    uint64_t step;           /* the last one it was known to have done */
    enum cr_phase phase;     /* what it was at */
    const char *reason;      /* of a loss */
    double seconds;          /* since the run began */
    double noticed;          /* of a loss: seconds since it was last heard of */
    const char *isa;         /* of a join */
    long threads;
};

struct cr_arbiter_events {
    void *user;              /* any member may be NULL; all on the thread of cr_arbiter_run */
    void (*joined)(void *user, const struct cr_rank_news *n);
    void (*lost)(void *user, const struct cr_rank_news *n);
    void (*says)(void *user, int rank, const char *host, const char *line); /* a line of a rank's output */
    /* Before the first step; hinders: the host that slows the run down, or NULL. */
    void (*measured)(void *user, const struct cr_measured *x, const char *hinders);
    /* At the end, for each rank: where its time went. */
    void (*spent)(void *user, int rank, const char *host, const struct cr_spent *s);
    void (*began)(void *user, int ranks); /* the first view is there */
    void (*warning)(void *user, const char *sentence);
};

struct cr_arbiter_options {
    int ranks, least;              /* --min-hosts */
    double host_timeout;           /* seconds of silence [2] */
    double start_seconds;          /* how long to wait for all at the start [30] */
    struct cr_agreement common;    /* job is drawn by cr_arbiter_open */
    struct cr_key key;
    const struct cr_address *only; /* the one address to listen at; NULL = all */
    uint16_t port;                 /* 0 = any free one */
    struct cr_link_model model;    /* until the ranks have measured */
    const void *brief;             /* what every rank's program is told first */
    size_t brief_size;
    const void *state;             /* what the run begins with */
    size_t state_size;
    struct cr_keeper keeper;
    struct cr_arbiter_events events;
    /* The files of the data set, for ranks that lack it: of file number i < files up to `most` bytes from `at` on,
     * which stay the callee's until the next call; *name and *size are of the whole file. NULL: no memory. */
    const void *(*file)(void *user, int i, size_t at, size_t most, const char **name, size_t *size);
    void *file_user;
    int files;
    /* Starting ranks: NULL = they come by themselves. */
    const struct cr_hosts *hosts;
    struct cr_launch_options launch;
    const char *data;              /* folder of the data set, for hosts that name none */
};

struct cr_arbiter;

/* Open the door. NULL and *e on failure. The options are copied; what they point to stays the caller's. */
struct cr_arbiter *cr_arbiter_open(const struct cr_arbiter_options *o, struct cr_error *e);
uint16_t cr_arbiter_port(const struct cr_arbiter *a);
const uint8_t *cr_arbiter_job(const struct cr_arbiter *a); /* (16) */
/* Run until all ranks have left. 0; -CR_E_PEER when too few hosts are left; what a rank could not go on for
 * (-CR_E_DIVERGED, -CR_E_INPUT, ...); -CR_E_IO when a checkpoint could not be kept. */
int cr_arbiter_run(struct cr_arbiter *a, struct cr_error *e);
/* End what is still running, and free. */
void cr_arbiter_close(struct cr_arbiter *a);

#endif
