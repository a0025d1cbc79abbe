#!/bin/sh
# Row 7: gradients of every kind of layer against central differences; LeNet-5's losses and weights against PyTorch's,
# as checked in and, where PyTorch is installed, live.
set -u

# verdict LOG STATUS PATTERN: the lines of LOG that begin with PATTERN, without it, as rows.
verdict() {
    word=FAIL
    test "$2" = 0 && word=PASS
    grep "^$3" "$1" >"$1.lines" || tail -n 1 "$1" >"$1.lines"
    sed "s/^$3//; s/.*/07 & $word/" "$1.lines"
}

CR_TEST_FIGURES=1 "${MAKE:-make}" -C "${OBJ%/*}" O="${OBJ##*/}" check-fast SUITES="gradient torch" >"$WORK/check" 2>&1
verdict "$WORK/check" $? "figure: "

"$SRCDIR/tests/peers/train.py" >"$WORK/peers" 2>&1
verdict "$WORK/peers" $? "[not ]*ok - "
