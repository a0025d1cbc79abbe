#!/bin/sh
# The launcher killed, Ctrl-C, ssh lost: no process is left, and what hosts have saved is gone on from.
set -u
. "$SRCDIR/tests/tools/common.sh"
"$SRCDIR/tests/orphans.sh" | verdicts c04
