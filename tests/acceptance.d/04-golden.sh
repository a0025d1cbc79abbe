#!/bin/sh
# The golden table of the arithmetic: the same losses and weights for threads, instruction sets, compilers, processors.
set -u
. "$SRCDIR/tests/tools/golden_table.sh"
golden_data || { echo "CORERING_DATA names no folder that holds MNIST" >&2; exit 1; }

# built NAME OPTIONS...: configure and make in a folder of its own, whatever CC is here; CORERING becomes that program.
built() {
    CORERING=$WORK/$1/corering
    mkdir -p "$WORK/$1"
    (unset CC && cd "$WORK/$1" && shift && "$SRCDIR/configure" "$@" && make -j2 corering) >"$WORK/$1.log" 2>&1
}

# build NAME PATTERN OPTIONS...: the rows, by a program built so, with all its instruction sets.
build() {
    build=$1 build_rows=$2; shift 2
    if ! built "$build" "$@"; then
        miss "$build" "does not build, see $WORK/$build.log"
        return
    fi
    for isa in $(instruction_sets); do
        golden "$build, $isa" "$build_rows" --isa "$isa"
    done
}

matrix() {
    golden "20 and 300 steps" .
    for isa in $(instruction_sets); do
        for threads in 1 2 3 7; do
            golden "20 steps, $isa, -t $threads" 'synth .* 20$' --isa "$isa" -t $threads
        done
        test "$isa" = ref || golden "20 and 300 steps, $isa" . --isa "$isa"
    done
    golden "300 steps, ref" 'synth (7|1) 300' --isa ref
    build "gcc -O0" 'synth .* 20$' CC=gcc CFLAGS=-O0
    build "gcc -O3 -march=native" 'synth .* 20$' CC=gcc CFLAGS='-O3 -march=native'
    build "gcc -ffp-contract=fast" 'synth .* 20$' CC=gcc CFLAGS='-mfma -ffp-contract=fast'
    build "clang" 'synth .* 20$' CC=clang
    build "clang -ffp-contract=fast" 'synth .* 20$' CC=clang CFLAGS='-O3 -mfma -ffp-contract=fast'
    if musl_has_openmp; then build "static musl" 'synth .* 20$' CC=musl-gcc LDFLAGS=-static
    else echo "skip - static musl: musl-gcc finds no OpenMP library" >&2; fi
    if built AArch64 --host=aarch64-linux-gnu; then
        emulated=$WORK/emulated
        printf '#!/bin/sh\nexec qemu-aarch64 -L /usr/aarch64-linux-gnu "%s" "$@"\n' "$CORERING" >"$emulated"
        chmod +x "$emulated"
        CORERING=$emulated
        for isa in $(instruction_sets); do
            golden "AArch64, $isa" 'synth .* 20$' --isa "$isa" -t 2
        done
    else
        miss "AArch64" "does not build, see $WORK/AArch64.log"
    fi
}

musl_has_openmp() {
    echo 'int main(void) { int n = 0;
    #pragma omp parallel
    n = 1;
    return n - 1; }' >"$WORK/openmp.c"
    musl-gcc -static -fopenmp -o "$WORK/openmp" "$WORK/openmp.c" 2>/dev/null && "$WORK/openmp"
}

matrix | verdicts 04

tool measure
"$WORK/measure" "$WORK/usage" "$CORERING" train lenet5 "$WORK/mnist" -b 64 -e 4 -t 2 --no-checkpoint -q >/dev/null
ratio=$(awk '{ printf "%.2f", $2 / $1 }' "$WORK/usage")
if at_least 1.8 "$ratio"; then verdict=PASS; else verdict=FAIL; fi
echo "04 processor time / time at -t 2: $ratio (>= 1.8) $verdict"
