#!/bin/sh
# Runs that mpirun starts, over TCP and, from a build of its own, over MPI: the weights of one process, who speaks, how
# Ctrl-C and a lost rank end them. And what runs over TCP do when a key differs or a rank never comes. The variables of
# starters, and srun, are in tests/starters.sh; sums over MPI in tests/mpi.sh.
set -u
. "$SRCDIR/tests/tools/common.sh"

if test "${OBJ##*/}" != obj || test "${EMULATOR:-}"; then
    skip "engines" "only of the ordinary build, for this machine"
    exit $bad
fi
started=
trap 'kill -9 $started 2>/dev/null' EXIT
trap 'exit 1' HUP INT TERM
unset RANK WORLD_SIZE MASTER_ADDR MASTER_PORT

digits "$WORK/data" 2000 200
(umask 077; for key in key other; do od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$WORK/$key"; done)
port=$((25000 + $$ % 2000))
program=$CORERING over=TCP key="--key-file $WORK/key"

# train FILE ARGUMENTS...: its lines to FILE, its complaints to FILE.err. $before: what starts it.
before=
train() {
    file=$1; shift
    # shellcheck disable=SC2086 # a list of words
    timeout 200 $before "$program" train lenet5 "$WORK/data" -t 1 "$@" >"$WORK/$file" 2>"$WORK/$file.err" </dev/null
}
hash_of() { sed -n 's/.*"\{0,1\}weights\(_sha256":"\| sha256 \)\([0-9a-f]*\).*/\2/p' "$@" | tail -n 1; }

train alone -b 64 --steps 40 --no-checkpoint -q
want=$(hash_of "$WORK/alone")

# ---- by hand: a key that differs, a rank that never comes, who speaks

# rank R SIZE KEY FILE ARGUMENTS...
rank() {
    before="env RANK=$1 WORLD_SIZE=$2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port" with=$3 file=$4; shift 4
    train "$file" -b 64 --steps 40 --no-checkpoint -q --key-file "$WORK/$with" "$@"
}
# ended NUMBER...: wait for processes; their statuses to $statuses
ended() {
    statuses=
    for process in "$@"; do wait "$process"; statuses="$statuses$?"; done
}

port=$((port + 1))
rank 0 3 key odd0 --host-timeout 0.5 & zero=$!
rank 1 3 other odd1 --host-timeout 0.5 & one=$!
rank 2 3 key odd2 --host-timeout 0.5 & two=$!
started="$zero $one $two"
port=$((port + 1))
rank 0 2 key lone0 --host-timeout 0.5 --min-hosts 2 & lone=$!
port=$((port + 1))
rank 1 2 key lost1 --host-timeout 0.5 & lost=$!
started="$started $lone $lost"
port=$((port + 1))
rank 1 2 key spoken1 --json --log "$WORK/spoken1.log" & other=$!
started="$started $other"
rank 0 2 key spoken0 --json --log "$WORK/spoken0.log"
ended $other
same "rank 1 ends well" "$statuses" 0
same "--json: events from rank 0 alone" "$(hash_of "$WORK/spoken0")$(cat "$WORK/spoken1" "$WORK/spoken1.err")" "$want"
if cmp -s "$WORK/spoken0" "$WORK/spoken0.log" && ! test -e "$WORK/spoken1.log"; then pass "--log: by rank 0 alone"
else miss "--log: by rank 0 alone" "$(ls "$WORK"/spoken*)"
fi
ended $zero $one $two
same "another key on one rank: status 3, the others go on" "$statuses" 030
same "another key on one rank: the weights without it" "$(hash_of "$WORK/odd0")" "$want"
# says NAME FILE WORDS: what rank 0 or another has complained of
says() { if grep -q "$3" "$WORK/$2.err"; then pass "$1"; else miss "$1" "$(cat "$WORK/$2.err")"; fi; }
says "rank 0 tells who was turned away" odd0 "127.0.0.1:.* was turned away: its job key is not ours"
says "rank 0 tells who has not come" odd0 "rank 1 has not come within 15 s; the run begins without it"
says "the rank itself tells" odd1 "the job keys differ"
ended $lone $lost
same "a rank is missing, --min-hosts 2; no rank 0: status 3" "$statuses" 33
says "a rank is missing, --min-hosts 2" lone0 "only 1 of 2 hosts have come within 15 s"
says "no rank 0: nobody listens there" lost1 "127.0.0.1:$((port - 1)) refused the connection"

# ---- mpirun

if ! command -v mpirun >/dev/null; then
    skip "mpirun" "no mpirun here; Debian: openmpi-bin"
    exit $bad
fi
mpirun=mpirun
if mpirun --version 2>&1 | grep -q "Open MPI"; then mpirun="mpirun --allow-run-as-root --oversubscribe"; fi

# until_logged FILE PATTERN: or for a minute.
until_logged() {
    tries=600
    until grep -qs "$2" "$WORK/$1" || test $tries = 0; do tries=$((tries - 1)); sleep 0.1; done
}

# fated NAME: a run of three, ended in the middle by `end_it`, which knows mpirun as $first.
fated() {
    # shellcheck disable=SC2086 # lists of words
    env --default-signal=INT $mpirun -n 3 "$program" train lenet5 "$WORK/data" -t 1 -b 64 --epochs 3000 \
        --schedule constant --checkpoint "$WORK/$1" --checkpoint-every 1e --log "$WORK/$1.log" $key \
        >"$WORK/$1.out" 2>&1 </dev/null & first=$!
    started="$started $first"
    until_logged "$1.log" '"epoch":3,'
    end_it
    wait $first
    status=$?
    if test $status != 0; then pass "$over: $2, mpirun ends with status $status"; else miss "$over: $2" "status 0"; fi
}
# resumes NAME: an epoch more from its last checkpoint ends as a run that was never disturbed.
resumes() {
    step=$(find "$WORK/$1" -name 'step-*.safetensors' | sort | sed -n '$s/.*step-0*\([0-9]*\)\..*/\1/p')
    before=
    train "$1.more" --resume "$WORK/$1" --epochs $((step / 32 + 1)) --override --schedule constant --checkpoint \
        "$WORK/$1.more.d" -q
    train "$1.whole" -b 64 --epochs $((step / 32 + 1)) --schedule constant --no-checkpoint -q
    same "$over: $2, resumed from step $step" "$(hash_of "$WORK/$1.more")" "$(hash_of "$WORK/$1.whole")"
}
interrupt() { kill -INT $first; }
# Its children are, in this order, rank 0, 1 and 2.
kill_one() { kill -KILL "$(ps -o pid= --ppid $first | sed -n 2p)"; }

by_mpirun() {
    before="$mpirun -n 3"
    # shellcheck disable=SC2086 # a list of words
    train "mpirun.$over" -b 64 --steps 40 --no-checkpoint -q $key
    same "$over: mpirun -n 3" "$(hash_of "$WORK/mpirun.$over")" "$want"
    end_it() { interrupt; }
    fated "int$over" "Ctrl-C"
    same "$over: Ctrl-C, told by the log" "$(field reason "$WORK/int$over.log")" interrupted
    resumes "int$over" "Ctrl-C"
    end_it() { kill_one; }
    fated "kill$over" "a rank killed"
    resumes "kill$over" "a rank killed"
}
by_mpirun
before=$mpirun\ -n\ 3
train refused -b 64 --steps 40 --no-checkpoint
same "neither key nor --no-auth: status 2" $? 2
says "neither key nor --no-auth" refused "give --key-file FILE"

# ---- the same with MPI in the program

if ! command -v mpicc >/dev/null; then
    skip "MPI" "no mpicc here; Debian: libopenmpi-dev"
    exit $bad
fi
mkdir "$WORK/build" && cd "$WORK/build" || exit 1
# Less to compile, for the same bits.
if "$SRCDIR/configure" --with-mpi --disable-avx512 CC="$CC" CFLAGS=-O1 >log 2>&1 && MAKEFLAGS= make corering >log 2>&1 &&
    ! grep warning: log
then pass "builds with --with-mpi, without a warning"
else miss "builds with --with-mpi" "$(tail -n 1 log)"; exit $bad
fi
program=$WORK/build/corering over=MPI key=
by_mpirun
exit $bad
