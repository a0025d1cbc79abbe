#!/bin/sh
# The job of the report the project answers: batch 1, 15 epochs (there 18,621 s on one machine, Top-1 0.9054).
set -u
. "$SRCDIR/tests/tools/common.sh"
mnist || { echo "CORERING_DATA names no folder that holds MNIST" >&2; exit 1; }
log=$WORK/log
"$CORERING" train lenet5 "$WORK/mnist" -b 1 -e 15 -r 0.005 --momentum 0 --schedule constant --json \
    --checkpoint "$WORK/run" >"$log"
status=$?
{
    name="batch 1: Top-1 $(field top1 "$log") (>= 0.98) in $(rounded seconds "$log") s, $(rounded images_per_s "$log") images/s"
    if test $status = 0 && at_least 0.98 "$(field top1 "$log")"; then pass "$name"; else miss "$name" "status $status"; fi
    name="batch 1: $(field redone "$log") of $(field steps "$log") steps redone (<= 0.1 %)"
    if at_least "$(field redone "$log")000" "$(field steps "$log")"; then pass "$name"; else miss "$name" "more"; fi
} | verdicts 03
