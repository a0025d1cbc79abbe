/* The handshake: both sides let each other in however the bytes are cut, every difference is named, and nobody gets in
 * by guessing, replaying, reflecting, changing, cutting or flooding. */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist/handshake.h"
#include "dist/hmac.h"
#include "tests/suites.h"
#include "tests/values.h"

/* A fuzz target is a file of its own, with the one name that fuzzers know. */
#define LLVMFuzzerTestOneInput fuzz_handshake
#include "tests/fuzz/fuzz_handshake.c"

enum { DIALER, LISTENER };

/* A conversation. What side s says is in said[s] (n[s] bytes), as it left; change[s] is xored to it on the way. */
struct talk {
    struct cr_handshake *h[2];
    int rc[2];
    struct cr_error e[2];
    uint8_t said[2][WHOLE], change[2][WHOLE];
    size_t n[2], arrived[2];
};

static const struct cr_key key = { .bytes = { 0xc0, 0xff, 0xee } }, other_key = { .bytes = { 0xc0, 0xff, 0xef } };
static const struct cr_key no_key = { .none = 1 };

static void hear_again(struct talk *t, int side)
{
    const void *out;
    const size_t some = cr_handshake_output(t->h[side], &out);
    ck_assert_uint_le(t->n[side] + some, WHOLE);
    memcpy(t->said[side] + t->n[side], out, some);
    t->n[side] += some;
    ck_assert_uint_eq(cr_handshake_output(t->h[side], &out), 0);
}

static void begin(struct talk *t, const struct cr_hello *d, const struct cr_key *dk, const struct cr_hello *l,
                  const struct cr_key *lk)
{
    memset(t, 0, sizeof *t);
    t->h[DIALER] = cr_handshake_new(dk, d, 0);
    t->h[LISTENER] = cr_handshake_new(lk, l, 1);
    ck_assert(t->h[DIALER] && t->h[LISTENER]);
    for (int side = 0; side < 2; side++) hear_again(t, side);
}

/* Let it go on to the end, in pieces of `step` bytes; 0 = of random length. */
static void go_on(struct talk *t, struct values *v, size_t step)
{
    for (int idle = 0; idle < 2;) {
        idle = 0;
        for (int to = 0; to < 2; to++) {
            const int from = 1 - to;
            size_t some = t->n[from] - t->arrived[from], used;
            const size_t piece = step ? step : 1 + (size_t)next_int(v, 60);
            if (!some || t->rc[to] != 0) {
                idle++;
                continue;
            }
            if (some > piece) some = piece;
            uint8_t in[WHOLE];
            for (size_t i = 0; i < some; i++)
                in[i] = t->said[from][t->arrived[from] + i] ^ t->change[from][t->arrived[from] + i];
            t->rc[to] = cr_handshake_feed(t->h[to], in, some, &used, &t->e[to]);
            if (t->rc[to] >= 0) ck_assert_uint_eq(used, some);
            t->arrived[from] += used;
            hear_again(t, to);
        }
    }
}

static void end(struct talk *t)
{
    cr_handshake_free(t->h[0]);
    cr_handshake_free(t->h[1]);
}

static void let_in(const struct talk *t, int side)
{
    ck_assert_msg(t->rc[side] == 1, "side %d: %d %s", side, t->rc[side], t->rc[side] < 0 ? t->e[side].text : "waits");
}

static void refused(int rc, const struct cr_error *e, const char *word)
{
    ck_assert_int_eq(rc, -(int)e->code);
    ck_assert_msg(e->code == CR_E_PEER || e->code == CR_E_REFUSED, "%d %s", rc, e->text);
    ck_assert_msg(strstr(e->text, word) != NULL, "'%s' has no '%s'", e->text, word);
}

/* ---- those who belong together */

static void come_together(const struct cr_key *k, size_t step, struct values *v)
{
    struct cr_hello d = hello_of(3, CR_RANK_ARBITER), l = hello_of(CR_RANK_ARBITER, 0);
    struct talk t;
    uint8_t secret[2][32];
    d.channel = CR_CHANNEL_PROBE; /* a listener answers on the dialer's channel, of its view, to its rank */
    d.view = 1234;
    l.incarnation = 8;
    begin(&t, &d, k, &l, k);
    ck_assert_ptr_null(cr_handshake_theirs(t.h[DIALER]));
    go_on(&t, v, step);
    for (int side = 0; side < 2; side++) {
        const struct cr_hello *theirs = cr_handshake_theirs(t.h[side]);
        let_in(&t, side);
        ck_assert_uint_eq(t.n[side], k->none ? CR_HELLO_BYTES : WHOLE);
        ck_assert_int_eq(theirs->rank, side == DIALER ? CR_RANK_ARBITER : 3);
        ck_assert_int_eq(theirs->to, side == DIALER ? 3 : CR_RANK_ARBITER);
        ck_assert_int_eq(theirs->channel, CR_CHANNEL_PROBE);
        ck_assert_uint_eq(theirs->incarnation, side == DIALER ? 8 : 7);
        ck_assert_uint_eq(theirs->view, 1234);
        ck_assert_mem_eq(&theirs->common, &d.common, sizeof d.common);
        cr_handshake_secret(t.h[side], secret[side]);
    }
    if (!k->none) {
        ck_assert_mem_eq(secret[0], secret[1], 32);
        ck_assert_mem_ne(secret[0], k->bytes, 32);
    }
    end(&t);
}

START_TEST(any_cut)
{
    struct values v = { 0 };
    for (size_t step = 1; step <= WHOLE; step++) {
        come_together(&key, step, &v);
        come_together(&no_key, step, &v);
    }
    for (int i = 0; i < 300; i++) come_together(&key, 0, &v);
}
END_TEST

/* What comes right behind belongs to the channel. */
START_TEST(the_rest_is_left)
{
    const struct cr_hello d = hello_of(0, 1), l = hello_of(1, 0);
    struct talk t;
    struct cr_error e;
    uint8_t in[CR_MAC_BYTES + 9];
    size_t used;
    begin(&t, &d, &key, &l, &key);
    ck_assert_int_eq(cr_handshake_feed(t.h[LISTENER], t.said[DIALER], CR_HELLO_BYTES, &used, &e), 0);
    hear_again(&t, LISTENER);
    ck_assert_int_eq(cr_handshake_feed(t.h[DIALER], t.said[LISTENER], CR_HELLO_BYTES, &used, &e), 0);
    hear_again(&t, DIALER);
    memcpy(in, t.said[DIALER] + CR_HELLO_BYTES, CR_MAC_BYTES);
    memset(in + CR_MAC_BYTES, 0xaa, 9);
    ck_assert_int_eq(cr_handshake_feed(t.h[LISTENER], in, CR_MAC_BYTES + 9, &used, &e), 1);
    ck_assert_uint_eq(used, CR_MAC_BYTES);
    ck_assert_int_eq(cr_handshake_feed(t.h[LISTENER], in, 9, &used, &e), 1);
    ck_assert_uint_eq(used, 0);
    end(&t);
}
END_TEST

/* The bytes of a hello where handshake.h says they are, and the proofs as it says they are made. */
START_TEST(on_the_wire)
{
    struct cr_hello d = hello_of(0x01020304, 0x0a0b0c0d), l = hello_of(0x0a0b0c0d, 0);
    static const uint8_t numbers[40] = {
        1, 0, 0, 0, 0, 0, 0, 0, 0xd4, 0xc3, 0xb2, 0xa1, 0, 0, 0, 0, 1, 0, 0, 0, /* protocol .. key */
        2, 0, 0, 0, 4, 3, 2, 1, 0x0d, 0x0c, 0x0b, 0x0a, 7, 0, 0, 0, 9, 0, 0, 0, /* channel .. view */
    };
    struct talk t;
    d.common.numerics = l.common.numerics = 0xa1b2c3d4;
    d.channel = CR_CHANNEL_PULSE;
    begin(&t, &d, &key, &l, &key);
    go_on(&t, NULL, WHOLE);
    let_in(&t, DIALER);
    const uint8_t *hello = t.said[DIALER];
    ck_assert_mem_eq(hello, "corering", 8);
    ck_assert_mem_eq(hello + 8, numbers, sizeof numbers);
    ck_assert_mem_eq(hello + 48, d.common.job, 16);
    ck_assert_mem_eq(hello + 64, d.common.answer, 32);
    ck_assert_mem_eq(hello + 96, d.common.build, 64);
    ck_assert_mem_eq(hello + 160, cr_handshake_theirs(t.h[LISTENER])->nonce, 32);
    ck_assert_int_eq(t.said[LISTENER][12], 1);

    static const char *const label[] = { "corering dial", "corering listen" };
    for (int side = 0; side < 2; side++) {
        struct cr_hmac m;
        uint8_t mac[32];
        cr_hmac_init(&m, key.bytes, sizeof key.bytes);
        cr_hmac_add(&m, label[side], strlen(label[side]));
        cr_hmac_add(&m, t.said[DIALER], CR_HELLO_BYTES);
        cr_hmac_add(&m, t.said[LISTENER], CR_HELLO_BYTES);
        cr_hmac_end(&m, mac);
        ck_assert_mem_eq(t.said[side] + CR_HELLO_BYTES, mac, 32);
    }
    end(&t);
}
END_TEST

/* Nonces are new each time, so no two conversations are alike. */
START_TEST(fresh)
{
    const struct cr_hello d = hello_of(0, 1), l = hello_of(1, 0);
    struct talk t[2];
    for (int i = 0; i < 2; i++) {
        begin(&t[i], &d, &key, &l, &key);
        go_on(&t[i], NULL, WHOLE);
        let_in(&t[i], DIALER);
    }
    for (int side = 0; side < 2; side++) {
        ck_assert_mem_eq(t[0].said[side], t[1].said[side], 160);
        ck_assert_mem_ne(t[0].said[side] + 160, t[1].said[side] + 160, 32);
        ck_assert_mem_ne(t[0].said[side] + 192, t[1].said[side] + 192, 32);
    }
    end(&t[0]);
    end(&t[1]);
}
END_TEST

/* ---- differences */

static void other_protocol(struct talk *t) { t->change[DIALER][8] = t->change[LISTENER][8] = 1 ^ 2; }
static void other_job(struct cr_hello *x) { x->common.job[15] ^= 1; }
static void other_numerics(struct cr_hello *x) { x->common.numerics++; }
static void other_answer(struct cr_hello *x) { x->common.answer[0] ^= 0x80; }
static void other_build(struct cr_hello *x) { strcpy(x->common.build, "0.2.0+abc"); }
static void other_secure(struct cr_hello *x) { x->common.secure = 1; }
static void other_place(struct cr_hello *x) { x->rank = 5; }

/* In the order in which they are named. Each is what a message says first, there before here. */
static const struct {
    void (*on_the_way)(struct talk *);
    void (*differ)(struct cr_hello *listener);
    int without_key; /* the listener has none */
    const char *seen_by[2];
} difference[] = {
    { other_protocol, NULL, 0, { "protocol 2 there, 1 here", "protocol 2 there, 1 here" } },
    { NULL, other_job, 0, { "another run: job a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a4 there, a5a5a5",
                            "another run: job a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5 there, a5a5a5" } },
    { NULL, other_numerics, 0, { "numerics 2 there", "numerics 1 there" } },
    { NULL, other_answer, 0, { "answer da5a5a5a5a5a5a5a there", "answer 5a5a5a5a5a5a5a5a there" } },
    { NULL, other_build, 0, { "build 0.2.0+abc there, 0.1.0+fuzz here", "build 0.1.0+fuzz there, 0.2.0+abc here" } },
    { NULL, other_secure, 0, { "--secure there, but not here", "--secure here, but not there" } },
    { NULL, NULL, 1, { "a job key here, but none there", "a job key there, but none here" } },
    { NULL, other_place, 0, { "dialled rank 1, reached rank 5", "dialled rank 1 here, but this is rank 5" } },
};
enum { DIFFERENCES = sizeof difference / sizeof *difference };

static void differ(int i, struct cr_hello *l, const struct cr_key **k)
{
    if (difference[i].differ) difference[i].differ(l);
    if (difference[i].without_key) *k = &no_key;
}

/* Alone, and in front of every one that comes later: both sides name it, whatever the cut; no proof is sent. */
START_TEST(first_difference)
{
    const int first = _i;
    struct values v = { 0 };
    for (int second = first; second < DIFFERENCES; second++) {
        for (size_t step = 0; step < WHOLE; step += 17) {
            const struct cr_hello d = hello_of(0, 1);
            struct cr_hello l = hello_of(1, 0);
            const struct cr_key *k = &key;
            struct talk t;
            differ(first, &l, &k);
            if (second != first) differ(second, &l, &k);
            begin(&t, &d, &key, &l, k);
            if (difference[first].on_the_way) difference[first].on_the_way(&t);
            go_on(&t, &v, step);
            refused(t.rc[LISTENER], &t.e[LISTENER], difference[first].seen_by[LISTENER]);
            if (first > 0) refused(t.rc[DIALER], &t.e[DIALER], difference[first].seen_by[DIALER]);
            ck_assert_uint_le(t.n[LISTENER], CR_HELLO_BYTES);
            ck_assert_uint_eq(t.n[DIALER], CR_HELLO_BYTES);
            size_t used;
            refused(cr_handshake_feed(t.h[LISTENER], "x", 1, &used, &t.e[0]), &t.e[0], "refused before");
            end(&t);
        }
    }
}
END_TEST

/* A listener of another protocol, which our dialer must tell by itself. */
START_TEST(later_listener)
{
    const struct cr_hello d = hello_of(0, 1), l = hello_of(1, 0);
    struct talk t;
    begin(&t, &d, &key, &l, &key);
    t.change[LISTENER][8] = 1 ^ 3;
    go_on(&t, NULL, WHOLE);
    refused(t.rc[DIALER], &t.e[DIALER], "protocol 3 there, 1 here");
    end(&t);
}
END_TEST

START_TEST(secure_without_key)
{
    struct cr_hello d = hello_of(0, 1), l = hello_of(1, 0);
    struct talk t;
    d.common.secure = l.common.secure = 1;
    begin(&t, &d, &no_key, &l, &no_key);
    go_on(&t, NULL, WHOLE);
    refused(t.rc[LISTENER], &t.e[LISTENER], "--secure makes its keys from the job key");
    refused(t.rc[DIALER], &t.e[DIALER], "--secure makes its keys from the job key");
    end(&t);
}
END_TEST

/* No control characters of strangers reach a terminal. */
START_TEST(build_is_printable)
{
    const struct cr_hello d = hello_of(0, 1);
    struct cr_hello l = hello_of(1, 0);
    struct talk t;
    memset(l.common.build, '\033', sizeof l.common.build);
    begin(&t, &d, &key, &l, &key);
    go_on(&t, NULL, WHOLE);
    refused(t.rc[DIALER], &t.e[DIALER], "build ......");
    for (const char *c = t.e[DIALER].text; *c; c++) ck_assert_int_ge(*c, ' ');
    end(&t);
}
END_TEST

/* ---- strangers */

START_TEST(wrong_key)
{
    const struct cr_hello d = hello_of(0, 1), l = hello_of(1, 0);
    struct talk t;
    struct cr_error e;
    begin(&t, &d, &other_key, &l, &key);
    go_on(&t, NULL, (size_t)_i);
    refused(t.rc[LISTENER], &t.e[LISTENER], "its job key is not ours");
    ck_assert_uint_eq(t.n[LISTENER], CR_HELLO_BYTES);
    ck_assert_int_eq(t.rc[DIALER], 0);
    refused(cr_handshake_closed(t.h[DIALER], &e), &e, "job keys differ");
    end(&t);
}
END_TEST

/* After every byte that arrives: the listener has not sent a byte of its proof before the whole of the dialer's is
 * there and right. */
START_TEST(listener_proves_itself_last)
{
    const struct cr_hello d = hello_of(0, 1), l = hello_of(1, 0);
    for (int right = 0; right < 2; right++) {
        struct talk t;
        size_t used;
        begin(&t, &d, right ? &key : &other_key, &l, &key);
        ck_assert_uint_eq(t.n[LISTENER], 0);
        for (size_t i = 0; i < WHOLE && t.rc[LISTENER] == 0; i++) {
            ck_assert_uint_eq(t.n[LISTENER], i < CR_HELLO_BYTES ? 0 : CR_HELLO_BYTES);
            t.rc[LISTENER] = cr_handshake_feed(t.h[LISTENER], t.said[DIALER] + i, 1, &used, &t.e[LISTENER]);
            hear_again(&t, LISTENER);
            if (i + 1 != CR_HELLO_BYTES) continue;
            ck_assert_int_eq(cr_handshake_feed(t.h[DIALER], t.said[LISTENER], CR_HELLO_BYTES, &used, &t.e[DIALER]), 0);
            hear_again(&t, DIALER);
        }
        ck_assert_int_eq(t.rc[LISTENER], right ? 1 : -CR_E_REFUSED);
        ck_assert_uint_eq(t.n[LISTENER], right ? WHOLE : CR_HELLO_BYTES);
        end(&t);
    }
}
END_TEST

/* Either half of a conversation that went well, played to a fresh partner of the other half. */
START_TEST(replay)
{
    const struct cr_hello d = hello_of(0, 1), l = hello_of(1, 0);
    struct talk recorded, now;
    struct cr_error e;
    size_t used;
    begin(&recorded, &d, &key, &l, &key);
    go_on(&recorded, NULL, WHOLE);
    let_in(&recorded, DIALER);
    let_in(&recorded, LISTENER);
    begin(&now, &d, &key, &l, &key);
    refused(cr_handshake_feed(now.h[LISTENER], recorded.said[DIALER], WHOLE, &used, &e), &e, "its job key is not ours");
    hear_again(&now, LISTENER);
    ck_assert_uint_eq(now.n[LISTENER], CR_HELLO_BYTES);
    refused(cr_handshake_feed(now.h[DIALER], recorded.said[LISTENER], WHOLE, &used, &e), &e, "its job key is not ours");
    end(&recorded);
    end(&now);
}
END_TEST

/* A dialer whose own words come back: as they are; with the side changed; and with all numbers changed to those of the
 * partner it expects, so that only the proof can tell. */
START_TEST(reflection)
{
    const struct cr_hello d = hello_of(0, 1), l = hello_of(1, 0);
    static const char *const why[] = { "other direction", "dialled rank 1, reached rank 0", "its job key is not ours" };
    struct talk t;
    struct cr_error e;
    size_t used;
    uint8_t echo[CR_HELLO_BYTES];
    begin(&t, &d, &key, &l, &key);
    memcpy(echo, t.said[DIALER], sizeof echo);
    if (_i >= 1) echo[12] = 1;
    if (_i >= 2) {
        echo[32] = 1;
        echo[36] = 0;
    }
    int rc = cr_handshake_feed(t.h[DIALER], echo, sizeof echo, &used, &e);
    if (_i == 2) {
        ck_assert_int_eq(rc, 0);
        hear_again(&t, DIALER);
        rc = cr_handshake_feed(t.h[DIALER], t.said[DIALER] + CR_HELLO_BYTES, CR_MAC_BYTES, &used, &e);
    }
    refused(rc, &e, why[_i]);
    end(&t);
}
END_TEST

/* Every bit of every message, changed on the way: who was told something else is not let in. */
START_TEST(every_bit_changed)
{
    const struct cr_hello d = hello_of(0, 1), l = hello_of(1, 0);
    for (int from = 0; from < 2; from++) {
        for (size_t i = 0; i < WHOLE; i++) {
            struct talk t;
            begin(&t, &d, &key, &l, &key);
            t.change[from][i] = (uint8_t)(1 << _i);
            go_on(&t, NULL, WHOLE);
            ck_assert_msg(t.rc[DIALER] != 1, "byte %zu of side %d", i, from);
            /* The last message only convinces the dialer: the listener knows what it needs already. */
            const int last = from == LISTENER && i >= CR_HELLO_BYTES;
            ck_assert_msg((t.rc[LISTENER] == 1) == last, "byte %zu of side %d", i, from);
            end(&t);
        }
    }
}
END_TEST

/* Cut off anywhere: nobody is let in, and what a closed connection means is said. */
START_TEST(cut_off)
{
    const struct cr_hello d = hello_of(0, 1), l = hello_of(1, 0);
    for (size_t n = 0; n < CR_HELLO_BYTES; n++) {
        struct talk t;
        struct cr_error e;
        size_t used;
        begin(&t, &d, &key, &l, &key);
        ck_assert_int_eq(cr_handshake_feed(t.h[LISTENER], t.said[DIALER], n, &used, &e), 0);
        ck_assert_ptr_null(cr_handshake_theirs(t.h[LISTENER]));
        refused(cr_handshake_closed(t.h[LISTENER], &e), &e, n ? "middle of its hello" : "without a word");
        end(&t);
    }
    for (size_t n = 0; n < CR_MAC_BYTES; n++) {
        struct talk t;
        struct cr_error e;
        size_t used;
        begin(&t, &d, &key, &l, &key);
        ck_assert_int_eq(cr_handshake_feed(t.h[LISTENER], t.said[DIALER], CR_HELLO_BYTES, &used, &e), 0);
        hear_again(&t, LISTENER);
        ck_assert_int_eq(cr_handshake_feed(t.h[DIALER], t.said[LISTENER], CR_HELLO_BYTES, &used, &e), 0);
        hear_again(&t, DIALER);
        ck_assert_int_eq(cr_handshake_feed(t.h[LISTENER], t.said[DIALER] + CR_HELLO_BYTES, n, &used, &e), 0);
        refused(cr_handshake_closed(t.h[LISTENER], &e), &e, "when it saw our hello");
        end(&t);
    }
}
END_TEST

/* Random bytes are known for what they are at once; behind a good beginning, at the end of the hello. */
START_TEST(random_bytes)
{
    enum { N = 4096 };
    static uint8_t in[N];
    struct values v = { 0 };
    for (int i = 0; i < 2000; i++) {
        const struct cr_hello ours = i & 1 ? hello_of(1, 0) : hello_of(0, 1);
        struct cr_handshake *h = cr_handshake_new(&key, &ours, i & 1);
        const void *out;
        struct cr_error e;
        size_t used;
        for (int b = 0; b < N; b++) in[b] = (uint8_t)next_word(&v);
        if (i & 2) memcpy(in, "corering\1\0\0", 12);
        const int rc = cr_handshake_feed(h, in, N, &used, &e);
        ck_assert_msg(rc == -CR_E_PEER, "seed %llu, number %d", (unsigned long long)test_seed(), i);
        ck_assert_uint_le(used, CR_HELLO_BYTES);
        ck_assert_uint_eq(cr_handshake_output(h, &out), i & 1 ? 0 : CR_HELLO_BYTES);
        cr_handshake_free(h);
    }
}
END_TEST

START_TEST(other_services)
{
    static const char *const words[] = { "GET / HTTP/1.1\r\n", "SSH-2.0-OpenSSH\r\n", "\x16\x03\x01\x02", "core\n" };
    static const char *const seen[] = { "'GET / HT'", "'SSH-2.0-'", "'....'", "'core.'" };
    for (int i = 0; i < 4; i++) {
        for (int listening = 0; listening < 2; listening++) {
            const struct cr_hello ours = hello_of(1, 0);
            struct cr_handshake *h = cr_handshake_new(&key, &ours, listening);
            struct cr_error e;
            size_t used;
            refused(cr_handshake_feed(h, words[i], strlen(words[i]), &used, &e), &e, seen[i]);
            ck_assert_ptr_nonnull(strstr(e.text, "not a corering"));
            cr_handshake_free(h);
        }
    }
}
END_TEST

/* A megabyte that begins like one of ours costs no more than a hello. */
START_TEST(oversize)
{
    enum { N = 1 << 20 };
    const struct cr_hello d = hello_of(0, 1), l = hello_of(1, 0);
    uint8_t *in = calloc(1, N);
    struct talk t;
    struct cr_error e;
    size_t used;
    ck_assert_ptr_nonnull(in);
    begin(&t, &d, &key, &l, &key);
    memcpy(in, t.said[DIALER], CR_HELLO_BYTES);
    refused(cr_handshake_feed(t.h[LISTENER], in, N, &used, &e), &e, "its job key is not ours");
    ck_assert_uint_eq(used, WHOLE);
    free(in);
    end(&t);
}
END_TEST

/* What fuzzing starts from and what it once found. The source folder is told by tests/run. */
START_TEST(fuzz_corpus)
{
    const char *source = getenv("SRCDIR");
    if (!source) return;
    static uint8_t bytes[1 << 12];
    char corpus[512], name[1024];
    int files = 0;
    snprintf(corpus, sizeof corpus, "%s/tests/fuzz/handshake", source);
    DIR *dir = opendir(corpus);
    ck_assert_msg(dir != NULL, "no folder %s", corpus);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s/%s", corpus, entry->d_name);
        FILE *f = fopen(name, "rb");
        ck_assert_ptr_nonnull(f);
        const size_t n = fread(bytes, 1, sizeof bytes, f);
        fclose(f);
        fuzz_handshake(bytes, n);
        files++;
    }
    closedir(dir);
    ck_assert_int_ge(files, 12);
}
END_TEST

Suite *handshake_suite(void)
{
    Suite *s = suite_create("handshake");
    TCase *tc = tcase_create("handshake");
    tcase_add_test(tc, any_cut);
    tcase_add_test(tc, the_rest_is_left);
    tcase_add_test(tc, on_the_wire);
    tcase_add_test(tc, fresh);
    tcase_add_loop_test(tc, first_difference, 0, DIFFERENCES);
    tcase_add_test(tc, later_listener);
    tcase_add_test(tc, secure_without_key);
    tcase_add_test(tc, build_is_printable);
    tcase_add_loop_test(tc, wrong_key, 1, 40);
    tcase_add_test(tc, listener_proves_itself_last);
    tcase_add_test(tc, replay);
    tcase_add_loop_test(tc, reflection, 0, 3);
    tcase_add_loop_test(tc, every_bit_changed, 0, 8);
    tcase_add_test(tc, cut_off);
    tcase_add_test(tc, random_bytes);
    tcase_add_test(tc, other_services);
    tcase_add_test(tc, oversize);
    tcase_add_test(tc, fuzz_corpus);
    suite_add_tcase(s, tc);
    return s;
}
