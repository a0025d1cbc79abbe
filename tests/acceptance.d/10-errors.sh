#!/bin/sh
# Wrong input, full disks: one line that names cause and place, the documented status, no half-written file.
set -u
. "$SRCDIR/tests/tools/common.sh"
counts() {
    mkdir "$WORK/$1"
    WORK=$WORK/$1 "$SRCDIR/tests/$1.sh" >"$WORK/$1.log"
    status=$?
    grep -v '^ok - ' "$WORK/$1.log" >&2
    name="tests/$1.sh: $(grep -c '^ok - ' "$WORK/$1.log") of $(grep -c -e '^ok - ' -e '^not ok - ' "$WORK/$1.log")"
    if test $status = 0; then pass "$name"; else miss "$name" "$(grep -m 1 '^not ok' "$WORK/$1.log")"; fi
}
{ counts cli; counts resume; } | verdicts 10
