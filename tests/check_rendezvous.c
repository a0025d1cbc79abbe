/* What starters say in the environment, one case a line: as torchrun, Open MPI, MPICH, Slurm and Kubernetes set it. */
#define _GNU_SOURCE /* clearenv */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/address.h"
#include "dist/rendezvous.h"
#include "tests/suites.h"

/* Set the environment to "NAME=VALUE NAME=VALUE", and no other; HERE stands for this host's name. */
static void environment(const char *words)
{
    char copy[2048], name[256] = "", *save;
    ck_assert_uint_lt(strlen(words), sizeof copy);
    strcpy(copy, words);
    clearenv();
    gethostname(name, sizeof name - 1);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *const value = strchr(word, '=');
        ck_assert_ptr_nonnull(value);
        *value = 0;
        char *const here = strstr(value + 1, "HERE");
        if (here) {
            char whole[512];
            snprintf(whole, sizeof whole, "%.*s%s%s", (int)(here - value - 1), value + 1, name, here + strlen("HERE"));
            setenv(word, whole, 1);
        } else {
            setenv(word, value + 1, 1);
        }
    }
}

#define TORCHRUN                                                                                                       \
    "LOCAL_WORLD_SIZE=2 TORCHELASTIC_RUN_ID=none TORCHELASTIC_RESTART_COUNT=0 MASTER_ADDR=node1 MASTER_PORT=4711 "
#define MPIRUN "PMIX_NAMESPACE=1425408001 OMPI_MCA_ess_base_jobid=1425408001 OMPI_COMM_WORLD_SIZE=4 "
#define SRUN                                                                                                           \
    "SLURM_JOB_ID=77 SLURM_STEP_ID=0 SLURM_NTASKS=3 SLURM_STEP_NUM_TASKS=3 SLURM_STEP_NODELIST=node[09-10] "           \
    "SLURM_STEP_TASKS_PER_NODE=2,1 "

static const struct {
    const char *words, *starter; /* NULL: no starter */
    int rank, size, local_rank, local_size;
    const char *master;
    int port;                    /* 0: one made from the job's number */
} good[] = {
    { "", NULL, 0, 0, 0, 0, NULL, 0 },
    { "RANK= WORLD_SIZE=", NULL, 0, 0, 0, 0, NULL, 0 },
    { "RANK=0 WORLD_SIZE=1", NULL, 0, 0, 0, 0, NULL, 0 },
    { "WORLD_SIZE=1", NULL, 0, 0, 0, 0, NULL, 0 },
    { "MASTER_ADDR=node1 MASTER_PORT=4711 LOCAL_RANK=0", NULL, 0, 0, 0, 0, NULL, 0 },
    { "PMI_RANK=0 PMI_SIZE=1 PMI_FD=9", NULL, 0, 0, 0, 0, NULL, 0 },

    { TORCHRUN "RANK=3 WORLD_SIZE=4 LOCAL_RANK=1", "torchrun", 3, 4, 1, 2, "node1", 4711 },
    { TORCHRUN "RANK=0 WORLD_SIZE=4 LOCAL_RANK=0", "torchrun", 0, 4, 0, 2, "node1", 4711 },
    /* torchrun's agent has the port itself */
    { TORCHRUN "RANK=3 WORLD_SIZE=4 LOCAL_RANK=1 TORCHELASTIC_USE_AGENT_STORE=True", "torchrun", 3, 4, 1, 2, "node1",
      0 },
    { TORCHRUN "RANK=3 WORLD_SIZE=4 LOCAL_RANK=1 TORCHELASTIC_USE_AGENT_STORE=False", "torchrun", 3, 4, 1, 2, "node1",
      4711 },
    /* torchrun under srun numbers the nodes as they come */
    { TORCHRUN "RANK=1 WORLD_SIZE=2 LOCAL_RANK=0 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=2", "torchrun", 1, 2, 0, 2,
      "node1", 4711 },
    /* by hand */
    { "RANK=1 WORLD_SIZE=2 MASTER_ADDR=10.0.0.1 MASTER_PORT=4711", "the environment", 1, 2, 0, 0, "10.0.0.1", 4711 },
    { "RANK=1 WORLD_SIZE=2 MASTER_ADDR=fd00::1", "the environment", 1, 2, 0, 0, "fd00::1", CR_RENDEZVOUS_PORT },
    { "RANK=1 WORLD_SIZE=2 LOCAL_RANK=1 LOCAL_WORLD_SIZE=2",
      "the environment", 1, 2, 1, 2, "127.0.0.1", CR_RENDEZVOUS_PORT },
    /* by hand, from what srun said, or several for each of its tasks */
    { SRUN "SLURM_PROCID=2 RANK=2 WORLD_SIZE=3 MASTER_ADDR=node9 MASTER_PORT=1",
      "the environment", 2, 3, 0, 0, "node9", 1 },
    { SRUN "SLURM_PROCID=2 RANK=0 WORLD_SIZE=6 MASTER_ADDR=node9 MASTER_PORT=1",
      "the environment", 0, 6, 0, 0, "node9", 1 },

    { MPIRUN "OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_LOCAL_RANK=2 OMPI_COMM_WORLD_LOCAL_SIZE=4", "Open MPI", 2, 4, 2, 4,
      "127.0.0.1", 0 },
    { MPIRUN "OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=2 MASTER_ADDR=node1 "
      "MASTER_PORT=4711", "Open MPI", 2, 4, 0, 2, "node1", 4711 },
    { MPIRUN "OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=2 "
      "OMPI_MCA_orte_hnp_uri=1425408000.0;tcp://10.0.0.1,10.1.0.1:58937;tcp6://[fd00::2]:55301", "Open MPI", 2, 4, 0, 2,
      "10.0.0.1,10.1.0.1,fd00::2", 0 },
    { MPIRUN "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=2 "
      "OMPI_MCA_orte_hnp_uri=1425408000.0;tcp://192.0.2.77,127.0.0.1:58937", "Open MPI", 0, 4, 0, 2,
      "192.0.2.77,127.0.0.1", 0 },
    { "PMIX_NAMESPACE=prterun-node-7-4711@1 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_LOCAL_RANK=0 "
      "OMPI_COMM_WORLD_LOCAL_SIZE=2", "Open MPI", 2, 4, 0, 2, "node-7", 0 },
    /* mpirun in a batch script: whose first node, not whose numbers; and mpirun's daemons are steps, too */
    { MPIRUN "OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=2 SLURM_JOB_ID=77 "
      "SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1 SLURM_JOB_NODELIST=n[1-2] OMPI_MCA_orte_hnp_uri=1.0;tcp://10.0.0.1:5",
      "Open MPI", 2, 4, 0, 2, "n1", 0 },

    { "PMI_RANK=1 PMI_SIZE=2 MPI_LOCALRANKID=1 MPI_LOCALNRANKS=2", "PMI", 1, 2, 1, 2, "127.0.0.1", CR_RENDEZVOUS_PORT },
    { "PMI_RANK=1 PMI_SIZE=2 MPI_LOCALRANKID=0 MPI_LOCALNRANKS=1 MASTER_ADDR=a.b", "PMI", 1, 2, 0, 1, "a.b",
      CR_RENDEZVOUS_PORT },
    /* mpiexec in a job of Slurm: its daemons are a step of their own */
    { "PMI_RANK=1 PMI_SIZE=4 SLURM_JOB_ID=2 SLURM_STEP_ID=0 SLURM_JOB_NODELIST=n7,n8 SLURM_PROCID=0 "
      "SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST=n7,n8", "PMI", 1, 4, 0, 0, "n7", 0 },
    /* srun --mpi=pmi2 */
    { SRUN "PMI_RANK=2 PMI_SIZE=3 PMI_JOBID=77.0 SLURM_PROCID=2 SLURM_LOCALID=0 SLURM_NODEID=1", "Slurm", 2, 3, 0, 1,
      "node09", 0 },

    { SRUN "SLURM_PROCID=1 SLURM_LOCALID=1 SLURM_NODEID=0", "Slurm", 1, 3, 1, 2, "node09", 0 },
    { SRUN "SLURM_PROCID=2 SLURM_LOCALID=0 SLURM_NODEID=1", "Slurm", 2, 3, 0, 1, "node09", 0 },
    { SRUN "SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURMD_NODENAME=node09", "Slurm", 0, 3, 0, 2, "node09", 0 },
    { SRUN "SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_STEP_NODELIST=HERE,other", "Slurm", 0, 3, 0, 2, NULL,
      0 },
    { SRUN "SLURM_PROCID=1 MASTER_PORT=4711", "Slurm", 1, 3, 0, 0, "node09", 4711 },
    { SRUN "SLURM_PROCID=2 WORLD_SIZE=3 RANK=", "Slurm", 2, 3, 0, 0, "node09", 0 },
    { "SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=1 SLURM_STEP_TASKS_PER_NODE=2 SLURM_NODEID=0 SLURM_LOCALID=1", "Slurm", 1, 2,
      1, 2, "127.0.0.1", CR_RENDEZVOUS_PORT },
    /* a batch script is no step: it trains alone */
    { "SLURM_JOB_ID=77 SLURM_NTASKS=3 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_JOB_NODELIST=n[1-3]", NULL, 0, 0, 0, 0, NULL,
      0 },

    { "JOB_COMPLETION_INDEX=1 WORLD_SIZE=2 MASTER_ADDR=job-0.svc", "Kubernetes", 1, 2, 0, 1, "job-0.svc",
      CR_RENDEZVOUS_PORT },
    /* an indexed job whose pods have nothing to do with each other */
    { "JOB_COMPLETION_INDEX=1", NULL, 0, 0, 0, 0, NULL, 0 },
};

START_TEST(says_who_and_where)
{
    struct cr_rendezvous r;
    struct cr_error e;
    environment(good[_i].words);
    const int rc = cr_rendezvous_read(&r, &e);
    ck_assert_msg(rc == (good[_i].starter != NULL), "%s: %s", good[_i].words, rc < 0 ? e.text : "");
    if (!good[_i].starter) {
        ck_assert_int_eq(r.size, 0);
        return;
    }
    ck_assert_str_eq(r.starter, good[_i].starter);
    ck_assert_int_eq(r.rank, good[_i].rank);
    ck_assert_int_eq(r.size, good[_i].size);
    ck_assert_int_eq(r.local_rank, good[_i].local_rank);
    ck_assert_int_eq(r.local_size, good[_i].local_size);
    if (good[_i].master) ck_assert_str_eq(r.master, good[_i].master);
    if (good[_i].port) {
        ck_assert_uint_eq(r.port, (unsigned)good[_i].port);
    } else {
        ck_assert_uint_ge(r.port, 20000);
        ck_assert_uint_lt(r.port, 30000);
    }
}
END_TEST

static const struct {
    const char *words, *says;
} bad[] = {
    { "RANK=2 WORLD_SIZE=2 MASTER_ADDR=a", "RANK is 2, but WORLD_SIZE is 2" },
    { "RANK=x WORLD_SIZE=2", "RANK is 'x': expected a number from 0" },
    { "RANK=-1 WORLD_SIZE=2", "RANK is '-1'" },
    { "RANK=0 WORLD_SIZE=0", "WORLD_SIZE is '0': expected a number from 1 to 1024" },
    { "RANK=0 WORLD_SIZE=1025", "WORLD_SIZE is '1025'" },
    { "RANK=0 WORLD_SIZE=99999999999999999999", "WORLD_SIZE is '9999" },
    { "RANK=0", "RANK is set, but not WORLD_SIZE" },
    { "WORLD_SIZE=2", "nothing says which of them this process is: set RANK, from 0 to 1" },
    { "RANK=0 WORLD_SIZE=2", "the environment does not say where rank 0 is: set MASTER_ADDR" },
    { "RANK=0 WORLD_SIZE=2 MASTER_ADDR=-node1", "MASTER_ADDR is '-node1'" },
    { "RANK=0 WORLD_SIZE=2 MASTER_ADDR=$(id)", "MASTER_ADDR is '$(id)'" },
    { "RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=70000", "MASTER_PORT is '70000': expected a number from 1 to 6" },
    { "RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=0", "MASTER_PORT is '0'" },
    { "RANK=0 WORLD_SIZE=2 MASTER_ADDR=a LOCAL_RANK=2 LOCAL_WORLD_SIZE=2", "LOCAL_RANK is 2, but only 2 processes" },
    { "RANK=0 WORLD_SIZE=2 MASTER_ADDR=a LOCAL_RANK=0 LOCAL_WORLD_SIZE=3", "LOCAL_WORLD_SIZE is '3'" },
    /* forgotten in the shell, and then mpirun or srun */
    { "RANK=0 WORLD_SIZE=2 MASTER_ADDR=a OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2",
      "RANK is 0 of WORLD_SIZE 2, but OMPI_COMM_WORLD_RANK is 1 of OMPI_COMM_WORLD_SIZE 2: unset RANK" },
    { SRUN "SLURM_PROCID=0 RANK=0 WORLD_SIZE=2 MASTER_ADDR=a", "but SLURM_PROCID is 0 of SLURM_STEP_NUM_TASKS 3" },
    { SRUN "SLURM_PROCID=2 RANK=1", "RANK is 1, but Slurm says 2" },
    { SRUN "SLURM_PROCID=2 WORLD_SIZE=4", "WORLD_SIZE is 4, but Slurm says 3" },
    { SRUN "SLURM_PROCID=3", "SLURM_PROCID is 3, but SLURM_STEP_NUM_TASKS is 3" },
    /* rank 0 is not where it was thought to be */
    { SRUN "SLURM_PROCID=0 SLURMD_NODENAME=node10", "rank 0 is expected on node09, but is on another host" },
    { MPIRUN "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_LOCAL_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=2 "
      "OMPI_MCA_orte_hnp_uri=1.0;tcp://192.0.2.77:5", "(mpirun -x MASTER_ADDR=HOST)" },
    { "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2", "Open MPI does not say where rank 0 is" },
    { "PMI_RANK=1 PMI_SIZE=2", "PMI does not say where rank 0 is: set MASTER_ADDR" },
    { "JOB_COMPLETION_INDEX=1 WORLD_SIZE=2", "MASTER_ADDR: JOB-0.SERVICE in the manifest" },
    { SRUN "SLURM_PROCID=1 SLURM_STEP_NODELIST=node[", "Slurm does not say where rank 0 is" },
    { SRUN "SLURM_PROCID=1 SLURM_STEP_NODELIST=node[1-2", "Slurm does not say where rank 0 is" },
};

START_TEST(names_what_is_wrong)
{
    struct cr_rendezvous r;
    struct cr_error e;
    environment(bad[_i].words);
    ck_assert_msg(cr_rendezvous_read(&r, &e) == -CR_E_USAGE, "%s", bad[_i].words);
    ck_assert_msg(strstr(e.text, bad[_i].says) != NULL, "%s", e.text);
}
END_TEST

static struct cr_rendezvous read_good(const char *words)
{
    struct cr_rendezvous r;
    struct cr_error e;
    environment(words);
    ck_assert_msg(cr_rendezvous_read(&r, &e) == 1, "%s", e.text);
    return r;
}

/* As `scontrol show hostnames` expands them. */
START_TEST(first_host_of_a_slurm_list)
{
    static const char *const list[][2] = {
        { "a", "a" }, { "a,b", "a" }, { "n[1-3,7]", "n1" }, { "n[007-010]", "n007" }, { "n[5,1]", "n5" },
        { "x[01-03]b[2-3],z", "x01b2" }, { "rack-1.dom,n[1-2]", "rack-1.dom" }, { "n[12]-ib,m", "n12-ib" },
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char words[512];
        snprintf(words, sizeof words, SRUN "SLURM_PROCID=1 SLURM_STEP_NODELIST=%s", list[i][0]);
        const struct cr_rendezvous r = read_good(words);
        ck_assert_str_eq(r.master, list[i][1]);
    }
}
END_TEST

START_TEST(tasks_of_each_slurm_node)
{
    static const struct {
        const char *list;
        int node, tasks;
    } c[] = {
        { "2", 0, 2 }, { "2(x3),1", 0, 2 }, { "2(x3),1", 2, 2 }, { "2(x3),1", 3, 1 }, { "2(x3),1", 4, 0 },
        { "1,2,3", 2, 3 }, { "x", 0, 0 }, { "2(x", 0, 0 }, { "2(x3", 3, 0 }, { "2;3", 1, 0 }, { "0", 0, 0 },
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        char words[512];
        snprintf(words, sizeof words, "SLURM_STEP_NUM_TASKS=9 SLURM_PROCID=1 SLURM_LOCALID=0 SLURM_NODEID=%d "
                 "SLURM_STEP_TASKS_PER_NODE=%s MASTER_ADDR=a", c[i].node, c[i].list);
        const struct cr_rendezvous r = read_good(words);
        ck_assert_msg(r.local_size == c[i].tasks, "%s node %d: %d", c[i].list, c[i].node, r.local_size);
    }
}
END_TEST

/* All ranks agree on port and job; other jobs, steps and restarts have others. */
START_TEST(ports_and_jobs_are_the_job_s_own)
{
    static const char *const other[] = {
        SRUN "SLURM_PROCID=1 SLURM_JOB_ID=78", SRUN "SLURM_PROCID=1 SLURM_STEP_ID=1",
        SRUN "SLURM_PROCID=1 SLURM_RESTART_COUNT=1",
    };
    const struct cr_rendezvous one = read_good(SRUN "SLURM_PROCID=1 SLURM_LOCALID=1 SLURM_NODEID=0");
    const struct cr_rendezvous two = read_good(SRUN "SLURM_PROCID=2 SLURM_LOCALID=0 SLURM_NODEID=1");
    ck_assert_uint_eq(one.port, two.port);
    ck_assert_mem_eq(one.job, two.job, sizeof one.job);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        const struct cr_rendezvous r = read_good(other[i]);
        ck_assert_uint_ne(one.port, r.port);
        ck_assert_mem_ne(one.job, r.job, sizeof one.job);
    }
    const struct cr_rendezvous first = read_good(TORCHRUN "RANK=1 WORLD_SIZE=4 LOCAL_RANK=1");
    const struct cr_rendezvous again =
        read_good(TORCHRUN "RANK=1 WORLD_SIZE=4 LOCAL_RANK=1 TORCHELASTIC_RESTART_COUNT=1");
    ck_assert_uint_eq(first.port, again.port);
    ck_assert_mem_ne(first.job, again.job, sizeof first.job);
}
END_TEST

/* ---- the way there */

static const struct {
    int rank;
    const char *master, *addresses; /* NULL: an error */
} way[] = {
    { 1, "10.0.0.1", "10.0.0.1:7" },
    { 1, "10.0.0.1,fd00::1,10.0.0.1,fe80::1%3", "10.0.0.1:7 [fd00::1]:7 [fe80::1%3]:7" },
    { 0, "10.0.0.1", "127.0.0.1:7 [::1]:7 10.0.0.1:7" },
    { 0, "127.0.0.1", "127.0.0.1:7 [::1]:7" },
    { 0, "no-such-host.invalid", "127.0.0.1:7 [::1]:7" },
    { 1, "no-such-host.invalid,10.0.0.1", "10.0.0.1:7" },
    { 1, "no-such-host.invalid", NULL },
    { 1, ",", NULL },
};

START_TEST(addresses_of_rank_0)
{
    struct cr_rendezvous r = { .rank = way[_i].rank, .size = 2, .port = 7 };
    struct cr_address list[CR_MAX_ADDRESSES];
    struct cr_error e;
    char text[512] = "";
    strcpy(r.master, way[_i].master);
    const int count = cr_rendezvous_addresses(&r, list, &e);
    if (!way[_i].addresses) {
        ck_assert_int_eq(count, -CR_E_PEER);
        ck_assert_msg(strstr(e.text, "is not known on this one") != NULL, "%s", e.text);
        return;
    }
    for (int i = 0; i < count; i++) {
        char one[CR_ADDRESS_TEXT];
        cr_address_text(&list[i], one);
        if (i > 0) strcat(text, " ");
        strcat(text, one);
    }
    ck_assert_str_eq(text, way[_i].addresses);
}
END_TEST

/* A name that the resolver knows. */
START_TEST(names_are_resolved)
{
    const struct cr_rendezvous r = { .rank = 1, .size = 2, .port = 7, .master = "localhost" };
    struct cr_address list[CR_MAX_ADDRESSES];
    struct cr_error e;
    const int count = cr_rendezvous_addresses(&r, list, &e);
    ck_assert_msg(count >= 1, "%s", e.text);
    for (int i = 0; i < count; i++) {
        ck_assert(cr_address_is_loopback(&list[i]));
        ck_assert_uint_eq(list[i].port, 7);
    }
}
END_TEST

Suite *rendezvous_suite(void)
{
    Suite *const s = suite_create("rendezvous");
    TCase *const t = tcase_create("rendezvous");
    tcase_add_loop_test(t, says_who_and_where, 0, sizeof good / sizeof *good);
    tcase_add_loop_test(t, names_what_is_wrong, 0, sizeof bad / sizeof *bad);
    tcase_add_test(t, first_host_of_a_slurm_list);
    tcase_add_test(t, tasks_of_each_slurm_node);
    tcase_add_test(t, ports_and_jobs_are_the_job_s_own);
    tcase_add_loop_test(t, addresses_of_rank_0, 0, sizeof way / sizeof *way);
    tcase_add_test(t, names_are_resolved);
    suite_add_tcase(s, t);
    return s;
}
