/* Judging: from what was found to sentences, each with the host and what to do. */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/doctor.h"
#include "apps/text.h"
#include "version.h"

static const double little_disk = 256e6, little_memory = 256e6; /* bytes */
static const double much_skew = 2;                               /* seconds */

static int tell(struct cr_doctor *d, int note, const char *kind, const char *host, struct cr_error *e,
                const char *format, ...) __attribute__((format(printf, 6, 7)));
static int tell(struct cr_doctor *d, int note, const char *kind, const char *host, struct cr_error *e,
                const char *format, ...)
{
    if (d->faults == d->room) {
        const int room = d->room ? 2 * d->room : 16;
        struct cr_fault *const more = realloc(d->fault, (size_t)room * sizeof *more);
        if (!more) return cr_fail(e, CR_E_NOMEM, "no memory for what is wrong");
        d->fault = more;
        d->room = room;
    }
    struct cr_fault *const f = &d->fault[d->faults++];
    *f = (struct cr_fault){ .note = note, .kind = kind };
    snprintf(f->host, sizeof f->host, "%s", host);
    const int n = snprintf(f->text, sizeof f->text, "%s: ", host);
    va_list args;
    va_start(args, format);
    vsnprintf(f->text + n, sizeof f->text - (size_t)n, format, args);
    va_end(args);
    return 0;
}

#define FAULT(...) CR_TRY(tell(d, 0, __VA_ARGS__))
#define NOTE(...) CR_TRY(tell(d, 1, __VA_ARGS__))

#define MTU_REMEDY                                                                                                     \
    "find the largest that passes with 'ping -M do -s 1472 ADDRESS' and smaller numbers, and set the MTU of the "      \
    "interfaces to 28 more ('ip link set dev INTERFACE mtu N'), or let ICMP 'fragmentation needed' through"

/* ---- a host ---- */

static int judge_start(struct cr_doctor *d, const struct cr_patient *p, struct cr_error *e)
{
    const char *const name = p->host.name;
    if (p->name_is_loopback)
        FAULT("loopback", name, e, "its name means this very machine here (127.0.0.0/8): give it the address it has in "
              "the network, in /etc/hosts here (a line with 127.0.1.1 and the name is to go) or in DNS");
    else if (p->stalls)
        FAULT("mtu", name, e, "small packets reach it and large ones are lost on the way (an MTU black hole): "
              MTU_REMEDY);
    else if (!p->ready) {
        const char *const text = p->why.text, *const sentence = strncmp(text, name, strlen(name)) == 0 ? text : NULL;
        FAULT("start", name, e, "%s", sentence && sentence[strlen(name)] == ':' ? sentence + strlen(name) + 2 : text);
    }
    return 0;
}

static int judge_data(struct cr_doctor *d, const struct cr_patient *p, struct cr_error *e)
{
    const char *const name = p->host.name;
    if (!d->word) return 0;
    if (!p->data)
        NOTE("data", name, e, "the data is not there (%.*s): the first run sends it; to keep it elsewhere, name "
             "its folder with data=FOLDER in the hosts file", (int)strcspn(p->data_why, ";"), p->data_why);
    else if (p->data != d->data)
        FAULT("data", name, e, "its data is another than here (fingerprint %016" PRIx64 ", here %016" PRIx64
              "): replace it, or name the right folder with data=FOLDER in the hosts file", p->data, d->data);
    return 0;
}

static int judge_machine(struct cr_doctor *d, const struct cr_patient *p, struct cr_error *e)
{
    const char *const name = p->host.name;
    char number[CR_NUMBER_TEXT];
    struct cr_address self;
    if (strcmp(p->build, CR_VERSION) != 0)
        FAULT("build", name, e, "it would run build %s, and this is %s: 'make' builds program and static twin alike; "
              "check what --binary names", p->build, CR_VERSION);
    if (p->host.slots > p->cores)
        NOTE("cores", name, e, "slots=%d, and it has %d cores for us: with slots=%d it is faster", p->host.slots,
             p->cores, p->cores);
    if (p->load > 0.5 * p->cores && p->load > 1)
        NOTE("load", name, e, "other programs keep %.1f of its %d cores busy, and everybody waits for the slowest: "
             "free it, or give it fewer slots", p->load, p->cores);
    if (p->memory < little_memory)
        NOTE("memory", name, e, "only %s of memory are free there: stop something, or it may swap",
             cr_bytes(p->memory, number));
    if (p->disk < little_disk)
        NOTE("disk", name, e, "only %s are free in %s: checkpoints and data may not fit", cr_bytes(p->disk, number),
             p->folder);
    if (p->skew > much_skew + p->skew_error || p->skew < -much_skew - p->skew_error)
        NOTE("clock", name, e, "its clock is %.1f s %s ours: results do not depend on it, times in logs do; "
             "'timedatectl set-ntp true' there", p->skew < 0 ? -p->skew : p->skew, p->skew < 0 ? "behind" : "ahead of");
    if (!p->host.local && *p->self && cr_address_parse(&self, p->self, NULL) == 0 && cr_address_is_loopback(&self))
        NOTE("self", name, e, "there, its own name means %s: corering does not mind, MPI and gloo do; in its "
             "/etc/hosts, give the name the address it has in the network", p->self);
    return judge_data(d, p, e);
}

/* ---- a way ---- */

/* What dialling says after "no connection to rank N after X s: ", for here hosts have names. */
static const char *shorter(const char *why)
{
    const char *const at = strncmp(why, "no connection to ", 17) == 0 ? strstr(why, " s: ") : NULL;
    return at ? at + 4 : why;
}

/* Ranks listen on ports they find free, so opening the one that was tried would not help. */
static const char *about_ports(const char *why)
{
    if (!strstr(why, "firewall")) return "";
    return ". Ranks listen on any free TCP port above 1023: let the hosts of a run reach each other on all of these";
}

/* How many other hosts fail to reach this one in the same way; *why = what the first of them says. */
static int cut_off(const struct cr_doctor *d, int to, int state, int *others, const char **why)
{
    int count = 0;
    *others = 0;
    *why = "";
    for (int from = 0; from < d->count; from++) {
        if (from == to || !d->patient[from].ready) continue;
        const struct cr_way *const w = cr_doctor_way(d, from, to);
        ++*others;
        if ((int)w->state != state) continue;
        if (count++ == 0 && w->why) *why = shorter(w->why);
    }
    return count;
}

static int judge_way(struct cr_doctor *d, int from, int to, struct cr_error *e)
{
    const struct cr_way *const w = cr_doctor_way(d, from, to);
    const char *const name = d->patient[to].host.name, *const who = d->patient[from].host.name;
    const char *const why = w->why ? w->why : "";
    if (w->state == CR_WAY_NONE)
        FAULT("reach", name, e, "%s does not reach it: %s%s", who, shorter(why), about_ports(why));
    if (w->state == CR_WAY_SMALL_ONLY)
        FAULT("mtu", name, e, "from %s (%s to %s), small packets reach it and large ones are lost (an MTU black hole): "
              MTU_REMEDY, who, w->own, w->peer);
    return 0;
}

/* All the ways to one host. What all the others find is that host's own fault, and one sentence. */
static int judge_ways_to(struct cr_doctor *d, int to, struct cr_error *e)
{
    const char *const name = d->patient[to].host.name, *why;
    int others;
    const int none = cut_off(d, to, CR_WAY_NONE, &others, &why);
    if (none > 1 && none == others) {
        FAULT("reach", name, e, "none of the other %d hosts reaches it: %s%s", others, why, about_ports(why));
        return 0;
    }
    const int small = cut_off(d, to, CR_WAY_SMALL_ONLY, &others, &why);
    if (small > 1 && small == others) {
        FAULT("mtu", name, e, "from all others, small packets reach it and large ones are lost (an MTU black hole): "
              MTU_REMEDY);
        return 0;
    }
    for (int from = 0; from < d->count; from++)
        if (from != to) CR_TRY(judge_way(d, from, to, e));
    return 0;
}

int cr_doctor_judge(struct cr_doctor *d, struct cr_error *e)
{
    for (int i = 0; i < d->count; i++) {
        CR_TRY(judge_start(d, &d->patient[i], e));
        if (d->patient[i].ready) CR_TRY(judge_machine(d, &d->patient[i], e));
    }
    for (int i = 0; i < d->count; i++)
        if (d->patient[i].ready) CR_TRY(judge_ways_to(d, i, e));
    return 0;
}
