#!/bin/sh
# Strangers at the doors of a run, and what listeners see of it, with --secure and without.
set -u
. "$SRCDIR/tests/tools/common.sh"
"$SRCDIR/tests/strangers.sh" | verdicts c12
