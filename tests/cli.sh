#!/bin/sh
# The program from outside: what it understands, and what it says when it does not. Every bad input must give one line
# on stderr that names cause and place, the documented exit status, and no file left behind.
set -u
# shellcheck source=tests/tools/common.sh
. "$SRCDIR/tests/tools/common.sh"

run() { "$CORERING" "$@" >out 2>err </dev/null; status=$?; }

files_here() { find . ! -name out ! -name err ! -name before ! -name after | sort; }

# fails STATUS PATTERN WORDS...: the program ends with STATUS and one line that matches PATTERN, and leaves no file.
fails() {
    want=$1 pattern=$2; shift 2
    files_here >before
    run "$@"
    files_here >after
    if test $status != "$want"; then miss "$*" "status $status, not $want: $(head -n 1 err)"
    elif test "$(wc -l <err)" != 1; then miss "$*" "$(wc -l <err) lines on stderr"
    elif ! grep -q "^corering: .*$pattern" err; then miss "$*" "says: $(cat err)"
    elif ! cmp -s before after; then miss "$*" "files: $(diff before after | tr '\n' ' ')"
    else pass "$(head -c 150 err | tr -d '\n')"
    fi
}

# works NAME PATTERN WORDS...: status 0, nothing on stderr, and PATTERN in what is printed.
works() {
    name=$1 pattern=$2; shift 2
    run "$@"
    if test $status != 0 || test -s err; then miss "$name" "status $status, $(head -n 1 err)"
    elif ! grep -qe "$pattern" out; then miss "$name" "no '$pattern' in what it prints"
    else pass "$name"
    fi
}

weights() { sed -n 's/^weights sha256 //p' out; }

cd "$WORK" || exit 1
HOME=$WORK XDG_CACHE_HOME=$WORK/cache
export HOME XDG_CACHE_HOME
unset CORERING_DATA CR_ISA 2>/dev/null
"$CORERING" data synth data --train 500 --test 100 >/dev/null || { echo "not ok - cannot draw digits"; exit 1; }

echo "# help and version"
works "--version" '^corering [0-9]' --version
works "--help" 'train NET DATA' --help
works "help" 'train NET DATA' help
sed 's/\\-/-/g' "$SRCDIR/apps/man/corering.1" >manual
for command in train test predict info "data get" "data synth" nets recipes doctor plan; do
    # shellcheck disable=SC2086 # two words
    works "$command --help" "^Usage: corering $command" $command --help
    # shellcheck disable=SC2086
    works "help $command" "^Usage: corering $command" help $command
    undocumented=
    # shellcheck disable=SC2013 # words are wanted
    for option in $(sed -n 's/^  .*\(--[a-z0-9-]*\).*/\1/p' out); do
        grep -qe "$option" manual || undocumented="$undocumented $option"
    done
    same "the man page knows the options of $command" "none:" "none:$undocumented"
done
works "help stands before what is wrong" '^Usage' train --help -b 6x

echo "# words and options"
fails 2 "unknown command 'trian'; did you mean 'train'?" trian linear data
fails 2 "unknown command 'qwertz'" qwertz
fails 2 "get or synth" data
fails 2 "did you mean 'data get'?" data gte mnist
fails 2 "needs NET DATA" train linear
fails 2 "what to do with 'more'" train linear data more
fails 2 "'--batchsize'.*did you mean --batch-size?" train linear data --batchsize 5
fails 2 "unknown option '--hostz'" train linear data --hostz 5
fails 2 "unknown option '-z'" train linear data -z
fails 2 "needs a value" train linear data --seed
fails 2 "needs a value" train linear data --seed --json
fails 2 "takes no value" train linear data --nesterov=1
fails 2 "batch-size '-5'" train linear data -b -5
fails 2 "batch-size '6x'" train linear data -b 6x
fails 2 "batch-size '0'" train linear data -b 0
fails 2 "batch-size '6x'" train -b 6x linear data
fails 2 "learning-rate 'nan'" train linear data -r nan
fails 2 "schedule 'cosin'" train linear data --schedule cosin
fails 2 "column 9" train linear data --stop 'top1 >= high'
fails 2 "sse" train linear data --isa sse
fails 2 "7 samples side by side" train linear data --lanes 7
fails 2 "not 'wide'" train linear data --lanes wide
fails 2 "no data set 'cifar'" data get cifar
fails 2 "seed" data synth elsewhere --seed -1

works "-b 32 behind the arguments" sha256 train linear data -q --no-checkpoint --steps 5 -b 32
reference=$(weights)
works "in front of them" sha256 train -q --no-checkpoint --steps 5 -b 32 linear data
same "the same run" "$reference" "$(weights)"
works "as -b32, --steps=5, between them" sha256 train linear -b32 --steps=5 data -q --no-checkpoint
same "the same run" "$reference" "$(weights)"
works "as --batch-size=32, before --" sha256 train --batch-size=32 -q --no-checkpoint --steps 5 -- linear data
same "the same run" "$reference" "$(weights)"
works "the last of two wins" sha256 train linear data -b 16 -b 32 -q --no-checkpoint --steps 5
same "the same run" "$reference" "$(weights)"

# An option that is ignored must not pass: each of these decides the bits, and each of those does not.
short="train linear data -q --no-checkpoint --steps 12"
# shellcheck disable=SC2086 # lists of words
works "a short run" sha256 $short
reference=$(weights)
for option in "-b 16" "-r 0.2" "--lr 0.2" "--momentum 0.5" --nesterov "--weight-decay 0.1" "--schedule constant" \
    "--schedule step --step-epochs 0.5" "--warmup 1" "--block 4" --no-shuffle "--normalize unit" \
    "--normalize 0.2,0.3" "--val-split 0.2" "--seed 2"; do
    # shellcheck disable=SC2086
    run $short $option
    if test $status != 0 || ! test "$(weights)" || test "$(weights)" = "$reference"; then
        miss "$option decides the weights" "status $status, $(weights)"
    else
        pass "$option decides the weights"
    fi
done
for option in "-t 1" "-t 3" "-t 18 --threads-per-block 2" "--isa ref" "--lanes 1" "--lanes 16" "--log-every 1" "--validate-every 0.5" \
    "--validate-every 0" "-v" "-b 64" \
    "--learning-rate 0.05" "--normalize std"; do
    # shellcheck disable=SC2086
    run $short $option
    same "$option does not" "$reference" "$(weights)"
done
works "-v tells the kernels of train" '^kernels .*a sample at a time' train linear data -v --no-checkpoint --steps 1 --lanes 1
works "which side by side" '^kernels .*16 samples side by side' train linear data -v --no-checkpoint --steps 1 --lanes 16
works "how many threads share a block" '^machine .* 2 threads, .*, 2 to a block' \
    train lenet5 data --no-checkpoint --steps 1 -b 4 --block 4 -t 2
works "or do not" '^machine .* 1 thread, [a-z0-9]*$' \
    train lenet5 data --no-checkpoint --steps 1 -b 4 --block 4 -t 2 --threads-per-block 1
fails 2 "threads-per-block" train linear data --threads-per-block -1
works "--stop ends a run" 'ended by --stop' train linear data --no-checkpoint --stop 'epoch >= 2 and top1 > 1%'
same "where it says" 2 "$(grep -c '^ *[12]/15 ' out)"
printf 'default batch-size=16 learning-rate=0.2\n' | cat "$SRCDIR/apps/nets/linear.net" - >own.net
run train linear data -q --no-checkpoint --steps 12 -b 16; reference=$(weights)
run train own.net data -q --no-checkpoint --steps 12 -r 0.05
same "built-in < network < command line" "$reference" "$(weights)"
rm own.net

echo "# networks"
fails 5 "no network 'lenet6'; did you mean lenet5?" train lenet6 data
fails 5 "nowhere.net" train nowhere.net data
net() { printf 'input 1x28x28\n%s\n' "$1" >bad.net; }
net 'convo 6 5x5';                          fails 5 'bad.net:2:1: .*convo' train bad.net data
net 'conv 6 29x29';                         fails 5 'bad.net:2' train bad.net data
net 'conv six 5x5';                         fails 5 'bad.net:2:6' train bad.net data
net 'linear 60000
linear 60000
softmax';                                   fails 5 'bad.net:3' train bad.net data
net 'linear 5
softmax';                                   fails 5 'classes' train bad.net data
printf 'input 3x32x32\nlinear 10\nsoftmax\n' >bad.net; fails 5 '3x32x32' train bad.net data
: >bad.net;                                 fails 5 'bad.net' train bad.net data
rm bad.net

echo "# data"
fails 5 "nowhere: no such folder" train linear nowhere
fails 5 "did you mean mnist?" train linear mnits
fails 5 "corering data get mnist" train linear mnist
fails 5 "corering data synth $WORK/cache" train linear synth
# broken FILE COMMAND...: a copy of the data whose FILE (a new copy, $file) the command has spoilt.
broken() {
    rm -rf broken && cp -R data broken && file=broken/$1 && shift && "$@"
}
patch() { printf '%b' "$1" | dd of="$file" bs=1 seek="$2" conv=notrunc 2>/dev/null; }
shorten() { head -c "$1" "$file" >short && mv short "$file"; }
images=train-images-idx3-ubyte labels=train-labels-idx1-ubyte
broken $images patch '\0001' 2;      fails 5 "$images, byte 2: not an IDX file" train linear broken
broken $images shorten 10;          fails 5 "$images" train linear broken
broken $images shorten 100000;      fails 5 "$images" train linear broken
broken $images shorten 0;           fails 5 "$images" train linear broken
broken $labels patch '\0000' 6;      fails 5 "train-" train linear broken
broken t10k-labels-idx1-ubyte patch '\0143' 20; fails 5 "t10k-labels-idx1-ubyte.* 99" train linear broken
broken $images rm broken/$images;   fails 5 "$images" train linear broken
rm -rf broken

echo "# checkpoints"
works "train" '^model run/step-' train linear data -e 2 --checkpoint run
works "test" '^Top-1' test run data
works "test -v" '^kernels .*8 samples side by side' test run data -v --lanes 8
works "test as JSON" '"confusion":\[\[' test run data --json
works "info of a run" 'weights sha256' info run
works "info of a data set" 'fingerprint' info data
works "info of a network" '7,850 parameters' info linear
works "predict" 't10k-images-idx3-ubyte:2  [0-9]  [01]\.[0-9]' predict run data/t10k-images-idx3-ubyte:2-3
fails 2 "run holds the checkpoints of another run" train linear data --checkpoint run
fails 5 "nowhere" test nowhere data
fails 5 "data holds no checkpoint" test data data
fails 5 "no image 100" predict run data/t10k-images-idx3-ubyte:100
fails 5 "nowhere.pgm" predict run nowhere.pgm
fails 2 "expected FILE:INDEX" predict run nowhere:x
fails 5 "another network" train mlp data --resume run
fails 2 "batch-size 64, not 32" train linear data --resume run -b 32
works "checkpoints every 3 steps" sha256 train linear data -e 1 --checkpoint every --checkpoint-every 3 --keep 5
same "three of them" "step-00000003 step-00000006 step-00000008 " \
    "$(find every -type f | sort | sed 's/.*\(step-[0-9]*\).*/\1/' | tr '\n' ' ')"
mkdir spare
run train linear data -e 1 --resume spare
same "an empty run folder starts anew and says so" "0 1 1" \
    "$status $(grep -c 'spare.*anew' err) $(find spare -type f | wc -l)"
run train linear data --steps 1; run train linear data --steps 1
same "two runs, two folders" 2 "$(find model -name '*.safetensors' | wc -l)"
rm -r model spare every
newest=$(find run -name '*.safetensors' | sort | tail -n 1)
size=$(wc -c <"$newest")
mkdir spoilt && file=spoilt/$(basename "$newest")
cp "$newest" "$file"; patch '\0377' $((size - 40));   fails 5 "$file" test spoilt data
cp "$newest" "$file"; patch 'x' 30;                  fails 5 "$file" train linear data --resume spoilt
cp "$newest" "$file"; shorten $((size - 1));         fails 5 "$file" predict spoilt data/t10k-images-idx3-ubyte
: >"$file";                                          fails 5 "$file" info spoilt
rm -r spoilt

echo "# pictures"
{ printf 'P5 2 2 255\n'; printf '\000\377\377\000'; } >small.pgm
works "a PGM of another size" 'resized to 28x28' predict run small.pgm
{ printf 'P2 40 40 9\n'; i=0; while test $i -lt 1600; do
    case $((i % 40)) in 1[5-9]) echo 0 ;; *) echo 9 ;; esac; i=$((i + 1)); done; } >dark.pgm
works "dark on light" 'inverted' predict run dark.pgm
printf 'P5 99 99 255\nabc' >short.pgm;               fails 5 "short.pgm" predict run short.pgm
printf 'P5 99999999 99999999 255\n' >huge.pgm;       fails 5 "huge.pgm" predict run huge.pgm
printf '\211PNG\r\n\032\n' >a.png;                   fails 5 "a.png: not a PGM" predict run a.png

echo "# places that cannot be written"
fails 1 "/proc/none" train linear data --checkpoint /proc/none/run
fails 1 "/proc/none" train linear data --log /proc/none/log
fails 1 "/proc/none" data synth /proc/none/digits
"$CORERING" nets >/dev/full 2>err; status=$?
same "a full standard output ends with status 1" 1 $status
if unshare -rm true 2>/dev/null; then
    mkdir disk
    # A disk of 100 KB, which the first checkpoint of lenet5 overfills; a disk that is read-only.
    unshare -rm sh -c 'mount -t tmpfs -o size=100k none disk && "$0" train lenet5 data --steps 2 --checkpoint disk/run \
        >out 2>err; echo $? >status; find disk -type f >files' "$CORERING"
    same "a full disk ends with status 1" 1 "$(cat status)"
    same "one line, naming the cause" 1 "$(grep -c '^corering: disk/run.*No space left' err)"
    same "no half-written file" "none:" "none:$(cat files)"
    unshare -rm sh -c 'mount -t tmpfs -o ro none disk && "$0" train lenet5 data --checkpoint disk/run >out 2>err
        echo $? >status' "$CORERING"
    same "a read-only disk ends with status 1" 1 "$(cat status)"
    same "one line, naming the cause" 1 "$(grep -c '^corering: disk/run.*Read-only' err)"
else
    echo "skip - full and read-only disks: no mount namespaces here"
fi

echo "# JSON lines"
works "--json" '^{"event":"end","v":1,"reason":"epochs","status":0' train linear data -e 2 --json --no-checkpoint
same "start, two epochs, end" "start epoch epoch end " "$(sed 's/^{"event":"\([a-z]*\)".*}$/\1/' out | tr '\n' ' ')"
works "--log beside text" '^weights' train linear data -e 2 --no-checkpoint --log log --log-every 8
same "with steps" "start step epoch step epoch end " "$(sed 's/^{"event":"\([a-z]*\)".*}$/\1/' log | tr '\n' ' ')"
run train linear data --json -b 6x
same "errors are events too" 1 "$(grep -c '^{"event":"error","v":1,"code":"usage","message":".*6x' out)"
run train nowhere.net data --json
same "with the file" 1 "$(grep -c '"code":"input".*"file":"nowhere.net"' out)"
works "--dry-run" '7,850 parameters' train linear data --dry-run --checkpoint dry
same "does nothing" "none:" "none:$(ls -d dry model 2>/dev/null)"

echo "# signals"
# With a constant rate, what a run comes to after N steps does not depend on where it was to end.
endless="-e 1000000 --schedule constant"
# await COMMAND...: until it succeeds, two seconds at most.
await() { for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "$@" && break; sleep 0.1; done; }
# shellcheck disable=SC2317 # called by await
has_begun() { grep -q '"epoch"' cut.log 2>/dev/null; }
# shellcheck disable=SC2317
has_checkpoint() { ls "it's cut"/*.safetensors >/dev/null 2>&1; }
"$CORERING" train linear data $endless -t 2 -q --checkpoint "it's cut" --checkpoint-every 1000000 --log cut.log >out 2>err &
pid=$!
await has_begun
kill -USR1 $pid
await has_checkpoint
if has_checkpoint && kill -0 $pid; then pass "SIGUSR1 writes a checkpoint"; else
    miss "SIGUSR1 writes a checkpoint" "$(ls "it's cut")"; fi
kill -TERM $pid; wait $pid; status=$?
same "SIGTERM ends with 143" 143 $status
same "after a checkpoint" 1 "$(grep -c "^model it's cut/step-" out)"
command=$(sed -n 's/^corering: .*to go on: [^ ]* //p' err)
last=$(($(field steps cut.log) + 1000))
eval "run $command --steps $last"
ended=$(weights)
same "from where it stopped, not anew" "none:" "none:$(cat err)"
# shellcheck disable=SC2086
works "as many steps at once" sha256 train linear data $endless -t 1 --no-checkpoint -q --steps $last
same "the command it says goes on to the same weights" "$ended" "$(weights)"

leftover=$(find . -name '*.tmp*')
same "no temporary file anywhere" "none:" "none:$leftover"
exit $bad
