/* corering rank: what the launcher starts on every host. Not for users: it is told everything on standard input. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "apps/commands.h"
#include "apps/probe.h"
#include "apps/rank.h"

static const struct cr_option options[] = { { 0 } };

/* The first line; what follows is the lifeline. */
static int read_summons(struct cr_summons *s, struct cr_error *e)
{
    char line[CR_SUMMONS_TEXT];
    size_t n = 0;
    while (n < sizeof line - 1 && read(STDIN_FILENO, line + n, 1) == 1 && line[n] != '\n') n++;
    line[n] = 0;
    const int rc = cr_summons_read(s, line, e);
    memset(line, 0, sizeof line);
    return rc;
}

static int rank(void *args, const struct cr_arguments *words, struct cr_error *e)
{
    struct cr_summons s;
    (void)args, (void)words;
    signal(SIGPIPE, SIG_IGN); /* the launcher may be gone when there is something to say */
    signal(SIGINT, SIG_IGN);  /* Ctrl-C is the launcher's */
    signal(SIGTERM, SIG_IGN); /* comes when the launcher dies; standard input says so too, and leaves time to save */
    CR_TRY(read_summons(&s, e));
    return s.probe ? cr_probe_rank(&s, e) : cr_rank_run(&s, STDIN_FILENO, 10, NULL, e);
}

static int run(const struct cr_command *self, int argc, char **argv, struct cr_error *e)
{
    return cr_options_run(self, argc, argv, NULL, rank, e);
}

const struct cr_command cr_command_rank = {
    .name = "rank",
    .arguments = "",
    .description = "Started by 'corering train --hostfile' on every host; reads on standard input\n"
                   "what to do.",
    .options = options,
    .run = run,
};
