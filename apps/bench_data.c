/* Images for the benches: noise, with labels in turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bench.h"
#include "core/layer.h"
#include "core/rng.h"

enum { IMAGES = 60000, MOST_BYTES = 64 << 20 }; /* as many as MNIST has, while they fit: more than caches hold */

void cr_bench_data_free(struct cr_data *d, uint8_t *bytes)
{
    free(bytes);
    free(d->class_names);
}

int cr_bench_data(struct cr_data *d, uint8_t **bytes, const struct cr_net *net, struct cr_error *e)
{
    const size_t plane = cr_shape_size(net->input), most = MOST_BYTES / plane;
    const size_t count = most < 1 ? 1 : most < IMAGES ? most : IMAGES;
    *d = (struct cr_data){ .path = "made up",
                           .channels = net->input.c,
                           .height = net->input.h,
                           .width = net->input.w,
                           .classes = net->classes };
    *bytes = malloc(count * plane + count + 16);
    enum { NAME = sizeof "65535" };
    d->class_names = calloc((size_t)net->classes, NAME);
    if (!*bytes || !d->class_names) {
        cr_bench_data_free(d, *bytes);
        return cr_fail(e, CR_E_NOMEM, "out of memory for %zu images", count);
    }
    uint8_t *const label = *bytes + count * plane;
    for (size_t i = 0; i < count * plane; i += 16) {
        uint32_t word[4];
        cr_random(1, CR_RNG_SHUFFLE, 0, i, word);
        memcpy(*bytes + i, word, sizeof word);
    }
    for (size_t i = 0; i < count; i++) label[i] = (uint8_t)(i % (size_t)net->classes);
    char *name = d->class_names;
    for (int k = 0; k < net->classes; k++) name += snprintf(name, NAME, "%d", k) + 1;
    d->train = d->test = (struct cr_split){ .images = *bytes, .labels = label, .count = count };
    cr_data_measure(d);
    return 0;
}
