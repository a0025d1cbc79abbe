#!/bin/bash
# What `corering doctor` says of hosts and of the network between them: each fault is made, and must be named with the
# host and what to do. Hosts are namespaces (tests/tools/hosts.sh).
set -u
. "$SRCDIR/tests/tools/common.sh"
. "$SRCDIR/tests/tools/hosts.sh"
if ! why=$(hosts_possible); then skip "doctor" "$why"; exit 0; fi
if test "${EMULATOR:-}"; then skip "doctor" "another architecture than the hosts'"; exit 0; fi
if ! test -x "$OBJ/corering-static"; then skip "doctor" "no static program to copy"; exit 0; fi
hosts_up 6 || exit 1
printf '%s\n' node1 node2 >"$WORK/two"
printf '%s\n' node1 node2 node3 node4 node5 node6 >"$WORK/six"

# doctor WORDS...: what it says goes to $WORK/said, its status to $status.
doctor() {
    on launcher "$CORERING" doctor "$@" >"$WORK/said" 2>&1
    status=$?
}
says() { # NAME PATTERN
    if grep -q "$2" "$WORK/said"; then pass "$1"
    else miss "$1" "$(grep -v '^note: .*cores busy' "$WORK/said" | tail -n 12)"
    fi
}

doctor --hostfile "$WORK/two"
same "all is well: status" $status 0
says "all is well" "All is well"
says "address and interface" "^node1 by eth0, 10.77.0.1, MTU 1500, to node2 here"
says "a rate from each to each" "^node2 .* [0-9]* us [0-9]* MB/s .*-.* [0-9]* us [0-9]* MB/s"
doctor -H node1,node1,node2 --json
same "lines of JSON" "$(grep -c '^{"event":"host"' "$WORK/said") $(field faults "$WORK/said")" "3 0"

# Seven hosts, each with a fault of its own, and one that is well.
sshd_stop node2
key_refuse node3
home_full node4
# shellcheck disable=SC2016 # to be expanded there
printf '#!/bin/sh\ncase $1 in -m) echo riscv64 ;; -s) echo Linux ;; *) echo node5 ;; esac\n' >"$HOSTS_DIR/node5/uname"
chmod 755 "$HOSTS_DIR/node5/uname"
on node5 mount --bind /uname /usr/bin/uname
mtu_blackhole node6 1400
name_is launcher self 127.0.1.1
{ cat "$WORK/six"; echo nowhere; echo self; } >"$WORK/eight"
doctor --hostfile "$WORK/eight"
same "faults: status" $status 3
says "a name that does not resolve" "^FAULT: nowhere: its name does not resolve.*/etc/hosts"
says "a name that means loopback" "^FAULT: self: its name means this very machine.*127.0.1.1"
says "no sshd" "^FAULT: node2: .*no sshd listens.*systemctl start ssh"
says "a key that is refused" "^FAULT: node3: .*ssh-copy-id node3"
says "no space" "^FAULT: node4: no space for the program.*--remote-dir"
says "another architecture" "^FAULT: node5: .*riscv64.*--binary"
says "an MTU black hole" "^FAULT: node6: small packets reach it and large ones are lost.*ping -M do"
if grep -q "^FAULT: \(node1\|here\)" "$WORK/said"; then miss "no fault where none is" "$(grep FAULT "$WORK/said")"
else pass "no fault where none is"
fi
sshd_start node2
key_accept node3
home_umount node4
on node5 umount /usr/bin/uname
mtu_whole node6

# Between hosts that can all be started.
port_drop node1 1024-65535
port_reject node2 1024-65535
cut_oneway node3 node4
small_packets path
switch_rules path 'iifname "node5" oifname "node6" meta length > 1400 drop'
hostkey_new node3
hosts_known
"$CORERING" data synth "$WORK/digits" --train 300 --test 100 >/dev/null
"$CORERING" data synth "$HOSTS_DIR/node2/digits" --train 300 --test 100 --seed 2 >/dev/null
cp -r "$WORK/digits" "$HOSTS_DIR/node3/digits"
sed -i 's|node[23]$|& data=/digits|' "$WORK/six"
doctor --hostfile "$WORK/six" --data "$WORK/digits"
same "faults between hosts: status" $status 3
says "a filtered port" "^FAULT: node1: none of the other 6 hosts reaches it: 10.77.0.1:.*not answer.*firewall.*TCP port"
says "a rejected port" "^FAULT: node2: none of the other 6 hosts reaches it: 10.77.0.2:.*refused.*firewall.*TCP port"
says "a cut between two" "^FAULT: node4: node3 does not reach it: .*10.77.0.4"
says "an MTU black hole on the way" "^FAULT: node6: from node5 (10.77.0.5.* to 10.77.0.6.*(an MTU black hole)"
says "no data" "^note:  node1: the data is not there.*data=FOLDER"
says "other data" "^FAULT: node2: its data is another than here"
same "nothing else" "$(grep '^FAULT' "$WORK/said" | cut -d : -f 2 | sort | uniq -c | tr -s ' \n' ' ')" \
    " 1 node1 2 node2 1 node3 1 node4 1 node6 "
for host in node1 node2; do port_open $host; done
uncut node3 node4
switch_forget path
large_packets path

# What a run has sent is found again.
(cd "$WORK" && on launcher "$CORERING" train linear digits -H node4 -e 1) >"$WORK/said" 2>&1
doctor -H node4 --data "$WORK/digits"
says "data that a run has sent" "^node4 .* the same$"

# The same program with another name for its build, byte for byte.
build=$("$CORERING" --version | sed -n 's/^corering //p')
sed "s/${build//./\\.}/${build%?}X/g" "$OBJ/corering-static" >"$WORK/other"
chmod 755 "$WORK/other"
doctor --hostfile "$WORK/two" --binary "$(uname -m)=$WORK/other"
same "another build: status" $status 3
says "another build" "^FAULT: node1: it would run build ${build%?}X, and this is $build"

name_is node1 node1 127.0.1.1
doctor -H node1
same "its own name for loopback there is no fault: status" $status 0
says "its own name for loopback there" "^note:  node1: .*127.0.1.1.*MPI"
same "no process is left" "$(for host in "${HOSTS[@]}" launcher; do host_pids "$host"; done)." "."
exit $bad
