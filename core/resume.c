#define _POSIX_C_SOURCE 200809L
#include "core/resume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/diagnose.h"
#include "core/file.h"
#include "core/scale.h"

static int check_weights(const struct cr_net *net, const float *params, const char *file, struct cr_error *e)
{
    const struct cr_layer *bad = cr_bad_weight(net, params);
    if (!bad) return 0;
    return cr_fail_at(e, CR_E_DIVERGED, file, 0, 0, -1, "layer %s has a weight that is NaN or Inf; nothing can be "
                      "trained from it", bad->name);
}

static int same_shapes(const struct cr_net *a, const struct cr_net *b)
{
    if (a->tensors != b->tensors || a->params != b->params) return 0;
    for (int i = 0; i < a->tensors; i++)
        if (a->tensor[i].ndim != b->tensor[i].ndim ||
            memcmp(a->tensor[i].dims, b->tensor[i].dims, sizeof a->tensor[i].dims) != 0)
            return 0;
    return 1;
}

/* Weights of another run, whatever its options were. */
static int take_weights(struct cr_state *state, const struct cr_net *net, const char *path, struct cr_error *e)
{
    char file[640], note[512];
    struct cr_net other;
    struct cr_state theirs;
    const int found = cr_checkpoint_find(path, file, note, e);
    if (found < 0) return found;
    if (!found) return cr_fail_at(e, CR_E_INPUT, path, 0, 0, -1, "no checkpoint in this folder to start from");
    CR_TRY(cr_checkpoint_load(file, &other, &theirs, e));
    int rc = 0;
    if (!same_shapes(net, &other))
        rc = cr_fail_at(e, CR_E_INPUT, file, 0, 0, -1, "its network (%s, %zu parameters) has other shapes than %s "
                        "(%zu parameters)", other.name, other.params, net->name, net->params);
    if (rc == 0) rc = check_weights(net, theirs.params, file, e);
    if (rc == 0) memcpy(state->params, theirs.params, net->params * sizeof *state->params);
    cr_state_free(&theirs);
    cr_net_free(&other);
    return rc;
}

static int begin_anew(struct cr_state *state, const struct cr_train_options *o, const struct cr_net *net,
                      const struct cr_data *data, struct cr_error *e)
{
    CR_TRY(cr_state_alloc(state, net, o->momentum > 0, e));
    for (int i = 0; i < net->tensors; i++) state->scale[i] = CR_SCALE_UNSET;
    state->best_top1 = -1;
    cr_net_init(net, o->seed, state->params);
    if (o->init[0]) CR_TRY(take_weights(state, net, o->init, e));
    cr_normalization_of(&state->normalization, o->normalize, data, data->train.count, o->norm_mean, o->norm_std);
    state->data_fingerprint = cr_data_fingerprint(data);
    size_t names = 0;
    for (int k = 0; k < data->classes; k++) names += strlen(cr_data_class_name(data, k)) + 1;
    state->class_names = malloc(names + 1);
    if (!state->class_names) return cr_fail(e, CR_E_NOMEM, "out of memory for class names");
    memcpy(state->class_names, data->class_names, names);
    state->classes = data->classes;
    return 0;
}

/* Does an option that decides the bits differ from the checkpoint's? The number of epochs may change under a constant
 * schedule, where it only says when to stop. */
static int differs(const char *name, const struct cr_train_options *now, const struct cr_train_options *then,
                   char is[512], char was[512])
{
    const int free_end = now->schedule != CR_SCHEDULE_COSINE && then->schedule == now->schedule;
    if (!cr_train_option_decides(name)) return 0;
    if (free_end && (strcmp(name, "epochs") == 0 || strcmp(name, "steps") == 0)) return 0;
    cr_train_option_get(now, name, is);
    cr_train_option_get(then, name, was);
    return strcmp(is, was) != 0;
}

/* An error, or with --override a note, if such options differ. */
static int check_options(const struct cr_train_options *now, const struct cr_train_options *then, const char *file,
                         char note[512], struct cr_error *e)
{
    char changes[300] = "", is[512], was[512];
    for (const char *const *name = cr_train_option_names(); *name; name++) {
        if (!differs(*name, now, then, is, was)) continue;
        if (!now->override)
            return cr_fail_at(e, CR_E_USAGE, file, 0, 0, -1, "ran with --%s %s, not %s; leave the option away, or go "
                              "on all the same with --override", *name, was, is);
        const size_t used = strlen(changes);
        snprintf(changes + used, sizeof changes - used, "%s--%s %.60s instead of %.60s", used ? ", " : "", *name, is,
                 was);
    }
    const size_t used = strlen(note);
    if (*changes)
        snprintf(note + used, 512 - used, "%sresuming with %s: the result is not that of the run that never stopped",
                 used ? "; " : "", changes);
    return 0;
}

static int go_on(struct cr_state *state, const struct cr_train_options *o, const struct cr_net *net,
                 const struct cr_data *data, const char *file, char note[512], struct cr_error *e)
{
    struct cr_net saved;
    CR_TRY(cr_checkpoint_load(file, &saved, state, e));
    const int same_net = same_shapes(net, &saved) && strcmp(net->text, saved.text) == 0;
    const int fits = same_shapes(net, &saved);
    char name[sizeof saved.name];
    memcpy(name, saved.name, sizeof name);
    cr_net_free(&saved);
    if (!fits || (!same_net && !o->override))
        return cr_fail_at(e, CR_E_INPUT, file, 0, 0, -1, "is a run of another network (%s) than %s%s", name, net->name,
                          fits ? "; go on all the same with --override" : "");
    if (state->data_fingerprint != cr_data_fingerprint(data) && !o->override)
        return cr_fail_at(e, CR_E_INPUT, file, 0, 0, -1, "is a run on other data than %s; go on all the same with "
                          "--override", data->path);
    CR_TRY(check_options(o, &state->options, file, note, e));
    /* Under --override it is from now on a run with these settings, on this data. */
    state->data_fingerprint = cr_data_fingerprint(data);
    char is[512], was[512];
    if (differs("normalize", o, &state->options, is, was))
        cr_normalization_of(&state->normalization, o->normalize, data, data->train.count, o->norm_mean, o->norm_std);
    if (!state->momentum && o->momentum > 0) {
        state->momentum = calloc(net->params, sizeof *state->momentum);
        if (!state->momentum) return cr_fail(e, CR_E_NOMEM, "out of memory for momentum");
    }
    return check_weights(net, state->params, file, e);
}

int cr_run_begin(struct cr_state *state, const struct cr_train_options *o, const struct cr_net *net,
                 const struct cr_data *data, char from[640], char note[512], struct cr_error *e)
{
    int found = 0;
    from[0] = note[0] = 0;
    if (o->resume[0] && o->init[0])
        return cr_fail(e, CR_E_USAGE, "--init starts a run and --resume goes on with one; give one of them");
    if (o->resume[0]) {
        found = cr_checkpoint_find(o->resume, from, note, e);
        if (found < 0) return found;
        if (!found) {
            from[0] = 0;
            snprintf(note, 512, "%.400s holds no checkpoint yet: starting anew", o->resume);
        }
    }
    CR_TRY(found ? go_on(state, o, net, data, from, note, e) : begin_anew(state, o, net, data, e));
    const struct cr_session before = state->session;
    state->options = *o;
    state->session = cr_session_begin(state->step, found);
    if (found) { /* what --stop may ask for is the run's; its clock and its bookkeeping are the session's */
        state->session.top1 = before.top1;
        state->session.top5 = before.top5;
        state->session.val_loss = before.val_loss;
        state->session.train_loss = before.train_loss;
        state->session.epoch = before.epoch;
    }
    return 0;
}

int cr_run_folder(const struct cr_train_options *o, const char *from, char folder[512], struct cr_error *e)
{
    char own[704] = "";
    struct stat st;
    if (from[0]) cr_file_folder(from, own);
    const char *wanted = o->checkpoint;
    if (!wanted[0] && from[0] && !o->override) /* under --override the run leaves its line: a folder of its own */
        wanted = own;
    else if (!wanted[0] && !from[0] && o->resume[0] && stat(o->resume, &st) == 0 && S_ISDIR(st.st_mode))
        wanted = o->resume; /* an empty run folder: the run anew goes there */
    return cr_checkpoint_folder(wanted, own, folder, e);
}
