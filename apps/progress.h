/* The line that tells how far a run is: on stderr, only if that is a terminal, gone before anything else is printed. */
#ifndef CR_APPS_PROGRESS_H
#define CR_APPS_PROGRESS_H

#include "core/trainer.h"

/* 1 if stderr is a terminal that can redraw a line. */
int cr_progress_possible(void);

/* Draw the line anew, cut to the width of the terminal. */
void cr_progress_draw(const struct cr_event_progress *p);

/* Erase it, if it is there. */
void cr_progress_erase(void);

#endif
