#!/bin/sh
# The synthetic digits are worth learning from: LeNet-5 does, a linear model stays clearly below.
set -u
. "$SRCDIR/tests/tools/common.sh"
"$CORERING" data synth "$WORK/digits" >/dev/null || exit 1
for net in lenet5 linear; do
    "$CORERING" train $net "$WORK/digits" -b 64 --no-checkpoint --json >"$WORK/$net.log" || exit 1
done
lenet5=$(field top1 "$WORK/lenet5.log") linear=$(field top1 "$WORK/linear.log")
{
    name="lenet5: Top-1 $lenet5 (>= 0.97), $(field epochs "$WORK/lenet5.log") epochs in $(rounded seconds "$WORK/lenet5.log") s"
    if at_least 0.97 "$lenet5"; then pass "$name"; else miss "$name" "too low"; fi
    points=$(awk -v a="$lenet5" -v b="$linear" 'BEGIN { printf "%.2f", 100 * (a - b) }')
    name="linear: Top-1 $linear, $points points below (>= 5)"
    if at_least 5 "$points"; then pass "$name"; else miss "$name" "too near"; fi
} | verdicts 11
