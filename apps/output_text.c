#include "apps/output.h"

#include <math.h>
#include <string.h>

#include "apps/print_kernels.h"
#include "apps/progress.h"
#include "apps/text.h"
#include "core/number.h"

static void print_optimiser(FILE *out, const struct cr_train_options *o)
{
    char lr[32], schedule[512], momentum[32], decay[32], warmup[32];
    cr_format_double(o->lr, lr);
    cr_format_double(o->momentum, momentum);
    cr_format_double(o->weight_decay, decay);
    cr_format_double(o->warmup, warmup);
    cr_train_option_get(o, "schedule", schedule);
    fprintf(out, "optimiser    SGD, learning rate %s, %s schedule", lr, schedule);
    if (o->warmup > 0) fprintf(out, ", warm-up %s", warmup);
    if (o->momentum > 0) fprintf(out, ", %smomentum %s", o->nesterov ? "Nesterov " : "", momentum);
    if (o->weight_decay > 0) fprintf(out, ", weight decay %s", decay);
    fputc('\n', out);
}

static void print_data(FILE *out, const struct cr_data *d)
{
    char train[CR_NUMBER_TEXT], test[CR_NUMBER_TEXT];
    fprintf(out, "data         %s\n", d->path);
    fprintf(out, "             %s images to train on, %s to test, %dx%dx%d, %d classes\n",
            cr_grouped(d->train.count, train), cr_grouped(d->test.count, test), d->channels, d->height, d->width,
            d->classes);
}

static void start(void *user, const struct cr_event_start *s)
{
    struct cr_text *const t = user;
    const struct cr_train_options *const o = s->options;
    char number[CR_NUMBER_TEXT];
    t->epochs = o->steps > 0 ? (double)o->steps / (double)s->steps_per_epoch : (double)o->epochs;
    fprintf(t->out, "network      %s, %s parameters\n", s->net->name, cr_grouped(s->net->params, number));
    print_data(t->out, s->data);
    print_optimiser(t->out, o);
    if (o->steps > 0)
        fprintf(t->out, "run          %s steps", cr_grouped((uint64_t)o->steps, number));
    else
        fprintf(t->out, "run          %ld epoch%s", o->epochs, o->epochs == 1 ? "" : "s");
    fprintf(t->out, ", batch %ld in blocks of %ld, seed %llu\n", o->batch, s->block, (unsigned long long)o->seed);
    if (s->hosts)
        fprintf(t->out, "machines     %d", s->hosts);
    else
        fprintf(t->out, "machine      %d thread%s, %s", s->threads, s->threads == 1 ? "" : "s", s->isa);
    if (s->threads_per_block > 1) fprintf(t->out, ", %d to a block", s->threads_per_block);
    const enum cr_worker_use use = s->threads_per_block > 1 ? CR_WORKER_SHARES : CR_WORKER_TRAINS;
    if (t->verbose) cr_print_kernels(t->out, s->net, s->block, use);
    if (!o->no_checkpoint) fprintf(t->out, "\ncheckpoints  %s", o->checkpoint);
    if (s->resumed_from)
        fprintf(t->out, "\ngoing on     from %s, step %s", s->resumed_from, cr_grouped(s->start_step, number));
    fprintf(t->out, "\n\n%7s  %-15s  %11s  %6s  %6s  %6s  %8s  %7s\n", "epoch", "Top-1", "correct", "Top-5", "loss",
            "train", "images/s", "time");
    fflush(t->out);
}

/* Whole epochs are told as such. */
static int decimals(double epochs) { return epochs == (double)(long)epochs ? 0 : 2; }

/* A row of the table whose head `start` prints. */
static void epoch(void *user, const struct cr_event_epoch *p)
{
    const struct cr_text *const t = user;
    char number[CR_NUMBER_TEXT], correct[2 * CR_NUMBER_TEXT] = "-";
    cr_progress_erase();
    snprintf(number, sizeof number, "%.*f/%.*f", decimals(p->epoch_exact), p->epoch_exact, decimals(t->epochs),
             t->epochs);
    snprintf(correct, sizeof correct, "%ld/%ld", p->correct, p->count);
    fprintf(t->out, "%7s", number);
    if (p->validated)
        fprintf(t->out, "  %.4f +-%.4f  %11s  %.4f  %6.4f", p->top1, cr_binomial(p->top1, (double)p->count), correct,
                p->top5, p->val_loss);
    else
        fprintf(t->out, "  %15s  %11s  %6s  %6s", "-", "-", "-", "-");
    fprintf(t->out, "  %6.4f  %8s  %7s\n", p->train_loss, cr_grouped((uint64_t)p->images_per_s, number),
            cr_duration(p->seconds, correct));
    fflush(t->out);
}

static void step(void *user, const struct cr_event_step *s)
{
    const struct cr_text *const t = user;
    char number[CR_NUMBER_TEXT];
    cr_progress_erase();
    fprintf(t->out, "%7s  step %s, loss %.4f, rate %.6g\n", "", cr_grouped(s->step, number), s->loss, s->lr);
    fflush(t->out);
}

static void checkpoint(void *user, const struct cr_event_checkpoint *c)
{
    const struct cr_text *const t = user;
    if (!t->verbose) return;
    cr_progress_erase();
    fprintf(t->out, "%7s  checkpoint %s\n", "", c->file);
    fflush(t->out);
}

struct cr_train_events cr_text_events(struct cr_text *t)
{
    return (struct cr_train_events){
        .user = t,
        .start = start,
        .epoch = epoch,
        .step = step,
        .checkpoint = checkpoint,
    };
}

void cr_text_end(const struct cr_text *t, const struct cr_train_result *r)
{
    char steps[CR_NUMBER_TEXT], speed[CR_NUMBER_TEXT], time[CR_NUMBER_TEXT];
    cr_progress_erase();
    if (t->epochs > 0) fputc('\n', t->out);
    fprintf(t->out, "%s steps in %s, %s images/s", cr_grouped(r->steps, steps), cr_duration(r->seconds, time),
            cr_grouped((uint64_t)r->images_per_s, speed));
    if (strcmp(r->reason, "stop") == 0) fprintf(t->out, ", ended by --stop");
    if (t->verbose) fprintf(t->out, ", %s redone", cr_grouped(r->redone, steps));
    fprintf(t->out, "\nweights sha256 %s\n", r->weights_sha256);
    if (*r->checkpoint) fprintf(t->out, "model %s\n", r->checkpoint);
    fflush(t->out);
}
