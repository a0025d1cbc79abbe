#!/bin/sh
# The whole process holds at most 120 MB while it trains on MNIST.
set -u
. "$SRCDIR/tests/tools/memory.sh"
mnist || { echo "CORERING_DATA names no folder that holds MNIST" >&2; exit 1; }
tool measure || exit 1
{
    within 120 "lenet5, batch 64" "$CORERING" train lenet5 "$WORK/mnist" -e 2 --checkpoint "$WORK/a" -q
    within 120 "lenet5, batch 60,000" "$CORERING" train lenet5 "$WORK/mnist" -e 1 -b 60000 --checkpoint "$WORK/b" -q
    within 120 "lenet5, 16 threads" "$CORERING" train lenet5 "$WORK/mnist" -e 1 -t 16 --checkpoint "$WORK/c" -q
    gzip -1 "$WORK/mnist/"*
    within 120 "lenet5, batch 64, .gz" "$CORERING" train lenet5 "$WORK/mnist" -e 2 --checkpoint "$WORK/d" -q
} | verdicts 09
