#define _POSIX_C_SOURCE 200809L
#include "apps/output.h"

#include <unistd.h>

#include "simd/kernels.h"
#include "version.h"

void cr_log_begin(struct cr_log *l, const char *event)
{
    cr_json_writer_reset(&l->line);
    cr_json_put_open(&l->line, NULL, '{');
    cr_json_put_string(&l->line, "event", event);
    cr_json_put_i64(&l->line, "v", CR_EVENT_VERSION);
}

/* Flushed, so that whoever follows the file sees each event when it happens. */
void cr_log_finish(struct cr_log *l)
{
    cr_json_put_close(&l->line, '}');
    if (!l->out || l->line.failed) return;
    fwrite(l->line.text, 1, l->line.length, l->out);
    fputc('\n', l->out);
    fflush(l->out);
}

void cr_log_free(struct cr_log *l) { cr_json_writer_free(&l->line); }

static void start(void *user, const struct cr_event_start *s)
{
    struct cr_log *const l = user;
    struct cr_json_writer *const w = &l->line;
    /* Nothing is lost if the file cannot be made shorter: it is opened to append. */
    if (l->anew && ftruncate(fileno(l->out), 0) == 0) l->anew = 0;
    cr_log_begin(l, "start");
    cr_json_put_string(w, "version", CR_VERSION);
    cr_json_put_i64(w, "numerics", CR_NUMERICS);
    cr_json_put_string(w, "command", "train");
    cr_json_put_string(w, "net", s->net->name);
    cr_json_put_string(w, "data", s->data->path);
    cr_json_put_u64(w, "params", s->net->params);
    cr_json_put_i64(w, "batch", s->options->batch);
    cr_json_put_i64(w, "block", s->block);
    cr_json_put_i64(w, "epochs", s->options->epochs);
    cr_json_put_double(w, "lr", s->options->lr);
    cr_json_put_string(w, "optimizer", "sgd");
    cr_json_put_u64(w, "seed", s->options->seed);
    cr_json_put_string(w, "isa", s->isa);
    cr_json_put_i64(w, "threads", s->threads);
    cr_json_put_i64(w, "threads_per_block", s->threads_per_block);
    cr_json_put_i64(w, "hosts", s->hosts ? s->hosts : 1);
    cr_log_finish(l);
}

static void epoch(void *user, const struct cr_event_epoch *p)
{
    struct cr_log *const l = user;
    struct cr_json_writer *const w = &l->line;
    cr_log_begin(l, "epoch");
    cr_json_put_double(w, "epoch", p->epoch_exact);
    cr_json_put_u64(w, "step", p->step);
    cr_json_put_double(w, "train_loss", p->train_loss);
    if (p->validated) {
        cr_json_put_double(w, "val_loss", p->val_loss);
        cr_json_put_double(w, "top1", p->top1);
        cr_json_put_double(w, "top5", p->top5);
        cr_json_put_i64(w, "correct", p->correct);
        cr_json_put_i64(w, "count", p->count);
    }
    cr_json_put_double(w, "images_per_s", p->images_per_s);
    cr_json_put_double(w, "seconds", p->seconds);
    cr_log_finish(l);
}

static void step(void *user, const struct cr_event_step *s)
{
    struct cr_log *const l = user;
    cr_log_begin(l, "step");
    cr_json_put_u64(&l->line, "step", s->step);
    cr_json_put_double(&l->line, "loss", s->loss);
    cr_json_put_double(&l->line, "lr", s->lr);
    cr_log_finish(l);
}

static void checkpoint(void *user, const struct cr_event_checkpoint *c)
{
    struct cr_log *const l = user;
    cr_log_begin(l, "checkpoint");
    cr_json_put_string(&l->line, "file", c->file);
    cr_json_put_u64(&l->line, "step", c->step);
    cr_log_finish(l);
}

static void warning(void *user, const char *sentence) { cr_log_warning(user, sentence); }

static void host(void *user, const struct cr_event_host *h)
{
    struct cr_log *const l = user;
    struct cr_json_writer *const w = &l->line;
    cr_log_begin(l, h->lost ? "host_lost" : "host_joined");
    cr_json_put_string(w, "host", h->host);
    cr_json_put_i64(w, "rank", h->rank);
    cr_json_put_u64(w, "step", h->step);
    if (h->lost) {
        cr_json_put_string(w, "phase", h->phase);
        cr_json_put_string(w, "reason", h->reason);
        cr_json_put_double(w, "noticed", h->noticed);
    } else {
        cr_json_put_string(w, "isa", h->isa);
        cr_json_put_i64(w, "threads", h->threads);
    }
    cr_json_put_double(w, "seconds", h->seconds);
    cr_log_finish(l);
}

static void speed(void *user, const struct cr_event_speed *s)
{
    struct cr_log *const l = user;
    struct cr_json_writer *const w = &l->line;
    cr_log_begin(l, s->achieved ? "achieved" : "predicted");
    cr_json_put_i64(w, "hosts", s->hosts);
    cr_json_put_double(w, "speedup", s->speedup);
    cr_json_put_double(w, "step_s", s->step);
    cr_json_put_double(w, "network_s", s->network);
    cr_log_finish(l);
}

static void spent(void *user, const struct cr_event_spent *s)
{
    struct cr_log *const l = user;
    struct cr_json_writer *const w = &l->line;
    cr_log_begin(l, "spent");
    cr_json_put_string(w, "host", s->host);
    cr_json_put_i64(w, "rank", s->rank);
    cr_json_put_u64(w, "steps", s->steps);
    cr_json_put_double(w, "compute_s", s->compute);
    cr_json_put_double(w, "wait_s", s->wait);
    cr_json_put_double(w, "network_s", s->network);
    cr_log_finish(l);
}

struct cr_train_events cr_log_events(struct cr_log *l)
{
    return (struct cr_train_events){
        .user = l, .start = start, .epoch = epoch, .step = step, .checkpoint = checkpoint, .host = host,
        .speed = speed, .spent = spent, .warning = warning,
    };
}

void cr_log_warning(struct cr_log *l, const char *sentence)
{
    cr_log_begin(l, "warning");
    cr_json_put_string(&l->line, "message", sentence);
    cr_log_finish(l);
}

void cr_log_end(struct cr_log *l, const struct cr_train_result *r, int status)
{
    struct cr_json_writer *const w = &l->line;
    cr_log_begin(l, "end");
    cr_json_put_string(w, "reason", r->reason);
    cr_json_put_i64(w, "status", status);
    cr_json_put_i64(w, "epochs", r->epochs);
    cr_json_put_u64(w, "steps", r->steps);
    cr_json_put_u64(w, "redone", r->redone);
    cr_json_put_double(w, "seconds", r->seconds);
    cr_json_put_double(w, "images_per_s", r->images_per_s);
    if (r->top1 >= 0) cr_json_put_double(w, "top1", r->top1);
    cr_json_put_string(w, "weights_sha256", r->weights_sha256);
    cr_json_put_string(w, "state_sha256", r->state_sha256);
    cr_log_finish(l);
}

/* The fields that name a place are there only when there is one. */
void cr_log_error(struct cr_log *l, const struct cr_error *e)
{
    static const char *const code[CR_E_COUNT] = {
        [CR_OK] = "ok",         [CR_E_NOMEM] = "nomem",     [CR_E_IO] = "io",
        [CR_E_USAGE] = "usage", [CR_E_INPUT] = "input",     [CR_E_DIVERGED] = "diverged",
        [CR_E_PEER] = "peer",   [CR_E_REFUSED] = "refused", [CR_E_TIMEOUT] = "timeout",
        [CR_E_INTERRUPTED] = "interrupted",
    };
    struct cr_json_writer *const w = &l->line;
    cr_log_begin(l, "error");
    cr_json_put_string(w, "code", code[e->code]);
    cr_json_put_string(w, "message", e->text);
    if (*e->file) cr_json_put_string(w, "file", e->file);
    if (e->line > 0) cr_json_put_i64(w, "line", e->line);
    if (e->byte >= 0) cr_json_put_i64(w, "byte", e->byte);
    if (*e->host) cr_json_put_string(w, "host", e->host);
    if (e->rank >= 0) cr_json_put_i64(w, "rank", e->rank);
    cr_log_finish(l);
}
