# Faults for the hosts of tests/tools/hosts.sh, each with what undoes it. Those of the network are made in the switch,
# where real ones are: a packet is lost, and nobody hears of it.
#
# Network
#     link_down HOST, link_up HOST      the cable is pulled out, and put in again
#     cut_between A B                   what one sends the other is lost, both ways; uncut A B
#     cut_oneway A B                    only what A sends to B; uncut A B
#     lossy HOST PERCENT                of the packets to and from the host are lost; unlossy HOST
#     mtu_blackhole HOST BYTES          IP packets above BYTES to and from the host are lost, without an ICMP message,
#                                       on living connections too, and the cards still say 1500; mtu_whole HOST
#     shape HOST RATE                   a slower cable, both ways, in tc's words: 1gbit; the first 256 KB after a pause
#                                       pass at once; unshape HOST
#     port_drop HOST PORTS              no new TCP connection to 22, to { 22, 80 } or to 1024-65535; living ones stay;
#     port_reject HOST PORTS            the same with "connection refused"; port_open HOST
#     nic_add HOST, nic_del HOST        a second card eth1, 10.78.0.I and fd78::I, on a second switch
#     docker0_add HOST, docker0_del HOST    a bridge that is up and has 172.17.0.1, as on every host that knows Docker
#     ipv6_only, dual_stack             no host has an IPv4 address or name; and back
# Names and ssh
#     name_is HOST NAME [ADDRESS]       on HOST, NAME is this address, or nothing; hosts_names HOST
#     sshd_stop HOST, sshd_start HOST   new connections are refused, living ones stay
#     key_refuse HOST, key_accept HOST  no key is known there any more
#     hostkey_new HOST                  another host key than the launcher knows; hosts_known teaches it
# The machine
#     host_cpu HOST PERCENT             of one core, in periods of 5 ms (longer ones freeze whole steps), or max;
#                                       status 1 and the reason on stdout where there is no control group for it
#     host_cores HOST LIST              runs on these cores only, in taskset's words: 0-1
#     home_mount HOST OPTIONS           root's home is another file system: size=64k, noexec, ro; home_umount HOST
#     home_full HOST                    one without a free byte; home_umount HOST
# shellcheck shell=bash disable=SC2154,SC2034 # the variables are those of hosts.sh

# ---- network

link_down() { net switch ip link set "$1" down; }

link_up() {
    net switch ip link set "$1" up
    until on "$1" grep -qx 1 /sys/class/net/eth0/carrier; do sleep 0.02; done
}

# switch_rules NAME RULE...: a table of its own in the switch, so that switch_forget removes it whole.
switch_rules() {
    local name=$1 rules
    shift
    rules=$(printf '%s\n' "$@")
    net switch nft -f - <<END
table bridge $name {
    chain forward {
        type filter hook forward priority 0
        $rules
    }
}
END
}

switch_forget() { net switch nft delete table bridge "$1"; }

# Both ports of a host, as nftables writes a set.
ports() { echo "{ \"$1\", \"$1.2\" }"; }

cut_oneway() { switch_rules "cut_$1_$2" "iifname $(ports "$1") oifname $(ports "$2") drop"; }
cut_between() { cut_oneway "$1" "$2" && cut_oneway "$2" "$1"; }

uncut() {
    local name
    for name in "cut_$1_$2" "cut_$2_$1"; do switch_forget "$name" 2>/dev/null; done
    return 0
}

# A veth pair carries up to 64 KB as one packet, which no MTU stops and whose loss is the loss of 45. While a fault that
# counts packets is there (small_packets FAULT), every card cuts them itself; large_packets FAULT ends it.
declare -A hosts_small=()
small_packets() { hosts_small[$1]=1; packet_segments 1; }
large_packets() { unset "hosts_small[$1]"; ((${#hosts_small[@]})) || packet_segments 65535; }

packet_segments() {
    local host
    for host in "${!hosts_init[@]}"; do
        [[ $host == switch ]] || net "$host" ip link set eth0 gso_max_segs "$1"
    done
}

lossy() {
    small_packets "lossy_$1"
    switch_rules "lossy_$1" "iifname $(ports "$1") numgen random mod 1000 < $(($2 * 10)) counter drop" \
        "oifname $(ports "$1") numgen random mod 1000 < $(($2 * 10)) counter drop"
}
unlossy() { switch_forget "lossy_$1"; large_packets "lossy_$1"; }

mtu_blackhole() { small_packets "mtu_$1"; net switch ip link set "$1" mtu "$2"; }
mtu_whole() { net switch ip link set "$1" mtu 1500; large_packets "mtu_$1"; }

shape() {
    net "$1" tc qdisc replace dev eth0 root tbf rate "$2" burst 256kb latency 20ms &&
        net switch tc qdisc replace dev "$1" root tbf rate "$2" burst 256kb latency 20ms
}
unshape() { net "$1" tc qdisc del dev eth0 root; net switch tc qdisc del dev "$1" root; }

# The host's own packet filter; host_filter HOST PORTS VERDICT.
host_filter() {
    net "$1" nft -f - <<END
table inet ports {
    chain input {
        type filter hook input priority 0
        iifname != "lo" tcp dport $2 tcp flags & (syn | ack) == syn $3
    }
}
END
}
port_drop() { host_filter "$1" "$2" drop; }
port_reject() { host_filter "$1" "$2" "reject with tcp reset"; }
port_open() { net "$1" nft delete table inet ports; }

nic_add() { hosts_cable "$1" 2; }
nic_del() { net "$1" ip link delete eth1; }

docker0_add() {
    net "$1" ip -batch - <<END
link add docker0 type bridge stp_state 0
link add vethd0 type veth peer name vethd1
link set vethd0 master docker0 up
link set vethd1 up
link set docker0 up
addr add 172.17.0.1/16 dev docker0
END
}
docker0_del() { net "$1" ip link delete docker0; net "$1" ip link delete vethd0; }

ipv6_only() {
    local host
    for host in "${HOSTS[@]}" launcher; do
        net "$host" ip -4 addr flush dev eth0
        hosts_names "$host" 6
    done
}

dual_stack() {
    local host
    for host in "${HOSTS[@]}" launcher; do
        net "$host" ip addr add "$(host_address "$host")/24" dev eth0
        hosts_names "$host"
    done
}

# ---- names and ssh

name_is() {
    local file=$HOSTS_DIR/$1/etc/hosts others
    others=$(grep -v " $2\$" "$file")
    printf '%s\n' "$others" ${3:+"$3 $2"} >"$file" # the same file: it is mounted on the launcher's
}

sshd_stop() {
    local pid
    pid=$(on "$1" cat /run/sshd.pid) && on "$1" kill "$pid" || return 1
    while reaches "$1" localhost; do sleep 0.02; done
}
# It goes into the background first and listens then.
sshd_start() {
    on "$1" "$hosts_sshd" -E /var/log/sshd.log || return 1
    for _ in {1..100}; do
        if reaches "$1" 127.0.0.1; then return 0; fi
        sleep 0.1
    done
    return 1
}

key_refuse() { : >"$HOSTS_DIR/$1/etc/ssh/authorized_keys"; }
key_accept() { cp "$HOSTS_DIR/launcher/etc/ssh/id_ed25519.pub" "$HOSTS_DIR/$1/etc/ssh/authorized_keys"; }

hostkey_new() {
    local key=$HOSTS_DIR/$1/etc/ssh/ssh_host_ed25519_key
    rm "$key"
    ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$key" && sshd_stop "$1" && sshd_start "$1"
}

# ---- the machine

# cpu_group NAME: make a control group for the processor and print its folder, in version 1 or 2; or say why not.
cpu_group() {
    local root=/sys/fs/cgroup group
    if test -e $root/cpu/cpu.cfs_quota_us; then group=$root/cpu/$1
    elif grep -qw cpu $root/cgroup.controllers 2>/dev/null; then
        group=$root/$1
        echo +cpu >$root/cgroup.subtree_control
    else
        echo "no control group for the processor here"
        return 1
    fi 2>/dev/null
    if mkdir -p "$group" 2>/dev/null && test -w "$group/cgroup.procs"; then echo "$group"
    else
        echo "cannot make the control group $group"
        return 1
    fi
}

host_cpu() {
    local host=$1 percent=$2 group quota=-1 pid
    # The number of the script in the name lets hosts_up remove what a run that was killed left behind.
    group=$(cpu_group "corering-hosts.$$.$host") || { echo "$group"; return 1; }
    hosts_cgroup["$host"]=$group
    [[ $percent == max ]] || quota=$((percent * 50)) # of 5000 us
    if test -e "$group/cpu.max"; then
        echo "${quota/#-1/max} 5000" >"$group/cpu.max"
    else
        echo 5000 >"$group/cpu.cfs_period_us" && echo "$quota" >"$group/cpu.cfs_quota_us"
    fi || return 1
    for pid in $(host_all "$host"); do echo "$pid" >"$group/cgroup.procs"; done 2>/dev/null
    return 0
}

host_cores() {
    local pid
    hosts_cores[$1]=$2
    for pid in $(host_all "$1"); do taskset -acp "$2" "$pid" >/dev/null 2>&1; done
    return 0
}

home_mount() { on "$1" mount -t tmpfs -o "mode=700,$2" tmpfs /root; }
home_umount() { on "$1" umount -l /root; }
home_full() {
    home_mount "$1" size=64k
    on "$1" sh -c 'cat /dev/zero >/root/full' 2>/dev/null
    return 0
}
