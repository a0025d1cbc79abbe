#!/bin/sh
# Runs that another program starts (dist/rendezvous.h): by hand with RANK and WORLD_SIZE, as Kubernetes does, by mpirun,
# by Slurm's srun and by the script apps/examples/slurm.sh. Each must end with the weights of one process alone.
# shellcheck source=tests/tools/common.sh
. "$SRCDIR/tests/tools/common.sh"

started= # ends with the script, if it has not before
slurm=   # folder of the daemons, while there are any
trap 'kill -9 $started 2>/dev/null; slurm_down' EXIT
trap 'exit 1' HUP INT TERM
unset RANK WORLD_SIZE MASTER_ADDR MASTER_PORT

digits "$WORK/data" 2000 200
(umask 077; od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$WORK/key")
port=$((20000 + $$ % 5000))

# train FILE ARGUMENTS...: what it says goes to FILE.
train() {
    file=$1; shift
    timeout 200 "$CORERING" train lenet5 "$WORK/data" -q -t 1 --no-checkpoint "$@" >"$WORK/$file" 2>&1
}
hash_of() { cat "$@" | sed -n 's/^weights sha256 //p'; }
# of FILE ARGUMENTS...: the same as a process of a run
member() { train "$@" --key-file "$WORK/key"; }

for batch in 64 100; do
    train alone$batch -b $batch --steps 40
done
want=$(hash_of "$WORK/alone64")

# ---- by hand

# by_hand NAME SIZE ARGUMENTS...: the last rank first, for they come as they come
by_hand() {
    name=$1 size=$2; shift 2
    rank=$size
    waiting=
    while test "$rank" -gt 0; do
        rank=$((rank - 1))
        RANK=$rank WORLD_SIZE=$size MASTER_ADDR=localhost MASTER_PORT=$port member "$name$rank" "$@" &
        waiting="$waiting $!"
    done
    started="$started $waiting"
}
by_hand two 2 -b 64 --steps 40
# shellcheck disable=SC2086 # a list of numbers
wait $waiting
same "RANK and WORLD_SIZE: 2 processes" "$(hash_of "$WORK/two0")" "$want"
same "rank 0 alone speaks" "$(cat "$WORK/two1")silence" silence
by_hand five 5 -b 100 --steps 40
# shellcheck disable=SC2086
wait $waiting
same "5 processes, batch 100" "$(hash_of "$WORK/five0")" "$(hash_of "$WORK/alone100")"

# A number that is given twice: the second is told, the first does not mind. (Who led is interrupted in the end.)
for rank in 1 0; do
    RANK=$rank WORLD_SIZE=2 MASTER_ADDR=localhost MASTER_PORT=$port "$CORERING" train lenet5 "$WORK/data" -q -t 1 \
        --no-checkpoint --key-file "$WORK/key" -e 100000 --log "$WORK/twice$rank.log" >"$WORK/twice$rank" 2>&1 &
    started="$started $!"
    led=$!
done
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    grep -qs '"predicted"' "$WORK/twice0.log" && break
    sleep 0.2
done
RANK=1 WORLD_SIZE=2 MASTER_ADDR=localhost MASTER_PORT=$port timeout 30 "$CORERING" train lenet5 "$WORK/data" -q -t 1 \
    --no-checkpoint --key-file "$WORK/key" >"$WORK/third" 2>&1
same "a RANK given twice" "3 1" "$? $(grep -c 'rank 1 is here already.*RANK' "$WORK/third")"
kill -TERM $led
wait $led
same "the run it is of goes on" 143 $?
wait
RANK=1 WORLD_SIZE=2 MASTER_ADDR=localhost MASTER_PORT=$port "$CORERING" train lenet5 "$WORK/data" -q \
    --key-file "$WORK/key" >"$WORK/lonely" 2>&1 &
lonely=$!
sleep 0.5
kill -TERM $lonely
wait $lonely 2>/dev/null
same "a rank that waits for rank 0 heeds SIGTERM" 143 $?

for index in 1 0; do
    JOB_COMPLETION_INDEX=$index WORLD_SIZE=2 MASTER_ADDR=localhost MASTER_PORT=$port \
        member pod$index -b 64 --steps 40 &
    started="$started $!"
    last=$!
done
wait "$last"
same "Kubernetes: an indexed job of 2" "$(hash_of "$WORK/pod0")" "$want"

# refused NAME WANT VARIABLE=VALUE...
refused() {
    name=$1 words=$2; shift 2
    if env "$@" "$CORERING" train lenet5 "$WORK/data" -q --no-checkpoint --steps 1 >"$WORK/said" 2>&1; then
        miss "$name" "it ran"
    elif grep -q -- "$words" "$WORK/said"; then pass "$name"
    else miss "$name" "$(cat "$WORK/said")"; fi
}
refused "without a key" "give --key-file FILE" RANK=0 WORLD_SIZE=2 MASTER_ADDR=localhost
refused "without a meeting place" "set MASTER_ADDR" RANK=1 WORLD_SIZE=2
refused "variables that contradict each other" "unset RANK and WORLD_SIZE" \
    RANK=0 WORLD_SIZE=2 MASTER_ADDR=localhost OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2

# ---- losses, where nobody restarts what is lost

# until_true SECONDS COMMAND...: status 1 when it never was.
until_true() {
    tries=$(($1 * 10)); shift
    while ! "$@"; do
        tries=$((tries - 1))
        test $tries -gt 0 || return 1
        sleep 0.1
    done
}
# shellcheck disable=SC2317 # called by until_true
trains() { grep -q '"event":"epoch"' "$WORK/$1.log" 2>/dev/null; }
# shellcheck disable=SC2317
gone() { ! kill -0 "$1" 2>/dev/null; }

# Rank 0 is told to end when the other is gone; alone it must come to the same weights at that step.
rank_of() { RANK=$1 WORLD_SIZE=2 MASTER_ADDR=localhost MASTER_PORT=$port exec "$CORERING" train lenet5 "$WORK/data" -q \
    -t 1 --no-checkpoint --schedule constant --epochs 100000 --key-file "$WORK/key" --log "$WORK/$2.log"; }
# pair NAME: rank 0 as $first, rank 1 as $second, in training
pair() {
    (rank_of 0 "$1") >"$WORK/$1.0" 2>&1 & first=$!
    (rank_of 1 "$1.other") >"$WORK/$1.1" 2>&1 & second=$!
    started="$started $first $second"
    until_true 60 trains "$1"
}
if pair loses; then
    kill -9 $second
    wait $second 2>/dev/null
    sleep 1
    kill -TERM $first # a shell lets what it starts behind it ignore SIGINT
    until_true 60 gone $first || kill -9 $first
    wait $first 2>/dev/null
    train rest --schedule constant --steps "$(field steps "$WORK/loses.log")"
    same "a lost rank: the same weights without it" "$(field weights_sha256 "$WORK/loses.log")" \
        "$(hash_of "$WORK/rest")"
else
    miss "a lost rank" "the run never began: $(cat "$WORK/loses.0")"
fi
if pair ends; then
    kill -9 $first
    wait $first 2>/dev/null
    if until_true 20 gone $second; then pass "rank 0 lost: the other ends"
    else miss "rank 0 lost" "rank 1 is still there after 20 s"; fi
    wait $second 2>/dev/null
    rm -f orphan-*
else
    miss "rank 0 lost" "the run never began: $(cat "$WORK/ends.0")"
fi

# ---- mpirun, without MPI in the program

if ! command -v mpirun >/dev/null; then
    skip "mpirun" "no mpirun here"
else
    root=
    test "$(id -u)" != 0 || root=--allow-run-as-root
    # shellcheck disable=SC2086
    timeout 200 mpirun $root --oversubscribe -np 3 "$CORERING" train lenet5 "$WORK/data" -q -t 1 --no-checkpoint \
        -b 64 --steps 40 --key-file "$WORK/key" >"$WORK/mpirun" 2>&1
    same "mpirun -np 3" "$(hash_of "$WORK/mpirun")" "$want"
fi

# ---- Slurm: a cluster of this one machine, with daemons of our own

slurm_up() {
    slurm=$(mktemp -d /run/corering-slurm-XXXXXX) || return 1
    mkdir "$slurm/spool" "$slurm/state"
    host=$(hostname -s)
    (umask 077; head -c 1024 /dev/urandom >"$slurm/munge.key")
    cat >"$slurm/slurm.conf" <<END
ClusterName=corering
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$((port + 5001))
SlurmdPort=$((port + 5002))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$slurm/munge.socket
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES State=UP OverSubscribe=FORCE:8
END
    export SLURM_CONF="$slurm/slurm.conf"
    chmod 755 "$slurm"
    munged --force --key-file="$slurm/munge.key" --socket="$slurm/munge.socket" --pid-file="$slurm/munge.pid" \
        --log-file="$slurm/munge.log" --seed-file="$slurm/munge.seed" || return 1
    slurmctld && slurmd || return 1
    until_true 30 slurm_idle
}
# shellcheck disable=SC2317
slurm_idle() { sinfo -h 2>/dev/null | grep -q idle; }
slurm_down() {
    test "$slurm" || return 0
    # shellcheck disable=SC2013 # a number a file
    for pid in $(cat "$slurm"/*.pid 2>/dev/null); do
        kill "$pid" 2>/dev/null
        until_true 10 gone "$pid" || kill -9 "$pid" 2>/dev/null
    done
    rm -rf "$slurm"
    slurm=
}

if test "$(id -u)" != 0 || ! command -v slurmctld >/dev/null || ! command -v munged >/dev/null; then
    skip "Slurm" "not root, or no slurmctld, slurmd and munged here"
elif slurm_up >"$WORK/slurm.log" 2>&1; then
    timeout 200 srun -O -n 2 "$CORERING" train lenet5 "$WORK/data" -q -t 1 --no-checkpoint -b 64 --steps 40 \
        --key-file "$WORK/key" >"$WORK/srun" 2>&1
    same "srun -n 2" "$(hash_of "$WORK/srun")" "$want"

    submit() { # LOG ARGUMENTS...
        log=$1; shift
        DATA=$WORK/data OUT=$WORK/slurm CORERING=$CORERING timeout 200 \
            sbatch --wait -O -N 1 --ntasks-per-node=2 --cpus-per-task=1 \
            -o "$WORK/$log" "$SRCDIR/apps/examples/slurm.sh" -q -b 64 "$@" >"$WORK/sbatch" 2>&1
    }
    submit slurm.first --steps 40
    same "apps/examples/slurm.sh" "$(hash_of "$WORK/slurm.first")" "$want"
    slurm_down
else
    skip "Slurm" "it does not start here: $(tail -n 1 "$WORK/slurm.log")"
    slurm_down
fi
exit $bad
