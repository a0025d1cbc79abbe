#include "apps/print_profile.h"

#include "apps/bench.h"
#include "apps/text.h"

static const char *const work_name[CR_SPANS] = {
    [CR_SPAN_LOAD] = "load",         [CR_SPAN_ROUND] = "round",   [CR_SPAN_SUM] = "sum",
    [CR_SPAN_EXCHANGE] = "exchange", [CR_SPAN_UPDATE] = "update", [CR_SPAN_WAIT] = "wait",
};

static const char *span_name(const struct cr_net *net, int span, char text[96])
{
    if (span < CR_SPANS)
        snprintf(text, 96, "%s", work_name[span]);
    else
        snprintf(text, 96, "%s %s", net->layer[(span - CR_SPANS) / 2].name,
                 (span - CR_SPANS) % 2 ? "backward" : "forward");
    return text;
}

/* What the rows have in common. */
struct sums {
    double total, samples; /* seconds of all threads; images */
    double peak;           /* GFLOP/s of one thread while all work */
};

static int take_sums(struct sums *s, const struct cr_profile *p)
{
    if (!p->thread) return 0;
    *s = (struct sums){ .total = cr_profile_total(p), .samples = (double)cr_profile_samples(p) };
    if (s->samples < 1 || s->total <= 0) return 0;
    s->peak = cr_bench_peak(cr_kernels(), p->threads) / p->threads;
    return 1;
}

/* GFLOP/s of a span; 0 where the time is not that of multiply-adds. */
static double gflops(const struct cr_profile *p, const struct sums *s, int layer, int span)
{
    const double seconds = cr_profile_seconds(p, span);
    if (!p->net->layer[layer].weights || seconds <= 0) return 0;
    return 1e-9 * cr_profile_flop(p->net, span) * s->samples / seconds;
}

/* ---- text ---- */

static void print_cell(FILE *out, const struct cr_profile *p, const struct sums *s, int layer, int span)
{
    const double speed = gflops(p, s, layer, span);
    fprintf(out, "  %10.0f", 1e9 * cr_profile_seconds(p, span) / s->samples);
    if (speed > 0)
        fprintf(out, " %8.1f %4.0f %%", speed, 100 * speed / s->peak);
    else
        fprintf(out, " %8s %6s", "", "");
}

void cr_print_profile(FILE *out, const struct cr_profile *p)
{
    struct sums s;
    char number[CR_NUMBER_TEXT];
    if (!take_sums(&s, p)) return;
    fprintf(out, "\nprofile: %d thread%s, %s images, measured peak %.1f GFLOP/s a thread\n\n", p->threads,
            p->threads == 1 ? "" : "s", cr_grouped((uint64_t)s.samples, number), s.peak);
    fprintf(out, "%-12s  %7s  %26s  %26s\n", "", "", "forward ns, GFLOP/s, peak", "backward ns, GFLOP/s, peak");
    for (int i = 0; i < p->net->layers; i++) {
        const int forward = cr_span_forward(i), backward = cr_span_backward(i);
        const double seconds = cr_profile_seconds(p, forward) + cr_profile_seconds(p, backward);
        fprintf(out, "%-12s  %5.1f %%", p->net->layer[i].name, 100 * seconds / s.total);
        print_cell(out, p, &s, i, forward);
        print_cell(out, p, &s, i, backward);
        fputc('\n', out);
    }
    for (int span = 0; span < CR_SPANS; span++) {
        const double seconds = cr_profile_seconds(p, span);
        if (seconds > 0)
            fprintf(out, "%-12s  %5.1f %%  %10.0f\n", work_name[span], 100 * seconds / s.total,
                    1e9 * seconds / s.samples);
    }
    fprintf(out, "%-12s  %5.1f %%  %10.0f ns of a thread per image\n\n", "all", 100.0, 1e9 * s.total / s.samples);
}

/* ---- JSON lines ---- */

static void begin_row(struct cr_log *l, const struct cr_profile *p, const char *row, double share)
{
    cr_log_begin(l, "profile");
    cr_json_put_string(&l->line, "row", row);
    cr_json_put_i64(&l->line, "threads", p->threads);
    cr_json_put_u64(&l->line, "images", cr_profile_samples(p));
    cr_json_put_double(&l->line, "share", share);
}

void cr_log_profile(struct cr_log *l, const struct cr_profile *p)
{
    struct sums s;
    struct cr_json_writer *const w = &l->line;
    if (!l->out || !take_sums(&s, p)) return;
    for (int i = 0; i < p->net->layers; i++) {
        const int forward = cr_span_forward(i), backward = cr_span_backward(i);
        const double f = cr_profile_seconds(p, forward), b = cr_profile_seconds(p, backward);
        begin_row(l, p, p->net->layer[i].name, (f + b) / s.total);
        cr_json_put_double(w, "forward_seconds", f);
        cr_json_put_double(w, "backward_seconds", b);
        if (p->net->layer[i].weights) {
            cr_json_put_double(w, "forward_gflops", gflops(p, &s, i, forward));
            cr_json_put_double(w, "backward_gflops", gflops(p, &s, i, backward));
            cr_json_put_double(w, "peak", s.peak);
        }
        cr_log_finish(l);
    }
    for (int span = 0; span < CR_SPANS; span++) {
        const double seconds = cr_profile_seconds(p, span);
        begin_row(l, p, work_name[span], seconds / s.total);
        cr_json_put_double(w, "seconds", seconds);
        cr_log_finish(l);
    }
}

/* ---- trace ---- */

/* Hand the text so far to the file; what comes next stands in the same array. */
static void flush(FILE *out, struct cr_json_writer *w)
{
    const int comma = w->comma;
    if (!w->failed) fwrite(w->text, 1, w->length, out);
    cr_json_writer_reset(w);
    w->comma = comma;
}

static void put_event(struct cr_json_writer *w, const char *name, const char *phase, int thread)
{
    cr_json_put_open(w, NULL, '{');
    cr_json_put_string(w, "name", name);
    cr_json_put_string(w, "ph", phase);
    cr_json_put_i64(w, "pid", 1);
    cr_json_put_i64(w, "tid", thread);
}

void cr_trace_write(FILE *out, const struct cr_profile *p)
{
    struct cr_json_writer w = { 0 };
    char name[96];
    cr_json_put_open(&w, NULL, '{');
    cr_json_put_string(&w, "displayTimeUnit", "ns");
    cr_json_put_open(&w, "traceEvents", '[');
    for (int t = 0; p->thread && t < p->threads; t++) {
        const struct cr_profile_thread *const own = p->thread[t];
        snprintf(name, sizeof name, "thread %d", t);
        put_event(&w, "thread_name", "M", t);
        cr_json_put_open(&w, "args", '{');
        cr_json_put_string(&w, "name", name);
        cr_json_put_close(&w, '}');
        cr_json_put_close(&w, '}');
        for (size_t i = 0; i < own->events; i++) {
            const struct cr_profile_event *const e = &own->event[i];
            put_event(&w, span_name(p->net, e->span, name), "X", t);
            cr_json_put_double(&w, "ts", 1e-3 * (double)e->begin);
            cr_json_put_double(&w, "dur", 1e-3 * (double)(e->end - e->begin));
            cr_json_put_close(&w, '}');
            flush(out, &w);
        }
    }
    cr_json_put_close(&w, ']');
    cr_json_put_close(&w, '}');
    flush(out, &w);
    fputc('\n', out);
    cr_json_writer_free(&w);
}
