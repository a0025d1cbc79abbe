#include "apps/print_kernels.h"

#include <string.h>

#include "core/lanes.h"
#include "core/worker.h"

/* How a layer goes about a block, where it differs from the others; NULL = it does not. */
static const char *way_of(const struct cr_net *net, int i, struct cr_samples s)
{
    const struct cr_layer *const l = &net->layer[i];
    if (cr_takes_pool(net, i, cr_kernels(), s)) return "with the max-pool behind";
    return s.lanes == 1 && l->type->alone ? l->type->alone(l) : NULL;
}

/* Does layer i go the way? */
static int goes(const struct cr_net *net, int i, struct cr_samples s, const char *way)
{
    const char *const own = way_of(net, i, s);
    return own && strcmp(own, way) == 0;
}

/* The layers that go one way, if `first` is the first of them. */
static void print_way(FILE *out, const struct cr_net *net, int first, struct cr_samples s)
{
    const char *const way = way_of(net, first, s);
    if (!way) return;
    for (int i = 0; i < first; i++)
        if (goes(net, i, s, way)) return;
    const char *before = "; ";
    for (int i = first; i < net->layers; i++)
        if (goes(net, i, s, way)) {
            fprintf(out, "%s%s", before, net->layer[i].name);
            before = ", ";
        }
    fprintf(out, " %s", way);
}

void cr_print_kernels(FILE *out, const struct cr_net *net, long block, enum cr_worker_use use)
{
    const struct cr_samples s = { (int)block, cr_worker_lanes(net, cr_kernels(), (int)block, use), 0 };
    const int blocks = cr_worker_at_once(net, cr_kernels(), (int)block, use);
    const int scalar = strcmp(cr_kernels()->isa, "ref") == 0;
    fprintf(out, "\nkernels      %s", scalar ? "scalar, " : "");
    if (blocks > 1)
        fprintf(out, "%d samples side by side, of %d blocks at once", blocks * (int)block, blocks);
    else if (s.lanes > 1)
        fprintf(out, "%d samples side by side", s.lanes);
    else
        fprintf(out, "a sample at a time");
    for (int i = 0; !scalar && i < net->layers; i++) print_way(out, net, i, s);
}
