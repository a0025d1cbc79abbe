#!/bin/sh
# LeNet-5 on hosts that have an sshd and nothing else, from a hosts file: the weights of one machine.
set -u
. "$SRCDIR/tests/tools/common.sh"
"$SRCDIR/tests/cluster.sh" | verdicts c01
