#!/bin/bash
# The hosts that the tests of many machines run on (tests/tools/hosts.sh): they come up with nothing of ours on them,
# each fault (tests/tools/faults.sh) is really there and really undone, seen by real traffic; nothing is left behind.
# shellcheck disable=SC2016,SC2317 # quoted for others; called through says
set -u
# shellcheck source=tests/tools/common.sh
. "$SRCDIR/tests/tools/common.sh"
# shellcheck source=tests/tools/hosts.sh
. "$SRCDIR/tests/tools/hosts.sh"
if [[ ${EMULATOR:-} ]]; then skip "hosts" "an emulator has no namespaces of its own"; exit 0; fi
if ! why=$(hosts_possible); then skip "hosts" "$why"; exit 0; fi

# says NAME COMMAND...: it succeeds. never NAME COMMAND...: it does not.
says() { if "${@:2}" >out 2>&1; then pass "$1"; else miss "$1" "status $?: $(tail -n 1 out)"; fi; }
never() { if "${@:2}" >out 2>&1; then miss "$1" "$(tail -n 1 out)"; else pass "$1"; fi; }

# soon COMMAND...: it succeeds within 10 s.
soon() { for _ in {1..200}; do if "$@"; then return 0; fi; sleep 0.05; done; return 1; }

# joined FROM TO, parted FROM TO: what is possible is so within ten tries of a second, as the machine may be busy.
joined() { for _ in {1..10}; do if reaches "$@"; then return 0; fi; done; return 1; }
parted() { ! reaches "$@"; }

remote() { on launcher ssh -o BatchMode=yes -o ConnectTimeout=10 "$@" </dev/null; }

# A connection that lives through the faults: what alive says comes back.
connect() { coproc LIVE { on launcher ssh "$1" cat; } 2>/dev/null; }
alive() { echo "$1" >&"${LIVE[1]}" && heard "$1" 10; }
heard() { local answer; read -r -t "$2" answer <&"${LIVE[0]}" && test "$answer" = "$1"; }

# seconds COMMAND...: how long it takes.
seconds() {
    local start=${EPOCHREALTIME/./}
    "$@" >/dev/null 2>&1 || return 1
    echo $((${EPOCHREALTIME/./} - start)) | awk '{ print $1 / 1e6 }'
}
send() { head -c "$2" /dev/zero | on launcher ssh "$1" 'cat >/dev/null'; }
take() { remote "$1" head -c "$2" /dev/zero; }

tables() { net switch nft list tables; }
retransmitted() { net launcher awk '/^Tcp: [0-9]/ { print $13 }' /proc/net/snmp; }

cd "$WORK" || exit 1
WORK=$PWD

# ---- up

says "three hosts come up" hosts_up 3
same "ssh by name, by each address, as another user" \
    "$(remote node1 hostname; remote fd77::2 hostname; remote 10.77.0.3 hostname; remote worker@node3 'echo $USER ~')" \
    "$(printf '%s\n' node1 node2 node3 'worker /home/worker')"
same "hosts know each other's names" "$(on node1 getent ahosts node3 | awk '{ print $1 }' | sort -u | tr '\n' ' ')" \
    "10.77.0.3 fd77::3 "
same "homes are empty" "$(on node2 find /root /home/worker | tr '\n' ' ')" "/root /home/worker "
for there in "$SRCDIR" "$CORERING" ${CORERING_DATA:+"$CORERING_DATA"} "$HOSTS_DIR"; do
    never "a host does not see $there" on node1 test -e "$there"
done
says "the launcher sees the program and stays in this folder" \
    on launcher sh -c "test -x \"\$0\" && test \"\$PWD\" = \"\$1\"" "$CORERING" "$WORK"
same "a host sees its own processes only" "$(on node1 sh -c 'echo /proc/[0-9]*' | wc -w)" 3

# ---- network

connect node1
says "link: a connection lives" alive before
link_down node1
says "link: down" parted launcher node1
link_up node1
says "link: up again" joined launcher node1
says "link: the connection lives on" alive after

cut_between node1 node2
says "cut: between two" parted node1 node2
says "cut: the third reaches both" eval "joined node3 node1 && joined node3 node2"
uncut node1 node2
says "cut: undone" joined node1 node2

joined node2 "$(host_address node1)" # so that it knows where node1 is: the answer to that question would be lost too
cut_oneway node1 node2
says "one-way cut: no connection" parted node2 "$(host_address node1)"
same "one-way cut: what node2 sends arrives" \
    "$(net node1 ss -Htn state syn-recv | awk '{ print $4 }' | sed 's/:.*//')" "$(host_address node2)"
uncut node1 node2
says "one-way cut: undone" joined node2 node1

lossy node1 2
before=$(retransmitted)
says "loss: 1 MB comes through" send node1 1000000
says "loss: after packets were sent again" test "$(retransmitted)" -gt "$before"
unlossy node1
same "loss: undone" "$(tables)." .

mtu_blackhole node1 1000
says "black hole: small packets pass" joined launcher node1
long=$(printf '%03000d' 7)
echo "$long" >&"${LIVE[1]}"
never "black hole: large ones do not, on a living connection" heard "$long" 1
never "black hole: nor on a new one" on launcher timeout 1 ssh node1 true
mtu_whole node1
says "black hole: undone, and what was lost arrives" heard "$long" 20

shape node1 4mbit # 700 KB take 1.4 s, less the 256 KB that may come at once
says "shaped: towards the host" at_least 0.8 "$(seconds send node1 700000)"
says "shaped: from it" at_least 0.8 "$(seconds take node1 700000)"
unshape node1
same "shaped: undone" "$(net node1 tc qdisc show dev eth0; net switch tc qdisc show dev node1)." \
    "$(net node2 tc qdisc show dev eth0; net switch tc qdisc show dev node2)."

port_drop node1 1-1024
same "port: filtered" "$(reaches launcher node1; echo $?)" 124
port_open node1
port_reject node1 22
same "port: refused" "$(reaches launcher node1; echo $?)" 1
says "port: the connection lives on" alive filtered
port_open node1
says "port: open again" joined launcher node1

nic_add node1 && nic_add node2
says "second card" joined node1 10.78.0.2
says "second card: IPv6" joined node1 fd78::2
cut_between node1 node2
says "second card: cut with the first" parted node1 10.78.0.2
uncut node1 node2
nic_del node1 && nic_del node2
says "second card: gone" parted node1 10.78.0.2

docker0_add node1 && docker0_add node2
says "docker0: one address on two hosts" eval "joined node1 172.17.0.1 && joined node2 172.17.0.1"
docker0_del node1 && docker0_del node2
never "docker0: gone" eval "reaches node1 172.17.0.1 || reaches node2 172.17.0.1"

ipv6_only
says "IPv6 only: no IPv4" parted node1 10.77.0.2
same "IPv6 only: by name" "$(remote node2 "echo \$SSH_CONNECTION" | awk '{ print $1, $3 }')" "fd77::200 fd77::2"
dual_stack
says "IPv6 only: undone" joined node1 10.77.0.2

# ---- names and ssh

name_is launcher node2
never "name: does not resolve" on launcher getent hosts node2
name_is node2 node2 127.0.1.1
same "name: resolves to itself" "$(on node2 getent ahosts node2 | awk '{ print $1 }' | sort -u)" 127.0.1.1
hosts_names launcher && hosts_names node2
says "name: undone" eval "joined launcher node2 && joined node2 node2"

sshd_stop node1
same "sshd: refused" "$(reaches launcher node1; echo $?)" 1
says "sshd: the connection lives on" alive stopped
sshd_start node1
says "sshd: back" remote node1 true

key_refuse node2
says "key: refused" eval "remote node2 true 2>&1 | grep 'Permission denied'"
key_accept node2
says "key: accepted again" remote node2 true
hostkey_new node2
says "host key: another" eval "remote node2 true 2>&1 | grep 'Host key verification failed'"
hosts_known
says "host key: known" remote node2 true

# ---- the machine

# busy: seconds of processor time over seconds, in percent, of a loop on node2.
busy() {
    on node2 bash -c "TIMEFORMAT='%R %U %S'; time timeout 0.5 sh -c 'while :; do :; done'" 2>&1 |
        awk 'NF == 3 { print int(100 * ($2 + $3) / $1) }'
}
throttled() { awk '$1 == "nr_throttled" { print $2 }' "${hosts_cgroup[node2]}/cpu.stat"; }
if why=$(cpu_group "corering-hosts.$$.node2"); then
    host_cpu node2 20
    percent=$(busy)
    says "processor: 20 % of a core, used $percent %" test "$percent" -le 40
    says "processor: programs started by ssh too" eval "remote node2 cat /proc/self/cgroup | grep corering-hosts"
    host_cpu node2 max
    before=$(throttled)
    busy >/dev/null
    same "processor: undone" "$(throttled)" "$before"
else
    skip "processor: a share" "$why"
fi
all=$(taskset -cp $$ | sed 's/.*: //')
host_cores node2 "${all%%[,-]*}"
same "cores: one" "$(on node2 nproc) $(remote node2 nproc)" "1 1"
host_cores node2 "$all"
same "cores: all again" "$(on node2 nproc) $(remote node2 nproc)" "$(nproc) $(nproc)"

on node2 touch /root/kept
home_full node2
never "disk: full" on node2 sh -c 'echo x >/root/more'
home_umount node2
home_mount node2 noexec
on node2 cp /bin/true /root/true
never "disk: noexec" on node2 /root/true
home_umount node2
same "disk: the home again" "$(on node2 ls /root)" kept

# ---- processes

remote node1 "exec -a corering sleep 1000" 2>/dev/null &
soon eval "[[ \$(host_pids node1 '^corering') ]]"
pid=$(host_pids node1 '^corering')
state() { grep -q "^State:.$1" "/proc/$pid/status"; }
soon state S
host_stop node1
says "stopped" soon state T
host_cont node1
says "goes on" soon state S
host_kill node1
same "killed, all but sshd" "$(host_pids node1)$(remote node1 hostname)" node1

connect node2
says "power: a connection" alive on
host_off node2
says "power: off" parted launcher node2
says "power: nobody was told" test "$(host_pids launcher '^ssh node2 cat')"
host_boot node2
says "power: on again" joined launcher node2
same "power: the same host, its programs gone" "$(remote node2 ls /root)$(host_pids node2 cat)" kept

# ---- nothing is left behind, with other hosts of the same names beside it

for signal in TERM INT KILL; do
    rm -f up
    "${hosts_signals[@]}" bash -uc ". '$SRCDIR/tests/tools/hosts.sh'
        hosts_up 1; reaches launcher node1 && echo \"\${hosts_init[*]}\" \"\$HOSTS_DIR\"
        setpriv --pdeathsig KILL sleep 100 & wait" >up &
    child=$!
    soon test -s up
    read -r a b c folder <up
    kill "-$signal" $child
    wait $child 2>/dev/null
    for pid in $a $b $c; do hosts_gone "$pid"; done
    if [[ $signal == KILL ]]; then rm -rf "$folder"; fi
    same "SIG$signal: all gone" "$(find "$folder" "/proc/$a" "/proc/$b" "/proc/$c" -maxdepth 0 2>/dev/null)." .
done
says "and these are still here" joined launcher node3

inits=("${hosts_init[@]/#//proc/}") folder=$HOSTS_DIR groups=("${hosts_cgroup[@]}")
hosts_down
same "down: nothing is left" "$(find "$folder" "${inits[@]}" "${groups[@]}" -maxdepth 0 2>/dev/null)." .
exit $bad
