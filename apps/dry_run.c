#include "apps/dry_run.h"

#include <stdio.h>
#include <string.h>

#include "apps/print_net.h"
#include "apps/text.h"
#include "core/eval.h"
#include "core/plan.h"
#include "core/team.h"
#include "simd/kernels.h"

int cr_dry_run(const struct cr_train_options *o, const struct cr_net *net, const struct cr_data *data,
               struct cr_error *e)
{
    struct cr_plan plan;
    CR_TRY(cr_check_fit(net, data, e));
    CR_TRY(cr_plan_init(&plan, o, data->train.count, e));

    const double arrays = o->momentum > 0 ? 2 : 1; /* weights, momentum; each thread's own gradients, as integers */
    const int threads = o->threads ? (int)o->threads : cr_threads_default();
    char samples[CR_NUMBER_TEXT], held_out[CR_NUMBER_TEXT], steps[CR_NUMBER_TEXT], bytes[CR_NUMBER_TEXT], value[512];
    printf("%s on %s\n\n", net->name, data->path);
    cr_print_net(stdout, net);
    printf("weights%s %s, gradients %s a thread\n", arrays > 1 ? " and momentum" : "",
           cr_bytes(arrays * sizeof(float) * (double)net->params, bytes),
           cr_bytes(sizeof(float) * (double)net->params, samples));
    printf("\n%s images to train on, %s to validate, %s steps an epoch, ", cr_grouped(plan.samples, samples),
           cr_grouped(plan.held_out ? plan.held_out : data->test.count, held_out),
           cr_grouped(plan.steps_per_epoch, steps));
    printf("%s in all\n", cr_grouped(plan.total_steps, steps));
    struct cr_train_options settled = *o;
    settled.batch = plan.batch;
    settled.block = plan.block;
    settled.threads = threads;
    printf("batch %ld in blocks of %ld, %d thread%s, %s\n\n", plan.batch, plan.block, threads, threads == 1 ? "" : "s",
           cr_kernels()->isa);
    for (const char *const *name = cr_train_option_names(); *name; name++)
        if (strcmp(*name, "resume") != 0 && strcmp(*name, "override") != 0 && /* no matter of a recipe, as these are */
            cr_train_option_get(&settled, *name, value) == 0 && *value)
            printf("  %-18s %s\n", *name, value);
    return 0;
}
