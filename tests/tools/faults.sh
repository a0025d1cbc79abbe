# Faults for the hosts of tests/tools/hosts.sh, each with what undoes it. Faults of the network are made in the switch, where
# real ones are: a packet is lost without anybody hearing of it.
#
#     link_down HOST, link_up HOST    the cable is pulled out, and put in again
#     cut_between A B                 what one sends the other is lost, both ways; uncut A B
#     cut_oneway A B                  only what A sends to B; uncut A B
# shellcheck shell=bash

link_down() { net switch ip link set "$1" down; }

link_up() {
    net switch ip link set "$1" up
    until net "$1" grep -qx 1 /sys/class/net/eth0/carrier; do sleep 0.02; done
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
