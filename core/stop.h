/* The --stop expression: when a run may end before its epochs are over.
 *
 *     top1 >= 0.99 or epoch >= 20 or time > 60s
 *
 *     expression = conjunction { "or" conjunction }
 *     conjunction = condition { "and" condition }
 *     condition  = "(" expression ")" | variable ( ">=" | ">" | "<=" | "<" ) number
 *     variable   = top1 | top5 | val_loss | train_loss | epoch | step | time
 *
 * Numbers of top1 and top5 are shares of 1 or carry a %; those of time are seconds or carry s, m or h. Parsed once,
 * before training; asking is pure. */
#ifndef CR_CORE_STOP_H
#define CR_CORE_STOP_H

#include "simd/error.h"

/* What a condition can look at, in the order of the variables above. NAN = not known (yet): no comparison with it
 * holds. */
struct cr_stop_values {
    double top1, top5;           /* of the last validation, 0..1 */
    double val_loss, train_loss; /* of the last validation; of the last epoch */
    double epoch, step;          /* done */
    double time;                 /* seconds since the start */
};

enum { CR_STOP_NODES = 64 };

/* The expression in postfix order: conditions, and the operators that join the two results before them. */
struct cr_stop {
    int count; /* 0 = never stop */
    struct cr_stop_node {
        enum cr_stop_kind { CR_STOP_GE, CR_STOP_GT, CR_STOP_LE, CR_STOP_LT, CR_STOP_AND, CR_STOP_OR } kind;
        int variable; /* index into the values; comparisons only */
        double number;
    } node[CR_STOP_NODES];
};

/* Understand `text`; "" gives an expression that never holds. -CR_E_USAGE with the column (1-based) of the fault. */
int cr_stop_parse(struct cr_stop *s, const char *text, struct cr_error *e);

/* 1 if the run may end, else 0. */
int cr_stop_holds(const struct cr_stop *s, const struct cr_stop_values *v);

#endif
