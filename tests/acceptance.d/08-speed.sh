#!/bin/sh
# Row 8: training LeNet-5 at batch 64 is at least five times as fast as in PyTorch. Wants an otherwise idle machine.
set -u
"$SRCDIR/tests/peers/speed.py" --least 5 >"$WORK/log" 2>&1 && word=PASS || word=FAIL
cat "$WORK/log" >&2
echo "08 $(tail -n 1 "$WORK/log" | sed 's/^\(not \)\{0,1\}ok - //') $word"
