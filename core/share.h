/* Threads that share a block: where there are fewer blocks than threads, several go through the layers together, and
 * each makes some channels of what a layer makes. Every value is still one thread's, in one chain, so the bits do not
 * know how many there were. */
#ifndef CR_CORE_SHARE_H
#define CR_CORE_SHARE_H

/* Channels first..first + count - 1; count may be 0. */
struct cr_range {
    int first, count;
};

/* One thread of those that share: number `part` of `parts`. */
struct cr_share {
    int part, parts;
};

/* The channels that fall to a thread: as even as can be. None if it is not one of `parts`. */
static inline struct cr_range cr_share_of(struct cr_share s, int channels)
{
    if (s.part < 0 || s.part >= s.parts) return (struct cr_range){ 0, 0 };
    const int first = (int)((long)channels * s.part / s.parts), end = (int)((long)channels * (s.part + 1) / s.parts);
    return (struct cr_range){ first, end - first };
}

/* How those who share a block go about a layer. */
enum cr_sharing {
    CR_SHARED, /* each makes some channels, in memory of all */
    CR_WHOLE,  /* too little for that: each makes all of it, for itself */
    CR_SOLO    /* the first alone makes it: of its weights each is read and written once a step, and had better stay in
                  the caches of one core */
};

/* Backward, both gradients of a layer are about the same work: the first half of the threads does the one by weight,
 * the others the one by input. Fewer and larger pieces than if all did a part of each. */
static inline struct cr_share cr_share_by_weight(struct cr_share s)
{
    return (struct cr_share){ s.part, s.parts - s.parts / 2 };
}
static inline struct cr_share cr_share_by_input(struct cr_share s)
{
    return (struct cr_share){ s.part - (s.parts - s.parts / 2), s.parts / 2 };
}

#endif
