/* What ranks say to the arbiter, and who knocks at its door. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/arbiter_inside.h"

/* ---- doubting: members that do not reach each other */

/* Either of the two who do not reach each other may be judged. The first complaint is the one nearest to the cause. */
static void doubt(struct cr_arbiter *a, int rank, int other, int64_t since, const char *why)
{
    struct arbiter_rank *r = &a->rank[rank];
    if (r->doubted) return;
    r->doubted = since;
    snprintf(r->doubt, sizeof r->doubt, "no way between it and %.64s: %s", cr_arbiter_name(a, other), why);
    a->doubts = 1;
}

static void hear_complaint(struct cr_arbiter *a, int from, const struct cr_frame *f)
{
    const uint64_t about = f->number & UINT32_MAX, ms = f->number >> 32;
    char why[512], warning[768];
    if (about >= (uint64_t)a->options.ranks || f->view != a->views.view || a->views.stage != CR_VIEW_RUNNING) return;
    const int64_t since = cr_clock() - (int64_t)ms * (CR_SECOND / 1000);
    const int again = a->views.reconnected;
    snprintf(why, sizeof why, "%.*s", (int)(f->size < sizeof why ? f->size : sizeof why - 1), (const char *)f->payload);
    doubt(a, (int)about, from, since, why);
    doubt(a, from, (int)about, since, why);
    cr_views_complaint(&a->views, f->view, from, (int)about);
    if (again || !a->views.reconnected || !a->options.events.warning) return;
    snprintf(warning, sizeof warning, "no way between %.64s and %.64s: %s; all connect anew", cr_arbiter_name(a, from),
             cr_arbiter_name(a, (int)about), why);
    a->options.events.warning(a->options.events.user, warning);
}

/* ---- hearing */

/* Its payload, not copied. */
static struct cr_blob *payload_of(struct arbiter_rank *r, const struct cr_frame *f)
{
    return cr_blob_take(cr_frames_take(r->frames), f->size);
}

static void replace(struct cr_blob **b, struct cr_blob *by)
{
    cr_blob_drop(*b);
    *b = by;
}

static void hear_save(struct cr_arbiter *a, int rank, const struct cr_frame *f)
{
    if (f->view != a->views.view) return;
    cr_views_came(&a->views, f->view, rank, f->collective);
    a->wanted = f->collective;
    if (f->size && a->kept != f->collective) cr_arbiter_keep(a, f->collective, payload_of(&a->rank[rank], f));
    cr_arbiter_confirm(a);
}

static void hear_able(struct cr_arbiter *a, int rank, const struct cr_frame *f)
{
    struct arbiter_rank *r = &a->rank[rank];
    struct cr_error e;
    if (cr_card_get(&r->card, f, &e) < 0) {
        cr_arbiter_lose(a, rank, e.text);
        return;
    }
    if (!cr_views_arrived(&a->views, rank, r->incarnation)) {
        const char text[] = "this rank has been here before with the same incarnation, or the run is over";
        cr_arbiter_say(a, rank, CR_WORD_FAIL, 0, 0, CR_E_PEER, text, strlen(text));
        return;
    }
    r->card.candidates.seen = cr_frames_connection(r->frames)->peer;
    r->able = 1;
    r->joined = 1;
    const struct cr_rank_news n = { .rank = rank, .host = cr_arbiter_name(a, rank),
                                    .seconds = cr_arbiter_since_start(a),
                                    .isa = r->card.isa, .threads = (long)r->card.threads };
    if (a->options.events.joined) a->options.events.joined(a->options.events.user, &n);
}

static void send_files(struct cr_arbiter *a, int rank)
{
    a->rank[rank].file = 0;
    a->rank[rank].file_at = 0;
}

static void hear_tell(struct cr_arbiter *a, const struct cr_frame *f)
{
    if (f->number && f->number <= a->last_key) return; /* another rank has told it */
    if (f->number) a->last_key = f->number;
    a->options.keeper.told(a->options.keeper.user, f->payload, f->size);
}

/* The first to say it speaks for all. Who joins later is told the model by START. */
static void hear_measured(struct cr_arbiter *a, const struct cr_frame *f)
{
    struct cr_measured x;
    struct cr_reader r = { .at = f->payload, .end = (const uint8_t *)f->payload + f->size };
    int member[CR_MAX_RANKS];
    cr_measured_get(&r, &x);
    if (r.failed || a->measured) return;
    const int n = cr_views_members(&a->views, member);
    a->measured = 1;
    a->options.model = x.model;
    const char *const slow = x.hindrance >= 0 && x.hindrance < n ? cr_arbiter_name(a, member[x.hindrance]) : NULL;
    if (a->options.events.measured) a->options.events.measured(a->options.events.user, &x, slow);
}

static void hear_done(struct cr_arbiter *a, int rank, const struct cr_frame *f)
{
    if (cr_spent_get(&a->rank[rank].spent, f, NULL) < 0) a->rank[rank].spent = (struct cr_spent){ 0 };
    cr_views_done(&a->views, rank);
}

static void text_of(const struct cr_frame *f, char text[768])
{
    const size_t n = f->size < 768 ? f->size : 767;
    if (n) memcpy(text, f->payload, n);
    text[n] = 0;
}

/* A rank cannot go on. What is wrong with the run stops every rank alike: then it ends. What is wrong with a host (its
 * data, its instruction set) ends it only while nothing has been done yet, for whoever started it is still there to put
 * it right; later, only this host is lost. */
static void hear_error(struct cr_arbiter *a, int rank, const struct cr_frame *f)
{
    const int of_run = f->number == CR_E_DIVERGED, of_host = f->number == CR_E_INPUT || f->number == CR_E_USAGE;
    char text[768];
    text_of(f, text);
    if (of_run || (of_host && !a->begun)) {
        const char *const name = cr_arbiter_name(a, rank);
        if (of_run) cr_fail(&a->error, CR_E_DIVERGED, "%s", text);
        else cr_fail(&a->error, (enum cr_err)f->number, "%.64s (rank %d): %s", name, rank, text);
        snprintf(a->error.host, sizeof a->error.host, "%s", name);
        a->error.rank = rank;
        cr_arbiter_end(a, -(int)f->number);
    } else {
        cr_arbiter_lose(a, rank, text);
    }
}

static void hear(struct cr_arbiter *a, int rank, const struct cr_frame *f)
{
    struct arbiter_rank *r = &a->rank[rank];
    switch ((enum cr_word)f->kind) {
    case CR_WORD_NEED: send_files(a, rank); break;
    case CR_WORD_ABLE: hear_able(a, rank, f); break;
    case CR_WORD_READY: cr_views_ready(&a->views, f->view, rank, f->collective); break;
    case CR_WORD_MESSAGE:
        replace(&a->message, payload_of(r, f));
        cr_views_fetched(&a->views, f->view, rank, f->collective);
        break;
    case CR_WORD_STATE:
        replace(&a->state, payload_of(r, f));
        cr_views_snapshot(&a->views, f->view, rank, f->collective);
        break;
    case CR_WORD_SAVE: hear_save(a, rank, f); break;
    case CR_WORD_PULSE:
        r->step = f->number >> 8;
        r->phase = (enum cr_phase)(f->number & 0xff);
        cr_views_progress(&a->views, f->view, rank, f->collective);
        break;
    case CR_WORD_TELL: hear_tell(a, f); break;
    case CR_WORD_COMPLAINT: hear_complaint(a, rank, f); break;
    case CR_WORD_MEASURED: hear_measured(a, f); break;
    case CR_WORD_DONE: hear_done(a, rank, f); break;
    case CR_WORD_ERROR: hear_error(a, rank, f); break;
    default: break;
    }
    cr_arbiter_do_acts(a);
}

/* All that has come from a rank, before anything is judged by its silence. */
void cr_arbiter_hear(struct cr_arbiter *a, int rank)
{
    struct arbiter_rank *r = &a->rank[rank];
    struct cr_frame f;
    struct cr_error e;
    enum { FRAMES = 64 }; /* then others have their turn, and so they have after a part of something large */
    for (int filled = 0, heard = 0;;) {
        struct cr_frames *const frames = r->frames;
        int rc = cr_frames_next(frames, &f, &e);
        if (rc > 0) {
            hear(a, rank, &f);
            if (r->frames != frames) return; /* it was lost by what it said */
            if (++heard == FRAMES) return;
            filled = 0;
            continue;
        }
        if (rc == 0 && filled) return;
        if (rc == 0) rc = cr_frames_fill(frames, &e);
        if (rc == 0) return;
        if (rc > 0) {
            r->heard = cr_clock();
            filled = 1;
            continue;
        }
        if (a->over)
            cr_arbiter_forget(a, rank);
        else
            cr_arbiter_lose(a, rank, "its connection was closed");
        cr_arbiter_do_acts(a);
        return;
    }
}

/* Close a connection; card: of the one that has this rank already, who is worth a word. */
static void refuse(struct cr_arbiter *a, struct cr_connection *c, const struct cr_card *card)
{
    char text[160];
    struct cr_frames *const frames = card && !a->over ? cr_frames_new(c, CR_FRAME_MOST) : NULL;
    if (!frames) {
        cr_connection_close(c);
        return;
    }
    snprintf(text, sizeof text, "rank %d is here already%s%.64s; is its number (RANK) given twice?", c->theirs.rank,
             card->host[0] ? ", on " : "", card->host);
    const struct cr_frame f = { .kind = CR_WORD_FAIL, .number = CR_E_PEER, .size = strlen(text), .payload = text };
    cr_frames_put(frames, &f, NULL);
    cr_frames_flush(frames, NULL);
    cr_frames_free(frames);
}

void cr_arbiter_welcome(void *arbiter, struct cr_connection *c)
{
    struct cr_arbiter *a = arbiter;
    const struct cr_hello *h = &c->theirs;
    struct arbiter_rank *r = h->rank >= 0 && h->rank < a->options.ranks ? &a->rank[h->rank] : NULL;
    const int expected = r && h->channel == CR_CHANNEL_CONTROL && h->to == CR_RANK_ARBITER &&
                         (!a->crew || h->incarnation == cr_crew_incarnation(a->crew, h->rank)) &&
                         (!r->frames || (a->crew && h->incarnation > r->incarnation)) && !a->over;
    if (!expected) {
        refuse(a, c, r && r->frames && h->channel == CR_CHANNEL_CONTROL ? &r->card : NULL);
        return;
    }
    if (r->frames) cr_arbiter_lose(a, h->rank, "it came again");
    r->incarnation = h->incarnation;
    r->heard = cr_clock();
    r->file = a->options.files;
    r->frames = cr_frames_new(c, CR_FRAME_MOST);
    if (!r->frames) return;
    cr_arbiter_say(a, h->rank, CR_WORD_BRIEF, 0, 0, 0, a->options.brief, a->options.brief_size);
    cr_arbiter_do_acts(a);
}

/* Where ranks come by themselves, one of them may be among those turned away while the others wait for it: told once.
 * Later, and where the launcher has started all, they are strangers. */
void cr_arbiter_turned_away(void *arbiter, const struct cr_address *from, const struct cr_error *why)
{
    struct cr_arbiter *a = arbiter;
    char address[CR_ADDRESS_TEXT], sentence[CR_ADDRESS_TEXT + sizeof why->text + 32];
    if (a->crew || a->begun || a->told_refusal || !a->options.events.warning) return;
    a->told_refusal = 1;
    cr_address_text(from, address);
    snprintf(sentence, sizeof sentence, "a process at %s was turned away: %s", address, why->text);
    a->options.events.warning(a->options.events.user, sentence);
}
