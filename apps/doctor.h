/* What `corering doctor` knows of each host and of each way between two: found out by doctor_talk.c, judged by
 * doctor_judge.c, printed by doctor_print.c. */
#ifndef CR_APPS_DOCTOR_H
#define CR_APPS_DOCTOR_H

#include <net/if.h>

#include "dist/launch.h"

enum { CR_DOCTOR_HOSTS = 256 };

/* A host, or this machine, which is the last one, "here", when no line of the hosts file is. */
struct cr_patient {
    struct cr_host host;
    struct cr_child child;
    int ready;                   /* has told all about itself */
    struct cr_error why;         /* code CR_OK while it could be started */
    char line[4096];             /* begun and not ended */
    size_t length;
    char said[2048];             /* its last lines that are not the probe's */
    int busy;                    /* answers of it that are awaited */
    int next;                    /* the next host to reach */

    char build[64], arch[32], cpu[128], isa[16], folder[256], self[CR_ADDRESS_TEXT], data_why[512];
    int cores;                   /* it may use */
    double load;                 /* of the last minute, in cores */
    double memory, disk;         /* bytes available; disk in `folder` */
    uint64_t data;               /* fingerprint; 0 = none, data_why tells */
    int64_t asked;               /* when for the time; CLOCK_MONOTONIC ns, and CLOCK_REALTIME */
    int64_t asked_real;
    double skew, skew_error;     /* its clock minus ours, and how far that may be wrong; seconds */
    struct cr_candidates where;
    struct cr_interface {
        char name[IF_NAMESIZE];
        int mtu;
        struct cr_address address;
    } interface[CR_MAX_ADDRESSES];
    int interfaces;
    int name_is_loopback;        /* its name means this machine here */
    int stalls;                  /* large packets to its sshd are lost */
};

/* From one host to another, by a fresh connection. */
struct cr_way {
    enum { CR_WAY_UNKNOWN, CR_WAY_GOOD, CR_WAY_SMALL_ONLY, CR_WAY_NONE } state;
    char own[CR_ADDRESS_TEXT], peer[CR_ADDRESS_TEXT];
    double seconds;              /* of a round trip */
    double rate;                 /* bytes per second; 0 = not measured */
    char *why;                   /* of CR_WAY_NONE; owned */
};

struct cr_fault {
    int note;                    /* 1 = worth knowing, and no hindrance */
    const char *kind;            /* a word for programs */
    char host[256];
    char text[1024];             /* the sentence, with host and remedy */
};

struct cr_doctor {
    struct cr_patient *patient;  /* (count) */
    struct cr_way *way;          /* (count, count): from row to column */
    int count;
    const char *word;            /* folder of the data of --data here, or NULL */
    char cached[64];             /* name of the folder in the cache where hosts keep it that were sent it */
    uint64_t data;               /* fingerprint of the data here; 0 = not asked for */
    struct cr_fault *fault;      /* (faults) */
    int faults, room;
};

struct cr_way *cr_doctor_way(const struct cr_doctor *d, int from, int to);

/* Start them all, ask everything, end them. What is wrong with a host is no failure. Several lines that name the same
 * host are one. -CR_E_NOMEM, -CR_E_IO, -CR_E_USAGE, -CR_E_INTERRUPTED. */
int cr_doctor_examine(struct cr_doctor *d, const struct cr_hosts *hosts, const struct cr_launch_options *o,
                      struct cr_error *e);
/* Fill d->fault. -CR_E_NOMEM. */
int cr_doctor_judge(struct cr_doctor *d, struct cr_error *e);
void cr_doctor_print(const struct cr_doctor *d);
int cr_doctor_print_json(const struct cr_doctor *d, struct cr_error *e);
void cr_doctor_free(struct cr_doctor *d);

#endif
