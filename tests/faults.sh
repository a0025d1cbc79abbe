#!/bin/bash
# A host dies, hangs or is cut off, at every moment that is different from others: the others notice, go on without it,
# take it in again, and end with the bits of the run that nobody disturbed. Hosts are namespaces (tests/tools/hosts.sh).
# How soon a loss was noticed is told; a test fails at ten times the promised two seconds.
set -u
# shellcheck source=tests/tools/common.sh
. "$SRCDIR/tests/tools/common.sh"
# shellcheck source=tests/tools/hosts.sh
. "$SRCDIR/tests/tools/hosts.sh"
# shellcheck source=tests/tools/runs.sh
. "$SRCDIR/tests/tools/runs.sh"
if [[ ${EMULATOR:-} ]]; then skip "faults" "an emulator has no namespaces of its own"; exit 0; fi
if ! why=$(hosts_possible); then skip "faults" "$why"; exit 0; fi
cd "$WORK" || exit 1
WORK=$PWD
digits data 3000 500
hosts_up 4 || { miss "hosts" "they do not come up"; exit 1; }

# fault NAME HOSTS COMMAND...: one of these (an extended regular expression) is lost by it, and soon.
fault() {
    local name=$1 lost="\"host_lost\".*\"host\":\"($2)\""
    from_now
    "${@:3}"
    if ! seen "$lost"; then miss "$name" "no host is lost: $(tail -n 1 "$run.out")"; return; fi
    if at_least "$(note "$lost" noticed)" 20; then pass "$name: noticed after $(rounded noticed "$run.line") s"
    else miss "$name" "noticed after $(note "$lost" noticed) s"
    fi
}
# rejoins HOST...: those that the faults since then have cost.
rejoins() {
    local host
    for host; do
        if ! seen "\"host_joined\".*\"$host\""; then miss "$host rejoins" "$(tail -n 1 "$run.out")"; fi
    done
}
lost_one() { note '"host_lost"' host; }
ranks() { host_pids "$1" 'corering rank'; }

echo "# during steps"
hosts_file node1 node2 node3 node4
begin steps linear data -b 8 --schedule constant -e 1000000 --validate-every 50
seen '"epoch"' || miss "it runs" "$(tail -n 1 steps.out)"
fault "SIGKILL of all its processes" node2 host_kill node2
rejoins node2
fault "SIGSTOP" node3 host_stop node3
old=$(ranks node3)
host_cont node3
rejoins node3
fault "link down" node1 link_down node1
link_up node1
rejoins node1
fault "link cut between two" 'node1|node4' cut_between node1 node4
uncut node1 node4
rejoins "$(lost_one)"
fault "link cut between two who are no neighbours" 'node1|node3' cut_between node1 node3
uncut node1 node3
rejoins "$(lost_one)"
fault "link cut one way" 'node2|node4' cut_oneway node4 node2
uncut node2 node4
rejoins "$(lost_one)"
fault "power lost" node4 host_off node4
host_boot node4
rejoins node4
fault "two hosts, one after another" node1 host_kill node1
fault "two hosts, the other" node2 host_kill node2
rejoins node2 # and node1, which may have been faster
begin_of_both() { host_stop node3; host_kill node2; }
fault "a death during the view change, which the first brings" node2 begin_of_both
from=$run_from
seen '"host_lost".*node3' && pass "and the second: noticed after $(note '"host_lost".*node3' noticed | cut -c -3) s"
host_cont node3
run_from=$from
rejoins node2 node3
same "a process that hung has left" "$(for pid in $old; do find "/proc/$pid" -maxdepth 0 2>/dev/null; done)." .
interrupt
finish
same "status of the interrupted run" 130 "$status"
like_alone "after all these"
run_from=1
same "no sum was wrong" 0 "$(events 'counted')"

echo "# at other moments"
# dies_in NAME PHASE HOST COMMAND...: the rank of the host is killed when COMMAND succeeds, until a loss in that phase is
# logged; five times at most.
dies_in() {
    local name=$1 phase=$2 host=$3 rank
    for _ in 1 2 3 4 5; do
        from_now
        rank=$(ranks "$host")
        in_time "${@:4}" && kill -KILL "$rank"
        if ! seen "\"host_lost\".*\"$host\""; then miss "$name" "it is not noticed: $(tail -n 1 "$run.out")"; return; fi
        rejoins "$host"
        if [[ $(note '"host_lost"' phase) == "$phase" ]]; then
            pass "$name: noticed after $(rounded noticed "$run.line") s"
            return
        fi
    done
    miss "$name" "the moment was not hit"
}
# An epoch is ten steps, a validation of as long, and a checkpoint on a disk that takes its time.
digits long 640 60000
hosts_file node1 node2 node3
if tool slow_disk -shared -fPIC 2>/dev/null; then run_preload=$WORK/slow_disk; fi
begin phases lenet5 long --schedule constant -e 1000 --log-every 10
run_preload=
seen '"host_joined"' 3
validates() { has_events '"event":"step"' 1; }
writes() { compgen -G 'phases/*.tmp*' >/dev/null; }
dies_in "in a validation" validation node2 validates
dies_in "in a checkpoint" checkpoint node3 writes
dies_in "in a checkpoint, who brings its state" checkpoint node1 writes
from_now
seen '"epoch"'
interrupt
finish
same "no checkpoint is left half written" "$(find phases -name '*.tmp*')." .
like_alone "after these"

# On a slow network, so that a step takes long enough to meet it. The first step is always redone, for the scale of its
# sums is not known: it has to be sent a second time.
for host in node1 node2 node3; do shape "$host" 20mbit; done
begin slow mlp data --schedule constant --steps 12 --log-every 1
seen '"predicted"' # before that, ranks and network are measured
sent() { on node2 cat /sys/class/net/eth0/statistics/tx_bytes; }
before=$(sent)
message=$((101770 * 4 * 4 / 3)) # what a rank of three sends for the sums of the net
redoes() { (($(sent) - before > message + 60000)); }
dies_in "in the step that is redone, after the flag" step node2 redoes
same "before the step was done" 0 "$(note '"host_lost"' step)"
finish
same "the result of one machine" "$(field weights_sha256 slow.log)" "$(alone "${run_words[@]}")"
for host in node1 node2 node3; do shape "$host" 6mbit; done # three quarters of a second a step
going_on() { (($(sent) - before > message / 4)); }
for _ in 1 2 3 4 5; do
    begin last mlp data --schedule constant --steps 3 --log-every 1
    seen '"predicted"'
    rank=$(ranks node3)
    seen '"event":"step".*"step":2,'
    before=$(sent)
    in_time going_on # and a pulse of node3 has told of step 2
    kill -KILL "$rank"
    finish
    where="$(note '"host_lost"' step) $(note '"host_lost"' phase) $status"
    if [[ $where == '2 step 0' ]]; then break; fi
done
for host in node1 node2 node3; do unshape "$host"; done
same "in the last step: steps done, where, status" "2 step 0" "$where"
same "the result of one machine" "$(field weights_sha256 last.log)" "$(alone "${run_words[@]}")"

echo "# too few"
begin few linear data -b 8 --schedule constant --steps 20000 --validate-every 2 --min-hosts 3 \
    --checkpoint-every 100e
seen '"epoch"'
host_kill node2
finish
same "fewer than --min-hosts: status, and why" "3 1" "$status $(tail -n 1 few.out | grep -c 'fewer than --min-hosts 3')"
same "its checkpoint is of where it ended" "few/step-$(printf %08d "$(field steps few.log)").safetensors" \
    "$(find few -name 'step-*')"
same "and goes on to the end" "$("$CORERING" train linear data --resume few -q | sed -n 's/^weights sha256 //p')" \
    "$(alone "${run_words[@]}")"
exit $bad
