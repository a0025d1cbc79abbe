# How much memory training holds. Read with a dot by the scripts that measure it.
# shellcheck shell=sh
. "$SRCDIR/tests/tools/common.sh"

# within LIMIT NAME COMMAND...: the command ends well and never holds more than LIMIT MB at once.
within() {
    limit=$1 name=$2; shift 2
    "$WORK/measure" "$WORK/usage" "$@" >/dev/null 2>"$WORK/errors"
    status=$?
    megabytes=$(awk '{ printf "%.1f", $3 / 1024 }' "$WORK/usage")
    if test $status != 0; then miss "$name" "status $status, $(head -n 1 "$WORK/errors")"
    elif at_least "$megabytes" "$limit"; then pass "$name: $megabytes MB resident (<= $limit)"
    else miss "$name: $megabytes MB resident" "more than $limit"
    fi
}
