#include "apps/print_net.h"

#include <string.h>

#include "apps/text.h"
#include "core/layer.h"

/* "6 5x5 stride 2 pad 1": what the .net line says, as far as it is not the default. */
static const char *describe(const struct cr_layer *l, char text[64])
{
    const struct cr_conv *const c = &l->conv;
    const unsigned takes = l->type->takes;
    const int windowed = (takes & CR_ARG_KERNEL) != 0;
    const int usual_stride = takes & CR_ARG_COUNT ? 1 : c->kw;
    int n = snprintf(text, 64, "%s", l->type->name);
    if (takes & CR_ARG_COUNT) n += snprintf(text + n, 64 - (size_t)n, " %d", l->out.c);
    if (windowed) n += snprintf(text + n, 64 - (size_t)n, " %dx%d", c->kh, c->kw);
    if (windowed && c->stride != usual_stride) n += snprintf(text + n, 64 - (size_t)n, " stride=%d", c->stride);
    if (windowed && c->pad != 0) snprintf(text + n, 64 - (size_t)n, " pad=%d", c->pad);
    return text;
}

static const char *shape_text(struct cr_shape s, char text[48])
{
    if (s.h == 1 && s.w == 1)
        snprintf(text, 48, "%d", s.c);
    else
        snprintf(text, 48, "%dx%dx%d", s.c, s.h, s.w);
    return text;
}

void cr_print_net(FILE *out, const struct cr_net *net)
{
    char shape[48], text[64], params[CR_NUMBER_TEXT], flop[CR_NUMBER_TEXT], bytes[CR_NUMBER_TEXT];
    fprintf(out, "  %-12s %-24s %-12s %12s %9s %11s\n", "layer", "kind", "output", "parameters", "FLOP", "activations");
    fprintf(out, "  %-12s %-24s %-12s %12s %9s %11s\n", "input", "", shape_text(net->input, shape), "", "",
            cr_bytes(sizeof(float) * (double)cr_shape_size(net->input), bytes));
    double activations = sizeof(float) * (double)cr_shape_size(net->input);
    for (int i = 0; i < net->layers; i++) {
        const struct cr_layer *const l = &net->layer[i];
        const size_t own = l->weights + l->biases;
        const double made = sizeof(float) * (double)cr_shape_size(l->out);
        activations += made;
        fprintf(out, "  %-12s %-24s %-12s %12s %9s %11s\n", l->name, describe(l, text), shape_text(l->out, shape),
                own ? cr_grouped(own, params) : "", cr_scaled(cr_layer_flop_forward(l), flop), cr_bytes(made, bytes));
    }
    fprintf(out, "\n%s parameters, %s", cr_grouped(net->params, params),
            cr_bytes(sizeof(float) * (double)net->params, bytes));
    fprintf(out, "; per image %s of activations, %sFLOP forward,", cr_bytes(activations, bytes),
            cr_scaled(cr_net_flop_forward(net), flop));
    fprintf(out, " %sFLOP to train\n", cr_scaled(cr_net_flop_train(net), flop));
}
