#!/bin/sh
# Gradients are summed as integers; a step whose gradients outgrow their scale is done again. Digits that come sorted by
# class make that happen, whenever a class ends (tiny gradients are followed by a jump); a rate far too high does too.
set -u
. "$SRCDIR/tests/tools/common.sh"
cd "$WORK" || exit 1
digits digits 3000 100
mkdir sorted && cp digits/t10k-* sorted/
tool sort_by_class
# shellcheck disable=SC2086 # EMULATOR may hold options
${EMULATOR:-} ./sort_by_class train-images-idx3-ubyte train-labels-idx1-ubyte digits sorted || exit 1

# result NET DATA OPTIONS...: steps redone, weights and state of a run. A run that redoes for ever is ended.
result() {
    timeout 100 "$CORERING" train "$@" --weight-decay 0 --schedule constant --validate-every 0 --no-checkpoint \
        --json >events
    echo "$(field redone events) $(field weights_sha256 events) $(field state_sha256 events)"
}

# redoes NAME NET DATA OPTIONS...: steps beyond the first are redone, and neither threads nor instruction sets show.
redoes() {
    name=$1; shift
    expected=$(result "$@" -t 1)
    if at_least 2 "${expected%% *}"; then pass "$name: ${expected%% *} steps redone"
    else miss "$name" "${expected%% *} steps redone, no jump after the first"
    fi
    same "$name: -t 2" "$expected" "$(result "$@" -t 2)"
    same "$name: -t 3" "$expected" "$(result "$@" -t 3)"
    same "$name: two threads to a block" "$expected" "$(result "$@" -t 2 --threads-per-block 2)"
    for isa in $(instruction_sets); do
        same "$name: --isa $isa" "$expected" "$(result "$@" --isa "$isa")"
    done
}
redoes "sorted by class, batch 1" lenet5 sorted --no-shuffle -b 1 -e 1 -r 0.02 --momentum 0.5
redoes "gradients that grow, batch 8 in blocks of 1" mlp digits -b 8 --block 1 --steps 40 -r 20 --momentum 0.9
expected=$(result lenet5 digits -b 1 -e 1 -r 0.005 --momentum 0)
same "shuffled, batch 1: the first step alone is redone" 1 "${expected%% *}"
exit $bad
