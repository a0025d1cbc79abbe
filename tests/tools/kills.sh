# A run that is killed again and again must end like the run that never was. Read with a dot by the scripts that kill.
# shellcheck shell=sh
. "$SRCDIR/tests/tools/common.sh"

# draw N: a number below N to $drawn, from CR_TEST_SEED.
seed=${CR_TEST_SEED:-$(date +%s)}
draw() {
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    drawn=$((seed / 65536 % $1))
}
# of WORDS...: one of them to $drawn.
draw_of() {
    draw $#
    shift "$drawn"
    drawn=$1
}

# outcome LOG: what may not depend on kills: each epoch's step, losses and answers, and the end. Epochs that were done
# twice, because the checkpoint before them was the last, stand there twice and must be the same both times.
outcome() {
    grep -h -e '"event":"epoch"' -e '"event":"end"' "$1" |
        sed 's/,"images_per_s":[^,]*,"seconds":[^,}]*//; s/"seconds":[^,]*,"images_per_s":[^,]*,//' | sort -u
}

# survives KILLS NET DATA OPTIONS...: a run with these options, killed (SIGKILL) so many times and each time resumed with
# other threads and instruction sets, against the run left alone. A run that ends before all kills are done is compared,
# and another one begins. Leaves $killed, $ends; status 1 with $why when something differs.
survives() {
    kills=$1 net=$2 data=$3 killed=0 ends=0 why='' ended=yes; shift 3
    rm -rf "$WORK/whole"* "$WORK/killed"*
    "$CORERING" train "$net" "$data" "$@" -q --log "$WORK/whole.log" --checkpoint "$WORK/whole" >/dev/null
    outcome "$WORK/whole.log" >"$WORK/whole.outcome"
    milliseconds=$(awk -v s="$(field seconds "$WORK/whole.log")" 'BEGIN { printf "%d", 1000 * s }')
    sets=$(instruction_sets)
    while test $killed -lt "$kills" || test $ended = no; do
        if test $ended = yes; then rm -rf "$WORK/killed" "$WORK/killed.log"; mkdir "$WORK/killed"; fi
        # shellcheck disable=SC2086 # a list of names
        draw_of $sets; isa=$drawn
        draw 4; threads=$((drawn + 1))
        draw $((milliseconds / 3 + 60)); delay=$drawn
        case $isa in ref) delay=$((delay * 10)) ;; esac # far slower, and shall come as far
        delay=$((delay / 1000)).$(printf %03d $((delay % 1000)))
        if test $killed = "$kills"; then delay=0 isa=auto; fi # left alone until its end
        timeout --foreground -s KILL "$delay" "$CORERING" train "$net" "$data" "$@" -q --log "$WORK/killed.log" \
            --checkpoint "$WORK/killed" --resume "$WORK/killed" -t "$threads" --isa "$isa" >/dev/null 2>"$WORK/errors"
        status=$?
        case $status in
        137) killed=$((killed + 1)) ended=no ;;
        0|124)  # 124: it ended when the time was over, before the signal came
            ended=yes ends=$((ends + 1))
            outcome "$WORK/killed.log" >"$WORK/killed.outcome"
            cmp -s "$WORK/whole.outcome" "$WORK/killed.outcome" ||
                why=$(diff "$WORK/whole.outcome" "$WORK/killed.outcome" | tr '\n' ' ') ;;
        *)  why="status $status, $(tail -n 1 "$WORK/errors")" ;;
        esac
        test -z "$why" || return 1
    done
}
