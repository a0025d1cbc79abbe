#!/bin/sh
# Networks that are not plain: an address that all hosts have, two cards, IPv6 alone, lost packets.
set -u
. "$SRCDIR/tests/tools/common.sh"
"$SRCDIR/tests/networks.sh" | verdicts c11
