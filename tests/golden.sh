#!/bin/sh
# One run, one result: the golden table (tests/tools/golden_table.sh says what a row is) against threads, instruction
# sets and the ways of a hostile caller; and another result for other settings. `make acceptance ROWS=04` does the rest
# of the matrix, above all other compilers.
#
# A row that changes is an alarm, not a chore. When the arithmetic is meant to change, CR_NUMERICS rises and
#     WORK=/tmp/golden SRCDIR=. CORERING=./corering tests/golden.sh --update
# writes the table anew, by the reference kernels on one thread.
set -u
. "$SRCDIR/tests/tools/golden_table.sh"

update() {
    mkdir -p "$WORK"
    if ! golden_data; then echo "CORERING_DATA must name a folder with MNIST" >&2; exit 1; fi
    {
        echo "# $golden_settings"
        echo "# synth $(golden_synth)"
        printf '# net\tdata\tbatch\tsteps\tlosses\tval_loss\tcorrect\tweights_sha256\n'
        for net in lenet5 lenet5-relu mlp; do
            for data in synth mnist; do
                for batch in 64 100 32 7 1; do
                    for steps in 20 300; do
                        result=$(golden_run $net $data $batch $steps --isa ref --threads 1)
                        printf '%s\t%s\t%s\t%s\t%s\n' $net $data $batch $steps "$result"
                    done
                done
            done
        done
    } >"$WORK/table" && mv "$WORK/table" "$golden_table"
}
if test "${1:-}" = --update; then update; exit; fi

golden_data || skip "the rows of MNIST" "CORERING_DATA names no folder that holds it"
same "the digits are those of the table" "$(sed -n 's/^# synth //p' "$golden_table")" "$(golden_synth)"

# An emulator is slow: the short rows are enough to know its instruction set by.
if test "${EMULATOR:-}"; then
    for isa in $(instruction_sets); do
        golden "--isa $isa" 'lenet5 synth (64|32|7|1) 20' --isa "$isa"
        golden "--isa $isa --lanes 16" 'lenet5 synth 64 20' --isa "$isa" --lanes 16
        golden "--isa $isa --lanes 1" 'lenet5 synth 64 20' --isa "$isa" --lanes 1
    done
    exit $bad
fi

golden "20 and 300 steps" .
for threads in 1 2 3 7; do
    golden "-t $threads" 'synth .* 20' -t $threads
done
for isa in $(instruction_sets); do
    golden "--isa $isa" 'synth .* 20' --isa "$isa" -t 2
    golden "--isa $isa, three threads to a block" 'synth (7|1) 20' --isa "$isa" -t 22 --threads-per-block 3
    for lanes in 1 8 16; do
        golden "--isa $isa --lanes $lanes" '^lenet5(-relu)? synth (64|32|7) 20' --isa "$isa" --lanes $lanes -t 2
    done
done

echo "# other ways to the same program"
program=$CORERING
if test -x "$OBJ/corering-static"; then
    CORERING=$OBJ/corering-static
    golden "the static program" 'synth .* 20'
else
    skip "the static program" "not built"
fi
# called_by VARIABLE=VALUE...: from now on the program is started with these in its environment.
called_by() {
    printf '#!/bin/sh\nexec env %s %s "$@"\n' "$*" "$program" >"$WORK/corering"
    chmod +x "$WORK/corering"
    CORERING=$WORK/corering
}
if ! tool hostile_caller -shared -fPIC 2>/dev/null; then
    skip "hostile callers" "no x86-64, or $CC makes no shared library"
elif ! LD_PRELOAD=$WORK/hostile_caller "$program" --version >/dev/null 2>&1; then
    skip "hostile callers" "nothing can be loaded before this program"
else
    called_by "LD_PRELOAD=$WORK/hostile_caller"
    golden "a caller that flushes subnormals" 'synth .* 20'
    called_by "LD_PRELOAD=$WORK/hostile_caller HOSTILE_ROUNDING=1"
    golden "a caller that rounds towards zero" 'synth .* 20'
    mkdir -p "$WORK/locale"
    german="LOCPATH=$WORK/locale LC_ALL=de_DE.UTF-8"
    # shellcheck disable=SC2086 # two variables
    if localedef -i de_DE -f UTF-8 "$WORK/locale/de_DE.UTF-8" 2>/dev/null && test "$(env $german printf %.1f 1)" = 1,0
    then
        called_by "LD_PRELOAD=$WORK/hostile_caller" "$german"
        golden "a caller whose locale writes 0,5" 'synth .* 20'
    else
        skip "a caller whose locale writes 0,5" "localedef cannot make de_DE.UTF-8"
    fi
fi
CORERING=$program

echo "# options that decide are not ignored"
# other OPTIONS...: another result than those of all runs before.
other() {
    golden_run lenet5 synth 64 20 "$@" >"$WORK/other"
    if ! grep -q '[0-9a-f]\{64\}$' "$WORK/other"; then miss "another result with $*" "$(cat "$WORK/other")"
    elif grep -qxFf "$WORK/other" "$WORK/others"; then miss "another result with $*" "the same"
    else pass "another result with $*"
    fi
    cat "$WORK/other" >>"$WORK/others"
}
golden_rows 'lenet5 synth 64 20' | cut -f 5- >"$WORK/others"
other --seed 2
other --learning-rate 0.02
other --block 4
other --block 16
other --momentum 0.8
other --nesterov
other --weight-decay 2e-4
other --schedule constant
other --warmup 1
other --no-shuffle
other --normalize unit
other --val-split 0.1

echo "# two threads share the work"
# A thread that has the processor less takes fewer blocks, but some it takes, if not in this run then in another.
shares=
for _ in 1 2 3 4 5; do
    "$CORERING" train lenet5 "$WORK/synth" -b 64 --steps 300 -t 2 --no-checkpoint -q --trace "$WORK/trace" >/dev/null
    shares=$(grep -o '"conv1 forward","ph":"X","pid":1,"tid":[0-9]*' "$WORK/trace" | sort | uniq -c |
        awk '{ print $1 }' | tr '\n' ' ')
    case $shares in *' '[0-9]*) break ;; esac
done
case $shares in
*' '[0-9]*) pass "blocks of each: $shares" ;;
*) if test "$(nproc)" = 1; then skip "two threads share the work" "there is one processor"
   else miss "blocks of each" "$shares, of one thread alone, in five runs"
   fi ;;
esac
exit $bad
