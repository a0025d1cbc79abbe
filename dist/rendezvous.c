#define _POSIX_C_SOURCE 200809L
#include "dist/rendezvous.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "dist/address.h"
#include "dist/comm.h"
#include "simd/sha256.h"

enum { FIRST_PORT = 20000, PORTS = 10000 }; /* below those that Linux gives to outgoing connections, 32768 to 60999 */

enum starter { TORCH, OPEN_MPI, PMI, SLURM, KUBERNETES, STARTERS };

static const struct {
    const char *name, *rank, *size, *local_rank, *local_size;
} starter[STARTERS] = {
    [TORCH] = { "torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE" },
    [OPEN_MPI] = { "Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                   "OMPI_COMM_WORLD_LOCAL_SIZE" },
    [PMI] = { "PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS" },
    /* A batch script has SLURM_PROCID as well; only steps, which srun starts, have SLURM_STEP_... */
    [SLURM] = { "Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", NULL },
    [KUBERNETES] = { "Kubernetes", "JOB_COMPLETION_INDEX", "WORLD_SIZE", NULL, NULL },
};

/* NULL for one that is empty, too. */
static const char *variable(const char *name)
{
    const char *const value = name ? getenv(name) : NULL;
    return value && *value ? value : NULL;
}

static int is_set(enum starter s)
{
    return variable(starter[s].rank) && variable(starter[s].size);
}

static int same_as(enum starter a, enum starter b)
{
    return is_set(a) && is_set(b) && strcmp(variable(starter[a].rank), variable(starter[b].rank)) == 0 &&
           strcmp(variable(starter[a].size), variable(starter[b].size)) == 0;
}

/* A decimal number from..to. */
static int read_number(const char *name, long from, long to, int *number, struct cr_error *e)
{
    const char *const value = variable(name);
    char *end;
    const long x = strtol(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || x < from || x > to)
        return cr_fail(e, CR_E_USAGE, "%s is '%.64s': expected a number from %ld to %ld", name, value, from, to);
    *number = (int)x;
    return 0;
}

static int read_ranks(enum starter s, struct cr_rendezvous *r, struct cr_error *e)
{
    CR_TRY(read_number(starter[s].size, 1, CR_MAX_RANKS, &r->size, e));
    CR_TRY(read_number(starter[s].rank, 0, INT_MAX, &r->rank, e));
    if (r->rank >= r->size)
        return cr_fail(e, CR_E_USAGE, "%s is %d, but %s is %d: ranks count from 0 to one below the size",
                       starter[s].rank, r->rank, starter[s].size, r->size);
    return 0;
}

/* ---- processes on this host */

/* Slurm's "2(x3),1": two on each of the first three nodes, one on the next. 0 = not to be understood. */
static int tasks_of_node(const char *list, long node)
{
    while (*list) {
        char *end;
        const long tasks = strtol(list, &end, 10);
        long nodes = 1;
        if (end == list || tasks < 1 || tasks > CR_MAX_RANKS) return 0;
        if (strncmp(end, "(x", 2) == 0) {
            nodes = strtol(end + 2, &end, 10);
            if (*end++ != ')') return 0;
        }
        if (node < nodes) return (int)tasks;
        node -= nodes;
        if (*end != ',') return 0;
        list = end + 1;
    }
    return 0;
}

static int read_locals(enum starter s, struct cr_rendezvous *r, struct cr_error *e)
{
    const char *const rank = starter[s].local_rank, *size = starter[s].local_size;
    int local_size = 0;
    if (s == KUBERNETES) r->local_size = 1; /* a pod is a host */
    if (s == SLURM) {
        const char *const tasks = variable("SLURM_STEP_TASKS_PER_NODE"), *const node = variable("SLURM_NODEID");
        if (tasks && node) local_size = tasks_of_node(tasks, strtol(node, NULL, 10));
        size = "SLURM_STEP_TASKS_PER_NODE";
    } else if (variable(size)) {
        CR_TRY(read_number(size, 1, r->size, &local_size, e));
    }
    if (!local_size || !variable(rank)) return 0;
    CR_TRY(read_number(rank, 0, INT_MAX, &r->local_rank, e));
    if (r->local_rank >= local_size)
        return cr_fail(e, CR_E_USAGE, "%s is %d, but only %d processes are on this host (%s)", rank, r->local_rank,
                       local_size, size);
    r->local_size = local_size;
    return 0;
}

/* ---- contradictions */

/* RANK and WORLD_SIZE set by hand, and processes that somebody else has numbered: fine when it is the same numbering,
 * or when each of those processes has several of ours. What torchrun itself sets is its own, latest word. */
static int check_by_hand(const struct cr_rendezvous *r, struct cr_error *e)
{
    if (variable("TORCHELASTIC_RUN_ID")) return 0;
    for (enum starter s = TORCH + 1; s < STARTERS; s++) {
        struct cr_rendezvous other;
        if (!is_set(s)) continue;
        CR_TRY(read_ranks(s, &other, e));
        if (other.size > r->size || (other.size == r->size && other.rank != r->rank))
            return cr_fail(e, CR_E_USAGE, "RANK is %d of WORLD_SIZE %d, but %s is %d of %s %d: unset RANK and "
                           "WORLD_SIZE to go by %s", r->rank, r->size, starter[s].rank, other.rank, starter[s].size,
                           other.size, starter[s].name);
        return 0;
    }
    return 0;
}

/* Half of torchrun's pair must at least agree with whoever is believed instead. */
static int check_halves(const struct cr_rendezvous *r, struct cr_error *e)
{
    int rank = r->rank, size = r->size;
    if (variable("RANK")) CR_TRY(read_number("RANK", 0, INT_MAX, &rank, e));
    if (variable("WORLD_SIZE")) CR_TRY(read_number("WORLD_SIZE", 1, INT_MAX, &size, e));
    if (rank != r->rank || size != r->size)
        return cr_fail(e, CR_E_USAGE, "%s is %d, but %s says %d: unset it, or set both RANK and WORLD_SIZE",
                       rank != r->rank ? "RANK" : "WORLD_SIZE", rank != r->rank ? rank : size, r->starter,
                       rank != r->rank ? r->rank : r->size);
    return 0;
}

static int nobody(struct cr_error *e)
{
    int size;
    if (variable("RANK"))
        return cr_fail(e, CR_E_USAGE, "RANK is set, but not WORLD_SIZE: set it to the number of processes, or unset "
                       "RANK");
    if (!variable("WORLD_SIZE")) return 0;
    CR_TRY(read_number("WORLD_SIZE", 1, CR_MAX_RANKS, &size, e));
    if (size == 1) return 0;
    return cr_fail(e, CR_E_USAGE, "WORLD_SIZE is %d, but nothing says which of them this process is: set RANK, from 0 "
                   "to %d, or unset WORLD_SIZE", size, size - 1);
}

/* ---- where rank 0 is */

/* The first host of Slurm's "node[03-07,9],other": "node03". 0 = not to be understood. */
static int first_host(const char *list, char *host, size_t room)
{
    size_t n = 0;
    for (; *list && *list != ','; list++) {
        if (*list == '[') {
            const size_t digits = strspn(list + 1, "0123456789"), inside = strcspn(list, "]");
            if (!digits || !list[inside] || n + digits >= room) return 0;
            memcpy(host + n, list + 1, digits);
            n += digits;
            list += inside;
        } else {
            if (n + 1 >= room) return 0;
            host[n++] = *list;
        }
    }
    host[n] = 0;
    return n > 0;
}

/* The hosts of "1234.0;tcp://10.0.0.1,10.1.0.1:4711;tcp6://[fd00::1]:4711", which is where mpirun listens, as a list
 * with commas. */
static int hosts_of_uri(const char *uri, char *hosts, size_t room)
{
    size_t n = 0;
    while ((uri = strstr(uri, "://"))) {
        uri += strlen("://");
        const size_t all = strcspn(uri, ";");
        size_t end = all; /* of the hosts: before the last colon, the port's */
        while (end > 0 && uri[end] != ':') end--;
        for (size_t i = 0; i < end; i++) {
            if (uri[i] == '[' || uri[i] == ']') continue;
            if (n + 3 >= room) return 0;
            if (i == 0 || (i == 1 && uri[0] == '['))
                if (n > 0) hosts[n++] = ',';
            hosts[n++] = uri[i];
        }
        uri += all;
    }
    hosts[n] = 0;
    return n > 0;
}

/* The host in "prterun-node1-4711@1" (Open MPI 5): where mpirun runs. */
static int host_of_namespace(const char *name, char *host, size_t room)
{
    const char *const from = strchr(name, '-'), *const to = strrchr(name, '-');
    if (strncmp(name, "prte", 4) != 0 || from == to || (size_t)(to - from) > room) return 0;
    snprintf(host, room, "%.*s", (int)(to - from - 1), from + 1);
    return 1;
}

/* Is one of these hosts this one? */
static int is_here(const char *hosts)
{
    struct cr_address own[CR_MAX_ADDRESSES];
    char copy[sizeof ((struct cr_rendezvous *)0)->master], name[256] = "", *save;
    const char *const node = variable("SLURMD_NODENAME");
    const int count = cr_address_own(own, 0);
    gethostname(name, sizeof name - 1);
    snprintf(copy, sizeof copy, "%s", hosts);
    for (const char *host = strtok_r(copy, ",", &save); host; host = strtok_r(NULL, ",", &save)) {
        struct cr_address a;
        const size_t n = strcspn(host, ".");
        if (cr_address_parse(&a, host, NULL) == 0) {
            for (int i = 0; i < count; i++)
                if (cr_address_equal(&own[i], &a, 0)) return 1;
        } else if (node && strcasecmp(host, node) == 0) {
            return 1;
        } else if (n == strcspn(name, ".") && strncasecmp(host, name, n) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Where mpirun itself or the first node of its allocation is, which most often has rank 0 too. */
static int guess_mpi_host(enum starter s, char *host, size_t room)
{
    const char *const nodes = variable("SLURM_JOB_NODELIST"), *const space = variable("PMIX_NAMESPACE");
    const char *const uri = variable("OMPI_MCA_orte_hnp_uri");
    if (nodes && first_host(nodes, host, room)) return 1;
    if (s != OPEN_MPI) return 0;
    return (uri && hosts_of_uri(uri, host, room)) || (space && host_of_namespace(space, host, room));
}

static int find_master(enum starter s, struct cr_rendezvous *r, struct cr_error *e)
{
    static const char host_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:%-,";
    static const char *const how[STARTERS] = {
        [TORCH] = "MASTER_ADDR=HOST beside RANK and WORLD_SIZE",
        [OPEN_MPI] = "mpirun -x MASTER_ADDR=HOST",
        [PMI] = "mpiexec -genv MASTER_ADDR HOST",
        [SLURM] = "MASTER_ADDR=HOST srun ...",
        [KUBERNETES] = "MASTER_ADDR: JOB-0.SERVICE in the manifest, where SERVICE is headless and the pods' subdomain",
    };
    const char *const said = variable("MASTER_ADDR"), *const nodes = variable("SLURM_STEP_NODELIST");
    char *const master = r->master;
    const size_t room = sizeof r->master;
    if (said) {
        if (strlen(said) >= room || *said == '-' || said[strspn(said, host_characters)])
            return cr_fail(e, CR_E_USAGE, "MASTER_ADDR is '%.64s': expected the name or address of rank 0's host",
                           said);
        snprintf(master, room, "%s", said);
        return 0;
    }
    if (r->local_size == r->size) {
        snprintf(master, room, "127.0.0.1");
        return 0;
    }
    const int found = s == SLURM ? nodes && first_host(nodes, master, room)
                                 : (s == OPEN_MPI || s == PMI) && guess_mpi_host(s, master, room);
    if (!found)
        return cr_fail(e, CR_E_USAGE, "%s does not say where rank 0 is: set MASTER_ADDR to the name or address of its "
                       "host (%s)", r->starter, how[s]);
    if (r->rank == 0 && !is_here(master))
        return cr_fail(e, CR_E_USAGE, "rank 0 is expected on %.200s, but is on another host, this one: set MASTER_ADDR "
                       "to its name or address (%s)", master, how[s]);
    return 0;
}

/* ---- which job, and its port */

static const char *or_nothing(const char *name)
{
    const char *const value = variable(name);
    return value ? value : "";
}

/* What all ranks of this job have in common and no other job has; "" = there is nothing. */
static void job_text(enum starter s, char *text, size_t room)
{
    const char *const run = variable("TORCHELASTIC_RUN_ID"), *const space = variable("PMIX_NAMESPACE");
    const char *const job = variable("SLURM_JOB_ID");
    text[0] = 0;
    if (s == TORCH && run)
        snprintf(text, room, "%s/%s/%s", run, or_nothing("MASTER_PORT"), or_nothing("TORCHELASTIC_RESTART_COUNT"));
    else if (s == OPEN_MPI && (space || variable("OMPI_MCA_ess_base_jobid")))
        snprintf(text, room, "%s", space ? space : variable("OMPI_MCA_ess_base_jobid"));
    else if ((s == PMI || s == SLURM) && job)
        snprintf(text, room, "%s/%s/%s", job, or_nothing("SLURM_STEP_ID"), or_nothing("SLURM_RESTART_COUNT"));
    else if (s == PMI && variable("PMI_JOBID"))
        snprintf(text, room, "%s", variable("PMI_JOBID"));
}

static void hash(const char *text, uint8_t digest[32])
{
    struct cr_sha256 h;
    cr_sha256_init(&h);
    cr_sha256_add(&h, text, strlen(text));
    cr_sha256_end(&h, digest);
}

static int choose_port(enum starter s, struct cr_rendezvous *r, struct cr_error *e)
{
    /* torchrun may use the port itself, for a store that its workers are to share (TORCHELASTIC_USE_AGENT_STORE). */
    const int taken = s == TORCH && strcasecmp(or_nothing("TORCHELASTIC_USE_AGENT_STORE"), "true") == 0;
    char job[512], text[640];
    uint8_t digest[32];
    int port = CR_RENDEZVOUS_PORT;
    job_text(s, job, sizeof job);
    if (variable("MASTER_PORT")) CR_TRY(read_number("MASTER_PORT", 1, UINT16_MAX, &port, e));
    if ((taken || !variable("MASTER_PORT")) && *job) {
        hash(job, digest);
        port = FIRST_PORT + (digest[0] << 16 | digest[1] << 8 | digest[2]) % PORTS;
    }
    r->port = (uint16_t)port;
    snprintf(text, sizeof text, "corering job/%s/%s/%d/%d", starter[s].name, job, r->size, port);
    hash(text, digest);
    memcpy(r->job, digest, sizeof r->job);
    return 0;
}

int cr_rendezvous_read(struct cr_rendezvous *r, struct cr_error *e)
{
    enum starter s = 0;
    memset(r, 0, sizeof *r);
    while (s < STARTERS && !is_set(s)) s++;
    if (s == STARTERS) return nobody(e);
    if (s == PMI && same_as(SLURM, PMI)) s = SLURM; /* srun --mpi=pmi2: Slurm has more to say */
    r->starter = s == TORCH && !variable("TORCHELASTIC_RUN_ID") ? "the environment" : starter[s].name;
    CR_TRY(read_ranks(s, r, e));
    CR_TRY(s == TORCH ? check_by_hand(r, e) : check_halves(r, e));
    if (r->size == 1) {
        memset(r, 0, sizeof *r);
        return 0;
    }
    CR_TRY(read_locals(s, r, e));
    CR_TRY(find_master(s, r, e));
    CR_TRY(choose_port(s, r, e));
    return 1;
}
