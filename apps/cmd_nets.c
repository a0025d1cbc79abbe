/* corering nets: the built-in networks, or the text of one. */
#include <stdio.h>
#include <string.h>

#include "apps/builtin.h"
#include "apps/commands.h"
#include "apps/find.h"
#include "apps/text.h"

static const struct cr_option options[] = { { 0 } };

/* What the first comment line says of a network. */
static void print_line(const struct cr_builtin *b, const struct cr_net *net)
{
    char params[CR_NUMBER_TEXT], flop[CR_NUMBER_TEXT];
    const char *about = b->text;
    about += strspn(about, "# ");
    printf("%-14s %10s parameters %9sFLOP  %.*s\n", b->name, cr_grouped(net->params, params),
           cr_scaled(cr_net_flop_forward(net), flop), (int)strcspn(about, "\n"), about);
}

static int list(struct cr_error *e)
{
    for (const struct cr_builtin *b = cr_builtin_nets; b->name; b++) {
        struct cr_net net;
        CR_TRY(cr_find_net(&net, b->name, e));
        print_line(b, &net);
        cr_net_free(&net);
    }
    return 0;
}

static int print_text(const char *name, struct cr_error *e)
{
    struct cr_net net;
    CR_TRY(cr_find_net(&net, name, e));
    fputs(net.text, stdout);
    cr_net_free(&net);
    return 0;
}

static int nets(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    (void)args;
    return words->count == 1 ? print_text(words->word[0], e) : list(e);
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    return cr_options_run(self, argc, argv, NULL, nets, e);
}

const struct cr_command cr_command_nets = {
    .name = "nets",
    .arguments = "[NET]",
    .summary = "list the built-in networks, or print one",
    .description = "Lists the built-in networks; with NET prints the text of one, as a start for one\n"
                   "of your own.",
    .examples = "  corering nets\n"
                "  corering nets lenet5 > my.net\n",
    .options = options,
    .least = 0,
    .most = 1,
    .run = run,
};
