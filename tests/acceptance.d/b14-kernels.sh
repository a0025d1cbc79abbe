#!/bin/sh
# The golden table by every instruction set and each way of lying: 8 or 16 samples side by side, or one at a time.
set -u
. "$SRCDIR/tests/tools/golden_table.sh"
golden_data || { echo "CORERING_DATA names no folder that holds MNIST" >&2; exit 1; }
for isa in $(instruction_sets); do
    test "$isa" = ref && length=20 || length='(20|300)'
    for lanes in 1 8 16; do
        golden "$isa, --lanes $lanes" " $length\$" --isa "$isa" --lanes $lanes
    done
done | verdicts b14
