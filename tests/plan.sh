#!/bin/bash
# What `corering plan` says: a row for 1, 2, 4 ... hosts, a model that its options move the right way, errors.
set -u
# shellcheck source=tests/tools/common.sh
. "$SRCDIR/tests/tools/common.sh"

# cell NAME HOSTS WORDS...: of the row for so many hosts.
cell() {
    local name=$1 hosts=$2
    shift 2
    "$CORERING" plan "$@" --json | grep -o "{\"hosts\":$hosts,[^}]*}" | grep -o "\"$name\":[^,}]*" | cut -d: -f2
}
less() {
    if awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && b != "" && a + 0 < b + 0) }'; then pass "$1"
    else miss "$1" "$2, $3"; fi
}

"$CORERING" plan linear --hosts 6 -t 1 >"$WORK/out" 2>&1
same "status" $? 0
same "rows for 1, 2, 4 and the last" "$(awk '$3 == "ms" { print $1 }' "$WORK/out" | tr '\n' ' ')" "1 2 4 6 "
same "one host is one host" "$(awk '$1 == 1 && $3 == "ms" { print $8 }' "$WORK/out")" 1.00x
less "two hosts and a fast network: faster than one" 1.2 "$(cell speedup 2 linear -t 1 -b 4096 --hosts 2 --gbit 100)"
less "a modem in between: slower" "$(cell speedup 2 linear -t 1 --hosts 2 --gbit 0.001)" 0.5
less "latency counts" 0.009 "$(cell network_s 2 linear -t 1 --hosts 2 --latency 10000)"
for words in "linear --hosts 2000" "linear --gbit 0" "linear --latency x" "nothing" ""; do
    # shellcheck disable=SC2086 # words
    "$CORERING" plan $words >/dev/null 2>"$WORK/error"
    status=$?
    if test $status = 2 || test $status = 5; then pass "refused: plan $words"
    else miss "refused: plan $words" $status; fi
done
