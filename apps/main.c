/* corering: finds the subcommand, runs it, and turns its error into one line and the exit status. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "apps/commands.h"
#include "apps/nearest.h"
#include "apps/signals.h"
#include "simd/kernels.h"
#include "version.h"

static const struct cr_command *const commands[] = {
    &cr_command_train,      &cr_command_test,       &cr_command_predict,    &cr_command_info,
    &cr_command_data_get,   &cr_command_data_synth, &cr_command_nets,       &cr_command_recipes,
    &cr_command_bench_peak, &cr_command_bench_conv, &cr_command_bench_gemm, &cr_command_bench_step,
    &cr_command_bench_infer, &cr_command_bench_allreduce, &cr_command_doctor, &cr_command_plan, &cr_command_rank,
};
enum { COMMANDS = sizeof commands / sizeof *commands };

const char *cr_program = "corering";

int cr_exit_status(enum cr_err code)
{
    switch (code) {
    case CR_OK: return 0;
    case CR_E_USAGE: return 2;
    case CR_E_PEER:
    case CR_E_REFUSED:
    case CR_E_TIMEOUT: return 3;
    case CR_E_DIVERGED: return 4;
    case CR_E_INPUT: return 5;
    case CR_E_INTERRUPTED: return 128 + cr_signals_caught();
    default: return 1;
    }
}

/* The commands whose names begin with `group`, a line each. */
static void print_commands(const char *group, FILE *out)
{
    for (int i = 0; i < COMMANDS; i++) {
        char line[64];
        if (strncmp(commands[i]->name, group, strlen(group)) != 0 || !commands[i]->summary) continue;
        snprintf(line, sizeof line, "%s %s", commands[i]->name, commands[i]->arguments);
        fprintf(out, "  %-28s %s\n", line, commands[i]->summary);
    }
}

static void print_overview(FILE *out)
{
    fprintf(out, "corering trains convolutional networks on CPUs: one run, one result.\n\n"
                 "Usage: corering COMMAND [arguments] [options]\n\n");
    print_commands("", out);
    fprintf(out, "\n  corering COMMAND --help      the options of a command\n"
                 "  corering --version           version, arithmetic, instruction sets\n\n"
                 "To begin:\n"
                 "  corering data get mnist\n"
                 "  corering train lenet5 mnist\n");
}

static void print_version(void)
{
    printf("corering %s\narithmetic %d, instruction sets", CR_VERSION, CR_NUMERICS);
    for (const char *const *name = cr_isa_names(); *name; name++) printf(" %s", *name);
    printf("\n");
}

/* How many of the words are the command's name: `data get` is two. 0 = another command. */
static int name_length(const struct cr_command *c, int argc, char **argv)
{
    const char *name = c->name;
    for (int n = 0; n < argc; n++) {
        const size_t length = strcspn(name, " ");
        if (strlen(argv[n]) != length || strncmp(argv[n], name, length) != 0) return 0;
        name += length;
        if (*name == 0) return n + 1;
        name++;
    }
    return 0;
}

static const struct cr_command *find_command(int argc, char **argv, int *length)
{
    for (int i = 0; i < COMMANDS; i++) {
        *length = name_length(commands[i], argc, argv);
        if (*length > 0) return commands[i];
    }
    return NULL;
}

/* The second words of the commands that begin with `group`: "get" and "synth" for `data`, between `between` and, before
 * the last, `last`. Empty when no command's name has two words of which this is the first. */
static void list_group(const char *group, const char *between, const char *last, char *text, size_t size)
{
    const struct cr_command *member[COMMANDS];
    const size_t length = strlen(group);
    int count = 0;
    for (int i = 0; i < COMMANDS; i++)
        if (strncmp(commands[i]->name, group, length) == 0 && commands[i]->name[length] == ' ')
            member[count++] = commands[i];
    *text = 0;
    for (int i = 0; i < count; i++) {
        const size_t used = strlen(text);
        const char *const joint = i == 0 ? "" : i < count - 1 ? between : last;
        snprintf(text + used, size - used, "%s%s", joint, member[i]->name + length + 1);
    }
}

static int unknown_command(int argc, char **argv, struct cr_error *e)
{
    const char *names[COMMANDS + 1] = { "help" };
    char typed[128];
    for (int i = 0; i < COMMANDS; i++) names[i + 1] = commands[i]->name;
    snprintf(typed, sizeof typed, "%s", argv[0]);
    char group[128];
    list_group(argv[0], ", ", " or ", group, sizeof group);
    if (*group) {
        if (argc == 1 || argv[1][0] == '-')
            return cr_fail(e, CR_E_USAGE, "'corering %s' needs a word more: %s", argv[0], group);
        snprintf(typed, sizeof typed, "%s %s", argv[0], argv[1]);
    }
    const char *const near = cr_nearest(typed, names, COMMANDS + 1);
    if (near) return cr_fail(e, CR_E_USAGE, "unknown command '%s'; did you mean '%s'?", typed, near);
    return cr_fail(e, CR_E_USAGE, "unknown command '%s'; 'corering --help' lists all", typed);
}

static int is_help(const char *word) { return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0; }

static int help(int argc, char **argv, struct cr_error *e)
{
    int length;
    if (argc == 0) {
        print_overview(stdout);
        return 0;
    }
    char group[128];
    list_group(argv[0], "|", "|", group, sizeof group);
    if (argc == 1 && *group) {
        printf("Usage: corering %s %s [arguments] [options]\n\n", argv[0], group);
        print_commands(argv[0], stdout);
        return 0;
    }
    const struct cr_command *const c = find_command(argc, argv, &length);
    if (!c) return unknown_command(argc, argv, e);
    cr_options_help(c, stdout);
    return 0;
}

static int run(int argc, char **argv, struct cr_error *e)
{
    const char *const first = argv[0];
    int length;
    if (is_help(first)) return help(0, argv, e);
    if (argc == 2 && is_help(argv[1])) return help(1, argv, e);
    if (strcmp(first, "help") == 0) return help(argc - 1, argv + 1, e);
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        print_version();
        return 0;
    }
    if (first[0] == '-') return cr_fail(e, CR_E_USAGE, "'%s' stands before the command; see 'corering --help'", first);
    const struct cr_command *const c = find_command(argc, argv, &length);
    if (!c) return unknown_command(argc, argv, e);
    CR_TRY(cr_isa_choose(NULL, e)); /* a CR_ISA this machine cannot follow is told, not passed over */
    return c->run(c, argc - length, argv + length, e);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return cr_exit_status(CR_E_USAGE);
    }
    cr_program = argv[0];
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like a full disk */
    struct rlimit files;      /* three descriptors a host */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct cr_error e = { 0 };
    int rc = run(argc - 1, argv + 1, &e);
    if ((fflush(stdout) != 0 || ferror(stdout)) && rc == 0)
        rc = cr_fail(&e, CR_E_IO, "standard output could not be written whole");
    if (rc < 0) fprintf(stderr, "corering: %s\n", e.text);
    return rc < 0 ? cr_exit_status(e.code) : 0;
}
