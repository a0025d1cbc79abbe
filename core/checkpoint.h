/* A checkpoint is the whole run: one .safetensors file (https://huggingface.co/docs/safetensors), so other tools can
 * open it, whose metadata carries all that is not a tensor.
 *
 * Tensors model.LAYER.weight / .bias and, when the optimiser has one, optim.momentum.LAYER.weight / .bias, F32, in
 * network order. __metadata__ holds strings only, each number in decimal so that the same bits come back:
 *   format "corering", numerics, net (the text), net_name, class_names (one per line), normalization and its .mean .std
 *   .scale .shift, option.NAME for each option of the run, the counters of struct cr_state by their names, scales (E of
 *   every tensor), weights_sha256 (for the reader), sha256 (over the whole file without these 64 digits).
 * Keys it does not know are ignored; another `format` or `numerics` is refused. No path from a file is ever used. */
#ifndef CR_CORE_CHECKPOINT_H
#define CR_CORE_CHECKPOINT_H

#include <stdint.h>

#include "core/data.h"
#include "core/net.h"
#include "core/trainer.h"
#include "simd/error.h"

/* Where this session of a run stands between its steps: what has been done at the step reached and what all ranks
 * agreed on. A rank that joins goes on from here; a run that is resumed begins a session of its own. */
struct cr_session {
    double time;                   /* seconds since the session began, at the last step */
    double saved_time;             /* the same when the last checkpoint was written */
    uint64_t validated_step;       /* step of the last validation; likewise the last epoch event and checkpoint. */
    uint64_t closed_step;          /* CR_NO_STEP = none */
    uint64_t saved_step;
    double top1, top5, val_loss;   /* of the last validation; -1 = none */
    double train_loss, epoch;      /* at the last epoch event; -1 = none */
    uint64_t asked;                /* CR_ASK_... bits still to be answered */
    uint64_t ending;               /* enum cr_ending */
};
enum cr_ending { CR_ENDING_NOT, CR_ENDING_COMPLETE, CR_ENDING_STOP, CR_ENDING_INTERRUPTED };
#define CR_NO_STEP UINT64_MAX

/* A session that begins at `step`. resumed: whatever was due at that step is done. */
struct cr_session cr_session_begin(uint64_t step, int resumed);

/* All that a run needs to go on, beside the network. Floats and integers are kept exactly. */
struct cr_state {
    float *params;                 /* net->params; owned */
    float *momentum;               /* net->params, or NULL when the optimiser has none; owned */
    int32_t *scale;                /* (tensors) E in 1/64 bit, arithmetic.md section 5; owned */
    uint64_t step, redone;         /* steps done, steps redone */
    uint64_t samples;              /* samples trained */
    int64_t loss_sum;              /* of the epoch in progress, units of 2^-24 */
    uint64_t loss_count;
    double best_top1;              /* best validation so far; -1 = none */
    uint64_t best_step;
    double seconds;                /* training time of all sessions of this run */
    uint64_t data_fingerprint;
    struct cr_session session;
    struct cr_normalization normalization;
    struct cr_train_options options;
    char *class_names;             /* classes strings, each with its 0; owned */
    int classes;
};

int cr_state_alloc(struct cr_state *s, const struct cr_net *net, int with_momentum, struct cr_error *e);
void cr_state_free(struct cr_state *s);
/* SHA-256 over params, momentum, scales, step, samples and epoch sums: equal for runs that will go on alike. */
void cr_state_hash(const struct cr_state *s, const struct cr_net *net, char hex[65]);

/* Write atomically: temporary file in the same folder, fsync, rename over `path`, fsync of the folder. On failure
 * nothing is left behind and an older file at `path` is untouched. -CR_E_IO names the file and the cause. */
int cr_checkpoint_save(const char *path, const struct cr_net *net, const struct cr_state *s, struct cr_error *e);

/* The same file in memory, malloc'd; the caller frees. -CR_E_NOMEM. */
int cr_checkpoint_pack(const struct cr_net *net, const struct cr_state *s, void **bytes, size_t *size,
                       struct cr_error *e);
int cr_checkpoint_unpack(const void *bytes, size_t size, struct cr_net *net, struct cr_state *s, struct cr_error *e);

/* Load and verify everything (structure, checksum, shapes against the net text inside). Fills *net and *s, which the
 * caller frees. -CR_E_INPUT for anything that is not a whole corering checkpoint, with the byte where it shows. */
int cr_checkpoint_load(const char *path, struct cr_net *net, struct cr_state *s, struct cr_error *e);

/* The newest whole checkpoint of a run folder, or `path` itself if it is a file. 1 = found, 0 = the folder holds none
 * (a fresh run folder), negative = error. A damaged newest file with a good older one: the older, and *note says so
 * ("" otherwise). */
int cr_checkpoint_find(const char *path, char file[640], char note[512], struct cr_error *e);

/* Make the run folder: `wanted`, or model/YYYYMMDD_HHMMSS when "" (with _2, _3 ... if that exists). The result goes
 * to folder. -CR_E_IO when it cannot be made or written to, before any training. A `wanted` folder that holds
 * checkpoints is refused with -CR_E_USAGE, unless it is `own`, that of the run resumed ("" = none). */
int cr_checkpoint_folder(const char *wanted, const char *own, char folder[512], struct cr_error *e);
/* Keep other runs out of it, as long as the descriptor returned is open. -CR_E_USAGE when another is in it. */
int cr_checkpoint_lock(const char *folder, struct cr_error *e);

/* File name of the checkpoint at a step: FOLDER/step-00000938.safetensors. */
void cr_checkpoint_name(const char *folder, uint64_t step, char file[640]);
/* Remove checkpoints of the folder older than the `keep` + 1 newest: those that more than `keep` others follow both in
 * steps and in time. Errors are of no consequence. */
void cr_checkpoint_prune(const char *folder, int keep);
/* Remove temporary files of checkpoints that a killed process left in the folder of `path`. cr_checkpoint_save does. */
void cr_checkpoint_sweep(const char *path);

#endif
