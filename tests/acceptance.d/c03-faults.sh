#!/bin/sh
# Hosts that die, hang or are cut off, at every moment: how soon it is noticed, and the weights of the undisturbed run.
set -u
. "$SRCDIR/tests/tools/common.sh"
"$SRCDIR/tests/faults.sh" | verdicts c03
