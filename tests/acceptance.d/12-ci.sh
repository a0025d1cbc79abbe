#!/bin/sh
# What CI runs on a clean clone: address and undefined-behaviour checks, gcc and clang without a warning, AArch64 under
# qemu. Row 04 compares the golden table on all of these.
set -u
. "$SRCDIR/tests/tools/common.sh"
git clone -q "$SRCDIR" "$WORK/clone" || exit 1
"$WORK/clone/.ci/run" >"$WORK/ci.log" 2>&1
status=$?
grep -e '^not ok' -e '^skip' "$WORK/ci.log" >&2
{
    name="stages: $(grep '^==== ' "$WORK/ci.log" | cut -c 6- | tr '\n' ';')"
    if test $status = 0; then pass "$(tail -n 1 "$WORK/ci.log"); $name"
    else miss "$name" "$(tail -n 1 "$WORK/ci.log"), $(grep -m 1 '^not ok' "$WORK/ci.log")"
    fi
} | verdicts 12
