/* SIGINT, SIGTERM, SIGHUP (the terminal is gone) and SIGPIPE (nobody reads any more) end a training run after its step
 * and a checkpoint; a second one ends the process at once.
 * SIGUSR1 writes a checkpoint and goes on. */
#ifndef CR_APPS_SIGNALS_H
#define CR_APPS_SIGNALS_H

void cr_signals_watch(void);
/* The poll of struct cr_train_events. */
int cr_signals_poll(void *unused);
/* The same as CR_ASK_... bits, for struct cr_keeper. */
unsigned cr_signals_ask(void *unused);
/* The signal that asked for the end, or 0. */
int cr_signals_caught(void);

#endif
