/* The payloads of the control channel. What comes in is held against its limits before it is used. */
#include "dist/control.h"

#include <stdlib.h>
#include <string.h>

int64_t cr_part_of(double host_timeout, int percent)
{
    return (int64_t)(host_timeout * percent * 1e7);
}

static void put_address(struct cr_writer *w, const struct cr_address *a)
{
    char text[CR_ADDRESS_TEXT];
    cr_address_text(a, text);
    cr_put_text(w, a->family ? text : "");
}

static void get_address(struct cr_reader *r, struct cr_address *a)
{
    char text[CR_ADDRESS_TEXT];
    cr_get_text(r, text, sizeof text);
    memset(a, 0, sizeof *a);
    if (*text && cr_address_parse(a, text, NULL) < 0) r->failed = 1;
}

static void put_addresses(struct cr_writer *w, const struct cr_address *list, int count)
{
    cr_put_u32(w, (uint32_t)count);
    for (int i = 0; i < count; i++) put_address(w, &list[i]);
}

static int get_addresses(struct cr_reader *r, struct cr_address *list)
{
    const uint32_t count = cr_get_u32(r);
    if (count > CR_MAX_ADDRESSES) r->failed = 1;
    for (uint32_t i = 0; i < count && !r->failed; i++) get_address(r, &list[i]);
    return r->failed ? 0 : (int)count;
}

static struct cr_reader reader_of(const struct cr_frame *f)
{
    const uint8_t *at = f->payload;
    return (struct cr_reader){ .at = at, .end = at + f->size };
}

static int finish(const struct cr_reader *r, const char *what, struct cr_error *e)
{
    if (!r->failed && r->at == r->end) return 0;
    return cr_fail(e, CR_E_PEER, "%s makes no sense; is the same corering on all hosts?", what);
}

void cr_card_put(struct cr_writer *w, const struct cr_card *c)
{
    cr_put_text(w, c->candidates.machine);
    put_addresses(w, c->candidates.list, c->candidates.count);
    cr_put_text(w, c->host);
    cr_put_text(w, c->isa);
    cr_put_u64(w, (uint64_t)c->threads);
}

int cr_card_get(struct cr_card *c, const struct cr_frame *f, struct cr_error *e)
{
    struct cr_reader r = reader_of(f);
    memset(c, 0, sizeof *c);
    cr_get_text(&r, c->candidates.machine, sizeof c->candidates.machine);
    c->candidates.count = get_addresses(&r, c->candidates.list);
    cr_get_text(&r, c->host, sizeof c->host);
    cr_get_text(&r, c->isa, sizeof c->isa);
    c->threads = (int64_t)cr_get_u64(&r);
    if (c->threads < 1) r.failed = 1;
    return finish(&r, "what a rank says of itself", e);
}

void cr_spent_put(struct cr_writer *w, const struct cr_spent *s)
{
    cr_put_u64(w, s->steps);
    cr_put_u64(w, (uint64_t)s->compute);
    cr_put_u64(w, (uint64_t)s->wait);
    cr_put_u64(w, (uint64_t)s->network);
}

int cr_spent_get(struct cr_spent *s, const struct cr_frame *f, struct cr_error *e)
{
    struct cr_reader r = reader_of(f);
    s->steps = cr_get_u64(&r);
    s->compute = (int64_t)cr_get_u64(&r);
    s->wait = (int64_t)cr_get_u64(&r);
    s->network = (int64_t)cr_get_u64(&r);
    return finish(&r, "where a rank's time went", e);
}

void cr_roster_put(struct cr_writer *w, const struct cr_roster *r)
{
    cr_put_u32(w, (uint32_t)r->size);
    cr_put_double(w, r->model.latency);
    cr_put_double(w, r->model.byte);
    cr_put_double(w, r->model.add);
    for (int i = 0; i < r->size; i++) {
        const struct cr_member_entry *m = &r->entry[i];
        cr_put_u32(w, (uint32_t)m->rank);
        cr_put_u32(w, m->incarnation);
        cr_put_u64(w, (uint64_t)m->weight);
        put_addresses(w, m->address, m->count);
    }
}

int cr_roster_get(struct cr_roster *r, const struct cr_frame *f, struct cr_error *e)
{
    struct cr_reader in = reader_of(f);
    memset(r, 0, sizeof *r);
    const uint32_t size = cr_get_u32(&in);
    r->model.latency = cr_get_double(&in);
    r->model.byte = cr_get_double(&in);
    r->model.add = cr_get_double(&in);
    if (size < 1 || size > CR_MAX_RANKS) in.failed = 1;
    if (in.failed) return finish(&in, "the list of members", e);
    r->entry = calloc(size, sizeof *r->entry);
    if (!r->entry) return cr_fail(e, CR_E_NOMEM, "out of memory for a list of %u members", size);
    r->size = (int)size;
    for (uint32_t i = 0; i < size; i++) {
        struct cr_member_entry *m = &r->entry[i];
        m->rank = (int)cr_get_u32(&in);
        m->incarnation = cr_get_u32(&in);
        m->weight = (int64_t)cr_get_u64(&in);
        m->count = get_addresses(&in, m->address);
        if (m->rank < 0 || m->rank >= CR_MAX_RANKS || m->weight < 1) in.failed = 1;
    }
    return finish(&in, "the list of members", e);
}

void cr_roster_free(struct cr_roster *r)
{
    free(r->entry);
    r->entry = NULL;
}
