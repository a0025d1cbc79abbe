#!/bin/bash
# Row C13: the speed-up that a run predicts in its first 100 ms, against what it is: images per second of 2, 4 and 8
# namespace hosts over those of one, with links of 1 Gbit/s and without a limit. Within 20 %. Every host has a thread,
# and all share the cores of this machine. The median of alternating runs, each against the one with a single host next
# to it. Wants an otherwise idle machine.
set -u
. "$SRCDIR/tests/tools/common.sh"
. "$SRCDIR/tests/tools/hosts.sh"
runs=${CR_RUNS:-3}
if ! why=$(hosts_possible); then echo "C13 not measured: $why FAIL"; exit 0; fi
mkdir -p "$WORK" && hosts_up 8 || exit 1

# train NAME HOSTS: its images per second and its prediction are added to NAME.speed and NAME.predicted.
train() {
    local list=
    for ((n = 1; n <= $2; n++)); do list+=${list:+,}node$n:1; done
    on launcher "$CORERING" train lenet5 mnist -H $list -b "${CR_BATCH:-1024}" -e 2 --validate-every 0 --no-checkpoint \
        -q --log "$WORK/$1.log" >>"$WORK/$1.out" 2>&1 || { tail -n 3 "$WORK/$1.out" >&2; exit 1; }
    grep '"event":"end"' "$WORK/$1.log" >"$WORK/end"
    field images_per_s "$WORK/end" >>"$WORK/$1.speed"
    sed -n 's/.*"event":"predicted".*"speedup":\([^,]*\).*/\1/p' "$WORK/$1.log" >>"$WORK/$1.predicted"
}
for link in free 1gbit; do
    for ((i = 1; i <= 8; i++)); do [[ $link == free ]] || shape "node$i" $link; done
    for ((i = 0; i < runs; i++)); do
        for hosts in 1 2 4 8; do train "$link-$hosts" $hosts; done
    done
    for hosts in 2 4 8; do
        paste "$WORK/$link-$hosts.predicted" "$WORK/$link-$hosts.speed" "$WORK/$link-1.speed" |
            awk '{ print $1 / ($2 / $3), $1, $2 / $3 }' | sort -g |
            awk -v link=$link -v hosts=$hosts '{ off[NR] = $1 - 1; predicted[NR] = $2; is[NR] = $3 } END {
                i = int((NR + 1) / 2)
                printf "C13 %d hosts, %s: predicted %.2fx, achieved %.2fx, off by %+.0f %% (must 20) %s\n", hosts, link,
                    predicted[i], is[i], 100 * off[i], (off[i] <= 0.2 && off[i] >= -0.2) ? "PASS" : "FAIL" }'
    done
done
