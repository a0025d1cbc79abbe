/* How many samples lie side by side (simd/kernels.h, "Arrangement"): 16 or 8, of a block or of several small ones, so
 * that every vector holds the same value of as many samples, or 1, the ordinary layout, whose kernels take a sample at
 * a time. A matter of speed alone: the weights come out the same, to the last bit. */
#ifndef CR_CORE_LANES_H
#define CR_CORE_LANES_H

#include "core/net.h"
#include "simd/error.h"
#include "simd/kernels.h"

/* For blocks of at most n samples: what was chosen, else the arrangement that keeps the vectors full. */
int cr_lanes(const struct cr_kernels *k, long n);
/* The same for a network. Where there are convolutions, few samples are sooner done one at a time. */
int cr_lanes_of(const struct cr_net *net, const struct cr_kernels *k, long n);

/* For threads that share a block, which has to be one group: it may have up to 16 samples. */
int cr_lanes_shared(long n);

/* How many blocks of at most n samples side by side fill the vectors; 1 if an arrangement was chosen, and for one
 * sample alone, whose gradient by the weights of linear layers is rounded as it is made. */
int cr_blocks_at_once(const struct cr_kernels *k, long n);
/* How many samples lie side by side in no more than so many of them; 0 if the blocks are done sooner one by one. */
int cr_lanes_of_blocks(const struct cr_kernels *k, int blocks, long n);

/* Choose 1, 8 or 16 for every block, or 0: by its size. Not thread-safe; before the first worker of a run is made.
 * -CR_E_USAGE for another number. */
int cr_lanes_choose(long lanes, struct cr_error *e);

#endif
