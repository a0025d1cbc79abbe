#!/bin/sh
# MNIST to 99 % from process start to its end, by the recipe mnist-99: two threads, a number of steps fixed beforehand,
# one validation at the end, the checkpoints written. Mean Top-1 of five seeds, and the median of what they took: on the
# clock, which wants an otherwise idle machine, and of processor time.
set -u
. "$SRCDIR/tests/tools/common.sh"
mnist || { echo "CORERING_DATA names no folder that holds MNIST" >&2; exit 1; }
tool measure || exit 1
for seed in 1 2 3 4 5; do
    "$WORK/measure" "$WORK/$seed.used" "$CORERING" train --recipe mnist-99 "$WORK/mnist" -t 2 --seed $seed --json \
        --checkpoint "$WORK/$seed" >"$WORK/$seed.log" || exit 1
    field top1 "$WORK/$seed.log"
done >"$WORK/top1"
median() { cat "$WORK"/*.used | cut -d ' ' -f "$1" | sort -n | sed -n 3p; }
mean=$(awk '{ sum += $1 } END { printf "%.4f", sum / NR }' "$WORK/top1")
took=$(median 1)
{
    name="mnist-99: mean Top-1 $mean (>= 0.99) of $(tr '\n' ' ' <"$WORK/top1")after $(field steps "$WORK/5.log") steps"
    if at_least 0.99 "$mean"; then pass "$name"; else miss "$name" "too low"; fi
    name="mnist-99: $took s (<= 6) from start to end, $(median 2) s of the processors, medians of 5"
    if at_least "$took" 6; then pass "$name"; else miss "$name" "too slow"; fi
} | verdicts b12
