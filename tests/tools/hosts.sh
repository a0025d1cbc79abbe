# Hosts of our own for tests: N "machines" on this one, each with its network card, its sshd, its own host key, an empty
# home and no trace of corering or of the data, and a launcher that sees program and data and reaches them by ssh.
#
# Read it with a dot, in bash, as root:
#
#     . "$SRCDIR/tests/tools/hosts.sh"
#     if ! why=$(hosts_possible); then skip "many hosts" "$why"; exit 0; fi
#     hosts_up 3                                  # node1 node2 node3 and launcher; gone when the script ends
#     on launcher "$CORERING" train lenet5 "$WORK/mnist" --hostfile "$WORK/hosts" &
#     cut_between node1 node2                     # tests/tools/faults.sh has the faults
#
# tests/tools/playground does the same for a human who wants to look around.
#
# How it is made: a host is a process tree in namespaces of its own (network, processes, mounts, name), whose process 1
# is tests/tools/host_init.sh. Cables are veth pairs into a bridge, which stands in a namespace of its own too: the
# machine's network is not touched, nothing has a name outside, and two runs at once cannot meet. Every process 1 dies
# with the script, however that ends (SIGKILL included), and takes its processes, mounts, cards and addresses along.
# Only a SIGKILL leaves something: the folder $HOSTS_DIR in $WORK and maybe a control group, which the next run removes.
#
#     hosts_possible            status 0, or 1 and the reason on stdout
#     hosts_up N                hosts node1..nodeN (N <= 64) and launcher; sets HOSTS, HOSTS_DIR and traps that end them
#     hosts_down                ends them all; again is harmless
#     on HOST COMMAND...        run it there, as root; on a node in / with a clean environment, on the launcher in this
#                               folder with this environment and a HOME of its own
#     host_address HOST [4|6]   10.77.0.I or fd77::I; the launcher is number 200
#     host_folder HOST          where the files of the host lie, seen from here: $(host_folder node1)/root/.cache
#     reaches FROM TO [PORT]    can a new TCP connection be opened (within 1 s)? PORT [22]
#     host_pids HOST [PATTERN]  its processes, numbered from here, but for process 1 and the listening sshd; with a
#                               PATTERN (extended regular expression) only those whose command line matches
#     host_signal SIGNAL HOST [PATTERN]   sends it to them
#     host_kill HOST [PATTERN]  SIGKILL, until there are none: the kernel still tells the peers (FIN, RST)
#     host_stop HOST [PATTERN]  SIGSTOP [corering]: hangs, its connections stay
#     host_cont HOST [PATTERN]  SIGCONT
#     host_off HOST             power lost: the cable first, so that nobody is told, then all processes, sshd included
#     host_boot HOST            the same host again, with its files and its key
#
# `on` started in the background has a process number of its own, which is not the program's: end it with host_signal.
# A script that sets its own trap on EXIT after hosts_up calls hosts_down there.
# shellcheck shell=bash

declare -A hosts_init=()   # process 1 of each host and of the switch, numbered from here
declare -A hosts_cgroup=() # the control group of a host that has one (faults.sh)
declare -A hosts_cores=()  # the cores of a host that has not all
HOSTS=() HOSTS_DIR='' hosts_starting=''
# To stand before a command. Shells start what is in the background with SIGINT ignored: not so here.
hosts_signals=(env --default-signal=INT --default-signal=QUIT)
# The same: in new namespaces, dying with the shell that calls it.
hosts_new=(setpriv --pdeathsig KILL unshare --fork --kill-child --pid --mount --net --uts --ipc)
hosts_tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
hosts_sshd=/usr/sbin/sshd
PATH=$PATH:/usr/sbin:/sbin # not there after su

hosts_possible() {
    local tool why
    if [[ $(id -u) != 0 ]]; then echo "namespaces need root"; return 1; fi
    for tool in unshare nsenter setpriv setsid pivot_root hostname taskset ip tc nft ssh ssh-keygen $hosts_sshd; do
        command -v "$tool" >/dev/null || { echo "no $tool here (./configure --install-deps=ci)"; return 1; }
    done
    why=$("${hosts_new[@]}" bash -c '
        mount -t proc proc /proc && mount -t sysfs sysfs /sys || { echo "mounts"; exit 1; }
        ip link add br1 type bridge || { echo "bridges"; exit 1; }
        ip link add veth1 type veth peer name veth2 || { echo "veth pairs"; exit 1; }
        nft add table bridge t || { echo "nftables for bridges"; exit 1; }' 2>/dev/null) ||
        { echo "no ${why:-namespaces} in this kernel or container"; return 1; }
}

# hosts_start KIND NAME: its process 1. What it says goes to NAME.log.
hosts_start() {
    local ready=$HOSTS_DIR/$2.ready
    mkfifo "$ready"
    "${hosts_new[@]}" "${hosts_signals[@]}" setsid bash "$hosts_tools/host_init.sh" "$1" "$2" "$HOSTS_DIR/$2" \
        4>"$ready" </dev/null >>"$HOSTS_DIR/$2.log" 2>&1 &
    hosts_starting=$!
    disown
    if ! read -r "hosts_init[$2]" <"$ready"; then
        echo "hosts.sh: $2 did not come up: $(tail -n 3 "$HOSTS_DIR/$2.log")" >&2
        unset "hosts_init[$2]"
        return 1
    fi
    rm "$ready"
    hosts_starting=
}

# net HOST COMMAND...: in its network only; on the switch too.
net() { nsenter -t "${hosts_init[$1]}" -n -- "${@:2}"; }

hosts_number() { if [[ $1 == launcher ]]; then echo 200; else echo "${1#node}"; fi; }

host_address() {
    local number
    number=$(hosts_number "$1")
    if [[ ${2:-4} == 4 ]]; then echo "10.77.0.$number"; else echo "fd77::$number"; fi
}

host_folder() { echo "$HOSTS_DIR/$1"; }

# The names every host knows: hosts_names HOST [4|6], both families without the last.
hosts_names() {
    local host
    {
        echo "127.0.0.1 localhost"
        echo "::1 localhost"
        for host in "${HOSTS[@]}" launcher; do
            [[ ${2:-4} != 4 ]] || echo "$(host_address "$host" 4) $host"
            [[ ${2:-6} != 6 ]] || echo "$(host_address "$host" 6) $host"
        done
    } >"$HOSTS_DIR/$1/etc/hosts"
}

# What a host's sshd and its programs need of /etc, and no more.
hosts_etc() {
    local etc=$HOSTS_DIR/$1/etc file
    mkdir -p "$etc/ssh" "$HOSTS_DIR/$1/home/worker" "$HOSTS_DIR/$1/root"
    for file in alternatives ld.so.cache ld.so.conf ld.so.conf.d localtime protocols services; do
        test ! -e "/etc/$file" || cp -a "/etc/$file" "$etc/"
    done
    : >"$etc/resolv.conf"
    echo 'multi on' >"$etc/host.conf" # all addresses of a name
    printf '%s\n' 'passwd: files' 'group: files' 'shadow: files' 'hosts: files' >"$etc/nsswitch.conf"
    printf '%s\n' root:x:0:0::/root:/bin/bash worker:x:1000:1000::/home/worker:/bin/bash \
        sshd:x:100:65534::/run/sshd:/usr/sbin/nologin nobody:x:65534:65534::/:/usr/sbin/nologin >"$etc/passwd"
    printf '%s\n' root:x:0: worker:x:1000: tty:x:5: nogroup:x:65534: >"$etc/group"
    printf '%s:*:19000:0:99999:7:::\n' root worker sshd nobody >"$etc/shadow"
    chmod 600 "$etc/shadow"
    chown 1000:1000 "$HOSTS_DIR/$1/home/worker"
    ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$etc/ssh/ssh_host_ed25519_key" || return 1
    cp "$HOSTS_DIR/launcher/etc/ssh/id_ed25519.pub" "$etc/ssh/authorized_keys"
    printf '%s\n' 'HostKey /etc/ssh/ssh_host_ed25519_key' 'AuthorizedKeysFile /etc/ssh/authorized_keys' \
        'UsePAM no' 'UseDNS no' 'PasswordAuthentication no' 'PermitRootLogin prohibit-password' 'PrintLastLog no' \
        'MaxStartups 100' 'PidFile /run/sshd.pid' >"$etc/ssh/sshd_config"
}

# What the launcher's ssh reads instead of the machine's: its key, the hosts' keys, nothing lowered.
hosts_client() {
    local etc=$HOSTS_DIR/launcher/etc
    mkdir -p "$etc/ssh" "$HOSTS_DIR/launcher/root"
    ssh-keygen -q -t ed25519 -N '' -C launcher -f "$etc/ssh/id_ed25519" || return 1
    : >"$etc/resolv.conf"
    printf '%s\n' 'passwd: files' 'group: files' 'shadow: files' 'hosts: files' >"$etc/nsswitch.conf"
    printf '%s\n' "IdentityFile $etc/ssh/id_ed25519" 'IdentitiesOnly yes' 'IdentityAgent none' \
        "UserKnownHostsFile $etc/ssh/known_hosts" 'GlobalKnownHostsFile none' 'UpdateHostKeys no' \
        >"$etc/ssh/ssh_config"
}

# hosts_known: write the launcher's known_hosts anew from the keys the hosts have; by name and by every address.
hosts_known() {
    local host number
    for host in "${HOSTS[@]}"; do
        number=$(hosts_number "$host")
        echo "$host,10.77.0.$number,10.78.0.$number,fd77::$number,fd78::$number" \
            "$(cut -d ' ' -f 1,2 "$HOSTS_DIR/$host/etc/ssh/ssh_host_ed25519_key.pub")"
    done >"$HOSTS_DIR/launcher/etc/ssh/known_hosts"
}

# hosts_cable HOST [2]: from its card eth0 [eth1] to the switch's port HOST [HOST.2]. The card keeps its hardware
# address over a reboot, as real ones do; no address waits for duplicate detection.
hosts_cable() {
    local number=${2:-1} port=$1 card subnet host
    host=$(hosts_number "$1")
    ((number == 1)) || port=$1.$number
    card=eth$((number - 1)) subnet=$((76 + number))
    net switch ip link delete "$port" 2>/dev/null
    net switch ip -batch - <<END || return 1
link add $port type veth peer name $card netns ${hosts_init[$1]} address 02:77:00:00:0$number:$(printf %02x "$host")
link set $port master br$number up
END
    net "$1" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6' 2>/dev/null
    net "$1" ip -batch - <<END
link set lo up
link set $card up
addr add 10.$subnet.0.$host/24 dev $card
addr add fd$subnet::$host/64 dev $card nodad
END
}

hosts_up() {
    local i host group
    for group in /sys/fs/cgroup/{,cpu/}corering-hosts.*; do
        i=${group#*corering-hosts.}
        [[ ! -d $group || -e /proc/${i%%.*} ]] || rmdir "$group"
    done
    HOSTS=()
    HOSTS_DIR=$(mktemp -d "${WORK:-${TMPDIR:-/tmp}}/hosts.XXXXXX") || return 1
    trap hosts_down EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    for ((i = 1; i <= $1; i++)); do HOSTS+=("node$i"); done
    hosts_client && hosts_start switch switch || return 1
    for i in 1 2; do # br2 is for second cards
        net switch ip link add br$i type bridge stp_state 0 mcast_snooping 0 || return 1
        net switch ip link set br$i up || return 1
    done
    for host in "${HOSTS[@]}"; do hosts_etc "$host" || return 1; done
    hosts_known
    for host in launcher "${HOSTS[@]}"; do
        hosts_names "$host"
        host_boot "$host" || return 1
    done
}

hosts_down() {
    local pid host
    if [[ $hosts_starting ]]; then # a signal came meanwhile, and its process 1 is not known yet
        kill -KILL "$hosts_starting" 2>/dev/null
        sleep 0.2
    fi
    for pid in "${hosts_init[@]}"; do kill -KILL "$pid" 2>/dev/null; done
    for pid in "${hosts_init[@]}"; do hosts_gone "$pid"; done
    for host in "${!hosts_cgroup[@]}"; do rmdir "${hosts_cgroup[$host]}"; done
    hosts_init=() hosts_cgroup=() hosts_cores=() hosts_small=()
    [[ -z $HOSTS_DIR ]] || rm -rf "$HOSTS_DIR"
    HOSTS_DIR=
}

# hosts_gone PID: wait until this process 1 has ended, and so all its host.
hosts_gone() {
    while [[ -e /proc/$1 ]]; do sleep 0.02; done
}

host_boot() {
    local kind=host
    [[ $1 != launcher ]] || kind=launcher
    hosts_start $kind "$1" && hosts_cable "$1"
}

host_off() {
    local pid=${hosts_init[$1]}
    net switch ip link set "$1" down
    net switch ip link set "$1.2" down 2>/dev/null
    kill -KILL "$pid"
    hosts_gone "$pid"
    unset "hosts_init[$1]"
}

on() {
    local host=$1 enter=(nsenter -t "${hosts_init[$1]}" -m -n -p -u -i --)
    shift
    [[ -z ${hosts_cores[$host]:-} ]] || enter=(taskset -c "${hosts_cores[$host]}" "${enter[@]}")
    if [[ ${hosts_cgroup[$host]:-} ]]; then
        # shellcheck disable=SC2016 # the inner shell's
        enter=(sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "${hosts_cgroup[$host]}" "${enter[@]}")
    fi
    if [[ $host == launcher ]]; then
        # shellcheck disable=SC2016 # the inner shell's
        HOME=$HOSTS_DIR/launcher/root "${enter[@]}" "${hosts_signals[@]}" sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
    else
        "${enter[@]}" "${hosts_signals[@]}" -i HOME=/root USER=root LC_ALL=C \
            PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
    fi
}

reaches() {
    # shellcheck disable=SC2016 # the inner shell's
    on "$1" timeout 1 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "${3:-22}" 2>/dev/null
}

# host_all HOST: every process of a host, numbered from here.
host_all() {
    local namespace inode path
    namespace=$(stat -Lc %i "/proc/${hosts_init[$1]}/ns/pid") || return 1
    stat -Lc '%i %n' /proc/[0-9]*/ns/pid 2>/dev/null | while read -r inode path; do
        path=${path#/proc/}
        [[ $inode != "$namespace" ]] || echo "${path%/ns/pid}"
    done
}

host_pids() {
    local pid line
    for pid in $(host_all "$1"); do
        line=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") # of a zombie: nothing
        [[ $pid == "${hosts_init[$1]}" || -z $line || $line == *sshd*'[listener]'* ]] && continue
        [[ $line =~ ${2:-.} ]] && echo "$pid"
    done 2>/dev/null
    return 0
}

host_signal() {
    local pids
    pids=$(host_pids "$2" "${3:-.}")
    # shellcheck disable=SC2086 # a list
    [[ -z $pids ]] || kill "-$1" $pids 2>/dev/null
}

host_kill() {
    while [[ $(host_pids "$1" "${2:-.}") ]]; do host_signal KILL "$1" "${2:-.}"; done
}

host_stop() { host_signal STOP "$1" "${2:-corering}"; }
host_cont() { host_signal CONT "$1" "${2:-corering}"; }

# shellcheck source=tests/tools/faults.sh
. "$hosts_tools/faults.sh"
