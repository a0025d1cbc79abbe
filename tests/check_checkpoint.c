/* Checkpoints: all of a run comes back bit for bit, damaged and foreign files are refused, and the run folder serves
 * the newest whole one. */
#define _XOPEN_SOURCE 700

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/checkpoint.h"
#include "core/rng.h"
#include "core/safetensors.h"
#include "core/scale.h"
#include "tests/suites.h"

static char folder[64];
static int started_in = -1; /* the working directory of the test program */
static struct cr_net net;
static struct cr_state state;

static const char net_text[] = "# \"quoted\", \xc3\xa4, \\ and a tab\t\n"
                               "input 3x6x6\nconv 2 3x3\ntanh\nmaxpool 2x2\nlinear 4 name=last\nsoftmax\n";

/* Any bits at all, but finite; NaNs of another kind would not show in a comparison of values either way. */
static void fill(float *x, uint64_t what)
{
    for (size_t i = 0; i < net.params; i++) {
        uint32_t word[4];
        cr_random(1, CR_RNG_TEST, what, i, word);
        word[0] &= 0xbfffffff;
        memcpy(&x[i], &word[0], sizeof x[i]);
    }
    x[0] = -0.0f;
    x[1] = 1e-45f;
}

static void make_state(int with_momentum)
{
    struct cr_error e;
    ck_assert_msg(cr_state_alloc(&state, &net, with_momentum, &e) == 0, "%s", e.text);
    fill(state.params, 1);
    if (with_momentum) fill(state.momentum, 2);
    for (int i = 0; i < net.tensors; i++) state.scale[i] = i % 2 ? -1000 - i : CR_SCALE_MOST - i;
    state.step = 1234567890123;
    state.redone = 3;
    state.samples = UINT64_MAX;
    state.loss_sum = INT64_MIN;
    state.loss_count = 9007199254740993; /* 2^53 + 1: lost in a double */
    state.best_top1 = 0.1 + 0.2;
    state.best_step = 77;
    state.seconds = 1.0 / 3;
    state.data_fingerprint = 0xdeadbeefcafef00d;
    state.normalization.kind = CR_NORMALIZE_STD;
    state.normalization.channels = 3;
    for (int i = 0; i < 3; i++) {
        state.normalization.mean[i] = 0.1307 / (i + 1);
        state.normalization.std[i] = 0.3081 * (i + 1);
        state.normalization.scale[i] = 1.0f / 7 * (float)(i + 1);
        state.normalization.shift[i] = -0.4242f * (float)(i + 1);
    }
    static const char names[] = "cat\0dog \"x\"\0\xc3\xa4\0last";
    state.class_names = malloc(sizeof names);
    ck_assert_ptr_nonnull(state.class_names);
    memcpy(state.class_names, names, sizeof names);
    state.classes = 4;
    struct cr_train_options *o = &state.options;
    cr_train_defaults(o);
    o->batch = 77;
    o->lr = 0.1 / 3;
    o->momentum = with_momentum ? 0.9 : 0;
    o->schedule = CR_SCHEDULE_STEP;
    o->seed = UINT64_MAX;
    o->shuffle = 0;
    o->normalize = CR_NORMALIZE_GIVEN;
    o->norm_mean = 0.1307;
    o->norm_std = 1.0 / 3;
    o->checkpoint_every = 2.5;
    o->checkpoint_unit = 't';
    snprintf(o->stop, sizeof o->stop, "top1 >= 0.99 or time > 60s");
    snprintf(o->checkpoint, sizeof o->checkpoint, "/somewhere");
    snprintf(o->resume, sizeof o->resume, "/somewhere/else");
    snprintf(o->init, sizeof o->init, "/etc/passwd");
    o->override = 1;
}

static void setup(void)
{
    struct cr_error e;
    started_in = open(".", O_RDONLY);
    snprintf(folder, sizeof folder, "/tmp/corering-check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_msg(cr_net_parse(&net, "tiny", "tiny.net", net_text, &e) == 0, "%s", e.text);
    make_state(1);
}

static void remove_tree(const char *name)
{
    DIR *dir = opendir(name);
    if (!dir) return;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        char path[1024];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", name, entry->d_name);
        if (unlink(path) < 0) remove_tree(path);
    }
    closedir(dir);
    rmdir(name);
}

static void teardown(void)
{
    cr_state_free(&state);
    cr_net_free(&net);
    ck_assert_int_eq(fchdir(started_in), 0);
    close(started_in);
    remove_tree(folder);
}

static int files_in(const char *name)
{
    int n = 0;
    DIR *dir = opendir(name);
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir)) n++;
    closedir(dir);
    return n - 2;
}

static void touch(const char *name)
{
    ck_assert_int_eq(close(open(name, O_WRONLY | O_CREAT, 0666)), 0);
}

static void save(const char *path)
{
    struct cr_error e;
    ck_assert_msg(cr_checkpoint_save(path, &net, &state, &e) == 0, "%s", e.text);
}

static int load_code(const char *path, struct cr_error *e)
{
    struct cr_net n;
    struct cr_state s;
    const int rc = cr_checkpoint_load(path, &n, &s, e);
    if (rc == 0) {
        cr_state_free(&s);
        cr_net_free(&n);
    }
    return rc;
}

/* ---- there and back */

static void compare(const struct cr_state *s)
{
    const size_t bytes = net.params * sizeof(float);
    ck_assert(memcmp(s->params, state.params, bytes) == 0);
    ck_assert((s->momentum != NULL) == (state.momentum != NULL));
    if (s->momentum) ck_assert(memcmp(s->momentum, state.momentum, bytes) == 0);
    ck_assert(memcmp(s->scale, state.scale, (size_t)net.tensors * sizeof *s->scale) == 0);
    ck_assert(s->step == state.step && s->redone == state.redone && s->samples == state.samples);
    ck_assert(s->loss_sum == state.loss_sum && s->loss_count == state.loss_count);
    ck_assert(s->best_top1 == state.best_top1 && s->best_step == state.best_step && s->seconds == state.seconds);
    ck_assert(s->data_fingerprint == state.data_fingerprint);
    ck_assert_int_eq(s->classes, 4);
    ck_assert(memcmp(s->class_names, state.class_names, sizeof "cat\0dog \"x\"\0\xc3\xa4\0last") == 0);
    const struct cr_normalization *a = &s->normalization, *b = &state.normalization;
    ck_assert(a->kind == b->kind && a->channels == b->channels);
    for (int i = 0; i < 3; i++)
        ck_assert(a->mean[i] == b->mean[i] && a->std[i] == b->std[i] && a->scale[i] == b->scale[i] &&
                  a->shift[i] == b->shift[i]);
}

START_TEST(there_and_back)
{
    if (_i == 0) {
        cr_state_free(&state);
        make_state(0);
    }
    save("a.safetensors");
    struct cr_error e;
    struct cr_net n;
    struct cr_state s;
    ck_assert_msg(cr_checkpoint_load("a.safetensors", &n, &s, &e) == 0, "%s", e.text);
    ck_assert_str_eq(n.text, net_text);
    ck_assert_str_eq(n.name, "tiny");
    compare(&s);

    char before[65], after[65];
    cr_state_hash(&state, &net, before);
    cr_state_hash(&s, &n, after);
    ck_assert_str_eq(before, after);
    cr_state_free(&s);
    cr_net_free(&n);
}
END_TEST

/* Each option comes back, but for those of the session: paths and the permission to override. */
START_TEST(options_there_and_back)
{
    static const char *const of_session[] = { "checkpoint", "resume", "init", "override" };
    save("a.safetensors");
    struct cr_error e;
    struct cr_net n;
    struct cr_state s;
    struct cr_train_options fresh;
    cr_train_defaults(&fresh);
    ck_assert_msg(cr_checkpoint_load("a.safetensors", &n, &s, &e) == 0, "%s", e.text);
    for (const char *const *name = cr_train_option_names(); *name; name++) {
        const struct cr_train_options *expected = &state.options;
        for (int i = 0; i < 4; i++)
            if (strcmp(*name, of_session[i]) == 0) expected = &fresh;
        char want[512], got[512];
        ck_assert_int_eq(cr_train_option_get(expected, *name, want), 0);
        ck_assert_int_eq(cr_train_option_get(&s.options, *name, got), 0);
        ck_assert_msg(strcmp(want, got) == 0, "--%s: '%s' becomes '%s'", *name, want, got);
    }
    ck_assert(s.options.lr == state.options.lr && s.options.norm_std == state.options.norm_std);
    cr_state_free(&s);
    cr_net_free(&n);
}
END_TEST

START_TEST(hash_sees_all_that_matters)
{
    char hex[10][65];
    int n = 0;
    cr_state_hash(&state, &net, hex[n++]);
    state.params[net.params - 1] += 1;
    cr_state_hash(&state, &net, hex[n++]);
    state.momentum[5] = 4;
    cr_state_hash(&state, &net, hex[n++]);
    state.scale[1]++;
    cr_state_hash(&state, &net, hex[n++]);
    state.step++;
    cr_state_hash(&state, &net, hex[n++]);
    state.samples--;
    cr_state_hash(&state, &net, hex[n++]);
    state.loss_sum++;
    cr_state_hash(&state, &net, hex[n++]);
    state.loss_count++;
    cr_state_hash(&state, &net, hex[n++]);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++) ck_assert_str_ne(hex[i], hex[k]);
    /* but neither time nor the sign of a zero */
    char again[65];
    state.seconds++;
    state.redone++;
    state.params[0] = 0;
    cr_state_hash(&state, &net, again);
    ck_assert_str_eq(again, hex[n - 1]);
}
END_TEST

/* ---- files that are not what they should be */

/* Write a.safetensors again with one metadata value changed, added (new key) or taken away (NULL), and a checksum
 * that agrees. */
static void rewrite(const char *key, const char *value)
{
    static struct cr_safetensors_meta meta[128];
    static float data[16][1024];
    struct cr_error e;
    struct cr_safetensors f;
    size_t n = 0;
    save("a.safetensors");
    ck_assert_int_eq(cr_safetensors_open(&f, "a.safetensors", &e), 0);
    for (size_t i = 0; i < f.metas; i++)
        if (strcmp(f.meta[i].key, key) != 0 && strcmp(f.meta[i].key, "sha256") != 0) meta[n++] = f.meta[i];
    if (value) meta[n++] = (struct cr_safetensors_meta){ key, value };
    for (size_t i = 0; i < f.tensors; i++) {
        ck_assert_int_eq(cr_safetensors_read(&f, &f.tensor[i], data[i], &e), 0);
        f.tensor[i].data = data[i];
    }
    ck_assert_int_eq(cr_safetensors_write("a.safetensors", meta, n, f.tensor, f.tensors, &e), 0);
    cr_safetensors_close(&f);
}

START_TEST(ignores_unknown_metadata)
{
    struct cr_error e;
    rewrite("something.new", "from the future");
    ck_assert_msg(load_code("a.safetensors", &e) == 0, "%s", e.text);
    rewrite("option.something-new", "1");
    ck_assert_msg(load_code("a.safetensors", &e) == 0, "%s", e.text);
    rewrite("option.keep", NULL); /* written before there was this option */
    ck_assert_msg(load_code("a.safetensors", &e) == 0, "%s", e.text);
}
END_TEST

START_TEST(takes_no_path_from_a_file)
{
    static const char *const name[] = { "option.init", "option.resume", "option.checkpoint" };
    for (int i = 0; i < 3; i++) {
        struct cr_error e;
        struct cr_net n;
        struct cr_state s;
        rewrite(name[i], "/etc/passwd");
        ck_assert_int_eq(cr_checkpoint_load("a.safetensors", &n, &s, &e), 0);
        ck_assert(!*s.options.init && !*s.options.resume && !*s.options.checkpoint);
        cr_state_free(&s);
        cr_net_free(&n);
    }
}
END_TEST

static const struct {
    const char *key, *value, *says;
} wrong[] = {
    { "format", "pt", "not a corering checkpoint" },
    { "format", NULL, "not a corering checkpoint" },
    { "numerics", "999", "arithmetic 999" },
    { "numerics", "one", "'numerics'" },
    { "numerics", NULL, "'numerics'" },
    { "net", NULL, "'net'" },
    { "net", "input 1x2x2\nfrobnicate\n", "network inside" },
    { "net", "input 3x6x6\nconv 2 3x3\ntanh\nlinear 4 name=last\nsoftmax\n", "last.weight" },
    { "net", "input 3x6x6\nconv 2 3x3\ntanh\nmaxpool 2x2\nlinear 4\nsoftmax\n", "linear1.weight" },
    { "net", "input 108\nlinear 4\nsoftmax\n", "tensors" },
    { "net_name", NULL, "'net_name'" },
    { "class_names", NULL, "'class_names'" },
    { "step", NULL, "'step'" },
    { "step", "-1", "'step'" },
    { "step", "18446744073709551616", "'step'" },
    { "loss_sum", "1.5", "'loss_sum'" },
    { "seconds", "nan", "'seconds'" },
    { "best_top1", "0,5", "'best_top1'" },
    { "scales", "1 2 3", "'scales'" },
    { "scales", "1 2 3 4 5", "'scales'" },
    { "scales", "1 2 3 2147483648", "'scales'" },
    { "scales", "1 2 3 8193", "'scales'" },
    { "scales", "1 2 3 -25601", "'scales'" },
    { "net_name", "n\x1b]0;x", "'net_name'" },
    { "class_names", "a\x7f\nb", "'class_names'" },
    { "scales", "1 2 3 ", "'scales'" },
    { "scales", "", "'scales'" },
    { "normalization", "other", "'normalization'" },
    { "normalization.mean", "1 2", "'normalization.mean'" },
    { "normalization.std", "1 2 3 4", "'normalization.std'" },
    { "normalization.scale", "1 2 1e300", "'normalization.scale'" },
    { "normalization.shift", "1  2 3", "'normalization.shift'" },
    { "option.batch-size", "-5", "'option.batch-size'" },
    { "option.batch-size", "6x", "'option.batch-size'" },
    { "option.schedule", "sometimes", "'option.schedule'" },
};
enum { WRONG = sizeof wrong / sizeof *wrong };

START_TEST(refuses_wrong_metadata)
{
    struct cr_error e;
    rewrite(wrong[_i].key, wrong[_i].value);
    ck_assert_msg(load_code("a.safetensors", &e) == -CR_E_INPUT, "%s = '%s' passes", wrong[_i].key, wrong[_i].value);
    ck_assert_msg(strstr(e.text, wrong[_i].says) && strstr(e.text, "a.safetensors") == e.text, "%s", e.text);
}
END_TEST

START_TEST(refuses_too_many_classes)
{
    struct cr_error e;
    char lines[2 * CR_MAX_CLASSES + 1] = "";
    for (int i = 0; i < CR_MAX_CLASSES - 1; i++) strcat(lines, "a\n");
    rewrite("class_names", lines);
    ck_assert_int_eq(load_code("a.safetensors", &e), 0);
    strcat(lines, "\n");
    rewrite("class_names", lines);
    ck_assert_int_eq(load_code("a.safetensors", &e), -CR_E_INPUT);
}
END_TEST

/* Every byte of the header, and many of the tensors, each changed in turn. */
START_TEST(refuses_any_changed_byte)
{
    struct cr_error e;
    struct cr_safetensors f;
    save("a.safetensors");
    ck_assert_int_eq(cr_safetensors_open(&f, "a.safetensors", &e), 0);
    const off_t header = (off_t)f.payload_at, size = (off_t)f.size;
    cr_safetensors_close(&f);
    const int fd = open("a.safetensors", O_RDWR);
    uint32_t word[4];
    for (off_t i = 0; i < header + 400; i++) {
        cr_random(1, CR_RNG_TEST, 3, (uint64_t)i, word);
        const off_t at = i < header ? i : header + (off_t)(word[0] % (uint32_t)(size - header));
        uint8_t good;
        ck_assert_int_eq(pread(fd, &good, 1, at), 1);
        const uint8_t changed = good ^ (uint8_t)(1 + word[1] % 255);
        ck_assert_int_eq(pwrite(fd, &changed, 1, at), 1);
        ck_assert_msg(load_code("a.safetensors", &e) == -CR_E_INPUT, "byte %ld: %02x as %02x passes", (long)at, good,
                      changed);
        ck_assert_int_eq(pwrite(fd, &good, 1, at), 1);
    }
    close(fd);
    ck_assert_int_eq(load_code("a.safetensors", &e), 0);
}
END_TEST

START_TEST(refuses_cut_files)
{
    struct cr_error e;
    struct stat st;
    save("a.safetensors");
    ck_assert_int_eq(stat("a.safetensors", &st), 0);
    for (off_t n = st.st_size - 1; n >= 0; n -= n > 64 ? 13 : 1) {
        ck_assert_int_eq(truncate("a.safetensors", n), 0);
        ck_assert_msg(load_code("a.safetensors", &e) == -CR_E_INPUT, "%ld bytes pass", (long)n);
    }
}
END_TEST

START_TEST(failed_save_leaves_the_old_one)
{
    struct cr_error e;
    save("step-00000001.safetensors");
    state.step++;
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit small = { 1024, 1024 };
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_int_eq(cr_checkpoint_save("step-00000001.safetensors", &net, &state, &e), -CR_E_IO);
    ck_assert_int_eq(cr_checkpoint_save("step-00000002.safetensors", &net, &state, &e), -CR_E_IO);
    ck_assert_int_eq(files_in("."), 1);
    ck_assert_int_eq(load_code("step-00000001.safetensors", &e), 0);
}
END_TEST

/* ---- the run folder */

START_TEST(dated_folders)
{
    char first[512], second[512], third[512];
    struct cr_error e;
    ck_assert_msg(cr_checkpoint_folder("", "", first, &e) == 0, "%s", e.text);
    ck_assert_msg(cr_checkpoint_folder("", "", second, &e) == 0, "%s", e.text);
    ck_assert_msg(cr_checkpoint_folder("", "", third, &e) == 0, "%s", e.text);
    ck_assert_str_ne(first, second);
    ck_assert_str_ne(first, third);
    ck_assert_str_ne(second, third);
    int at = 0;
    ck_assert(sscanf(first, "model/%*8[0-9]_%*6[0-9]%n", &at) == 0 && at == 21 && first[at] == 0);
    ck_assert_int_eq(files_in("model"), 3);
    ck_assert_int_eq(files_in(first), 0);
}
END_TEST

START_TEST(wanted_folder)
{
    char got[512], file[640];
    struct cr_error e;
    ck_assert_msg(cr_checkpoint_folder("a/b/c/", "", got, &e) == 0, "%s", e.text);
    ck_assert_str_eq(got, "a/b/c");
    ck_assert_int_eq(cr_checkpoint_folder("a/b/c", "", got, &e), 0); /* empty: still free */
    touch("a/b/c/notes.txt");
    ck_assert_int_eq(cr_checkpoint_folder("a/b/c", "", got, &e), 0);
    cr_checkpoint_name(got, 938, file);
    ck_assert_str_eq(file, "a/b/c/step-00000938.safetensors");
    save(file);
    ck_assert_int_eq(cr_checkpoint_folder("a/b/c", "", got, &e), -CR_E_USAGE);
    ck_assert_msg(strstr(e.text, "--resume a/b/c"), "%s", e.text);
    ck_assert_int_eq(cr_checkpoint_folder("a/b/c", "a/b/c/", got, &e), 0);
    ck_assert_int_eq(cr_checkpoint_folder("a/b/c", "a/b", got, &e), -CR_E_USAGE); /* resumed from elsewhere */
    ck_assert_int_eq(files_in("a/b/c"), 2);
}
END_TEST

START_TEST(folder_that_cannot_be)
{
    char got[512];
    struct cr_error e;
    touch("file");
    ck_assert_int_eq(cr_checkpoint_folder("file", "", got, &e), -CR_E_IO);
    ck_assert_int_eq(cr_checkpoint_folder("file/below", "", got, &e), -CR_E_IO);
    ck_assert_msg(strstr(e.text, "file"), "%s", e.text);
    static char long_name[2000];
    memset(long_name, 'x', sizeof long_name - 1);
    ck_assert_int_eq(cr_checkpoint_folder(long_name, "", got, &e), -CR_E_IO);
    if (geteuid() == 0) return; /* to whom no folder is read-only */
    ck_assert_int_eq(mkdir("locked", 0555), 0);
    ck_assert_int_eq(cr_checkpoint_folder("locked", "", got, &e), -CR_E_IO);
    ck_assert_int_eq(cr_checkpoint_folder("locked/below", "", got, &e), -CR_E_IO);
}
END_TEST

/* A full disk shows before the training, and leaves no folder. */
START_TEST(folder_on_a_full_disk)
{
    char got[512];
    struct cr_error e;
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit none = { 0, 0 };
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    ck_assert_int_eq(cr_checkpoint_folder("run", "", got, &e), -CR_E_IO);
    ck_assert_int_eq(access("run", F_OK), -1);
}
END_TEST

static void save_step(uint64_t step)
{
    char file[640];
    cr_checkpoint_name("run", step, file);
    state.step = step;
    save(file);
}

static void damage(const char *file)
{
    const int fd = open(file, O_RDWR);
    ck_assert_int_eq(pwrite(fd, "damage", 6, 3000), 6);
    close(fd);
}

START_TEST(finds_the_newest_whole_one)
{
    char file[640], note[512];
    struct cr_error e;
    ck_assert_int_eq(cr_checkpoint_find("run", file, note, &e), -CR_E_INPUT);
    ck_assert_int_eq(mkdir("run", 0777), 0);
    ck_assert_int_eq(cr_checkpoint_find("run", file, note, &e), 0);
    ck_assert_str_eq(file, "");

    /* what is no checkpoint of ours does not count, nor what a killed process left behind */
    touch("run/step-00000300.safetensors.tmp-1");
    touch("run/step-300.safetensors");
    touch("run/step-00000300.txt");
    touch("run/step-.safetensors");
    touch("run/xstep-00000300.safetensors");
    touch("run/other.safetensors");
    ck_assert_int_eq(cr_checkpoint_find("run", file, note, &e), 0);

    save_step(100);
    save_step(123456789); /* more digits than the zeros: later than 100 all the same */
    save_step(200);
    ck_assert_int_eq(cr_checkpoint_find("run", file, note, &e), 1);
    ck_assert_str_eq(file, "run/step-123456789.safetensors");
    ck_assert_str_eq(note, "");

    damage("run/step-123456789.safetensors");
    ck_assert_int_eq(cr_checkpoint_find("run", file, note, &e), 1);
    ck_assert_str_eq(file, "run/step-00000200.safetensors");
    ck_assert_msg(strstr(note, "step-123456789") && strstr(note, "step 200"), "%s", note);

    damage("run/step-00000200.safetensors");
    damage("run/step-00000100.safetensors");
    ck_assert_int_eq(cr_checkpoint_find("run", file, note, &e), -CR_E_INPUT);
    ck_assert_msg(strstr(e.text, "step-123456789"), "%s", e.text);

    ck_assert_int_eq(cr_checkpoint_find("run/step-00000200.safetensors", file, note, &e), 1);
    ck_assert_str_eq(file, "run/step-00000200.safetensors");
}
END_TEST

static int exists(uint64_t step)
{
    char file[640];
    cr_checkpoint_name("run", step, file);
    return access(file, F_OK) == 0;
}

static void set_time(uint64_t step, time_t seconds)
{
    char file[640];
    const struct timespec times[2] = { { seconds, 0 }, { seconds, 0 } };
    cr_checkpoint_name("run", step, file);
    ck_assert_int_eq(utimensat(AT_FDCWD, file, times, 0), 0);
}

START_TEST(prunes)
{
    ck_assert_int_eq(mkdir("run", 0777), 0);
    for (uint64_t step = 1; step <= 5; step++) save_step(step);
    touch("run/other.safetensors");
    cr_checkpoint_prune("run", 2);
    ck_assert(!exists(1) && !exists(2) && exists(3) && exists(4) && exists(5));
    cr_checkpoint_prune("run", 0);
    ck_assert(!exists(3) && !exists(4) && exists(5));
    cr_checkpoint_prune("run", 0);
    ck_assert(exists(5) && access("run/other.safetensors", F_OK) == 0);
}
END_TEST

/* Neither a resume from an older file nor a clock set back costs the checkpoint that was just written. */
START_TEST(prunes_nothing_fresh)
{
    ck_assert_int_eq(mkdir("run", 0777), 0);
    for (uint64_t step = 100; step <= 300; step += 100) {
        save_step(step);
        set_time(step, 1000 + (time_t)step);
    }
    save_step(150);
    set_time(150, 2000);
    cr_checkpoint_prune("run", 1);
    ck_assert(!exists(100) && exists(150) && exists(200) && exists(300));
    save_step(400);
    set_time(400, 5);
    cr_checkpoint_prune("run", 0);
    ck_assert(exists(400) && exists(150));
}
END_TEST

START_TEST(sweeps_leftovers)
{
    ck_assert_int_eq(mkdir("run", 0777), 0);
    touch("run/step-00000001.safetensors.tmp-1");
    touch("run/step-00000002.safetensors.tmp-999999");
    touch("run/mine.safetensors.tmp-1");
    save("run/export.safetensors"); /* not a checkpoint of the run: sweeps nothing */
    ck_assert_int_eq(files_in("run"), 4);
    save_step(3);
    ck_assert_int_eq(files_in("run"), 3);
    ck_assert(exists(3) && access("run/mine.safetensors.tmp-1", F_OK) == 0);
}
END_TEST

Suite *checkpoint_suite(void)
{
    Suite *s = suite_create("checkpoint");
    TCase *tc = tcase_create("file");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, there_and_back, 0, 2);
    tcase_add_test(tc, options_there_and_back);
    tcase_add_test(tc, hash_sees_all_that_matters);
    tcase_add_test(tc, ignores_unknown_metadata);
    tcase_add_test(tc, takes_no_path_from_a_file);
    tcase_add_loop_test(tc, refuses_wrong_metadata, 0, WRONG);
    tcase_add_test(tc, refuses_too_many_classes);
    tcase_add_test(tc, refuses_any_changed_byte);
    tcase_add_test(tc, refuses_cut_files);
    tcase_add_test(tc, failed_save_leaves_the_old_one);
    suite_add_tcase(s, tc);
    tc = tcase_create("folder");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, dated_folders);
    tcase_add_test(tc, wanted_folder);
    tcase_add_test(tc, folder_that_cannot_be);
    tcase_add_test(tc, folder_on_a_full_disk);
    tcase_add_test(tc, finds_the_newest_whole_one);
    tcase_add_test(tc, prunes);
    tcase_add_test(tc, prunes_nothing_fresh);
    tcase_add_test(tc, sweeps_leftovers);
    suite_add_tcase(s, tc);
    return s;
}
