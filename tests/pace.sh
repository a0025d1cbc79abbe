#!/bin/sh
# A step of one sample may be shared by threads or not, whichever is the faster just now (core/pace.h). Steps enough for
# every counter that threads meet by to go round, and for both ways to take long turns.
set -u
# shellcheck source=tests/tools/common.sh
. "$SRCDIR/tests/tools/common.sh"
if test "${EMULATOR:-}"; then skip "pace" "too slow in an emulator"; exit 0; fi
cd "$WORK" || exit 1
digits data 640 100
hash_of() { "$CORERING" train lenet5 data -b 1 -r 0.001 --steps 150000 --validate-every 0 --no-checkpoint -q "$@" |
    sed -n 's/^weights sha256 //p'; }
alone=$(hash_of -t 1)
same "2 threads" "$alone" "$(hash_of -t 2)"
same "3 threads" "$alone" "$(hash_of -t 3 --threads-per-block 2)"
exit $bad
