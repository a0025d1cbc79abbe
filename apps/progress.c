#define _POSIX_C_SOURCE 200809L
#include "apps/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "apps/text.h"

enum { BAR = 24, NARROWEST = 20 };

static int drawn; /* the cursor stands behind a progress line */

int cr_progress_possible(void)
{
    const char *const term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

static int terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= NARROWEST) return size.ws_col;
    return 80;
}

void cr_progress_draw(const struct cr_event_progress *p)
{
    const uint64_t per_epoch = p->steps_per_epoch ? p->steps_per_epoch : 1;
    const double share = p->total_steps ? (double)p->step / (double)p->total_steps : 0;
    const int percent = (int)(100 * share), full = (int)(BAR * share);
    char bar[BAR + 1], speed[CR_NUMBER_TEXT], left[CR_NUMBER_TEXT], line[256];
    memset(bar, '.', BAR);
    memset(bar, '#', (size_t)(full < 0 ? 0 : full > BAR ? BAR : full));
    bar[BAR] = 0;
    cr_grouped((uint64_t)p->images_per_s, speed);
    cr_clock_text(p->eta_seconds, left);
    const long in_epoch = (long)(100 * (p->step % per_epoch) / per_epoch);

    /* From the full line to ever shorter ones, until it fits. A terminal's last column stays free: writing there
     * may already wrap. */
    const int room = terminal_width() - 1;
    for (int form = 0; form < 3; form++) {
        int n;
        if (form == 0)
            n = snprintf(line, sizeof line, "[%s] %d%%  epoch %ld/%ld %2ld%%  loss %.4f  %s images/s  ETA %s", bar,
                         percent, p->epoch + 1, p->epochs, in_epoch, p->loss, speed, left);
        else if (form == 1)
            n = snprintf(line, sizeof line, "%d%%  epoch %ld/%ld  loss %.4f  %s/s  ETA %s", percent, p->epoch + 1,
                         p->epochs, p->loss, speed, left);
        else
            n = snprintf(line, sizeof line, "%d%%  ETA %s", percent, left);
        if (n <= room) break;
    }
    fprintf(stderr, "\r%.*s\033[K", room, line);
    fflush(stderr);
    drawn = 1;
}

void cr_progress_erase(void)
{
    if (!drawn) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    drawn = 0;
}
