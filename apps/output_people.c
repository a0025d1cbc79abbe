/* What is said to people on stderr while a run goes on, whatever goes to stdout. */
#include <stdio.h>

#include "apps/output.h"
#include "apps/progress.h"

static void say_warning(void *user, const char *sentence)
{
    (void)user;
    cr_progress_erase();
    fprintf(stderr, "corering: warning: %s\n", sentence);
}

static void say_host(void *user, const struct cr_event_host *h)
{
    (void)user;
    cr_progress_erase();
    if (h->lost)
        fprintf(stderr, "corering: lost host %s (rank %d) at step %llu, in its %s: %s; noticed after %.2f s\n", h->host,
                h->rank, (unsigned long long)h->step, h->phase, h->reason, h->noticed);
    else
        fprintf(stderr, "corering: host %s (rank %d) is in: %ld thread%s, %s\n", h->host, h->rank, h->threads,
                h->threads == 1 ? "" : "s", h->isa);
}

static void say_speed(void *user, const struct cr_event_speed *s)
{
    (void)user;
    cr_progress_erase();
    fprintf(stderr, "corering: %s: %d host%s %.1fx one host (network %.0f %%)\n",
            s->achieved ? "achieved" : "predicted", s->hosts, s->hosts == 1 ? "" : "s", s->speedup,
            100 * s->network / s->step);
    if (!s->achieved && s->speedup < 1)
        fprintf(stderr, "corering: warning: that is slower than one host alone; a larger batch needs less network, and "
                "'corering plan' tells which\n");
}

static void say_spent(void *user, const struct cr_event_spent *s)
{
    (void)user;
    const double all = (s->compute + s->wait + s->network) / 100;
    cr_progress_erase();
    fprintf(stderr,
            "corering: host %s (rank %d): compute %.0f %%, waiting for others %.0f %%, network %.0f %% of %.1f s\n",
            s->host, s->rank, s->compute / all, s->wait / all, s->network / all, 100 * all);
}

static void draw_progress(void *user, const struct cr_event_progress *p)
{
    (void)user;
    cr_progress_draw(p);
}

struct cr_train_events cr_people_events(int progress)
{
    return (struct cr_train_events){ .warning = say_warning, .host = say_host, .speed = say_speed, .spent = say_spent,
                                     .progress = progress ? draw_progress : NULL };
}
