#!/bin/sh
# One training over the nodes of a Slurm job, one process a node. Set NET and DATA, then: sbatch slurm.sh
#
# srun starts the processes and tells each its rank; rank 0, on the first node, is where they meet, on a port made from
# the job's number. Firewalls between the nodes must let TCP through. corering and the data have to be at the same place
# on all nodes: a shared folder, or a copy on each.
#
# A node that fails leaves the run, which goes on without it to the same weights (--no-kill, --kill-on-bad-exit=0). A
# minute before the time limit the run is asked to end, and saves a checkpoint (--signal). A job that is queued again,
# or sent a second time with OUT=FOLDER, goes on from there.
#SBATCH --job-name=corering
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=01:00:00
#SBATCH --signal=INT@60
#SBATCH --no-kill
#SBATCH --requeue
set -eu

NET=${NET:-lenet5}
DATA=${DATA:-$HOME/data/mnist}
OUT=${OUT:-$PWD/model/slurm-$SLURM_JOB_ID}
CORERING=${CORERING:-corering}

# The job key, which keeps strangers out: 256 random bits in a file that only this user can read, on a folder that all
# nodes see.
KEY=$OUT/key
mkdir -p "$OUT"
test -s "$KEY" || (umask 077; od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$KEY")

# --mpi=none: it is no MPI program. As many threads as Slurm gave to the process.
exec srun --mpi=none --kill-on-bad-exit=0 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
    "$CORERING" train "$NET" "$DATA" --threads "${SLURM_CPUS_PER_TASK:-1}" --key-file "$KEY" \
    --checkpoint "$OUT" --resume "$OUT" "$@"
