# Runs over the hosts of tests/tools/hosts.sh, and what is to be seen of them. Scripts read it with a dot, in bash, after
# common.sh and hosts.sh, and work in $WORK.
#
# With a constant rate the weights after N steps do not depend on where the run was to end. So a run may be as long as a
# test needs: it is interrupted when all has happened, and compared with one machine that does as many steps.
#
#     hosts_file HOST...        a hosts file of them, a thread each
#     begin NAME NET DATA OPTIONS...   start it on the launcher over the hosts of the file; its log is NAME.log, what it
#                               says NAME.out, its checkpoints go to NAME; one at a time
#     seen PATTERN [N]          wait until N [1] lines of the log match an extended regular expression; status 1 when they
#                               do not come in time or the run ends before
#     interrupt                 Ctrl-C
#     finish                    wait for its end: its status to $status
#     alone NET DATA OPTIONS... the weights one machine ends with
#     like_alone NAME           did it end as one machine does that takes as many steps? With the options of begin
#     from_now                  seen, events and note look only at what is logged from now on
#     events PATTERN            how many lines of the log match
#     note PATTERN FIELD        the field in the last line that does
# shellcheck shell=bash disable=SC2034
run_preload='' # a library to load before the launcher
patience=60 # seconds for anything to happen: far more than it takes on a machine that does much else

hosts_file() { printf '%s slots=1\n' "$@" >hosts; }

begin() {
    run=$1 run_words=("${@:2}") run_from=1
    rm -rf "$run" "$run.log"
    on launcher env ${run_preload:+LD_PRELOAD="$run_preload"} "$CORERING" train "${run_words[@]}" --hostfile hosts --checkpoint "$WORK/$run" --log "$run.log" -q \
        >"$run.out" 2>&1 </dev/null &
    run_pid=$!
}

# in_time COMMAND...: it succeeds, before patience or the run ends.
in_time() {
    local deadline=$((SECONDS + patience))
    until "$@"; do
        if ! kill -0 $run_pid 2>/dev/null; then "$@"; return; fi
        ((SECONDS < deadline)) || return 1
        sleep 0.02
    done
}

from_now() { run_from=$(($(wc -l <"$run.log") + 1)); }
events() { tail -n "+$run_from" "$run.log" 2>/dev/null | grep -cE -e "$1"; }
has_events() { (($(events "$1") >= $2)); }
seen() { in_time has_events "$1" "${2:-1}"; }
note() {
    tail -n "+$run_from" "$run.log" | grep -E -e "$1" | tail -n 1 >"$run.line"
    field "$2" "$run.line"
}

interrupt() { host_signal INT launcher "^$CORERING train"; }

is_over() { ! kill -0 $run_pid 2>/dev/null; }
finish() {
    if in_time is_over; then
        wait $run_pid
        status=$?
    else
        status=hangs
        host_signal KILL launcher "^$CORERING train"
        wait $run_pid
    fi
}

alone() { "$CORERING" train "$@" --no-checkpoint -q 2>alone.out | sed -n 's/^weights sha256 //p'; }

like_alone() {
    local steps
    steps=$(field steps "$run.log")
    same "$1: the result of one machine after $steps steps" "$(field weights_sha256 "$run.log")" \
        "$(alone "${run_words[@]}" --steps "$steps")"
}
