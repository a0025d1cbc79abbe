# The golden table, tests/golden.tsv: what runs end with, to the last bit. Scripts that compare with it read this with a
# dot. A row is a run: net, data (synth: the digits golden_data draws; or mnist), batch, steps; then its losses at each
# quarter of the way, loss and correct answers of its last validation, and the SHA-256 of its weights.
# shellcheck shell=sh
. "$SRCDIR/tests/tools/common.sh"
golden_table=$SRCDIR/tests/golden.tsv

# Settings of every row: all parts of the optimiser at work, and a rate that batch 1 bears.
golden_settings="--learning-rate 0.01 --momentum 0.9 --weight-decay 1e-4 --schedule cosine --seed 1 --warmup 0 --normalize std"

# golden_data: draw the digits and, where CORERING_DATA has it, unpack MNIST. golden_synth says which digits they are.
golden_data() {
    digits "$WORK/synth" 4000 500 && mnist
}
golden_synth() {
    (cd "$WORK/synth" && cat t10k-* train-*) | sha256sum | cut -d ' ' -f 1
}

# golden_run NET DATA BATCH STEPS OPTIONS...: run $CORERING, print the columns of the result.
golden_run() {
    net=$1 data=$2 batch=$3 steps=$4; shift 4
    # shellcheck disable=SC2086 # a list of options
    "$CORERING" train "$net" "$WORK/$data" -b "$batch" --steps "$steps" --log-every $((steps / 4)) --no-checkpoint \
        --json $golden_settings "$@" >"$WORK/events" 2>"$WORK/errors" </dev/null ||
        { tail -n 1 "$WORK/errors"; return; }
    awk 'function field(name) {
             return match($0, "\"" name "\":\"?[^,\"}]*") ? substr($0, RSTART, RLENGTH) : ""
         }
         function value(name) { text = field(name); sub(/^"[^"]*":"?/, "", text); return text }
         /"event":"step"/  { losses = losses (losses ? "," : "") value("loss") }
         /"event":"epoch"/ { validation = value("val_loss") "\t" value("correct") }
         /"event":"end"/   { print losses "\t" validation "\t" value("weights_sha256") }' "$WORK/events"
}

# golden_rows PATTERN: the rows whose first columns, one blank between them, match an extended regular expression; those
# of MNIST only where it is.
golden_rows() {
    test -d "$WORK/mnist" && there='synth|mnist' || there=synth
    awk -F '\t' -v want="$1" -v there="^($there)$" \
        '!/^#/ && $2 ~ there && $1 " " $2 " " $3 " " $4 ~ want' "$golden_table"
}

# golden NAME PATTERN OPTIONS...: do these rows, run with these options, end as the table says?
golden() {
    name=$1 pattern=$2 rows=0; shift 2
    golden_rows "$pattern" >"$WORK/rows"
    while read -r net data batch steps expected; do
        found=$(golden_run "$net" "$data" "$batch" "$steps" "$@")
        if test "$found" != "$expected"; then
            miss "$name" "$net on $data, batch $batch, $steps steps gives '$found', not '$expected'"
            return 1
        fi
        rows=$((rows + 1))
    done <"$WORK/rows"
    if test $rows = 0; then miss "$name" "no row matches '$pattern'"; return 1; fi
    pass "$name: $rows rows"
}
