/* Starting the rank processes: on this machine by fork, on others by the system's ssh, with the job key and all other
 * words on standard input, never on a command line.
 *
 * The program started on another host is the static twin in ~/.cache/corering/SHA256/ there (or --remote-dir), copied
 * when it is missing: to a temporary name, its hash verified there, then renamed. Standard input stays open for the
 * life of the run: its end tells the rank that the launcher is gone. */
#ifndef CR_DIST_LAUNCH_H
#define CR_DIST_LAUNCH_H

#include <sys/types.h>

#include "dist/address.h"
#include "dist/hosts.h"
#include "dist/key.h"

struct cr_launch_options {
    const char *ssh;           /* --ssh "ssh -p 2222 -i key"; NULL = ssh */
    const char *program;       /* this program, for local ranks; searched in PATH when it has no slash */
    const char *twin;          /* the static program of this architecture; NULL = none is at hand */
    const char *const *binary; /* --binary ARCH=FILE, NULL-terminated; or NULL */
    const char *remote_dir;    /* --remote-dir; NULL = ~/.cache/corering */
    double start_seconds;      /* how long ssh may take to connect [10] */
};

/* What the first line on a rank's standard input tells it. */
struct cr_summons {
    int rank;
    uint32_t incarnation;
    int slots;                 /* threads; 0 = all cores */
    uint8_t job[16];
    struct cr_key key;
    int secure;
    int probe;                 /* not to compute but to be examined: `corering doctor` (apps/probe.h) */
    int count;                 /* addresses of the arbiter, best first */
    struct cr_address arbiter[CR_MAX_ADDRESSES];
    char data[512];            /* folder of the data set on that host */
};
/* As one line of text (dist/summons.c), and back; for launch.c and the rank's command. */
enum { CR_SUMMONS_TEXT = 4096 };
int cr_summons_write(const struct cr_summons *s, char text[CR_SUMMONS_TEXT], struct cr_error *e);
int cr_summons_read(struct cr_summons *s, const char *text, struct cr_error *e);

/* One started process. Lines it writes on stdout and stderr come out of `output` (non-blocking). It has a process
 * group of its own, so Ctrl-C reaches the launcher alone, and ends with the thread that started it (SIGTERM). */
struct cr_child {
    pid_t pid;                 /* of ssh or of the rank itself; 0 = not running */
    int input;                 /* its standard input; closing it ends the rank within 2 s; -1 = closed */
    int output;                /* its standard output and error; -1 = closed */
    int status;                /* as waitpid tells, once pid is 0 */
};

/* Start rank s->rank on a host. Returns at once; copying the program goes on in a process beside ssh (its messages
 * appear on output). 0, -CR_E_IO, -CR_E_USAGE, -CR_E_NOMEM. */
int cr_launch(struct cr_child *c, const struct cr_host *host, const struct cr_launch_options *o,
              const struct cr_summons *s, struct cr_error *e);
/* Has it ended? 1 and c->status, or 0. Never blocks. */
int cr_launch_ended(struct cr_child *c);
/* What went wrong, in one sentence with the remedy, from the exit status and the last line it said: ssh refused, key
 * refused, name not resolving, host key unknown, noexec home, wrong architecture, no disk, ... Fills *e (-CR_E_PEER).
 * last_line may hold several of the last lines, '\n' between them; then a changed host key is told from an unknown one.
 * May be empty. */
int cr_launch_reason(const struct cr_child *c, const struct cr_host *host, const char *last_line, struct cr_error *e);
/* Close its input, wait up to `seconds`, then SIGKILL. What it still says is dropped; output is closed too. To end many
 * at once, close (and set to -1) the inputs of all first. */
void cr_launch_stop(struct cr_child *c, double seconds);

#endif
