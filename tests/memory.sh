#!/bin/sh
# Memory grows with the block of samples, not with the batch nor with the data, which stay on disk.
set -u
. "$SRCDIR/tests/tools/memory.sh"
if test "${EMULATOR:-}"; then skip "memory" "an emulator has its own"; exit 0; fi
tool measure || exit 1

digits "$WORK/digits" 6000 1000
for batch in 1 64 6000; do
    within 40 "batch $batch" "$CORERING" train lenet5 "$WORK/digits" -b $batch -e 1 --checkpoint "$WORK/run$batch" -q
done
if mnist; then
    within 120 "MNIST" "$CORERING" train lenet5 "$WORK/mnist" -e 1 --checkpoint "$WORK/run" -q
    gzip -1 "$WORK/mnist/"*
    within 120 "MNIST as .gz" "$CORERING" train lenet5 "$WORK/mnist" -e 1 --checkpoint "$WORK/run.gz" -q
else
    skip "MNIST" "CORERING_DATA names no folder that holds it"
fi
exit $bad
