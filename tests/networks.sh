#!/bin/bash
# Networks that are not plain: an address that every host has, two cards, IPv6 alone, lost packets. A run neither loses a
# host by them nor ends with other bits. Hosts are namespaces (tests/tools/hosts.sh).
set -u
# shellcheck source=tests/tools/common.sh
. "$SRCDIR/tests/tools/common.sh"
# shellcheck source=tests/tools/hosts.sh
. "$SRCDIR/tests/tools/hosts.sh"
# shellcheck source=tests/tools/runs.sh
. "$SRCDIR/tests/tools/runs.sh"
if [[ ${EMULATOR:-} ]]; then skip "networks" "an emulator has no namespaces of its own"; exit 0; fi
if ! why=$(hosts_possible); then skip "networks" "$why"; exit 0; fi
cd "$WORK" || exit 1
WORK=$PWD
digits data 3000 500
hosts_up 3 || { miss "hosts" "they do not come up"; exit 1; }
hosts_file node1 node2 node3
expected=$(alone lenet5 data -e 4)

# trains NAME: as on a plain network.
trains() {
    begin run lenet5 data -e 4
    finish
    same "$1" "0 $expected" "$status $(field weights_sha256 run.log)"
    same "$1: no host was lost" 0 "$(events '"host_lost"')"
}
each() { for host in "${HOSTS[@]}"; do "$@" "$host"; done; }

each docker0_add
trains "a bridge with one address on every host"
each docker0_del
each nic_add && nic_add launcher
trains "two cards"
printf '10.78.0.%s slots=1\n' 1 2 3 >hosts
trains "two cards, by the addresses of the second"
hosts_file node1 node2 node3
each nic_del && nic_del launcher
ipv6_only
trains "IPv6 alone"
dual_stack
lose() { lossy "$1" 1; }
each lose
trains "1 % of packets lost"
each unlossy
exit $bad
