#!/bin/sh
# What runs leave behind is theirs: no other run, and no mistyped command, takes a checkpoint, a log or a data set away.
set -u
# shellcheck source=tests/tools/common.sh
. "$SRCDIR/tests/tools/common.sh"

run() { "$CORERING" "$@" >out 2>err </dev/null; status=$?; }
steps() { find "$1" -name '*.safetensors' | sed 's/.*step-0*\([0-9]*\).*/\1/' | sort -n | tr '\n' ' '; }

# refused NAME STATUS PATTERN WORDS...
refused() {
    name=$1 want=$2 pattern=$3; shift 3
    run "$@"
    same "$name" "$want 1" "$status $(grep -c "^corering: .*$pattern" err)"
}

cd "$WORK" || exit 1
HOME=$WORK XDG_CACHE_HOME=$WORK/cache
export HOME XDG_CACHE_HOME
unset CORERING_DATA CR_ISA 2>/dev/null
digits data 640 100
train="train linear data -q"

echo "# folders of runs"
# shellcheck disable=SC2086 # words
{
    run $train --steps 30 --stop "step >= 20" --checkpoint own --checkpoint-every 5 --keep 9
    same "a checkpoint each 5 steps, to where it stops" "5 10 15 20 " "$(steps own)"
    run $train --resume own -r 0.001 -b 32 --override
    same "both settings that are others are told" 1 \
        "$(grep -c 'batch-size 32 instead of 64, --learning-rate 0.001 instead of 0.05' err)"
    same "with --override the run leaves its folder alone" "5 10 15 20 " "$(steps own)"
    run $train --resume own
    same "a resumed run keeps its --checkpoint-every and --keep" "5 10 15 20 25 30 " "$(steps own)"
    run $train --steps 8 --checkpoint other --checkpoint-every 2 --keep 9
    refused "another run's folder, when resuming" 2 "other holds the checkpoints of another run" \
        $train --resume own --checkpoint other
    mkdir empty
    refused "and when the folder to resume is empty" 2 "other holds the checkpoints of another run" \
        $train --resume empty --checkpoint other
    same "it is as it was" "2 4 6 8 " "$(steps other)"
    run $train --resume other/step-00000004.safetensors --no-checkpoint
    same "a file of other weights is not named as the result" "0 0" "$status $(grep -c '^model' out)"
    refused "--init beside --resume" 2 "give one of them" $train --resume own --init other
    run $train --steps 1 --no-checkpoint --min-hosts 2
    same "--min-hosts without hosts is warned of" "0 1" "$status $(grep -c 'warning: --min-hosts is for many' err)"
}
# shellcheck disable=SC2086
{
    stop="top1 > 0.001 and step >= 25" # 10 steps an epoch; what top1 was, the checkpoint of step 22 knows
    run $train --checkpoint metric --checkpoint-every 11 --keep 9 --stop "$stop"
    ended=$(sed -n 's/^weights sha256 //p' out)
    run $train --resume metric/step-00000022.safetensors --checkpoint again --stop "$stop"
    same "a resumed run ends by --stop where the other did" "25 $ended" \
        "$(steps again)$(sed -n 's/^weights sha256 //p' out)"
    run $train --resume other --steps 9 --override --no-checkpoint
    usual=$(sed -n 's/^weights sha256 //p' out)
    run $train --resume other --steps 9 --override --normalize none --no-checkpoint
    if test "$usual" && test "$usual" != "$(sed -n 's/^weights sha256 //p' out)"
    then pass "--override --normalize is not a word alone"
    else miss "--override --normalize is not a word alone" "$usual"; fi
    run $train --steps 4 -r 1e6 --weight-decay 1e6 --momentum 0 --schedule constant --no-checkpoint
    same "weights that are no numbers, without checkpoints: status 4" 4 $status
    run $train --steps 3 --validate-every 1e-12 --no-checkpoint
    same "a validation each 1e-12 epochs is one each step" 0 $status
}
endless="-e 1000000 --schedule constant --checkpoint-every 1000000"
begun() { for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    grep -qs '"epoch"' "$1" && break; sleep 0.1; done; }
# shellcheck disable=SC2086
"$CORERING" $train $endless --checkpoint same --log same.log >/dev/null 2>&1 &
pid=$!
begun same.log
# shellcheck disable=SC2086
refused "two runs at once in one folder" 2 "another run is writing" $train --steps 1 --checkpoint same
kill -HUP $pid; wait $pid
same "SIGHUP, as of a terminal that is gone: 129, after a checkpoint" "129 1" \
    "$? $(find same -name '*.safetensors' | wc -l)"
# shellcheck disable=SC2086
{ "$CORERING" train linear data $endless --checkpoint pipe 2>/dev/null; echo $? >status; } | head -n 5 >/dev/null
same "a reader that is gone: 141, after a checkpoint" "141 1" "$(cat status) $(find pipe -name '*.safetensors' | wc -l)"
# shellcheck disable=SC2086
status=$(ulimit -f 4; "$CORERING" $train --steps 1 --checkpoint small >out 2>err; echo $?)
same "a file that may not grow is an error" "1 1 0" \
    "$status $(grep -c 'corering: small/.*File too large' err) $(find small -type f 2>/dev/null | wc -l)"

echo "# logs"
# shellcheck disable=SC2086
{
    run $train --steps 5 --checkpoint logged --log log
    cp log before
    refused "a run that is refused" 2 "holds the checkpoints" $train --steps 5 --checkpoint logged --log log
    same "leaves the log of the one before, and adds why" "$(cat before)" "$(sed '$d' log)"
    run $train --steps 5 --no-checkpoint --log log
    same "one that begins begins a new log" "start epoch end " \
        "$(sed 's/^{"event":"\([a-z]*\)".*}$/\1/' log | tr '\n' ' ')"
    printf '{"event":"step","v":1,"st' >>log
    run $train --resume logged --no-checkpoint -e 1 --steps 6 --override --log log
    same "after a line that was cut off a new one begins" "start epoch end {\"event\":\"step\",\"v\":1,\"st" \
        "$(sed 's/^{"event":"\([a-z]*\)".*}$/\1/' log | head -n 4 | tr '\n' ' ' | sed 's/ $//')"
    same "with an event" 1 "$(sed -n 5p log | grep -c '^{"event".*}$')"
    run $train --steps 1 --no-checkpoint --json --validate-every 0
    same "without a validation the end has no Top-1" 0 "$(grep '"end"' out | grep -c top1)"
    cp "$SRCDIR/apps/nets/linear.net" my.net
    refused "a network named as the log" 2 "my.net, byte 0: this file is no log" $train --log my.net
    refused "or as the trace" 2 "my.net, byte 0: this file is no trace" $train --trace my.net
    same "is untouched" "$(cat "$SRCDIR/apps/nets/linear.net")" "$(cat my.net)"
}

echo "# data sets and texts"
refused "digits over a data set" 2 "data holds a data set already" data synth data
gzip -c data/t10k-labels-idx1-ubyte >t10k-labels-idx1-ubyte.gz
refused "or beside one" 2 "holds a data set already (t10k-labels-idx1-ubyte.gz)" data synth .
printf '\357\273\277' | cat - my.net >marked.net
run info marked.net
same "the mark that some editors put first" 0 $status
exit $bad
