#!/bin/sh
# What README.md shows is so: its program in C compiles without a warning and trains, its network is one, every option
# it names exists, and the hash it promises comes out.
set -u
. "$SRCDIR/tests/tools/common.sh"
readme=$SRCDIR/README.md
cd "$WORK" || exit 1

# block FIRST-LINE-PATTERN: the fenced block of README.md that begins with such a line.
block() { awk -v first="$1" '/^```/ { inside = !inside; if (!inside) show = 0; n = 0; next }
                             inside { n++; if (n == 1 && $0 ~ first) show = 1; if (show) print }' "$readme"; }

block '^/\* digits.c' >digits.c
block '^# my.net' >my.net
zlib=$(sed -n 's/^ZLIB_LIBS = //p' "${OBJ%/*}/config.mak")
# shellcheck disable=SC2086 # CC and zlib may hold several words
compile() {
    ${CC:-cc} -std=c11 -Wall -Wextra -Werror -I"$SRCDIR" digits.c "$OBJ/libcorering.a" -fopenmp -pthread $zlib -lm \
        -o digits
}
# shellcheck disable=SC2086 # EMULATOR may hold options
trains() {
    digits data 600 100 && ${EMULATOR:-} ./digits data >log 2>&1 && grep -q '^weights sha256' log &&
        test "$(grep -c '^epoch [12]: Top-1 0\.[0-9]*, [0-9]* of 100$' log)" = 2
}
if test "${OBJ##*/}" != obj; then skip "the program in C" "the library of this build wants the flags of its sanitizer"
elif ! compile 2>log; then miss "the program in C" "$(head -n 1 log)"
elif ! trains; then miss "the program in C" "says: $(tail -n 1 log)"
else pass "the program in C trains"
fi

if "$CORERING" info my.net >log 2>&1; then pass "my.net"; else miss "my.net" "$(cat log)"; fi

"$CORERING" train --help >help
for command in test predict info "data get" "data synth" nets recipes doctor plan; do
    # shellcheck disable=SC2086 # two words
    "$CORERING" $command --help >>help
done
{ cat help; "$SRCDIR/configure" --help; } >known
unknown=$(grep -oE -e '--[a-z][a-z-]+' "$readme" | sort -u | while read -r option; do
    case $option in --cflags|--libs|--help|--name|--version) continue ;; esac # of pkg-config, of every command
    grep -q -e "$option" known || echo "$option"
done)
if test "$unknown"; then miss "options" "unknown: $unknown"; else pass "the options it names exist"; fi

# promised NAME FIRST-LINE-PATTERN OPTIONS...: such a run on MNIST ends with the weights that this block shows.
promised() {
    name=$1 sum=$(block "$2" | sed -n 's/^weights sha256 //p')
    shift 2
    "$CORERING" train lenet5 mnist --no-checkpoint -q "$@" >log
    same "$name" "$sum" "$(sed -n 's/^weights sha256 //p' log)"
}
if mnist; then
    promised "weights of 200 steps" '^weights sha256' --steps 200
    promised "weights of the run it shows" '^. corering data get mnist' -e 5
else
    skip "promised weights" "CORERING_DATA names no folder that holds MNIST"
fi
exit $bad
