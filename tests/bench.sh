#!/bin/sh
# The benches and the profile: they run, what they print can be read by programs, and looking does not change the bits.
# Speeds are not judged here: the machine may be busy, or an emulator.
set -u
. "$SRCDIR/tests/tools/common.sh"

run() { "$CORERING" "$@" >out 2>err </dev/null; status=$?; }

# works NAME PATTERN WORDS...: status 0, nothing on stderr, and PATTERN in what is printed.
works() {
    name=$1 pattern=$2; shift 2
    run "$@"
    if test $status != 0 || test -s err; then miss "$name" "status $status, $(head -n 1 err)"
    elif ! grep -qe "$pattern" out; then miss "$name" "no '$pattern' in what it prints"
    else pass "$name"
    fi
}

# fails PATTERN WORDS...: usage, one line that matches PATTERN.
fails() {
    pattern=$1; shift
    run "$@"
    if test $status = 2 && test "$(wc -l <err)" = 1 && grep -q "$pattern" err && ! test -s out; then
        pass "$(cat err)"
    else miss "$*" "status $status, $(head -n 1 err)"
    fi
}

# every NAME EXPRESSION FILE: each line of the file is JSON, and the expression over `lines` holds.
every() {
    if ! command -v python3 >/dev/null; then skip "$1" "no python3"; return; fi
    if python3 -c "import json; lines = [json.loads(l) for l in open('$3')]; assert lines and ($2)" 2>reason; then
        pass "$1"
    else miss "$1" "$(tail -n 1 reason)"
    fi
}

weights() { sed -n 's/^weights sha256 //p' out; }
other() { if test "$2" && test "$3" && test "$2" != "$3"; then pass "$1"; else miss "$1" "'$2', '$3'"; fi; }

cd "$WORK" || exit 1
unset CR_ISA 2>/dev/null
digits data 500 100 || { echo "not ok - cannot draw digits"; exit 1; }

echo "# help and manual"
sed 's/\\-/-/g' "$SRCDIR/apps/man/corering.1" >manual
for command in peak conv gemm step infer allreduce; do
    works "bench $command --help" "^Usage: corering bench $command" bench $command --help
    undocumented=
    # shellcheck disable=SC2013 # words are wanted
    for option in $(sed -n 's/^  .*\(--[a-z0-9-]*\).*/\1/p' out); do
        sed -n '/^.SH BENCH/,/^.SH DATA/p' manual | grep -qe "$option" ||
            test "$option" = --help || undocumented="$undocumented $option"
    done
    same "the man page knows the options of bench $command" "none:" "none:$undocumented"
done

echo "# bench"
fails "needs a word more: .*step" bench
fails "did you mean 'bench peak'" bench peek
fails "is no shape" bench conv 1x2x3
fails "is no shape" bench conv 8x8x8-16-q3
fails "out of bounds" bench conv 8x8x8-16-11x11-p0
fails "block takes" bench conv --block 0
fails "threads takes" bench peak -t 100000
fails "batch-size" bench step linear -b 0
fails "sse" bench conv --isa sse

tiny="4x6x6-8 4x6x6-8-1x1 4x7x6-5-5x3-s2-p1"
# shellcheck disable=SC2086 # a list of shapes
works "bench conv" "^4x6x6-8-1x1 .*%" bench conv $tiny
# shellcheck disable=SC2086
works "bench conv --json" '"bench":"conv"' bench conv $tiny --json --block 3 -t 2
every "a line for each layer and pass, above nothing" "len(lines) == 9 and all(l['gflops'] > 0 and l['share'] > 0 and
    l['block'] == 3 and l['threads'] == 2 for l in lines)" out
works "bench gemm" "^5x7x9 .*%" bench gemm 5x7x9
works "bench gemm --json" '"kind":"TN"' bench gemm TN:5x7x9 3x16x2 --json -t 2
every "a line for each product and kind" "[(l['kind'], l['m'], l['n'], l['k']) for l in lines] ==
    [('TN', 5, 7, 9), ('NN', 3, 16, 2), ('NT', 3, 16, 2), ('TN', 3, 16, 2)] and
    all(l['gflops'] > 0 and l['share'] > 0 and l['threads'] == 2 for l in lines)" out
for isa in $(instruction_sets); do
    works "bench conv --isa $isa" "\"isa\":\"$isa\"" bench conv 4x6x6-8 --json --isa "$isa"
done
works "bench step" "images/s" bench step linear -b 32 -t 1
works "bench infer" "us for an image" bench infer linear -t 1
works "bench infer --json" '"bench":"infer"' bench infer linear --json -t 2
every "throughput and latency" "lines[0]['images_per_s'] > 0 and lines[0]['microseconds'] > 0 and
    lines[0]['threads'] == 2" out
fails "takes 2 to" bench allreduce -n 1
fails "multiples of 4" bench allreduce 6
works "bench allreduce" "^ *4  doubling .*%" bench allreduce --max 64
works "bench allreduce --json" '"bench":"allreduce"' bench allreduce -n 3 4 100000 --json
every "each size, beside raw sockets and the other way" "[l['bytes'] for l in lines] == [4, 100000] and all(
    l['ranks'] == 3 and l['microseconds'] == l[l['way']] > 0 and l['p99'] >= l['microseconds'] and l['raw'] > 0 and
    abs(l['share'] - l['gbytes'] / l['raw']) < 1e-6 and l['ring'] > 0 and l['predicted'] > 0 for l in lines)" out
at=127.0.0.1:$((27000 + $$ % 1000)),127.0.0.1:$((28000 + $$ % 1000))
"$CORERING" bench allreduce --at $at --rank 1 64 >other 2>&1 & other=$!
works "bench allreduce --at" "^2 ranks over TCP on hosts of their own" bench allreduce --at $at 64
if wait $other && ! test -s other; then pass "bench allreduce --rank 1: says nothing"
else miss "bench allreduce --rank 1" "$(cat other)"
fi
fails "addresses" bench allreduce --at 127.0.0.1
fails "addresses in numbers" bench allreduce --at localhost,127.0.0.1
if test "${EMULATOR:-}"; then
    skip "bench peak" "an emulator would take long"
else
    works "bench peak" "triad" bench peak
    works "bench peak --json" '"bench":"fma"' bench peak --json -t 2
    every "every instruction set, one thread and two" "{l['threads'] for l in lines} == {1, 2} and
        {l['bench'] for l in lines} == {'fma', 'triad', 'copy'} and
        all(l.get('gflops', l.get('gbytes', 0)) > 0 for l in lines)" out
    works "bench step --json" '"bench":"step"' bench step lenet5 -b 20 --block 5 -t 2 --json
    every "what was asked for is what ran" "lines[0]['batch'] == 20 and lines[0]['block'] == 5 and
        lines[0]['threads'] == 2 and lines[0]['least'] <= lines[0]['images_per_s'] <= lines[0]['most']" out
fi

echo "# profile and trace"
train="train lenet5 data -q --no-checkpoint --steps 12 -b 40 -t 2"
# shellcheck disable=SC2086 # lists of words
works "a run" sha256 $train
reference=$(weights)
# shellcheck disable=SC2086
works "a run with --profile" "^conv2 .*%" $train --profile
same "the same weights with --profile" "$reference" "$(weights)"
for row in conv1 maxpool1 tanh3 linear2 softmax1 load round sum update wait all; do
    grep -q "^$row .*%" out || miss "the profile's row $row" "not there"
done
# shellcheck disable=SC2086
works "a run with --trace" sha256 $train --trace trace
same "the same weights with --trace" "$reference" "$(weights)"
every "the trace is what the viewers read, of both threads" "[{e['tid'] for e in lines[0]['traceEvents']} == {0, 1},
    {'conv1 forward', 'conv1 backward', 'update', 'wait'} <= {e['name'] for e in lines[0]['traceEvents']},
    all(e['dur'] >= 0 and e['ts'] >= 0 for e in lines[0]['traceEvents'] if e['ph'] == 'X')] == [True] * 3" trace
# shellcheck disable=SC2086
works "another run with --profile" sha256 $train --profile --seed 2
other "another seed, other weights" "$reference" "$(weights)"
# shellcheck disable=SC2086
works "--profile --json" '"event":"profile"' $train --profile --json --log log
every "the shares make up the whole" "0.99 < sum(l['share'] for l in lines if l['event'] == 'profile') < 1.01 and
    lines[-1]['event'] == 'end'" out
every "the images are those of 12 steps and those done again" \
    "[l['images'] for l in lines if l['event'] == 'profile'][0] == 40 * (12 + lines[-1]['redone'])" out
every "the log has the same" "any(l['event'] == 'profile' and l['row'] == 'conv1' for l in lines)" log
works "--profile of a run without steps" sha256 train linear data -q --no-checkpoint --epochs 0 --profile --trace none
every "its trace has no events but the threads' names" "all(e['ph'] == 'M' for e in lines[0]['traceEvents'])" none
run train linear data -q --no-checkpoint --steps 1 --trace nowhere/trace
if test $status = 1 && grep -q "nowhere/trace.*cannot write the trace" err; then pass "$(cat err)"
else miss "a trace that cannot be written" "status $status, $(cat err)"
fi
exit $bad
