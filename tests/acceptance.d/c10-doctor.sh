#!/bin/sh
# Every fault of hosts and network, made on purpose: the doctor names the host and what to mend.
set -u
. "$SRCDIR/tests/tools/common.sh"
"$SRCDIR/tests/doctor.sh" | verdicts c10
