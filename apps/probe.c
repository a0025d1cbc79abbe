#define _GNU_SOURCE /* sched_getaffinity */

#include "apps/probe.h"

#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "apps/find.h"
#include "dist/door.h"
#include "dist/probe.h"
#include "simd/kernels.h"
#include "version.h"

enum { LINE = 4096 };
static const int64_t dial_patience = 3 * 1000000000LL;

/* ---- what this host is ---- */

/* The value behind "KEY : " or "KEY: " of the first such line of a file of /proc. */
static int proc_value(const char *file, const char *key, char *value, size_t room)
{
    char line[512];
    int found = 0;
    FILE *const f = fopen(file, "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        const size_t n = strlen(key);
        if (strncmp(line, key, n) != 0) continue;
        const char *at = line + n + strspn(line + n, " \t:");
        snprintf(value, room, "%.*s", (int)strcspn(at, "\n"), at);
        found = 1;
    }
    if (f) fclose(f);
    return found;
}

static void tell_machine(void)
{
    char cpu[256] = "unknown", memory[64] = "0", folder[512] = ".";
    struct utsname name;
    struct statvfs disk;
    cpu_set_t cores;
    double load = 0;
    proc_value("/proc/cpuinfo", "model name", cpu, sizeof cpu);
    proc_value("/proc/meminfo", "MemAvailable", memory, sizeof memory);
    if (sched_getaffinity(0, sizeof cores, &cores) < 0) CPU_ZERO(&cores);
    if (getloadavg(&load, 1) < 1) load = 0;
    printf("probe build %s\n", CR_VERSION);
    if (uname(&name) == 0) printf("probe arch %s\n", name.machine);
    printf("probe cpu %s\nprobe isa %s\nprobe cores %d\n", cpu, cr_kernels()->isa, CPU_COUNT(&cores));
    printf("probe load %.2f\n", load);
    printf("probe memory %llu\n", 1024 * strtoull(memory, NULL, 10));
    if (!getcwd(folder, sizeof folder)) strcpy(folder, ".");
    if (statvfs(".", &disk) == 0)
        printf("probe disk %llu %s\n", (unsigned long long)disk.f_bavail * disk.f_frsize, folder);
}

/* What this host's own name means here: 127.0.1.1 on many a Debian, which other programs stumble over. */
static void tell_self(void)
{
    char name[256], text[CR_ADDRESS_TEXT];
    struct addrinfo *found = NULL;
    struct cr_address a;
    if (gethostname(name, sizeof name) < 0) return;
    name[sizeof name - 1] = 0;
    if (getaddrinfo(name, NULL, &(struct addrinfo){ .ai_socktype = SOCK_STREAM }, &found) != 0) return;
    if (cr_address_from(&a, found->ai_addr) == 0) {
        cr_address_text(&a, text);
        printf("probe self %s\n", text);
    }
    freeaddrinfo(found);
}

/* Name and MTU of the interface that has an address. */
static void interface_of(const struct cr_address *a, char name[IF_NAMESIZE], int *mtu)
{
    struct ifaddrs *all = NULL;
    struct ifreq r = { 0 };
    strcpy(name, "?");
    *mtu = 0;
    if (getifaddrs(&all) < 0) return;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct cr_address other;
        if (!i->ifa_addr || cr_address_from(&other, i->ifa_addr) < 0 || !cr_address_equal(a, &other, 0)) continue;
        snprintf(name, IF_NAMESIZE, "%s", i->ifa_name);
    }
    freeifaddrs(all);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    if (ioctl(fd, SIOCGIFMTU, &r) == 0) *mtu = r.ifr_mtu;
    close(fd);
}

static void tell_addresses(uint16_t port)
{
    struct cr_candidates own;
    cr_candidates_own(&own, port);
    printf("probe machine %s\n", own.machine);
    for (int i = 0; i < own.count; i++) {
        char name[IF_NAMESIZE], text[CR_ADDRESS_TEXT];
        int mtu;
        interface_of(&own.list[i], name, &mtu);
        cr_address_text(&own.list[i], text);
        printf("probe address %s %d %s\n", name, mtu, text);
    }
}

/* The data set a run would find here: in the folder it is told, or sent by an earlier run. */
static void tell_data(const char *folder, const char *cached)
{
    struct cr_data d;
    struct cr_error e, other;
    char cache[512];
    cr_cache_folder(cached, cache);
    if (cr_data_open(&d, folder, &e) < 0 && cr_data_open(&d, cache, &other) < 0) {
        printf("probe data none %s\n", e.text);
        return;
    }
    printf("probe data %016" PRIx64 "\n", cr_data_fingerprint(&d));
    cr_data_close(&d);
}

/* ---- answering others ---- */

/* What the threads share; it lives as long as the process. */
struct shared {
    struct cr_key key;
    struct cr_hello hello;
    struct cr_door *door;
    const char *data;
};

static void *answer(void *connection)
{
    struct cr_connection *const c = connection;
    struct cr_probe p;
    if (cr_probe_open(&p, c, NULL) == 0) {
        cr_probe_answer(&p);
        cr_probe_close(&p);
    }
    free(c);
    return NULL;
}

/* A thread for each that comes in: all of a run's hosts may measure at once, and none waits for another. */
static void welcome(void *user, struct cr_connection *c)
{
    pthread_t thread;
    struct cr_connection *const copy = malloc(sizeof *copy);
    (void)user;
    if (copy) *copy = *c;
    if (copy && pthread_create(&thread, NULL, answer, copy) == 0) {
        pthread_detach(thread);
        return;
    }
    free(copy);
    cr_connection_close(c);
}

static void *keep_door(void *user)
{
    struct shared *const s = user;
    struct pollfd p[CR_DOOR_PENDING + 1];
    while (s->door) { /* to the end of the process */
        int64_t deadline = cr_clock() + 1000000000;
        const int n = cr_door_poll(s->door, p, &deadline);
        const int64_t left = deadline - cr_clock();
        poll(p, (nfds_t)n, left > 0 ? (int)(left / 1000000) + 1 : 0);
        cr_door_serve(s->door, p, n, welcome, NULL, NULL);
    }
    return NULL;
}

/* ---- commands ---- */

static int connect_to(struct shared *s, int rank, char *list, struct cr_probe *p, struct cr_connection *ends,
                      struct cr_error *e)
{
    struct cr_address address[CR_MAX_ADDRESSES];
    struct cr_hello hello = s->hello;
    struct cr_connection c;
    int count = 0;
    for (char *rest, *word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        if (count < CR_MAX_ADDRESSES && cr_address_parse(&address[count], word, e) == 0) count++;
    hello.to = rank;
    CR_TRY(cr_dial(&c, address, count, &s->key, &hello, cr_clock() + dial_patience, NULL, NULL, e));
    *ends = c;
    return cr_probe_open(p, &c, e);
}

static void reach(struct shared *s, int rank, char *list)
{
    struct cr_probe p;
    struct cr_connection ends;
    struct cr_error e;
    char own[CR_ADDRESS_TEXT], peer[CR_ADDRESS_TEXT];
    double seconds;
    int rc = connect_to(s, rank, list, &p, &ends, &e);
    if (rc == 0) {
        cr_address_text(&ends.own, own);
        cr_address_text(&ends.peer, peer);
        rc = cr_probe_latency(&p, &seconds, &e);
        const int small = rc == 0;
        if (small) rc = cr_probe_large(&p, &e);
        if (rc == 0) printf("probe reach %d ok %s %s %.9f\n", rank, own, peer, seconds);
        else if (small && rc == -CR_E_TIMEOUT) printf("probe reach %d large %s %s\n", rank, own, peer);
        cr_probe_close(&p);
        if (rc == 0 || (small && rc == -CR_E_TIMEOUT)) return;
    }
    printf("probe reach %d no %s\n", rank, e.text);
}

static void measure(struct shared *s, int rank, char *list)
{
    struct cr_probe p;
    struct cr_connection ends;
    struct cr_error e;
    double sent = 0, received = 0;
    int rc = connect_to(s, rank, list, &p, &ends, &e);
    if (rc == 0) {
        rc = cr_probe_send_rate(&p, &sent, &e);
        if (rc == 0) rc = cr_probe_receive_rate(&p, &received, &e);
        cr_probe_close(&p);
    }
    if (rc == 0) printf("probe measure %d %.0f %.0f\n", rank, sent, received);
    else printf("probe measure %d no %s\n", rank, e.text);
}

static void obey(struct shared *s, char *line)
{
    static char list[LINE];
    struct timespec t;
    int rank;
    line[strcspn(line, "\n")] = 0;
    if (strcmp(line, "time") == 0) {
        clock_gettime(CLOCK_REALTIME, &t);
        printf("probe time %lld\n", (long long)t.tv_sec * 1000000000 + t.tv_nsec);
    } else if (sscanf(line, "data %255s", list) == 1) {
        tell_data(s->data, list);
    } else if (sscanf(line, "reach %d %4000s", &rank, list) == 2) {
        reach(s, rank, list);
    } else if (sscanf(line, "measure %d %4000s", &rank, list) == 2) {
        measure(s, rank, list);
    }
    fflush(stdout);
}

int cr_probe_rank(const struct cr_summons *s, struct cr_error *e)
{
    static struct shared shared;
    static char line[LINE];
    pthread_t thread;
    shared = (struct shared){ .key = s->key, .hello = { .channel = CR_CHANNEL_PROBE, .rank = s->rank,
                                                        .incarnation = s->incarnation },
                              .data = s->data };
    memcpy(shared.hello.common.job, s->job, sizeof s->job);
    shared.door = cr_door_open(NULL, 0, e);
    if (!shared.door) return -(int)e->code;
    cr_door_expect(shared.door, &shared.key, &shared.hello);
    if (pthread_create(&thread, NULL, keep_door, &shared) != 0) return cr_fail(e, CR_E_NOMEM, "cannot start a thread");

    tell_machine();
    tell_self();
    tell_addresses(cr_door_port(shared.door));
    puts("probe ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) obey(&shared, line);
    return 0;
}
