#!/bin/sh
# Two epochs of MNIST, killed 20 times, each time resumed with other threads and another instruction set.
set -u
. "$SRCDIR/tests/tools/kills.sh"
mnist || { echo "CORERING_DATA names no folder that holds MNIST" >&2; exit 1; }
{
    name="killed 20 times, seed $seed"
    if survives 20 lenet5 "$WORK/mnist" -e 2 -b 64 --momentum 0.9 --checkpoint-every 50
    then pass "$name, $ends times to the end: same epochs, weights and state"
    else miss "$name" "$why"
    fi
} | verdicts 05
