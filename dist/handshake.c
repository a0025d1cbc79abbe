#include "dist/handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/hmac.h"

/* Where the fields of a hello are; handshake.h has the table. */
enum {
    AT_MAGIC = 0, AT_PROTOCOL = 8, AT_SIDE = 12, AT_NUMERICS = 16, AT_SECURE = 20, AT_KEY = 24, AT_CHANNEL = 28,
    AT_RANK = 32, AT_TO = 36, AT_INCARNATION = 40, AT_VIEW = 44, AT_JOB = 48, AT_ANSWER = 64, AT_BUILD = 96,
    AT_NONCE = 160,
    PREFIX = AT_SIDE, /* bytes that every protocol has in common */
};

static const uint8_t magic[8] = { 'c', 'o', 'r', 'e', 'r', 'i', 'n', 'g' };

enum side { DIALER, LISTENER };

struct cr_handshake {
    struct cr_key key;
    struct cr_hello ours, theirs;
    enum side side;
    enum { HELLO, PROOF, DONE, REFUSED } stage;  /* what is awaited */
    int heard;                                   /* their hello is whole */
    uint8_t hello[2][CR_HELLO_BYTES];            /* D and L as they are on the wire, which is what is signed */
    uint8_t proof[CR_MAC_BYTES];                 /* theirs */
    size_t have;                                 /* bytes of theirs that have arrived, at this stage */
    uint8_t out[CR_HELLO_BYTES + CR_MAC_BYTES];  /* all that this side ever sends */
    size_t written, handed;                      /* of out: there, and told by cr_handshake_output */
};

static enum side other(const struct cr_handshake *h)
{
    return h->side == DIALER ? LISTENER : DIALER;
}

static void put32(uint8_t *hello, int at, uint32_t x)
{
    for (int i = 0; i < 4; i++) hello[at + i] = (uint8_t)(x >> 8 * i);
}

static uint32_t get32(const uint8_t *hello, int at)
{
    uint32_t x = 0;
    for (int i = 0; i < 4; i++) x |= (uint32_t)hello[at + i] << 8 * i;
    return x;
}

/* Into a struct that the caller has set to zeros; -1 when a field is none of its values. */
static int read_hello(struct cr_hello *x, const uint8_t *hello)
{
    const uint32_t channel = get32(hello, AT_CHANNEL), secure = get32(hello, AT_SECURE), key = get32(hello, AT_KEY);
    x->common.numerics = get32(hello, AT_NUMERICS);
    memcpy(x->common.answer, hello + AT_ANSWER, sizeof x->common.answer);
    memcpy(x->common.job, hello + AT_JOB, sizeof x->common.job);
    memcpy(x->common.build, hello + AT_BUILD, sizeof x->common.build - 1);
    x->common.secure = secure == 1;
    x->channel = (enum cr_channel)channel;
    x->rank = (int32_t)get32(hello, AT_RANK);
    x->to = (int32_t)get32(hello, AT_TO);
    x->incarnation = get32(hello, AT_INCARNATION);
    x->view = get32(hello, AT_VIEW);
    memcpy(x->nonce, hello + AT_NONCE, sizeof x->nonce);

    /* A build is shown to people: no stranger's control characters on a terminal. */
    for (char *c = x->common.build; *c; c++)
        if (*c < ' ' || *c > '~') *c = '.';
    const int sound = channel < CR_CHANNELS && secure <= 1 && key <= 1 && x->rank >= CR_RANK_ARBITER &&
                      x->to >= CR_RANK_ARBITER;
    return sound ? 0 : -1;
}

/* Append our hello to what is to be sent. */
static void send_hello(struct cr_handshake *h)
{
    uint8_t *hello = h->hello[h->side];
    const struct cr_hello *x = &h->ours;
    memcpy(hello + AT_MAGIC, magic, sizeof magic);
    put32(hello, AT_PROTOCOL, CR_PROTOCOL);
    put32(hello, AT_SIDE, h->side);
    put32(hello, AT_NUMERICS, x->common.numerics);
    put32(hello, AT_SECURE, x->common.secure != 0);
    put32(hello, AT_KEY, !h->key.none);
    put32(hello, AT_CHANNEL, (uint32_t)x->channel);
    put32(hello, AT_RANK, (uint32_t)x->rank);
    put32(hello, AT_TO, (uint32_t)x->to);
    put32(hello, AT_INCARNATION, x->incarnation);
    put32(hello, AT_VIEW, x->view);
    memcpy(hello + AT_JOB, x->common.job, sizeof x->common.job);
    memcpy(hello + AT_ANSWER, x->common.answer, sizeof x->common.answer);
    memcpy(hello + AT_BUILD, x->common.build, strlen(x->common.build));
    memcpy(hello + AT_NONCE, x->nonce, sizeof x->nonce);
    memcpy(h->out + h->written, hello, CR_HELLO_BYTES);
    h->written += CR_HELLO_BYTES;
}

static void sign(const struct cr_handshake *h, const char *label, uint8_t mac[CR_MAC_BYTES])
{
    struct cr_hmac m;
    cr_hmac_init(&m, h->key.bytes, sizeof h->key.bytes);
    cr_hmac_add(&m, label, strlen(label));
    cr_hmac_add(&m, h->hello[DIALER], CR_HELLO_BYTES);
    cr_hmac_add(&m, h->hello[LISTENER], CR_HELLO_BYTES);
    cr_hmac_end(&m, mac);
}

static const char *const label[] = { [DIALER] = "corering dial", [LISTENER] = "corering listen" };

static void send_proof(struct cr_handshake *h)
{
    sign(h, label[h->side], h->out + h->written);
    h->written += CR_MAC_BYTES;
}

struct cr_handshake *cr_handshake_new(const struct cr_key *key, const struct cr_hello *ours, int listening)
{
    struct cr_handshake *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->key = *key;
    h->ours = *ours;
    h->ours.common.build[sizeof ours->common.build - 1] = 0;
    h->side = listening ? LISTENER : DIALER;
    if (cr_random_bytes(h->ours.nonce, sizeof h->ours.nonce, NULL) < 0) {
        cr_handshake_free(h);
        return NULL;
    }
    if (!listening) send_hello(h);
    return h;
}

void cr_handshake_free(struct cr_handshake *h)
{
    if (!h) return;
    cr_wipe(h, sizeof *h);
    free(h);
}

static void hex(char *text, const uint8_t *bytes, int n)
{
    for (int i = 0; i < n; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

/* Is the beginning that of a hello of our protocol? Asked as soon as there are bytes to tell by. */
static int check_prefix(const uint8_t *hello, size_t have, struct cr_error *e)
{
    if (memcmp(hello, magic, have < sizeof magic ? have : sizeof magic) != 0) {
        char began[sizeof magic + 1] = "";
        for (size_t i = 0; i < have && i < sizeof magic; i++)
            began[i] = (char)(hello[i] >= ' ' && hello[i] <= '~' ? hello[i] : '.');
        return cr_fail(e, CR_E_PEER, "not a corering: it begins with '%s'; something else uses this port", began);
    }
    if (have >= PREFIX && get32(hello, AT_PROTOCOL) != CR_PROTOCOL)
        return cr_fail(e, CR_E_PEER, "protocol %lu there, %d here: install the same corering on all hosts",
                       (unsigned long)get32(hello, AT_PROTOCOL), (int)CR_PROTOCOL);
    return 0;
}

/* What both sides must have in common. */
static int check_agreement(const struct cr_handshake *h, struct cr_error *e)
{
    const struct cr_agreement *there = &h->theirs.common, *here = &h->ours.common;
    const int their_key = get32(h->hello[other(h)], AT_KEY) == 1;
    if (memcmp(there->job, here->job, sizeof here->job) != 0) {
        char job[2][33];
        hex(job[0], there->job, 16);
        hex(job[1], here->job, 16);
        return cr_fail(e, CR_E_PEER, "another run: job %s there, %s here; a process of an earlier run is still alive, "
                       "two runs share a port, or WORLD_SIZE is not the same on all", job[0], job[1]);
    }
    if (there->numerics != here->numerics)
        return cr_fail(e, CR_E_REFUSED, "numerics %lu there (build %s), %lu here (build %s): they would compute "
                       "different weights; install the same corering on all hosts", (unsigned long)there->numerics,
                       there->build, (unsigned long)here->numerics, here->build);
    if (memcmp(there->answer, here->answer, sizeof here->answer) != 0) {
        char answer[2][17];
        hex(answer[0], there->answer, 8);
        hex(answer[1], here->answer, 8);
        return cr_fail(e, CR_E_REFUSED, "the kernels compute something else there: answer %s there (build %s), %s here "
                       "(build %s); look at compiler, flags and processor of both hosts", answer[0], there->build,
                       answer[1], here->build);
    }
    if (strcmp(there->build, here->build) != 0)
        return cr_fail(e, CR_E_REFUSED, "build %s there, %s here: install the same corering on all hosts", there->build,
                       here->build);
    if (there->secure != (here->secure != 0))
        return cr_fail(e, CR_E_REFUSED, "--secure %s, but not %s: give it to all processes of a run or to none",
                       there->secure ? "there" : "here", there->secure ? "here" : "there");
    if (their_key == h->key.none)
        return cr_fail(e, CR_E_REFUSED, "a job key %s, but none %s: give --key-file to all processes of a run, or "
                       "--no-auth to all", their_key ? "there" : "here", their_key ? "here" : "there");
    if (here->secure && h->key.none)
        return cr_fail(e, CR_E_REFUSED, "--secure makes its keys from the job key: give --key-file instead of "
                       "--no-auth");
    return 0;
}

static void name(char text[32], int32_t rank)
{
    if (rank == CR_RANK_ARBITER)
        snprintf(text, 32, "the arbiter");
    else
        snprintf(text, 32, "rank %ld", (long)rank);
}

/* Are they who we dialled, or did they dial us? */
static int check_ends(const struct cr_handshake *h, struct cr_error *e)
{
    const struct cr_hello *there = &h->theirs, *here = &h->ours;
    char wanted[32], reached[32];
    if (h->side == LISTENER) {
        if (there->to == here->rank) return 0;
        name(wanted, there->to);
        name(reached, here->rank);
        return cr_fail(e, CR_E_PEER, "somebody dialled %s here, but this is %s: two hosts claim one address", wanted,
                       reached);
    }
    if (there->rank != here->to) {
        name(wanted, here->to);
        name(reached, there->rank);
        return cr_fail(e, CR_E_PEER, "dialled %s, reached %s: two hosts claim this address", wanted, reached);
    }
    if (there->to != here->rank || there->channel != here->channel || there->view != here->view)
        return cr_fail(e, CR_E_PEER, "an answer to somebody else's call; something on the way mixes connections up");
    return 0;
}

static int hear_hello(struct cr_handshake *h, struct cr_error *e)
{
    const uint8_t *hello = h->hello[other(h)];
    const int sound = read_hello(&h->theirs, hello) == 0;
    if (get32(hello, AT_SIDE) != other(h))
        return cr_fail(e, CR_E_PEER, "a hello for the other direction: an echo, or something on the way mixes "
                       "connections up");
    if (!sound) return cr_fail(e, CR_E_PEER, "a hello that makes no sense (damaged, or not from a corering)");
    h->heard = 1;
    if (h->side == LISTENER) {
        h->ours.to = h->theirs.rank;
        h->ours.channel = h->theirs.channel;
        h->ours.view = h->theirs.view;
        send_hello(h);
    }
    CR_TRY(check_agreement(h, e));
    CR_TRY(check_ends(h, e));
    if (h->key.none) {
        h->stage = DONE;
        return 0;
    }
    if (h->side == DIALER) send_proof(h);
    h->stage = PROOF;
    return 0;
}

static int hear_proof(struct cr_handshake *h, struct cr_error *e)
{
    uint8_t right[CR_MAC_BYTES];
    sign(h, label[other(h)], right);
    const int equal = cr_equal_secret(right, h->proof, sizeof right);
    cr_wipe(right, sizeof right);
    if (!equal)
        return cr_fail(e, CR_E_REFUSED, "its job key is not ours: give the same --key-file to all processes, or it is "
                       "a stranger");
    if (h->side == LISTENER) send_proof(h);
    h->stage = DONE;
    return 0;
}

/* Take up to n bytes of what is awaited now. */
static int take(struct cr_handshake *h, const uint8_t *in, size_t n, size_t *taken, struct cr_error *e)
{
    const int hello = h->stage == HELLO;
    uint8_t *into = hello ? h->hello[other(h)] : h->proof;
    const size_t whole = hello ? CR_HELLO_BYTES : CR_MAC_BYTES;
    *taken = n < whole - h->have ? n : whole - h->have;
    memcpy(into + h->have, in, *taken);
    h->have += *taken;
    if (hello) CR_TRY(check_prefix(into, h->have, e));
    if (h->have < whole) return 0;
    h->have = 0;
    return hello ? hear_hello(h, e) : hear_proof(h, e);
}

int cr_handshake_feed(struct cr_handshake *h, const void *in, size_t n, size_t *used, struct cr_error *e)
{
    *used = 0;
    if (h->stage == REFUSED) return cr_fail(e, CR_E_PEER, "this handshake has been refused before");
    while (h->stage != DONE && *used < n) {
        size_t taken;
        const int rc = take(h, (const uint8_t *)in + *used, n - *used, &taken, e);
        *used += taken;
        if (rc < 0) {
            h->stage = REFUSED;
            return rc;
        }
    }
    return h->stage == DONE;
}

size_t cr_handshake_output(struct cr_handshake *h, const void **out)
{
    const size_t n = h->written - h->handed;
    *out = h->out + h->handed;
    h->handed = h->written;
    return n;
}

int cr_handshake_closed(const struct cr_handshake *h, struct cr_error *e)
{
    if (h->stage == HELLO && h->have == 0)
        return cr_fail(e, CR_E_PEER, "closed the connection without a word: something else uses this port, or the "
                       "process there has ended or has too many callers");
    if (h->stage == HELLO) return cr_fail(e, CR_E_PEER, "closed the connection in the middle of its hello");
    if (h->side == DIALER)
        return cr_fail(e, CR_E_REFUSED, "closed the connection when it saw our proof: most likely the job keys differ");
    return cr_fail(e, CR_E_PEER, "closed the connection when it saw our hello: it has named the difference there");
}

const struct cr_hello *cr_handshake_theirs(const struct cr_handshake *h)
{
    return h->heard ? &h->theirs : NULL;
}

void cr_handshake_secret(const struct cr_handshake *h, uint8_t secret[32])
{
    sign(h, "corering secret", secret);
}
