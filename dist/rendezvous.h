/* Runs that another program starts, process by process: who is this one, and where do all meet?
 *
 * Each starter says so in variables of its own. In this order, the first that is there counts:
 *
 *     torchrun, or by hand   RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE
 *     Open MPI's mpirun      OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE
 *     MPICH, Intel MPI       PMI_RANK, PMI_SIZE, MPI_LOCALRANKID, MPI_LOCALNRANKS
 *     Slurm's srun           SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID, SLURM_STEP_TASKS_PER_NODE
 *     Kubernetes             JOB_COMPLETION_INDEX of an indexed job, and WORLD_SIZE from its manifest
 *
 * Rank 0's process listens for the others. MASTER_ADDR and MASTER_PORT say where, whatever the starter; torchrun sets
 * both. Without them the host is found out as far as the starter lets it be known, and the port is made from the job's
 * number: one between 20000 and 29999, the same on all ranks, different for different jobs. */
#ifndef CR_DIST_RENDEZVOUS_H
#define CR_DIST_RENDEZVOUS_H

#include <stdint.h>

#include "dist/address.h"
#include "simd/error.h"

enum { CR_RENDEZVOUS_PORT = 29500 }; /* where there is neither MASTER_PORT nor a job's number; torch's own choice */

struct cr_rendezvous {
    const char *starter;  /* for messages: "torchrun", "Open MPI", ..., "the environment" when set by hand; static */
    int rank, size;
    int local_rank;       /* among those of this host */
    int local_size;       /* processes of the run on this host; 0 = not known, and local_rank is 0 */
    char master[512];     /* rank 0's host: names or numeric addresses, separated by commas; any of them may do */
    uint16_t port;        /* of rank 0 */
    uint8_t job[16];      /* the same on all ranks, another for another job or a restart of it */
};

/* Read the environment. 1 and *r; 0 and *r all zero when no starter is at work, or for a run of one process;
 * -CR_E_USAGE names variables that contradict each other, make no sense or are missing, and what to set. Not while
 * another thread calls setenv. */
int cr_rendezvous_read(struct cr_rendezvous *r, struct cr_error *e);

/* Where to dial rank 0: the numeric addresses of its host, with the port, best first; for rank 0 itself, loopback
 * before them. Returns how many, at least 1; -CR_E_PEER when no name is known here, which may change while a cluster
 * starts. Asks the system's resolver, and takes as long as that does. Any thread. */
int cr_rendezvous_addresses(const struct cr_rendezvous *r, struct cr_address list[CR_MAX_ADDRESSES],
                            struct cr_error *e);

#endif
