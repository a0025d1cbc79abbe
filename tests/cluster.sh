#!/bin/bash
# One command and a hosts file: hosts that have nothing but an sshd train, and end with the bits of one machine; so does
# any number of ranks. Hosts are namespaces (tests/tools/hosts.sh); tests/faults.sh is about what goes wrong.
set -u
# shellcheck source=tests/tools/golden_table.sh
. "$SRCDIR/tests/tools/golden_table.sh"
# shellcheck source=tests/tools/hosts.sh
. "$SRCDIR/tests/tools/hosts.sh"
# shellcheck source=tests/tools/runs.sh
. "$SRCDIR/tests/tools/runs.sh"
cd "$WORK" || exit 1
WORK=$PWD

echo "# ranks of this machine"
golden_data || skip "MNIST" "CORERING_DATA names no folder that holds it"
for ranks in 1 2 3 5 8; do
    for threads in 1 2; do
        hosts=$(for ((i = 0; i < ranks; i++)); do printf 'localhost:%d,' $threads; done)
        golden "$ranks ranks with $threads threads" 'lenet5 synth (64|100|7) 20' -H "${hosts%,}"
    done
done
golden "3 ranks, to the end" '(lenet5|mlp) synth (64|7) 300' -H localhost:1,localhost:1,localhost:1

echo "# hosts"
if [[ ${EMULATOR:-} ]]; then skip "hosts" "an emulator has no namespaces of its own"; exit $bad; fi
if ! why=$(hosts_possible); then skip "hosts" "$why"; exit $bad; fi
hosts_up 3 || { miss "hosts" "they do not come up"; exit 1; }
data=synth
if [[ -d mnist ]]; then data=mnist; fi
expected=$(alone lenet5 $data -e 1)
# trained NAME: the run ends well, like that of one machine, and no host was lost.
trained() {
    finish
    same "$1" "$status $(field weights_sha256 "$run.log")" "0 $expected"
    same "$1: no host was lost" 0 "$(events '"host_lost"')"
}
same "nothing of ours is on the hosts" "$(for host in "${HOSTS[@]}"; do on "$host" find /root -type f; done)." .

hosts_file node1 node2
begin two lenet5 $data -e 1
trained "two hosts"
hosts_file node1 node2 node3
begin three lenet5 $data -e 1
trained "three hosts, of which one is new"
same "each has the program and the data now" 3 "$(for host in "${HOSTS[@]}"; do
    on "$host" find /root/.cache/corering -type f | grep -cE '/(corering|(train|t10k)-(images-idx3|labels-idx1)-ubyte)$'
done | grep -cx 5)"
same "and no process" "$(for host in "${HOSTS[@]}"; do host_pids "$host"; done)." .
if "$CORERING" test three $data >out 2>&1; then pass "the checkpoint of hosts is one like any other"
else miss "the checkpoint of hosts is one like any other" "$(tail -n 1 out)"
fi

echo "# a host that is not there"
host_off node3
begin late lenet5 $data --schedule constant -e 1000
if seen '"epoch"'; then pass "the others begin"; else miss "the others begin" "$(tail -n 1 late.out)"; fi
same "the host that is down is named" 1 "$(grep -c '"warning".*"message":"node3: ' late.log)"
host_boot node3
if seen '"host_joined".*node3'; then pass "and joins when it is there"; else miss "it joins" "$(tail -n 1 late.out)"; fi
interrupt
finish
same "Ctrl-C: status" 130 "$status"
like_alone "a host that came late"

name_is launcher node3
begin few lenet5 $data --min-hosts 3 -e 1
finish
same "fewer than --min-hosts: status 3, and why" "3 1" "$status $(tail -n 1 few.out | grep -c 'its name does not resolve')"
exit $bad
