#!/bin/bash
# However a launcher ends, or the ssh between it and a host: no process of a run is left on any host, and what the ranks
# had learned is not lost. Hosts are namespaces (tests/tools/hosts.sh). The promised two seconds are told; a test fails at
# ten times as much.
set -u
# shellcheck source=tests/tools/common.sh
. "$SRCDIR/tests/tools/common.sh"
# shellcheck source=tests/tools/hosts.sh
. "$SRCDIR/tests/tools/hosts.sh"
# shellcheck source=tests/tools/runs.sh
. "$SRCDIR/tests/tools/runs.sh"
if [[ ${EMULATOR:-} ]]; then skip "orphans" "an emulator has no namespaces of its own"; exit 0; fi
if ! why=$(hosts_possible); then skip "orphans" "$why"; exit 0; fi
cd "$WORK" || exit 1
WORK=$PWD
digits data 3000 500
hosts_up 2 || { miss "hosts" "they do not come up"; exit 1; }
hosts_file node1 node2
echo 'localhost slots=1' >>hosts

# Every process of ours, but for the script's own.
left() { for host in node1 node2; do host_pids "$host" corering; done; host_pids launcher 'corering (train|rank)|^ssh '; }
is_left() { [[ $(left) ]]; }
# none_left NAME [SECONDS]: within the time promised [2], times ten.
none_left() {
    local start=${EPOCHREALTIME/./} limit=$((${2:-2} * 10000000)) took
    while is_left; do
        if ((${EPOCHREALTIME/./} - start > limit)); then miss "$1: no process is left" "$(left | xargs ps -o args= -p)"; return; fi
        sleep 0.02
    done
    took=$(((${EPOCHREALTIME/./} - start) / 10000))
    pass "$1: no process is left after $(printf '%d.%02d' $((took / 100)) $((took % 100))) s"
}
# orphan NAME RANK FOLDER: what it has left is a checkpoint to go on from, to the end of the run that nobody disturbed.
orphan() {
    local file
    file=$(find "$3/.cache/corering/orphan-$2"-* -name '*.safetensors' 2>/dev/null | tail -n 1)
    if [[ ! $file ]]; then miss "$1: rank $2 has saved its state" "no file"; return; fi
    cp "$file" "orphan-$2.safetensors"
    same "$1: the state of rank $2 goes on to the same end" "$expected" \
        "$("$CORERING" train linear data --resume "orphan-$2.safetensors" --no-checkpoint -q | sed -n 's/^weights sha256 //p')"
    rm -r "$3/.cache/corering/orphan-$2"-*
}
orphans() {
    orphan "$1" 0 "$(host_folder node1)/root"
    orphan "$1" 1 "$(host_folder node2)/root"
    orphan "$1" 2 "$(host_folder launcher)/root"
}
launcher() { host_signal "$1" launcher "^$CORERING train"; }
options=(-b 8 --schedule constant --steps 20000 --validate-every 1)
expected=$(alone linear data "${options[@]}")
started() { begin "$1" linear data "${options[@]}" "${@:2}"; seen '"epoch"' || miss "$1" "$(tail -n 1 "$1.out")"; }

started killed
launcher KILL
none_left "launcher killed"
wait $run_pid
orphans "launcher killed"

started interrupted
launcher INT
none_left "Ctrl-C"
finish
same "Ctrl-C: status" 130 "$status"
same "Ctrl-C: goes on to the same end" "$expected" \
    "$("$CORERING" train linear data --resume interrupted -q | sed -n 's/^weights sha256 //p')"

started twice
pid=$(host_pids launcher "^$CORERING train")
kill -INT "$pid"
kill -TERM "$pid"
none_left "Ctrl-C twice"
wait $run_pid
# Whether they came to save their states is a matter of luck: the second signal ends all at once.
for host in node1 node2 launcher; do rm -rf "$(host_folder $host)"/root/.cache/corering/orphan-*; done

started cut --steps 1000000
from_now
host_signal KILL launcher '^ssh .*node2'
if seen '"host_lost".*node2'; then pass "one ssh killed: its host is lost"; else miss "one ssh killed" "nothing is noticed"; fi
if seen '"host_joined".*node2'; then pass "one ssh killed: it is taken in again"; else miss "one ssh killed" "no return"; fi
in_time eval '(($(host_pids node2 "corering rank" | wc -l) == 1))' || miss "one ssh killed: one rank there" "$(left)"
interrupt
finish
like_alone "one ssh killed"
none_left "after that run"

# A validation that takes long: the rank cannot come to where it would hear of it.
digits long 640 20000
printf '%s\n' 'input 1x28x28' 'conv 32 3x3 pad=1' relu 'conv 64 3x3 pad=1' relu 'maxpool 2x2' 'linear 10' softmax >wide.net
begin busy wide.net long --schedule constant --steps 20 --log-every 10
seen '"event":"step"'
sleep 0.2
launcher KILL
none_left "launcher killed in a long validation"
wait $run_pid
wide=$(alone wide.net long --schedule constant --steps 11 --validate-every 0)
file=$(find "$(host_folder node1)/root/.cache/corering/orphan-0"-* -name '*.safetensors')
same "launcher killed in a long validation: the state goes on" "$wide" "$("$CORERING" train wide.net long \
    --resume "$file" --override --schedule constant --steps 11 --validate-every 0 --no-checkpoint -q | sed -n 's/^weights sha256 //p')"
rm -r "$(host_folder node1)/root/.cache/corering/orphan-0"-*

# Nobody hears of a launcher whose cable is out: ranks give it ten seconds.
hosts_file node1 node2
started unplugged
link_down launcher
finish
same "launcher cut off: status" 3 "$status"
none_left "launcher cut off" 12
link_up launcher
orphan "launcher cut off" 0 "$(host_folder node1)/root"
exit $bad
