#!/bin/sh
# What the nets learn of MNIST with their own settings: mean Top-1 of five seeds. And hardly a step is done twice.
set -u
. "$SRCDIR/tests/tools/common.sh"
mnist || { echo "CORERING_DATA names no folder that holds MNIST" >&2; exit 1; }

# learns NET LEAST
learns() {
    : >"$WORK/$1.top1"
    : >"$WORK/$1.redone"
    for seed in 1 2 3 4 5; do
        "$CORERING" train "$1" "$WORK/mnist" -b 64 -e 15 --seed $seed --no-checkpoint --json >"$WORK/$1.$seed.log" || return
        field top1 "$WORK/$1.$seed.log" >>"$WORK/$1.top1"
        echo "$(field redone "$WORK/$1.$seed.log") $(field steps "$WORK/$1.$seed.log")" >>"$WORK/$1.redone"
    done
    mean=$(awk '{ sum += $1 } END { printf "%.4f", sum / NR }' "$WORK/$1.top1")
    name="$1: mean Top-1 $mean (>= $2) of $(tr '\n' ' ' <"$WORK/$1.top1"), $(rounded seconds "$WORK/$1.5.log") s for the last"
    if at_least "$2" "$mean"; then pass "$name"; else miss "$name" "too low"; fi
    name=$(awk '{ redone += $1; steps += $2 } END { printf "%d of %d steps", redone, steps }' "$WORK/$1.redone")
    if awk '$1 > 0.001 * $2 { bad = 1 } END { exit bad }' "$WORK/$1.redone"; then pass "$1: $name redone (<= 0.1 % of each)"
    else miss "$1: $name redone" "more than 0.1 %"
    fi
}
{ learns lenet5 0.987; learns lenet5-relu 0.989; } | verdicts 02
