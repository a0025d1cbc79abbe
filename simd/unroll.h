/* Ask for a small loop with constant bounds to be unrolled whole, so that arrays it indexes become registers. */
#ifndef CR_SIMD_UNROLL_H
#define CR_SIMD_UNROLL_H

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Let the compiler forget what it knows of an integer: else it keeps what the next turn of a loop will load again, in
 * registers that it does not have. */
#define FORGET(i) __asm__("" : "+r"(i))

/* Loads stay on their side of this: else all those of an unrolled loop may be moved to its beginning, into registers
 * that there are not. */
#define IN_TURN() __asm__ volatile("" ::: "memory")

#endif
