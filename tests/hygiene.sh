#!/bin/sh
# Rules of the house that a machine can check: who includes whom, what is exported, headers that stand alone, layout.
bad=0
check() { # NAME FINDINGS: any finding is a failure
    if test "$2"; then
        echo "not ok - $1: $(printf '%s' "$2" | tr '\n' ';')"
        bad=1
    else
        echo "ok - $1"
    fi
}
cd "$SRCDIR" || exit 1
sources=$(find simd dist core apps tests -name '*.[ch]')

# Arrows run one way: apps -> core -> simd, apps -> dist -> simd, core -> dist/comm.h.
check "simd includes only simd" "$(grep -nE '#include "(apps|core|dist|tests)/' simd/*.[ch])"
check "dist includes only simd and dist" "$(grep -nE '#include "(apps|core|tests)/' dist/*.[ch])"
check "core includes only simd, core and dist/comm.h" \
    "$(grep -nE '#include "(apps|tests|dist)/' core/*.[ch] | grep -v '"dist/comm.h"')"

# The library says nothing, ends nothing (but processes it forked itself), and exports nothing but cr_ names.
check "the library neither prints nor exits" \
    "$(grep -nE '(^|[^_a-z.>])(printf|fprintf|puts|perror|exit|_exit|abort) ?\(' simd/*.[ch] dist/*.[ch] core/*.[ch] |
        grep -v '^dist/launch\.c:[0-9]*: *_exit(')"
check "exported names begin with cr_" \
    "$(nm -g --defined-only "$OBJ/libcorering.a" | awk 'NF == 3 && $3 !~ /^(cr_|__[atu]san|__odr_asan)/ { print $3 }')"

alone=
for header in simd/*.h dist/*.h core/*.h; do
    case $header in simd/vec_*|simd/tree_*|*_tmpl.h) continue ;; esac # parts of a kernel, for one instruction set
    # shellcheck disable=SC2086 # CC may hold options
    printf '#include "%s"\n' "$header" | $CC -std=c11 -fsyntax-only -fopenmp -I"$SRCDIR" -I"${OBJ%/*}" -x c - ||
        alone="$alone $header"
done
check "headers compile alone" "$alone"

tab=$(printf '\t')
# shellcheck disable=SC2086 # a list of files
{
    check "no tabs, no blanks at line ends" "$(grep -nE "$tab| \$" $sources)"
    check "lines of at most 120 columns" "$(LC_ALL=C.UTF-8 grep -nE '^.{121}' $sources | cut -d: -f1,2)"
    check "no unfinished business" "$(grep -nE 'TODO|FIXME|#if 0' $sources)"
}
exit $bad
