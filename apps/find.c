#define _POSIX_C_SOURCE 200809L
#include "apps/find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "apps/builtin.h"
#include "apps/nearest.h"

static const char *const builtin_data[] = { "mnist", "fashion-mnist", "synth" };
enum { BUILTIN_DATA = sizeof builtin_data / sizeof *builtin_data };

static const struct cr_builtin *builtin_net(const char *word)
{
    for (const struct cr_builtin *b = cr_builtin_nets; b->name; b++)
        if (strcmp(b->name, word) == 0) return b;
    return NULL;
}

int cr_is_builtin_net(const char *word) { return builtin_net(word) != NULL; }

int cr_is_builtin_data(const char *word)
{
    for (int i = 0; i < BUILTIN_DATA; i++)
        if (strcmp(builtin_data[i], word) == 0) return 1;
    return 0;
}

static int exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}

static int ends_with(const char *word, const char *ending)
{
    const size_t n = strlen(word), m = strlen(ending);
    return n > m && strcmp(word + n - m, ending) == 0;
}

int cr_is_file(const char *word, const char *ending)
{
    return strchr(word, '/') || ends_with(word, ending) || exists(word);
}

int cr_find_net(struct cr_net *net, const char *word, struct cr_error *e)
{
    const struct cr_builtin *const b = builtin_net(word);
    if (b) return cr_net_parse(net, b->name, b->name, b->text, e);
    if (cr_is_file(word, ".net")) return cr_net_read(net, word, e);

    const char *names[64];
    size_t count = 0;
    for (; cr_builtin_nets[count].name && count < sizeof names / sizeof *names; count++)
        names[count] = cr_builtin_nets[count].name;
    const char *const near = cr_nearest(word, names, count);
    if (near) return cr_fail(e, CR_E_INPUT, "no network '%s'; did you mean %s?", word, near);
    return cr_fail(e, CR_E_INPUT, "no network '%s': give a .net file, or a name that 'corering nets' lists", word);
}

void cr_cache_folder(const char *name, char folder[512])
{
    const char *const cache = getenv("XDG_CACHE_HOME"), *const home = getenv("HOME");
    if (cache && *cache)
        snprintf(folder, 512, "%s/corering/%s", cache, name);
    else
        snprintf(folder, 512, "%s/.cache/corering/%s", home ? home : ".", name);
}

static int find_builtin_data(struct cr_data *data, const char *name, struct cr_error *e)
{
    char folder[512];
    const char *const own = getenv("CORERING_DATA");
    if (own && *own) {
        snprintf(folder, sizeof folder, "%s/%s", own, name);
        if (exists(folder)) return cr_data_open(data, folder, e);
    }
    cr_cache_folder(name, folder);
    if (exists(folder)) return cr_data_open(data, folder, e);
    if (exists(name)) return cr_data_open(data, name, e);
    if (strcmp(name, "synth") == 0)
        return cr_fail(e, CR_E_INPUT, "no data set synth yet: 'corering data synth %s' draws it", folder);
    return cr_fail(e, CR_E_INPUT, "no data set %s yet: 'corering data get %s' brings it to %s", name, name, folder);
}

int cr_find_data(struct cr_data *data, const char *word, struct cr_error *e)
{
    if (cr_is_builtin_data(word)) return find_builtin_data(data, word, e);
    if (!strchr(word, '/') && !exists(word)) {
        const char *const near = cr_nearest(word, builtin_data, BUILTIN_DATA);
        if (near) return cr_fail(e, CR_E_INPUT, "no folder and no data set '%s'; did you mean %s?", word, near);
    }
    return cr_data_open(data, word, e);
}

int cr_find_checkpoint(const char *word, struct cr_net *net, struct cr_state *state, char file[640], char note[512],
                       struct cr_error *e)
{
    const int found = cr_checkpoint_find(word, file, note, e);
    if (found < 0) return found;
    if (found == 0) return cr_fail(e, CR_E_INPUT, "%s holds no checkpoint", word);
    return cr_checkpoint_load(file, net, state, e);
}

const char *cr_class_name(const struct cr_state *state, int k)
{
    if (k >= state->classes) return "(unused)";
    const char *name = state->class_names; /* one behind the other, each with its 0 */
    while (k-- > 0) name += strlen(name) + 1;
    return name;
}
