/* The world of one process. */
#include "dist/comm.h"

static int reduce(struct cr_comm *comm, struct cr_message *m, struct cr_error *e)
{
    (void)comm;
    (void)m;
    (void)e;
    return 0;
}

struct cr_comm cr_comm_solo(void)
{
    return (struct cr_comm){ .rank = 0, .size = 1, .reduce = reduce };
}
