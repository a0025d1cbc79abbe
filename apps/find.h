/* From the words of the command line to networks, data sets and checkpoints. */
#ifndef CR_APPS_FIND_H
#define CR_APPS_FIND_H

#include <stddef.h>

#include "core/checkpoint.h"
#include "core/data.h"
#include "core/net.h"
#include "simd/error.h"

/* NET: a built-in name, or a .net file (a word with a / or ending in .net is always a file). The caller frees.
 * -CR_E_INPUT names the nearest built-in network. */
int cr_find_net(struct cr_net *net, const char *word, struct cr_error *e);
int cr_is_builtin_net(const char *word);

/* Whether a word that is no built-in's name means a file: it has a /, or this ending, or there is one. */
int cr_is_file(const char *word, const char *ending);

/* DATA: a built-in name (mnist, fashion-mnist, synth) or a folder (a word with a / always is one). A built-in is
 * looked for in $CORERING_DATA/NAME, then in the cache folder. The caller closes. -CR_E_INPUT says which command
 * brings the data when it is not there. */
int cr_find_data(struct cr_data *data, const char *word, struct cr_error *e);
int cr_is_builtin_data(const char *word);

/* ${XDG_CACHE_HOME:-~/.cache}/corering/NAME: where `corering data get` puts a data set. */
void cr_cache_folder(const char *name, char folder[512]);

/* CHECKPOINT: a file, or a run folder whose newest is taken. *file tells which; *note is "" or what to know about it.
 * The caller frees both. */
int cr_find_checkpoint(const char *word, struct cr_net *net, struct cr_state *state, char file[640], char note[512],
                       struct cr_error *e);

/* Name of class k. A network may have more outputs than its data had classes: these are "(unused)". */
const char *cr_class_name(const struct cr_state *state, int k);

#endif
