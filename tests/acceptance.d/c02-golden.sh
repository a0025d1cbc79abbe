#!/bin/sh
# The golden table by many ranks: over TCP, over MPI, and by all that starts processes, which end with what one process
# does.
set -u
. "$SRCDIR/tests/tools/golden_table.sh"
digits "$WORK/synth" 4000 500 || exit 1
mkdir "$WORK/starters" "$WORK/engines"
short='lenet5 synth (64|100|7) 20'

{
    for ranks in 1 2 3 5 8; do
        for threads in 1 2; do
            hosts=$(i=0; while test $i -lt $ranks; do printf 'localhost:%d,' $threads; i=$((i + 1)); done)
            golden "TCP, $ranks ranks with $threads threads" "$short" -H "${hosts%,}"
        done
    done
    WORK=$WORK/starters "$SRCDIR/tests/starters.sh"
    WORK=$WORK/engines "$SRCDIR/tests/engines.sh" # leaves a program with MPI
    program=$WORK/engines/build/corering CORERING=$WORK/over_mpi
    for ranks in 2 3 5 8; do
        printf '#!/bin/sh\nexec mpirun --allow-run-as-root --oversubscribe -n %d "%s" "$@"\n' $ranks "$program" \
            >"$CORERING"
        chmod +x "$CORERING"
        for threads in 1 2; do
            golden "MPI, $ranks ranks with $threads threads" "$short" -t $threads
        done
    done
} | verdicts c02
