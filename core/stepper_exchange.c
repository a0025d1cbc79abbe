#include "core/stepper_inside.h"

/* Words of a step's message: sums64, and the maxima after those of the tensors. Clocks travel in 1/64 s. */
enum { SUM_LOSS, SUM_SAMPLES, SUM_BLOCK_NUMBERS, STEP_SUMS };
enum { MAX_ASK_CHECKPOINT, MAX_ASK_END, MAX_CLOCK, STEP_MAXIMA };

struct cr_message_shape cr_stepper_shape(const struct cr_net *net)
{
    return (struct cr_message_shape){ STEP_SUMS, (size_t)net->tensors + STEP_MAXIMA, net->params };
}

/* The greatest |bits| of a tensor over all blocks this process did. */
uint32_t cr_stepper_greatest_here(const struct cr_stepper *s, int tensor)
{
    uint32_t max = 0;
    for (int t = 0; t < s->barrier.threads; t++)
        if (s->worker[t]->blocks && s->worker[t]->max[tensor] > max) max = s->worker[t]->max[tensor];
    return max;
}

/* On thread 0: all but the gradients, which the team has summed, goes into the message. */
static void fill_message(struct cr_stepper *s, struct cr_message *m, unsigned wish, int64_t took)
{
    int64_t blocks = 0;
    for (int t = 0; t < s->barrier.threads; t++) {
        m->sum64[SUM_SAMPLES] += s->tally[t].samples;
        m->sum64[SUM_BLOCK_NUMBERS] += s->tally[t].block_numbers;
        blocks += s->tally[t].blocks;
    }
    m->sum64[SUM_LOSS] = s->loss_sum;
    for (int i = 0; i < s->net->tensors; i++) m->max32[i] = cr_stepper_greatest_here(s, i);
    uint32_t *const rest = m->max32 + s->net->tensors;
    rest[MAX_ASK_CHECKPOINT] = (wish & CR_ASK_CHECKPOINT) != 0;
    rest[MAX_ASK_END] = (wish & CR_ASK_END) != 0;
    rest[MAX_CLOCK] = (uint32_t)(s->time * 64);
    s->comm->took(s->comm, took, (long)blocks);
}

/* Every sample once: the message counts what was done, the plan says what had to be. */
static int check_message(const struct cr_round *r, const struct cr_message *m, struct cr_error *e)
{
    const int64_t numbers = (int64_t)r->step.blocks * (r->step.blocks - 1) / 2;
    if (m->sum64[SUM_SAMPLES] == r->step.count && m->sum64[SUM_BLOCK_NUMBERS] == numbers) return 0;
    return cr_fail(e, CR_E_PEER, "step %llu counted %lld samples of %ld: the ranks do not agree on who does what; is "
                   "the same corering on all hosts?", (unsigned long long)r->step.step + 1,
                   (long long)m->sum64[SUM_SAMPLES], r->step.count);
}

/* On thread 0: trade this rank's message for the world's. */
int cr_stepper_exchange(struct cr_stepper *s, const struct cr_round *r, unsigned wish, int64_t took,
                        struct cr_error *e)
{
    struct cr_message *const m = r->message;
    fill_message(s, m, wish, took);
    const int rc = s->comm->reduce(s->comm, e);
    s->again = rc == CR_COMM_AGAIN;
    if (rc) return rc < 0 ? rc : 0;
    CR_TRY(check_message(r, m, e));
    const uint32_t *const rest = m->max32 + s->net->tensors;
    s->loss_sum = m->sum64[SUM_LOSS];
    s->asked = (rest[MAX_ASK_CHECKPOINT] ? CR_ASK_CHECKPOINT : 0u) | (rest[MAX_ASK_END] ? CR_ASK_END : 0u);
    s->time = (double)rest[MAX_CLOCK] / 64;
    return 0;
}
