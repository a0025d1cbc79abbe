/* The hosts file, in the form of Open MPI and Horovod, and -H.
 *
 *     # name       how many threads   where the data is
 *     node1        slots=8
 *     node2        slots=8 port=2222 user=ann data=/scratch/mnist
 *     10.0.0.7                          # all cores
 *     localhost    slots=2              # started without ssh
 *
 * One line, one process. A host may stand on several lines (one per socket, or for tests). */
#ifndef CR_DIST_HOSTS_H
#define CR_DIST_HOSTS_H

#include <stddef.h>

#include "dist/comm.h"
#include "simd/error.h"

struct cr_host {
    char name[256];    /* as written; letters, digits, . _ - and not beginning with -, or an address, [..] taken off */
    char user[64];     /* "" = ssh's own choice */
    char data[512];    /* folder of the data set there; "" = the same as here */
    int slots;         /* threads; 0 = all cores */
    int port;          /* of sshd; 0 = ssh's own choice */
    int local;         /* localhost, 127.0.0.1, ::1 or this machine's own name, without user or port: no ssh */
    long line;         /* in the file; 0 = from -H */
};

struct cr_hosts {
    struct cr_host *host; /* (count), rank by rank; owned */
    int count;
};

/* Read a hosts file; -CR_E_USAGE or -CR_E_INPUT with file, line and column for unknown words, bad names and numbers,
 * an empty file, more than CR_MAX_RANKS lines. The caller frees whatever the outcome. */
int cr_hosts_read(struct cr_hosts *h, const char *path, struct cr_error *e);
/* The same of a text in memory; `path` is what messages call it. */
int cr_hosts_read_text(struct cr_hosts *h, const char *path, const char *text, size_t size, struct cr_error *e);
/* Parse -H a:2,b:2,c ("host:slots"; [::1]:2 for IPv6). -CR_E_USAGE. */
int cr_hosts_parse(struct cr_hosts *h, const char *list, struct cr_error *e);
void cr_hosts_free(struct cr_hosts *h);

#endif
