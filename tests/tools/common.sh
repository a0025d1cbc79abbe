# What the scripts of tests/ share; they read it with a dot. Each prints its results in the form tests/run counts.
# shellcheck shell=sh
bad=0
pass() { echo "ok - $1"; }
miss() { echo "not ok - $1: $2"; bad=1; }
skip() { echo "skip - $1: $2"; }

# same NAME A B: two results are there and equal.
same() { if test "$2" && test "$2" = "$3"; then pass "$1"; else miss "$1" "'$2' is not '$3'"; fi; }

# at_least LEAST X: of two decimal numbers.
at_least() { awk -v least="$1" -v x="$2" 'BEGIN { exit !(x + 0 >= least + 0) }'; }

# tool NAME [FLAGS...]: compile tests/tools/NAME.c to $WORK/NAME; $NAME runs it.
tool() {
    tool=$1; shift
    # shellcheck disable=SC2086 # CC may hold options
    ${CC:-cc} -O2 "$@" -o "$WORK/$tool" "$SRCDIR/tests/tools/$tool.c"
}

# field NAME FILE: its value in the last line that has it of a log of JSON lines.
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$2" | tail -n 1; }

# rounded NAME FILE: the same with one decimal.
rounded() { field "$1" "$2" | awk '{ printf "%.1f", $1 }'; }

# instruction_sets: those the program and this machine have, the reference first.
instruction_sets() { "$CORERING" train mlp . --isa none 2>&1 | sed -n 's/.*choose one of: //p' | sed 's/ auto$//'; }

# digits FOLDER TRAIN TEST: the synthetic digits of seed 1.
digits() { "$CORERING" data synth "$1" --train "$2" --test "$3" >/dev/null; }

# mnist: put real MNIST, unpacked, in $WORK/mnist. Status 1 where CORERING_DATA holds none.
mnist() {
    for from in "${CORERING_DATA:-}/mnist" "${CORERING_DATA:-}"; do
        test -e "$from/train-labels-idx1-ubyte.gz" || test -e "$from/train-labels-idx1-ubyte" || continue
        mkdir -p "$WORK/mnist"
        for file in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
            if test -e "$from/$file-ubyte"; then cp "$from/$file-ubyte" "$WORK/mnist/"
            else gzip -dc "$from/$file-ubyte.gz" >"$WORK/mnist/$file-ubyte"
            fi || return 1
        done
        return 0
    done
    return 1
}

# verdicts ROW: what tests print, from stdin, in the form of tests/acceptance.
verdicts() { sed -e "s/^ok - \(.*\)/$1 \1 PASS/" -e "s/^not ok - \(.*\)/$1 \1 FAIL/"; }
