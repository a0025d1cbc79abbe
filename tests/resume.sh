#!/bin/sh
# A run may be killed, interrupted, moved to other threads and instruction sets, or find its disk full: it goes on from
# its last checkpoint and ends like the run that never stopped. CR_TEST_SEED=N repeats the moments of the kills.
set -u
. "$SRCDIR/tests/tools/kills.sh"
cd "$WORK" || exit 1
digits data 4000 500
options="-e 2 -b 64 --momentum 0.9 --weight-decay 1e-4 --checkpoint-every 10"

name="killed 6 times, seed $seed"
# shellcheck disable=SC2086 # a list of options
if survives 6 lenet5 data $options; then pass "$name: same epochs, weights and state"; else miss "$name" "$why"; fi
mkdir ended
for log in once again; do
    # shellcheck disable=SC2086
    "$CORERING" train lenet5 data $options -q --log $log --checkpoint ended --resume ended >/dev/null
done
same "a run that had ended ends with the same Top-1" "$(field top1 once)" "$(field top1 again)"
same "no temporary file is left" "none:" "none:$(find killed -name '*.tmp*')"

# A run too long to end by itself is interrupted at its first checkpoint; what it says goes on to the whole run's end.
echo "# signals"
# interrupted SIGNAL STATUS
interrupted() {
    rm -rf run run.log
    # shellcheck disable=SC2086
    env --default-signal=INT,TERM "$CORERING" train lenet5 data $options -q --log run.log --checkpoint run -t 1 --isa ref \
        >out 2>err &
    process=$!
    while kill -0 $process 2>/dev/null && ! grep -qs '"checkpoint"' run.log; do sleep 0.02; done
    kill -s "$1" $process
    wait $process
    same "SIG$1 ends with status $2" "$2" $?
    same "with one line" 1 "$(wc -l <err)"
    interrupted_at=$(field steps run.log)
    same "after a checkpoint of its last step" 1 "$(find run -name "step-0*$interrupted_at.safetensors" | wc -l)"
    # As a user would copy it, apart from the program under test and its slow instruction set.
    command=$(sed -n 's/.*to go on: [^ ]*corering train //p' err)
    test "$command" || { miss "the command it says" "none in '$(cat err)'"; return; }
    sh -c "\"\$0\" train $command --isa auto" "$CORERING" >out 2>err
    outcome run.log | grep -v interrupted >run.outcome
    if cmp -s whole.outcome run.outcome; then pass "what it says goes on to the end of the whole run"
    else miss "what it says goes on to the end of the whole run" "$(head -n 1 err) $(diff whole.outcome run.outcome)"
    fi
}
if env --default-signal=INT,TERM true 2>/dev/null; then
    interrupted TERM 143
    interrupted INT 130
else
    skip "signals" "env has no --default-signal here"
fi

echo "# a full disk"
if unshare -rm true 2>/dev/null; then
    # Room for one checkpoint and a half.
    mkdir disk
    unshare -rm sh -c 'mount -t tmpfs -o size=300k none disk || exit
        "$0" train lenet5 data -b 64 --steps 20 --checkpoint-every 10 --checkpoint disk/run -q >out 2>err
        echo $? >status; find disk -type f >files
        "$0" test disk/run data >tested 2>&1; echo $? >tested.status
        cp -R disk/run full' "$CORERING"
    same "status 1" 1 "$(cat status)"
    same "one line that names the cause and the file" 1 "$(grep -c 'step-00000020.*No space left' err)"
    same "no more than one line" 1 "$(wc -l <err)"
    same "the older checkpoint alone is left" disk/run/step-00000010.safetensors "$(cat files)"
    same "and is whole" 0 "$(cat tested.status)"
    "$CORERING" train lenet5 data -b 64 --steps 20 -q --no-checkpoint >out
    "$CORERING" train lenet5 data -b 64 --steps 20 -q --resume full --checkpoint full >resumed
    same "with room again, the run goes on from it" "$(sed -n 's/^weights //p' out)" "$(sed -n 's/^weights //p' resumed)"
else
    skip "a full disk" "no mount namespaces here"
fi
exit $bad
