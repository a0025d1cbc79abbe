#!/bin/sh
# Ranks over MPI: ./configure --with-mpi finds one, sums are right for any number of ranks, a lost rank ends the run.
# Works on a build of its own.
set -u
. "$SRCDIR/tests/tools/common.sh"

if test "${OBJ##*/}" != obj || test "${EMULATOR:-}"; then
    skip "mpi" "only of the ordinary build, for this machine"
    exit $bad
fi
if ! command -v mpicc >/dev/null || ! command -v mpirun >/dev/null; then
    skip "mpi" "no mpicc or no mpirun; Debian: libopenmpi-dev"
    exit $bad
fi

mkdir "$WORK/build" && cd "$WORK/build" || exit 1
if "$SRCDIR/configure" --with-mpi CC="$CC" >log 2>&1; then pass "configure --with-mpi"
else miss "configure --with-mpi" "$(tail -n 1 log)"; exit $bad
fi
parts="dist/mpi dist/fixed dist/message simd/error"
objects=
for part in $parts; do objects="$objects obj/$part.o"; done
# shellcheck disable=SC2046,SC2086 # lists of words
if MAKEFLAGS= make -s $objects >log 2>&1 && ! grep warning: log &&
    $CC -O2 -I"$SRCDIR" "$SRCDIR/tests/tools/mpi_ranks.c" $objects $(sed -n 's/^MPI_LIBS = //p' config.mak) -o ranks 2>log
then pass "builds without a warning"
else miss "builds without a warning" "$(tail -n 1 log)"; exit $bad
fi

# root may have to say so; more ranks than cores are meant
# shellcheck disable=SC2086 # a list of words
run() { timeout 60 mpirun $options -np "$@" >out 2>err </dev/null; status=$?; }
options=
if mpirun --version 2>&1 | grep -q "Open MPI"; then options="--allow-run-as-root --oversubscribe --mca btl tcp,self"; fi
for ranks in 1 2 3 5; do
    run $ranks ./ranks
    same "$ranks ranks: every word right, one event, one checkpoint" "0 $ranks 1 1" \
        "$status $(grep -c ': right$' out) $(grep -c '^told event$' out) $(grep -c '^kept state$' out)"
done
run 3 ./ranks die
if test $status != 0 && test $status != 124 && ! grep -q ': right$' out; then pass "a lost rank ends the run"
else miss "a lost rank ends the run" "status $status, $(head -n 1 out)"
fi

"$SRCDIR/configure" --with-mpi=no-such-mpicc >log 2>&1
if test $? != 0 && grep -q "no-such-mpicc" log; then pass "$(tail -n 1 log)"; else miss "another mpicc" "$(tail -n 1 log)"; fi
exit $bad
