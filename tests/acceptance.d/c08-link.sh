#!/bin/bash
# Combining 40 MB over cables of 1 Gbit/s, two and four hosts: the bus rate beside what sockets carry both ways at once,
# measured in turn.
set -u
# shellcheck source=tests/tools/common.sh
. "$SRCDIR/tests/tools/common.sh"
# shellcheck source=tests/tools/hosts.sh
. "$SRCDIR/tests/tools/hosts.sh"
# shellcheck source=tests/tools/faults.sh
. "$SRCDIR/tests/tools/faults.sh"
if ! why=$(hosts_possible); then echo "c08 $why FAIL"; exit 1; fi
hosts_up 4 || exit 1
for host in "${HOSTS[@]}"; do
    shape "$host" 1gbit
    cp "$CORERING" "$(host_folder "$host")/root/corering"
done

# rate N: N hosts.
rate() {
    local at='' i
    for ((i = 1; i <= $1; i++)); do at+=$(host_address node$i),; done
    for ((i = $1; i >= 1; i--)); do
        on node$i /root/corering bench allreduce --at "${at%,}" --rank $((i - 1)) --json 40000000 >"$WORK/$1.$i" 2>&1 &
    done
    wait
    out=$WORK/$1.1 share=$(field share "$WORK/$1.1")
    name="$1 hosts, 40 MB: $(awk -v x="${share:-0}" 'BEGIN { printf "%.1f", 100 * x }') % of the raw rate (>= 85 %): "
    name+="$(field gbytes "$out" | cut -c 1-6) and $(field raw "$out" | cut -c 1-6) GB/s by $(field way "$out")"
    if at_least 0.85 "${share:-0}"; then pass "$name"; else miss "$name" "$(tail -n 1 "$out" | cut -c 1-200)"; fi
}
{ rate 2; rate 4; } | verdicts c08
