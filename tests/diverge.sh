#!/bin/sh
# NaN and Inf end a run with status 4 and the name of the first layer and sample they show at, the same for any number
# of threads; what was saved before stays.
set -u
. "$SRCDIR/tests/tools/common.sh"
cd "$WORK" || exit 1
digits data 1000 100

# spoil FILE TENSOR: the tensor's first number becomes NaN, and the checksum (over the file without its 64 digits) true.
spoil() {
    header=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    offset=$(head -c $((8 + header)) "$1" | tail -c +9 | sed "s/.*\"$2\":{[^}]*\"data_offsets\":\[\([0-9]*\),.*/\1/")
    printf '\000\000\300\177' | dd of="$1" bs=1 seek=$((8 + header + offset)) conv=notrunc 2>/dev/null
    digits_at=$(head -c $((8 + header)) "$1" | grep -abo ',"sha256":"' | cut -d : -f 1)
    digits_at=$((digits_at + 11))
    { head -c $digits_at "$1"; tail -c +$((digits_at + 65)) "$1"; } | sha256sum | cut -c 1-64 | tr -d '\n' >checksum
    dd if=checksum of="$1" bs=1 seek=$digits_at conv=notrunc 2>/dev/null
}

# ends_with_4 NAME PATTERN NET DATA OPTIONS...: whatever the threads and instruction set, in the same words.
ends_with_4() {
    name=$1 pattern=$2; shift 2
    said=
    for how in "-t 1 --isa ref" "-t 2" "-t 3"; do
        # shellcheck disable=SC2086 # a list of options
        timeout 60 "$CORERING" train "$@" $how -q >out 2>err
        status=$?
        if test $status != 4; then miss "$name, $how" "status $status"; return; fi
        if test "$(wc -l <err)" != 1; then miss "$name, $how" "not one line: $(cat err)"; return; fi
        if test "$said" && test "$said" != "$(cat err)"; then miss "$name, $how" "'$(cat err)', not '$said'"; return; fi
        said=$(cat err)
    done
    if echo "$said" | grep -q "$pattern"; then pass "$name: $said"; else miss "$name" "says '$said'"; fi
}

"$CORERING" train lenet5 data -q --steps 1 --checkpoint good >out
for layer in conv1 conv2 linear1 linear2; do
    cp good/step-00000001.safetensors "$layer.safetensors"
    spoil "$layer.safetensors" "model.$layer.weight"
    ends_with_4 "a NaN weight in $layer" "layer $layer" lenet5 data --init "$layer.safetensors" --no-checkpoint
done

ends_with_4 "a rate far too high" "layer linear.* sample [0-9]" mlp data -b 7 -r 100 --momentum 0.99 --no-checkpoint
timeout 60 "$CORERING" train mlp data -q -b 7 -r 100 --momentum 0.99 --checkpoint far --checkpoint-every 1 >out 2>err
same "the same with checkpoints" 4 $?
"$CORERING" test far data >out 2>err
same "the last checkpoint is whole" 0 $?
same "and holds no NaN" 0 "$(grep -ci nan out)"
exit $bad
