#!/bin/sh
# The model of the change of view (tests/model/view.pml), checked by spin: all assertions, no state in which the run
# hangs, no cycle. Then with rules left out, each of which must be noticed: by an assertion, or by a cycle.
set -u
. "$SRCDIR/tests/tools/common.sh"

# check OPTIMISATION DEFINITIONS...: run the model with these definitions; what pan says goes to `out`.
check() {
    level=$1; shift
    rm -f pan out
    # shellcheck disable=SC2086 # CC may hold options
    spin -a "$@" "$SRCDIR/tests/model/view.pml" >log 2>&1 &&
        ${CC:-cc} -w "$level" -DNP -DCOLLAPSE -DMEMLIM=2048 -o pan pan.c >>log 2>&1 && ./pan -l -m10000 -w22 >out 2>&1
}

# holds NAME DEFINITIONS...: the whole space was searched and there was no error.
holds() {
    name=$1; shift
    check -O1 "$@"
    if grep -q 'errors: 0$' out 2>log2 && ! grep -q 'not complete\|max search depth too small' out; then
        pass "$name: $(sed -n 's/^ *\([0-9]*\) states, stored.*/\1 states/p' out)"
    else miss "$name" "$(grep '^pan:' out || tail -n 1 log)"
    fi
}

# fails RULE PATTERN: without the rule an error is found, and it is this one.
fails() {
    check -O0 -DFAULTS=1 -DRESTARTS=1 -DLAST=3 -DCHECKPOINT_AT=2 "-DBREAK_$1"
    if grep -q "^pan:1: .*$2" out; then pass "without $1: $(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' out)"
    else miss "without $1" "$(grep -e '^pan:' -e errors: out || tail -n 1 log)"
    fi
}

cd "$WORK" || exit 1
if ! command -v spin >/dev/null; then skip "the model of the change of view" "no spin here"; exit 0; fi
if test "${EMULATOR:-}"; then skip "the model of the change of view" "it does not depend on the machine"; exit 0; fi

holds "three ranks, two faults" -DFAULTS=2
holds "a fault, a rank that comes back, a checkpoint between steps" -DFAULTS=1 -DRESTARTS=1 -DLAST=3 -DCHECKPOINT_AT=2
holds "a fault, a rank that comes late" -DFAULTS=1 -DLATE=1
holds "a fault where three hosts are the least" -DFAULTS=1 -DLEAST=3

fails READY 'assertion violated ((view\[i\]==begun)'
fails STOP 'assertion violated'
fails PATCH 'assertion violated.*committed\[i\]==c'
fails STATE 'assertion violated.*committed\[i\]==c'
fails SAVED 'assertion violated.*sent'
fails LEAVE 'assertion violated.*committed\[k\]==3'
fails JUDGE 'assertion violated over'
fails RECONNECT 'assertion violated (latest<12)'
fails REPEAT 'non-progress cycle'
exit $bad
