#!/bin/sh
# Rows c05 and c06: two ranks of a thread each on loopback, beside PyTorch's DDP with gloo, and beside one process with
# two threads. Wants an otherwise idle machine.
set -u
"$SRCDIR/tests/peers/bench_ddp.py" | sed -e 's/^ok - \(.*\)/\1 PASS/' -e 's/^not ok - \(.*\)/\1 FAIL/'
