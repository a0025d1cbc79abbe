#!/bin/bash
# Row C9: one fast and one half-speed host together reach 0.85 of the sum of what each does alone, with the same
# weights. Two namespace hosts, a core each; the second has half of its core in periods of 5 ms. Batch 4096; medians of
# alternating runs. Wants an otherwise idle machine with two cores.
set -u
. "$SRCDIR/tests/tools/common.sh"
. "$SRCDIR/tests/tools/hosts.sh"
runs=${CR_RUNS:-5}
if ! why=$(hosts_possible); then echo "C9 not measured: $why FAIL"; exit 0; fi
mkdir -p "$WORK" && hosts_up 2 || exit 1
host_cores node1 0 && host_cores node2 1 || exit 1
if ! why=$(host_cpu node2 50); then echo "C9 not measured: $why FAIL"; exit 0; fi

# train NAME HOSTS: its images per second are added to NAME.speed, its hash to hashes.
train() {
    on launcher "$CORERING" train lenet5 mnist -H "$2" -b 4096 -e 4 --validate-every 0 --no-checkpoint -q \
        --log "$WORK/$1.log" >>"$WORK/$1.out" 2>&1 || { tail -n 3 "$WORK/$1.out" >&2; exit 1; }
    field images_per_s "$WORK/$1.log" >>"$WORK/$1.speed"
    field weights_sha256 "$WORK/$1.log" >>"$WORK/hashes"
}
median() { sort -g "$1" | awk '{ x[NR] = $1 } END { printf "%.0f", x[int((NR + 1) / 2)] }'; }

for ((i = 0; i < runs; i++)); do
    train fast node1:1
    train slow node2:1
    train both node1:1,node2:1
done
fast=$(median "$WORK/fast.speed") slow=$(median "$WORK/slow.speed") both=$(median "$WORK/both.speed")
hashes=$(sort -u "$WORK/hashes" | wc -l)
awk -v fast="$fast" -v slow="$slow" -v both="$both" -v hashes="$hashes" 'BEGIN {
    share = both / (fast + slow)
    printf "C9 %d and %d images/s alone, %d together: %.2f of the sum (must 0.85), %d hash(es) %s\n", fast, slow, both,
        share, hashes, (share >= 0.85 && hashes == 1) ? "PASS" : "FAIL" }'
