/* The options of a training run, by name: one table says type, place, range and what an option is of.
 * The command line, .net defaults, recipes and checkpoints all go through it. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/number.h"
#include "core/team.h"
#include "core/trainer.h"

/* What an option is of: a session, which another may do otherwise; a run, which goes on with it when it is resumed; or
 * the bits of a run. */
enum scope { SESSION, RUN, BITS };
enum type { LONG, DOUBLE, FLAG, SEED, TEXT, SCHEDULE, NORMALIZE, EVERY };

struct option {
    const char *name;
    enum type type;
    size_t at;
    double min, max;
    enum scope scope;
    const char *expects;
};

#define AT(member) offsetof(struct cr_train_options, member)
#define TEXT_SIZE(member) sizeof(((struct cr_train_options *)0)->member)
#define OPTION_TABLE(X)                                                                                                \
    X("batch-size", LONG, AT(batch), 1, 1 << 24, BITS, "samples per step, a whole number 1..16777216")                 \
    X("block", LONG, AT(block), 0, 65536, BITS, "samples per block 1..65536, or 0 for the rule")                       \
    X("learning-rate", DOUBLE, AT(lr), 0, 1e6, BITS, "a number 0..1000000")                                            \
    X("momentum", DOUBLE, AT(momentum), 0, 1, BITS, "a number 0..1")                                                   \
    X("nesterov", FLAG, AT(nesterov), 0, 1, BITS, "0 or 1")                                                            \
    X("weight-decay", DOUBLE, AT(weight_decay), 0, 1e6, BITS, "a number 0..1000000")                                   \
    X("schedule", SCHEDULE, AT(schedule), 0, 0, BITS, "constant, step or cosine")                                      \
    X("step-epochs", DOUBLE, AT(step_epochs), 1e-6, 1e9, BITS, "epochs between two steps, a number > 0")               \
    X("step-gamma", DOUBLE, AT(step_gamma), 0, 1, BITS, "a factor 0..1")                                               \
    X("warmup", DOUBLE, AT(warmup), 0, 1e9, BITS, "epochs, a number >= 0")                                             \
    X("epochs", LONG, AT(epochs), 0, 1e9, BITS, "a whole number 0..1000000000")                                        \
    X("steps", LONG, AT(steps), 0, 1e15, BITS, "a whole number up to 1e15, or 0 to go by epochs")                      \
    X("seed", SEED, AT(seed), 0, 0, BITS, "a whole number 0..2^64-1")                                                  \
    X("shuffle", FLAG, AT(shuffle), 0, 1, BITS, "0 or 1")                                                              \
    X("normalize", NORMALIZE, 0, 0, 0, BITS, "std, unit, none or MEAN,STD (as in 0.1307,0.3081)")                      \
    X("val-split", DOUBLE, AT(val_split), 0, 0.99, BITS, "a share 0..0.99")                                            \
    X("validate-every", DOUBLE, AT(validate_every), 0, 1e9, RUN, "epochs, or 0 for never")                             \
    X("init", TEXT, AT(init), 0, TEXT_SIZE(init), SESSION, "a checkpoint")                                             \
    X("threads", LONG, AT(threads), 0, CR_MAX_THREADS, SESSION, "threads 1..4096, or 0 for one per core")              \
    X("threads-per-block", LONG, AT(threads_per_block), 0, CR_MAX_THREADS, SESSION,                                    \
      "threads 1..4096, or 0 for as many as make it faster")                                                           \
    X("stop", TEXT, AT(stop), 0, TEXT_SIZE(stop), RUN, "an expression")                                                \
    X("checkpoint", TEXT, AT(checkpoint), 0, TEXT_SIZE(checkpoint), SESSION, "a folder")                               \
    X("no-checkpoint", FLAG, AT(no_checkpoint), 0, 1, SESSION, "0 or 1")                                               \
    X("checkpoint-every", EVERY, 0, 0, 0, RUN, "N steps, Ne epochs or Ns seconds, as in 500, 1e, 60s")                 \
    X("keep", LONG, AT(keep), 0, 1e6, RUN, "older checkpoints to keep, 0..1000000")                                    \
    X("resume", TEXT, AT(resume), 0, TEXT_SIZE(resume), SESSION, "a checkpoint or run folder")                         \
    X("override", FLAG, AT(override), 0, 1, SESSION, "0 or 1")                                                         \
    X("log-every", LONG, AT(log_every), 0, 1e9, SESSION, "steps 1..1000000000, or 0 for none")

#define NAME_OF(name, ...) name,
#define ROW_OF(...) { __VA_ARGS__ },
static const char *const option_name[] = { OPTION_TABLE(NAME_OF) NULL };
static const struct option option[] = { OPTION_TABLE(ROW_OF) };
enum { OPTIONS = sizeof option / sizeof *option };

static const char *const schedule_name[] = {
    [CR_SCHEDULE_CONSTANT] = "constant", [CR_SCHEDULE_STEP] = "step", [CR_SCHEDULE_COSINE] = "cosine",
};
static const char *const normalize_name[] = {
    [CR_NORMALIZE_STD] = "std", [CR_NORMALIZE_UNIT] = "unit", [CR_NORMALIZE_NONE] = "none",
};

void cr_train_defaults(struct cr_train_options *o)
{
    *o = (struct cr_train_options){
        .batch = 64, .lr = 0.05, .momentum = 0.9, .schedule = CR_SCHEDULE_COSINE, .step_epochs = 5, .step_gamma = 0.1,
        .epochs = 15, .seed = 1, .shuffle = 1, .normalize = CR_NORMALIZE_STD, .validate_every = 1,
        .checkpoint_every = 1, .checkpoint_unit = 'e', .keep = 1,
    };
}

static const struct option *find(const char *name)
{
    for (int i = 0; i < OPTIONS; i++)
        if (strcmp(option[i].name, name) == 0) return &option[i];
    return NULL;
}

static int set_every(struct cr_train_options *o, const char *value)
{
    char number[64];
    const size_t n = strlen(value);
    if (n == 0 || n >= sizeof number) return -1;
    const char last = value[n - 1];
    const char unit = last == 'e' ? 'e' : last == 's' ? 't' : 's';
    memcpy(number, value, n + 1);
    if (unit != 's') number[n - 1] = 0;
    double every;
    long steps;
    if (unit == 's') {
        if (cr_parse_long(number, &steps) < 0) return -1;
        every = (double)steps;
    } else if (cr_parse_double(number, &every) < 0) {
        return -1;
    }
    if (!(every > 0)) return -1;
    o->checkpoint_every = every;
    o->checkpoint_unit = unit;
    return 0;
}

static int set_normalize(struct cr_train_options *o, const char *value)
{
    for (size_t i = 0; i < sizeof normalize_name / sizeof *normalize_name; i++)
        if (strcmp(value, normalize_name[i]) == 0) {
            o->normalize = (enum cr_normalize)i;
            return 0;
        }
    char mean[64];
    const char *comma = strchr(value, ',');
    double m, s;
    if (!comma || (size_t)(comma - value) >= sizeof mean) return -1;
    memcpy(mean, value, (size_t)(comma - value));
    mean[comma - value] = 0;
    if (cr_parse_double(mean, &m) < 0 || cr_parse_double(comma + 1, &s) < 0) return -1;
    if (!(fabs(m) <= 1e6 && s >= 1e-6 && s <= 1e6)) return -1;
    o->normalize = CR_NORMALIZE_GIVEN;
    o->norm_mean = m;
    o->norm_std = s;
    return 0;
}

static int set(struct cr_train_options *o, const struct option *p, const char *value)
{
    char *const place = (char *)o + p->at;
    long i;
    double d;
    switch (p->type) {
    case LONG:
        if (cr_parse_long(value, &i) < 0 || (double)i < p->min || (double)i > p->max) return -1;
        memcpy(place, &i, sizeof i);
        return 0;
    case DOUBLE:
        if (cr_parse_double(value, &d) < 0 || !(d >= p->min && d <= p->max)) return -1;
        memcpy(place, &d, sizeof d);
        return 0;
    case FLAG:
        if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0) return -1;
        memcpy(place, &(int){ value[0] == '1' }, sizeof(int));
        return 0;
    case SEED: return cr_parse_u64(value, &o->seed);
    case TEXT:
        if (strlen(value) >= (size_t)p->max) return -1;
        strcpy(place, value);
        return 0;
    case SCHEDULE:
        for (size_t k = 0; k < sizeof schedule_name / sizeof *schedule_name; k++)
            if (strcmp(value, schedule_name[k]) == 0) {
                o->schedule = (enum cr_schedule)k;
                return 0;
            }
        return -1;
    case NORMALIZE: return set_normalize(o, value);
    case EVERY: return set_every(o, value);
    }
    return -1;
}

int cr_train_option_set(struct cr_train_options *o, const char *name, const char *value, struct cr_error *e)
{
    const struct option *p = find(name);
    if (!p) return cr_fail(e, CR_E_USAGE, "unknown training option '%s'", name);
    if (set(o, p, value) < 0)
        return cr_fail(e, CR_E_USAGE, "--%s '%s': expected %s", name, value, p->expects);
    return 0;
}

int cr_train_option_get(const struct cr_train_options *o, const char *name, char value[512])
{
    const struct option *p = find(name);
    if (!p) return -1;
    const char *const place = (const char *)o + p->at;
    char number[32], other[32];
    double d;
    long i;
    int flag;
    switch (p->type) {
    case LONG:
        memcpy(&i, place, sizeof i);
        snprintf(value, 512, "%ld", i);
        break;
    case DOUBLE:
        memcpy(&d, place, sizeof d);
        cr_format_double(d, number);
        snprintf(value, 512, "%s", number);
        break;
    case FLAG:
        memcpy(&flag, place, sizeof flag);
        snprintf(value, 512, "%d", flag);
        break;
    case SEED: snprintf(value, 512, "%llu", (unsigned long long)o->seed); break;
    case TEXT: snprintf(value, 512, "%s", place); break;
    case SCHEDULE: snprintf(value, 512, "%s", schedule_name[o->schedule]); break;
    case NORMALIZE:
        cr_format_double(o->norm_mean, number);
        cr_format_double(o->norm_std, other);
        if (o->normalize == CR_NORMALIZE_GIVEN)
            snprintf(value, 512, "%s,%s", number, other);
        else
            snprintf(value, 512, "%s", normalize_name[o->normalize]);
        break;
    case EVERY:
        cr_format_double(o->checkpoint_every, number);
        if (o->checkpoint_unit == 's')
            snprintf(value, 512, "%.0f", o->checkpoint_every);
        else
            snprintf(value, 512, "%s%s", number, o->checkpoint_unit == 'e' ? "e" : "s");
        break;
    }
    return 0;
}

const char *const *cr_train_option_names(void)
{
    return option_name;
}

int cr_train_option_decides(const char *name)
{
    const struct option *p = find(name);
    return p && p->scope == BITS;
}

int cr_train_option_lasts(const char *name)
{
    const struct option *p = find(name);
    return p && p->scope >= RUN;
}

int cr_train_apply_defaults(struct cr_train_options *o, const struct cr_net *net, struct cr_error *e)
{
    for (int i = 0; i < net->default_count; i++) {
        struct cr_error inner;
        const char *const name = net->defaults[i].option;
        /* A network may say how it is best trained; it has no business with files, threads or folders. */
        if (find(name) && !cr_train_option_decides(name) && strcmp(name, "validate-every") != 0)
            return cr_fail(e, CR_E_INPUT, "network %s: a default line cannot set '%s'; give it on the command line",
                           net->name, name);
        if (cr_train_option_set(o, net->defaults[i].option, net->defaults[i].value, &inner) < 0)
            return cr_fail(e, CR_E_INPUT, "network %s, line 'default %s=%s': %s", net->name, net->defaults[i].option,
                           net->defaults[i].value, inner.text);
    }
    return 0;
}

long cr_block_size(long batch)
{
    long block = 1;
    while (block < 16 && 2 * block <= batch / 8) block *= 2;
    const long least = (batch + 255) / 256;
    return block > least ? block : least;
}
