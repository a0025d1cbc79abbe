#!/bin/sh
# Steps done again leave no trace, and NaN ends a run with status 4 and the layer's name. The share of such steps in
# long runs is among the figures of rows 02 and 03.
set -u
. "$SRCDIR/tests/tools/common.sh"
{ "$SRCDIR/tests/redo.sh"; mkdir "$WORK/nan"; WORK=$WORK/nan "$SRCDIR/tests/diverge.sh"; } | verdicts 06
