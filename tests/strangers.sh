#!/bin/sh
# Strangers at the doors of a run: with another key, without one, with random bytes, with half a handshake, with one of
# another time, a thousand who say nothing. The run must not notice. And what --secure keeps from whoever listens on
# the way. Each test has its counterpart that must come out the other way: with the right key one is let in, without
# --secure the weights are seen.
# shellcheck source=tests/tools/common.sh
. "$SRCDIR/tests/tools/common.sh"

if ! command -v python3 >/dev/null; then
    skip "strangers" "they are played by python3, which is not here"
    exit 0
fi
# $with stands before programs: it says in whose network or with what variables they run.
with=
# shellcheck disable=SC2086 # a list of words
stranger() { $with python3 "$SRCDIR/tests/tools/stranger" "$@"; }
# What does not end by itself ends with the script.
started=
trap 'kill $started 2>/dev/null' EXIT
trap 'exit 1' HUP INT TERM

new_key() { (umask 077; od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$1"); }
new_key "$WORK/key"
new_key "$WORK/other"
key=$(cat "$WORK/key") other=$(cat "$WORK/other")
digits "$WORK/data" 2000 200

# begin NAME ARGUMENTS...: a training run as process $run, with its log in NAME.log. A rate that does not depend on how
# long the run will be, so that any run can be done again up to the step at which it was ended.
begin() {
    name=$1; shift
    # shellcheck disable=SC2086 # a list of words
    $with "$CORERING" train lenet5 "$WORK/data" -b 64 --schedule constant -q --log "$WORK/$name.log" "$@" \
        >"$WORK/$name.out" 2>&1 &
    run=$!
    started="$started $run"
}
# until_true SECONDS COMMAND...: status 1 when it never was.
until_true() {
    tries=$(($1 * 10)); shift
    while ! "$@"; do
        tries=$((tries - 1))
        test $tries -gt 0 || return 1
        sleep 0.1
    done
}
# shellcheck disable=SC2317 # called by until_true
trains() { grep -q '"event":"epoch"' "$WORK/$1.log" 2>/dev/null; }
# crowd DEED...: at all doors at once; what they say goes to the file `crowd`.
crowd() {
    for port in $doors; do stranger "$@" "$port" & waiting="${waiting-} $!"; done >>"$WORK/crowd" 2>&1
    # shellcheck disable=SC2086 # a list of numbers
    wait $waiting
    waiting=
}
# said NAME WHAT: each door said so to the last crowd.
said() {
    if test "$(grep -c " $2\$" "$WORK/crowd")" = "$(echo "$doors" | wc -w)"; then pass "$1"
    else miss "$1" "$(tr '\n' ';' <"$WORK/crowd")"; fi
    : >"$WORK/crowd"
}
# same_as_alone NAME LOG: the run ended by itself or was asked to; a single process gives the same weights.
same_as_alone() {
    begin alone -t 1 --no-checkpoint --steps "$(field steps "$WORK/$2.log")"
    wait "$run"
    same "$1" "$(field weights_sha256 "$WORK/alone.log")" "$(field weights_sha256 "$WORK/$2.log")"
    same "$1, and no step is done again" "$(field redone "$WORK/alone.log")" "$(field redone "$WORK/$2.log")"
    # Ranks that share cores may be slow; no other warning is due.
    trouble=$(grep '"event":"host_lost"\|"event":"warning"' "$WORK/$2.log" | grep -v 'slows the run down' | head -n 1)
    if test "$trouble"; then miss "$1, and nobody is lost" "$trouble"; else pass "$1, and nobody is lost"; fi
}

# ---- at the doors of the arbiter and of both ranks

begin crowd -H localhost:1,localhost:1 --key-file "$WORK/key" --epochs 100000 --no-checkpoint
if ! until_true 60 trains crowd; then
    miss "a run of two ranks" "does not train: $(tail -n 1 "$WORK/crowd.out")"
    exit 1
fi
doors=$(stranger ports "$run" | awk '{ print $2 }' | sort -u)
if test "$(stranger ports "$run" | awk '{ print $1 }' | sort -u | wc -l)" -ge 3; then
    pass "arbiter and ranks have doors"
else
    miss "arbiter and ranks have doors" "found: $(stranger ports "$run" | tr '\n' ';')"
    exit 1
fi

: >"$WORK/crowd"
crowd knock "$key";   said "the right key is let in" "let in"
crowd knock "$other"; said "another key is refused" "refused"
crowd knock none;     said "no key is refused" "refused"
crowd garbage;        said "random bytes are borne" "garbage sent"
crowd half
crowd idle 1000
if grep -q fails "$WORK/crowd"; then miss "1,000 idle connections" "$(grep fails "$WORK/crowd" | head -n 1)"
else pass "1,000 idle connections"; fi
crowd knock "$key"
if kill -0 "$run" 2>/dev/null; then pass "the run goes on meanwhile"
else miss "the run goes on meanwhile" "it has ended"; fi
kill "$run"
wait "$run"
same_as_alone "strangers change no bit" crowd

# ---- a rank with another key, or with none, is told why it stays outside

master=$(stranger free)
ranks="env WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$master"
with="$ranks RANK=0"
begin master --key-file "$WORK/key" -t 1 --no-checkpoint
# shellcheck disable=SC2317 # called by until_true
listens() { stranger ports "$run" | grep -q " $master\$"; }
until_true 20 listens
first=$run with="$ranks RANK=1"
# outside NAME WHY ARGUMENTS...
outside() {
    what=$1 why=$2; shift 2
    begin outside "$@" -t 1 --no-checkpoint
    wait "$run"
    status=$?
    if test $status = 3 && grep -q "$why" "$WORK/outside.out"; then pass "$what"
    else miss "$what" "status $status, $(tail -n 1 "$WORK/outside.out")"; fi
}
outside "a rank with another key is told so" "job keys differ" --key-file "$WORK/other"
outside "a rank without a key is told so" "a job key there, but none here" --no-auth
outside "a rank with --secure alone is told so" "secure here, but not there" --key-file "$WORK/key" --secure
with=
kill -9 "$first" # which waits for a rank that belongs to it
wait "$first" 2>/dev/null

# ---- who listens on the way

# In a network of their own, where nobody else talks.
# shellcheck disable=SC2016 # $0 is the inner shell's
unshare -n sh -c 'ip link set lo up && : >"$0" && exec sleep 600' "$WORK/network" 2>/dev/null & network=$!
started="$started $network"
if ! command -v tcpdump >/dev/null || ! until_true 5 test -e "$WORK/network"; then
    skip "recorded handshakes and --secure" "listening on the way needs root, tcpdump and network namespaces"
    exit $bad
fi
with="nsenter -t $network -n"
# listen NAME OPTIONS...: tcpdump as process $dump, into NAME.pcap.
listen() {
    name=$1; shift
    # shellcheck disable=SC2086 # a list of words
    $with tcpdump -i lo -B 32768 -U -Z root -w "$WORK/$name.pcap" "$@" tcp 2>"$WORK/$name.tcpdump" & dump=$!
    started="$started $dump"
    until_true 10 grep -qs 'listening on' "$WORK/$name.tcpdump"
}
heard() {
    sleep 1 # what it has not yet read
    kill "$dump"
    wait "$dump"
}

# ---- a handshake of before, to the same run once more

mkdir "$WORK/handshakes"
listen replay -s 512
begin replay -H localhost:1,localhost:1 --epochs 100000 --no-checkpoint
until_true 60 trains replay
heard
stranger record "$WORK/replay.pcap" "$WORK/handshakes"
doors=$(stranger ports "$run" | awk '{ print $2 }' | sort -u)
: >"$WORK/crowd"
recorded=0
for file in "$WORK"/handshakes/*; do
    recorded=$((recorded + 1))
    # shellcheck disable=SC2086 # a list of numbers
    stranger replay "$file" $doors >>"$WORK/crowd" 2>&1
done
# To the arbiter from both ranks, and between the ranks. Each is said to every door, so to the one it was said to, too.
replays=$((recorded * $(echo "$doors" | wc -w)))
if at_least 3 "$recorded" && test "$(grep -c ' refused$' "$WORK/crowd")" = $replays; then
    pass "recorded handshakes are refused"
else
    miss "recorded handshakes are refused" "$recorded recorded; $(tr '\n' ';' <"$WORK/crowd")"
fi
kill "$run"
wait "$run"
same_as_alone "recorded handshakes change no bit" replay

# ---- what can be seen of the weights

# overheard NAME ARGUMENTS...: train, and print how many samples of the final weights were to be seen, of how many.
overheard() {
    listen "$1"
    begin "$@" -H localhost:1,localhost:1 --epochs 2 --checkpoint "$WORK/$1"
    wait "$run"
    heard
    stranger search "$(find "$WORK/$1" -name '*.safetensors' | sort | tail -n 1)" "$WORK/$1.pcap"
    rm -f "$WORK/$1.pcap"
}
if grep -q 'CR_HAVE_SODIUM 0' "${OBJ%/*}/config.h"; then
    skip "--secure" "this corering is built without libsodium"
else
    overheard plain >"$WORK/plain.seen"
    overheard sealed --secure >"$WORK/sealed.seen"
    read -r seen of _ <"$WORK/plain.seen"
    if at_least "$((of / 2 + 1))" "$seen"; then pass "without --secure the weights are seen"
    else miss "without --secure the weights are seen" "$seen of $of samples: this test would notice nothing"; fi
    read -r seen of _ <"$WORK/sealed.seen"
    if test "$seen" = 0 && at_least 50 "$of"; then pass "with --secure they are not"
    else miss "with --secure they are not" "$seen of $of samples"; fi
    same "--secure changes no bit" "$(field weights_sha256 "$WORK/plain.log")" \
        "$(field weights_sha256 "$WORK/sealed.log")"
fi
exit $bad
