/* Printing: a table of the hosts, a matrix of the ways, and what is wrong; or the same as lines of JSON. */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "apps/doctor.h"
#include "apps/text.h"
#include "core/json.h"

enum { NAME = 14, CELL = 16, MATRIX = 8 }; /* columns; a matrix of more hosts would not fit a terminal */

static void print_hosts(const struct cr_doctor *d)
{
    printf("%-*s %-28s %-7s %5s %5s %10s %10s %8s%s\n", NAME, "host", "processor", "isa", "cores", "load", "memory",
           "disk", "clock", d->word ? "  data" : "");
    for (int i = 0; i < d->count; i++) {
        const struct cr_patient *const p = &d->patient[i];
        char memory[CR_NUMBER_TEXT], disk[CR_NUMBER_TEXT], clock[16] = "same";
        if (!p->ready) {
            printf("%-*.*s could not be started\n", NAME, NAME, p->host.name);
            continue;
        }
        if (p->skew > 0.05 || p->skew < -0.05) snprintf(clock, sizeof clock, "%+.1f s", p->skew);
        printf("%-*.*s %-28.28s %-7s %5d %5.1f %10s %10s %8s%s\n", NAME, NAME, p->host.name, p->cpu, p->isa, p->cores,
               p->load, cr_bytes(p->memory, memory), cr_bytes(p->disk, disk), clock,
               !d->word ? "" : !p->data ? "  none" : p->data == d->data ? "  the same" : "  other");
    }
}

/* "61 us 1.2 GB/s", or why not. */
static void cell(const struct cr_way *w, char text[32])
{
    const char *const why = w->why ? w->why : "";
    switch (w->state) {
    case CR_WAY_GOOD:
        if (w->rate > 0) snprintf(text, 32, "%.0f us %.0f MB/s", w->seconds * 1e6, w->rate / 1e6);
        else snprintf(text, 32, "%.0f us", w->seconds * 1e6);
        break;
    case CR_WAY_SMALL_ONLY: strcpy(text, "large ones lost"); break;
    case CR_WAY_NONE:
        strcpy(text, strstr(why, "refused") ? "refused" : strstr(why, "not answer") ? "no answer" :
                     strstr(why, "no route") ? "no route" : "no");
        break;
    default: strcpy(text, "?"); break;
    }
}

/* Of those that could be started. */
static void print_matrix(const struct cr_doctor *d)
{
    char text[32];
    printf("\nfrom, to:      ");
    for (int to = 0; to < d->count; to++)
        if (d->patient[to].ready) printf(" %*.*s", CELL, CELL, d->patient[to].host.name);
    printf("   (round trip, rate)\n");
    for (int from = 0; from < d->count; from++) {
        if (!d->patient[from].ready) continue;
        printf("%-*.*s ", NAME, NAME, d->patient[from].host.name);
        for (int to = 0; to < d->count; to++) {
            if (!d->patient[to].ready) continue;
            strcpy(text, "-");
            if (from != to) cell(cr_doctor_way(d, from, to), text);
            printf(" %*s", CELL, text);
        }
        printf("\n");
    }
}

/* Name and MTU of the interface that has the address a way begins at. */
static const struct cr_interface *interface_of(const struct cr_patient *p, const char *own)
{
    struct cr_address a;
    if (cr_address_parse(&a, own, NULL) < 0) return NULL;
    for (int i = 0; i < p->interfaces; i++)
        if (cr_address_equal(&p->interface[i].address, &a, 0)) return &p->interface[i];
    return NULL;
}

/* By which interface and address each host reaches whom: a line for each address it uses. */
static void print_ways_from(const struct cr_doctor *d, int from)
{
    const struct cr_patient *const p = &d->patient[from];
    for (int k = 0; k < p->interfaces; k++) {
        const struct cr_interface *const i = &p->interface[k];
        char own[CR_ADDRESS_TEXT];
        int found = 0;
        for (int to = 0; to < d->count; to++) {
            if (interface_of(p, cr_doctor_way(d, from, to)->own) != i) continue;
            struct cr_address bare = i->address;
            bare.port = 0;
            cr_address_text(&bare, own);
            if (!found++) printf("%s by %s, %s, MTU %d, to", p->host.name, i->name, own, i->mtu);
            printf(" %s", d->patient[to].host.name);
        }
        if (found) printf("\n");
    }
}

static void print_ways(const struct cr_doctor *d)
{
    printf("\n");
    for (int from = 0; from < d->count; from++) print_ways_from(d, from);
}

void cr_doctor_print(const struct cr_doctor *d)
{
    int faults = 0, notes = 0;
    print_hosts(d);
    if (d->count <= MATRIX) print_matrix(d);
    print_ways(d);
    printf("\n");
    for (int i = 0; i < d->faults; i++) {
        printf("%s %s\n", d->fault[i].note ? "note: " : "FAULT:", d->fault[i].text);
        *(d->fault[i].note ? &notes : &faults) += 1;
    }
    if (faults == 0) printf("%sAll is well.\n", notes ? "\n" : "");
}

/* ---- JSON ---- */

static int put_line(struct cr_json_writer *w, struct cr_error *e)
{
    cr_json_put_close(w, '}');
    if (w->failed) return cr_fail(e, CR_E_NOMEM, "no memory for a line of JSON");
    printf("%s\n", w->text);
    cr_json_writer_reset(w);
    return 0;
}

static int put_host(struct cr_json_writer *w, const struct cr_patient *p, struct cr_error *e)
{
    char number[32];
    cr_json_put_open(w, NULL, '{');
    cr_json_put_string(w, "event", "host");
    cr_json_put_string(w, "host", p->host.name);
    cr_json_put_bool(w, "started", p->ready);
    if (p->ready) {
        cr_json_put_string(w, "build", p->build);
        cr_json_put_string(w, "architecture", p->arch);
        cr_json_put_string(w, "processor", p->cpu);
        cr_json_put_string(w, "isa", p->isa);
        cr_json_put_i64(w, "cores", p->cores);
        cr_json_put_double(w, "load", p->load);
        cr_json_put_double(w, "memory_bytes", p->memory);
        cr_json_put_double(w, "disk_bytes", p->disk);
        cr_json_put_double(w, "clock_ahead_s", p->skew);
        cr_json_put_double(w, "clock_error_s", p->skew_error);
        if (p->data) {
            snprintf(number, sizeof number, "%016" PRIx64, p->data);
            cr_json_put_string(w, "data", number);
        }
    }
    return put_line(w, e);
}

static int put_way(struct cr_json_writer *w, const struct cr_doctor *d, int from, int to, struct cr_error *e)
{
    static const char *const states[] = { "unknown", "good", "large packets lost", "unreachable" };
    const struct cr_way *const way = cr_doctor_way(d, from, to);
    const struct cr_interface *const i = interface_of(&d->patient[from], way->own);
    cr_json_put_open(w, NULL, '{');
    cr_json_put_string(w, "event", "way");
    cr_json_put_string(w, "from", d->patient[from].host.name);
    cr_json_put_string(w, "to", d->patient[to].host.name);
    cr_json_put_string(w, "state", states[way->state]);
    if (*way->own) {
        cr_json_put_string(w, "own", way->own);
        cr_json_put_string(w, "peer", way->peer);
        cr_json_put_string(w, "interface", i ? i->name : "");
        cr_json_put_i64(w, "mtu", i ? i->mtu : 0);
    }
    if (way->state == CR_WAY_GOOD) cr_json_put_double(w, "round_trip_s", way->seconds);
    if (way->rate > 0) cr_json_put_double(w, "bytes_per_s", way->rate);
    if (way->why) cr_json_put_string(w, "why", way->why);
    return put_line(w, e);
}

static int put_all(struct cr_json_writer *w, const struct cr_doctor *d, struct cr_error *e)
{
    int faults = 0;
    for (int i = 0; i < d->count; i++) CR_TRY(put_host(w, &d->patient[i], e));
    for (int from = 0; from < d->count; from++)
        for (int to = 0; to < d->count; to++)
            if (from != to) CR_TRY(put_way(w, d, from, to, e));
    for (int i = 0; i < d->faults; i++) {
        const struct cr_fault *const f = &d->fault[i];
        faults += !f->note;
        cr_json_put_open(w, NULL, '{');
        cr_json_put_string(w, "event", f->note ? "note" : "fault");
        cr_json_put_string(w, "kind", f->kind);
        cr_json_put_string(w, "host", f->host);
        cr_json_put_string(w, "text", f->text);
        CR_TRY(put_line(w, e));
    }
    cr_json_put_open(w, NULL, '{');
    cr_json_put_string(w, "event", "end");
    cr_json_put_i64(w, "faults", faults);
    return put_line(w, e);
}

int cr_doctor_print_json(const struct cr_doctor *d, struct cr_error *e)
{
    struct cr_json_writer w = { 0 };
    const int rc = put_all(&w, d, e);
    cr_json_writer_free(&w);
    return rc;
}
