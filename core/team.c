#define _GNU_SOURCE /* sched_getaffinity, CPU_SET */
#include "core/team.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int positive(const char *text)
{
    const long n = text ? strtol(text, NULL, 10) : 0;
    return n > 0 && n < 65536 ? (int)n : 0;
}

/* First processor that shares cpu's core: its own number where the system does not say. */
static int core_of(int cpu)
{
    char path[96];
    int first = cpu;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "r");
    if (!f) return cpu;
    if (fscanf(f, "%d", &first) != 1) first = cpu;
    fclose(f);
    return first;
}

void cr_cpus_allowed(struct cr_cpus *c)
{
    cpu_set_t set;
    int rest[CR_MAX_CPUS], second = 0;
    char seen[CR_MAX_CPUS] = { 0 };

    c->count = 0;
    if (sched_getaffinity(0, sizeof set, &set) < 0) CPU_ZERO(&set);
    for (int cpu = 0; cpu < CR_MAX_CPUS && cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &set)) continue;
        const int core = core_of(cpu);
        if (core >= 0 && core < CR_MAX_CPUS && !seen[core]) {
            seen[core] = 1;
            c->list[c->count++] = cpu;
        } else {
            rest[second++] = cpu;
        }
    }
    c->cores = c->count;
    for (int i = 0; i < second; i++) c->list[c->count++] = rest[i];
}

/* Two numbers of a file ("max" counts as -1); how many were read. */
static int read_two(const char *path, long *a, long *b)
{
    char word[2][32];
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    const int n = fscanf(f, "%31s %31s", word[0], word[1]);
    fclose(f);
    if (n >= 1) *a = strcmp(word[0], "max") == 0 ? -1 : strtol(word[0], NULL, 10);
    if (n >= 2) *b = strtol(word[1], NULL, 10);
    return n > 0 ? n : 0;
}

/* Processors' worth of time that control groups grant; 0 = no limit. Looks at the group of this process and at the
 * mount's root, which inside a container is the container's own group. */
static int cgroup_limit(void)
{
    char line[512], path[640], group[2][400] = { "", "" }; /* v2, v1's cpu controller */
    FILE *f = fopen("/proc/self/cgroup", "r");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *name = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!name) continue;
        *name++ = 0;
        if (controllers[1] == 0) snprintf(group[0], sizeof group[0], "%.399s", name);
        else if (strstr(controllers, "cpu") && !strstr(controllers, "cpuset"))
            snprintf(group[1], sizeof group[1], "%.399s", name);
    }
    if (f) fclose(f);

    double least = 0;
    for (int own = 0; own < 2; own++) {
        long quota = -1, period = 0, unused;
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", own ? group[0] : "");
        if (read_two(path, &quota, &period) < 2) {
            snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", own ? group[1] : "");
            if (!read_two(path, &quota, &unused)) continue;
            snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", own ? group[1] : "");
            if (!read_two(path, &period, &unused)) continue;
        }
        if (quota > 0 && period > 0) {
            const double cpus = (double)quota / (double)period;
            if (least == 0 || cpus < least) least = cpus;
        }
    }
    return least == 0 ? 0 : least < 1 ? 1 : (int)(least + 0.5);
}

static int most_threads(int n) { return n < CR_MAX_THREADS ? n : CR_MAX_THREADS; }

int cr_threads_default(void)
{
    struct cr_cpus cpus;
    const int asked = positive(getenv("OMP_NUM_THREADS"));
    if (asked) return most_threads(asked);
    cr_cpus_allowed(&cpus);
    int n = cpus.cores;
    const int limit = cgroup_limit();
    if (limit && limit < n) n = limit;
    int share = positive(getenv("LOCAL_WORLD_SIZE"));
    if (!share) share = positive(getenv("SLURM_NTASKS_PER_NODE"));
    if (share) n /= share;
    return n > 0 ? most_threads(n) : 1;
}

struct cr_pin cr_pin(const struct cr_cpus *c, int t, int threads)
{
    struct cr_pin p = { 0 };
    cpu_set_t set;
    _Static_assert(sizeof p.mask >= sizeof set, "a mask holds a cpu_set_t");
    const int whole = threads == c->cores || threads == c->count;
    if (threads < 2 || !whole || sched_getaffinity(0, sizeof set, &set) < 0) return p;
    memcpy(p.mask, &set, sizeof set);
    CPU_ZERO(&set);
    CPU_SET((size_t)c->list[t], &set);
    p.pinned = sched_setaffinity(0, sizeof set, &set) == 0;
    return p;
}

void cr_unpin(const struct cr_pin *p)
{
    cpu_set_t set;
    if (!p->pinned) return;
    memcpy(&set, p->mask, sizeof set);
    sched_setaffinity(0, sizeof set, &set);
}
