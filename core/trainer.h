/* Training runs: options in, events out, a result. The public entry for programs that embed a training run.
 *
 *     struct cr_train_options o;
 *     cr_train_defaults(&o);                      then net->defaults, then the user's own
 *     rc = cr_train(&o, &net, &data, &events, &result, &error);
 *
 * The weights a run ends with are a function of network, data, seed and hyper-parameters alone. */
#ifndef CR_CORE_TRAINER_H
#define CR_CORE_TRAINER_H

#include <stddef.h>
#include <stdint.h>

#include "core/data.h"
#include "core/net.h"
#include "core/profile.h"
#include "simd/error.h"

enum cr_schedule { CR_SCHEDULE_CONSTANT, CR_SCHEDULE_STEP, CR_SCHEDULE_COSINE };

struct cr_train_options {
    /* what decides the bits */
    long batch;             /* samples per step [64] */
    long block;             /* samples per block; 0 = by the rule of arithmetic.md, section 2 [0] */
    double lr;              /* learning rate [0.05] */
    double momentum;        /* [0.9] */
    int nesterov;           /* [0] */
    double weight_decay;    /* [0] */
    enum cr_schedule schedule; /* [cosine] over the whole run; step: times step_gamma every step_epochs */
    double step_epochs, step_gamma; /* [5], [0.1] */
    double warmup;          /* epochs of linear warm-up [0] */
    long epochs;            /* [15] */
    long steps;             /* end after so many steps; 0 = by epochs [0] */
    uint64_t seed;          /* [1] */
    int shuffle;            /* [1] */
    enum cr_normalize normalize; /* [std] */
    double norm_mean, norm_std;  /* for CR_NORMALIZE_GIVEN, of bytes / 255 */
    double val_split;       /* share of the training set kept for validation; 0 = validate on the test set [0] */
    double validate_every;  /* epochs [1]; 0 = never */
    char init[512];         /* checkpoint whose weights to start from; "" = draw them [""] */

    /* what does not */
    long threads;           /* at most; 0 = physical cores within affinity and cgroup limits [0] */
    long threads_per_block; /* at most, where there are fewer blocks than threads; 0 = as many as make it faster [0] */
    char stop[256];         /* expression like "top1 >= 0.99 or time > 60s" [""] */
    char checkpoint[512];   /* folder; "" = model/YYYYMMDD_HHMMSS [""] */
    int no_checkpoint;      /* [0] */
    double checkpoint_every;  /* [1] */
    char checkpoint_unit;   /* 's' steps, 'e' epochs, 't' seconds [e] */
    long keep;              /* older checkpoints kept beside the last [1] */
    char resume[512];       /* checkpoint file or run folder [""] */
    int override;           /* allow a resume with other settings [0] */
    long log_every;         /* step event each so many steps; 0 = none [0] */
};
void cr_train_defaults(struct cr_train_options *o);

/* Block size of a batch by the rule of arithmetic.md, section 2, when options->block is 0. */
long cr_block_size(long batch);

/* Set one option by its command-line name and text ("learning-rate", "0.1"), for .net defaults, recipes and the
 * command line alike. where = what to call it in a message. -CR_E_USAGE for unknown names and values that do not
 * parse or lie outside their range. */
int cr_train_option_set(struct cr_train_options *o, const char *name, const char *value, struct cr_error *e);
/* The value as text that cr_train_option_set understands and that gives the same bits back. 0, or -1 for an unknown
 * name. */
int cr_train_option_get(const struct cr_train_options *o, const char *name, char value[512]);
/* All names, NULL-terminated; cr_train_option_decides tells whether the option changes the bits of a run,
 * cr_train_option_lasts whether a run that is resumed goes on with it. */
const char *const *cr_train_option_names(void);
int cr_train_option_decides(const char *name);
int cr_train_option_lasts(const char *name);
/* Apply net->defaults. */
int cr_train_apply_defaults(struct cr_train_options *o, const struct cr_net *net, struct cr_error *e);

struct cr_event_start {
    const struct cr_train_options *options; /* as resolved: block, threads, checkpoint folder filled in */
    const struct cr_net *net;
    const struct cr_data *data;
    const char *isa;
    long block;
    int threads;             /* of this process; 0 when hosts does the work */
    int threads_per_block;   /* of these, that share one block */
    int hosts;               /* ranks; 0 = this process alone */
    long steps_per_epoch;
    uint64_t start_step;     /* > 0 when resumed */
    const char *resumed_from; /* file, or NULL */
};
struct cr_event_epoch {
    long epoch;              /* epochs done; a validation inside an epoch carries epoch + share in epoch_exact */
    double epoch_exact;
    uint64_t step;
    double train_loss;       /* mean over the samples trained since the last epoch event */
    double val_loss, top1, top5;
    long correct, count;
    int validated;           /* 0: no val_* fields */
    double images_per_s;     /* of training alone */
    double seconds;          /* since start */
};
struct cr_event_step { uint64_t step; double loss, lr; };
struct cr_event_checkpoint { const char *file; uint64_t step; };
struct cr_event_host {     /* a rank of a run on many hosts has come or is lost */
    int lost;
    const char *host;
    int rank;
    uint64_t step;           /* the last one it was known to have done */
    const char *phase, *reason; /* of a loss */
    double seconds;          /* since start */
    double noticed;          /* of a loss: seconds since it was last heard of */
    const char *isa;         /* of one that has come */
    long threads;
};
struct cr_event_speed {    /* of a run on many hosts: what is expected before the first step; what was at the end */
    int achieved;
    int hosts;
    double speedup;          /* against the fastest of them alone */
    double step, network;    /* seconds of a step; of that, of exchange between hosts */
};
struct cr_event_spent {    /* at the end, of each rank: seconds in all steps */
    const char *host;
    int rank;
    uint64_t steps;
    double compute, wait, network; /* wait: for slower ranks */
};
struct cr_event_progress { /* a few times a second, for a progress line */
    long epoch, epochs;
    uint64_t step, steps_per_epoch, total_steps;
    double loss;             /* running mean of this epoch */
    double images_per_s, eta_seconds, seconds;
};

/* Any member may be NULL. Called on the thread that called cr_train, between steps; must not call back into the run. */
struct cr_train_events {
    void *user;
    void (*start)(void *user, const struct cr_event_start *);
    void (*epoch)(void *user, const struct cr_event_epoch *);
    void (*step)(void *user, const struct cr_event_step *);
    void (*checkpoint)(void *user, const struct cr_event_checkpoint *);
    void (*progress)(void *user, const struct cr_event_progress *);
    void (*host)(void *user, const struct cr_event_host *);
    void (*speed)(void *user, const struct cr_event_speed *);
    void (*spent)(void *user, const struct cr_event_spent *);
    void (*warning)(void *user, const char *sentence);
    /* Asked after each step: 0 go on; 1 checkpoint now (SIGUSR1) and go on; 2 checkpoint and end (SIGINT). */
    int (*poll)(void *user);
    /* Filled with where the time of the steps went; a later cr_profile_free is the caller's, whatever the outcome. */
    struct cr_profile *profile;
};

struct cr_train_result {
    char reason[64];         /* "epochs", "steps", "stop", "interrupted", "diverged" */
    long epochs;
    uint64_t steps, redone;
    double seconds, images_per_s;
    double top1;             /* of the last validation; -1 = there was none */
    char weights_sha256[65], state_sha256[65];
    char checkpoint[640];    /* the file that holds these weights, or "" */
};

/* Run. 0; or -CR_E_DIVERGED (names layer and sample), -CR_E_INTERRUPTED (poll said 2; *result is filled), -CR_E_IO
 * (checkpoint could not be written), -CR_E_INPUT, -CR_E_USAGE, -CR_E_NOMEM. */
int cr_train(const struct cr_train_options *options, const struct cr_net *net, const struct cr_data *data,
             const struct cr_train_events *events, struct cr_train_result *result, struct cr_error *e);

#endif
