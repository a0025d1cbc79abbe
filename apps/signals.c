#define _POSIX_C_SOURCE 200809L
#include "apps/signals.h"

#include <signal.h>
#include <stddef.h>

#include "dist/comm.h"

static volatile sig_atomic_t caught, checkpoint_wanted;

static void on_end(int number)
{
    caught = number;
    signal(SIGINT, SIG_DFL); /* whoever asks twice does not want to wait for a checkpoint */
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
}

static void on_checkpoint(int number)
{
    (void)number;
    checkpoint_wanted = 1;
}

void cr_signals_watch(void)
{
    struct sigaction end = { .sa_handler = on_end, .sa_flags = SA_RESTART };
    struct sigaction checkpoint = { .sa_handler = on_checkpoint, .sa_flags = SA_RESTART };
    sigemptyset(&end.sa_mask);
    sigemptyset(&checkpoint.sa_mask);
    sigaction(SIGUSR1, &checkpoint, NULL);
    const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        struct sigaction before;
        /* A shell starts background jobs with SIGINT ignored, nohup all with SIGHUP, and means it. */
        if (sigaction(ending[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN) continue;
        sigaction(ending[i], &end, NULL);
    }
}

int cr_signals_poll(void *unused)
{
    (void)unused;
    if (caught) return 2;
    if (!checkpoint_wanted) return 0;
    checkpoint_wanted = 0;
    return 1;
}

unsigned cr_signals_ask(void *unused)
{
    const int polled = cr_signals_poll(unused);
    return polled == 1 ? CR_ASK_CHECKPOINT : polled == 2 ? CR_ASK_END : 0;
}

int cr_signals_caught(void) { return caught; }
