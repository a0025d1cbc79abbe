/* Messages: where their sections lie, and that combining any parts of them, in any order, is one and the same sum. */
#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "dist/comm.h"
#include "dist/message.h"
#include "tests/suites.h"

static const struct cr_message_shape shape[] = {
    { 0, 0, 0 }, { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 }, { 3, 5, 7 }, { 8, 16, 16 }, { 9, 17, 1000 }, { 40, 0, 33 },
};
enum { SHAPES = sizeof shape / sizeof *shape };

static struct cr_message message(int s, int seed)
{
    const size_t room = (cr_message_size(shape[s]) / CR_MESSAGE_ALIGN + 1) * CR_MESSAGE_ALIGN;
    void *const buffer = aligned_alloc(CR_MESSAGE_ALIGN, room);
    memset(buffer, 0xa5, room);
    struct cr_message m = cr_message_in(buffer, shape[s]);
    uint64_t x = (uint64_t)seed * 977 + 1;
    for (size_t i = 0; i < m.shape.sums64; i++) m.sum64[i] = (int64_t)(x = x * 6364136223846793005u + 1);
    for (size_t i = 0; i < m.shape.maxima; i++) m.max32[i] = (uint32_t)((x = x * 6364136223846793005u + 1) >> 33);
    for (size_t i = 0; i < m.shape.sums32; i++) m.sum32[i] = (uint32_t)((x = x * 6364136223846793005u + 1) >> 32);
    return m;
}

START_TEST(layout)
{
    const size_t size = cr_message_size(shape[_i]);
    struct cr_message m = message(_i, 1);
    ck_assert_uint_eq(m.size, size);
    ck_assert_ptr_eq(m.bytes, m.sum64);
    ck_assert_uint_eq((uintptr_t)m.max32 % CR_MESSAGE_ALIGN, 0);
    ck_assert_uint_eq((uintptr_t)m.sum32 % CR_MESSAGE_ALIGN, 0);
    ck_assert((char *)(m.sum64 + m.shape.sums64) <= (char *)m.max32);
    ck_assert((char *)(m.max32 + m.shape.maxima) <= (char *)m.sum32);
    ck_assert_ptr_eq((char *)(m.sum32 + m.shape.sums32), (char *)m.bytes + size);
    free(m.bytes);
}
END_TEST

/* What is summed begins at 0, what is written whole is left alone. */
START_TEST(fresh)
{
    struct cr_message m = message(6, 1);
    const uint32_t word = m.sum32[999];
    m = cr_message_in(m.bytes, m.shape);
    for (const char *p = m.bytes; p < (char *)m.sum32; p++) ck_assert_int_eq(*p, 0);
    ck_assert_uint_eq(m.sum32[999], word);
    free(m.bytes);
}
END_TEST

static void check_combined(const struct cr_message *sum, const struct cr_message *a, const struct cr_message *b)
{
    for (size_t i = 0; i < sum->shape.sums64; i++)
        ck_assert_uint_eq((uint64_t)sum->sum64[i], (uint64_t)a->sum64[i] + (uint64_t)b->sum64[i]);
    for (size_t i = 0; i < sum->shape.maxima; i++)
        ck_assert_uint_eq(sum->max32[i], a->max32[i] > b->max32[i] ? a->max32[i] : b->max32[i]);
    for (size_t i = 0; i < sum->shape.sums32; i++) ck_assert_uint_eq(sum->sum32[i], a->sum32[i] + b->sum32[i]);
}

/* Cut in three at every pair of places: the same as in one piece, from a buffer with the words' alignment alone. */
START_TEST(any_cut)
{
    const struct cr_message a = message(_i, 1), b = message(_i, 2);
    const size_t room = (a.size / CR_MESSAGE_ALIGN + 2) * CR_MESSAGE_ALIGN, lines = room / CR_MESSAGE_ALIGN - 1;
    char *const apart = aligned_alloc(CR_MESSAGE_ALIGN, room);
    for (size_t first = 0; first <= lines; first += 1 + lines / 7)
        for (size_t second = first; second <= lines; second += 1 + lines / 7) {
            struct cr_message sum = message(_i, 1);
            const size_t cut[] = { 0, first * CR_MESSAGE_ALIGN, second * CR_MESSAGE_ALIGN, sum.size };
            for (int part = 2; part >= 0; part--) { /* backwards, so that order is seen not to matter */
                const size_t begin = cut[part] < sum.size ? cut[part] : sum.size;
                const size_t end = cut[part + 1] < sum.size ? cut[part + 1] : sum.size;
                if (begin >= end) continue;
                memcpy(apart + 8, (char *)b.bytes + begin, end - begin);
                cr_message_combine(&sum, begin, end, apart + 8);
            }
            check_combined(&sum, &a, &b);
            free(sum.bytes);
        }
    free(apart);
    free(a.bytes);
    free(b.bytes);
}
END_TEST

/* Not a byte outside the part is touched. */
START_TEST(canaries)
{
    struct cr_message m = message(6, 1);
    const struct cr_message before = message(6, 1), other = message(6, 2);
    const size_t begin = 2 * CR_MESSAGE_ALIGN, end = 6 * CR_MESSAGE_ALIGN;
    cr_message_combine(&m, begin, end, (char *)other.bytes + begin);
    ck_assert(memcmp(m.bytes, before.bytes, begin) == 0);
    ck_assert(memcmp((char *)m.bytes + begin, (char *)before.bytes + begin, end - begin) != 0);
    ck_assert(memcmp((char *)m.bytes + end, (char *)before.bytes + end, m.size - end) == 0);
    free(m.bytes);
    free(before.bytes);
    free(other.bytes);
}
END_TEST

/* ---- cr_comm_first: who computes which block ---- */

static const int64_t equal[] = { 1, 1, 1, 1 }, uneven[] = { 3, 1, 0, 5 }, one[] = { 7 },
                     large[] = { INT64_C(1) << 60, INT64_C(1) << 59, 1, INT64_C(1) << 60 };
static const struct {
    int size;
    const int64_t *share;
} deal[] = { { 4, equal }, { 4, uneven }, { 1, one }, { 4, large } };

START_TEST(shares)
{
    const struct cr_comm c = { .size = deal[_i].size, .share = deal[_i].share };
    static const long blocks[] = { 0, 1, 3, 63, 64, 1000003, LONG_MAX };
    double all = 0;
    for (int i = 0; i < c.size; i++) all += (double)c.share[i];
    for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
        ck_assert_int_eq(cr_comm_first(&c, blocks[b], 0), 0);
        ck_assert_int_eq(cr_comm_first(&c, blocks[b], c.size), blocks[b]);
        double before = 0;
        for (int i = 0; i < c.size; before += (double)c.share[i], i++) {
            const long first = cr_comm_first(&c, blocks[b], i);
            const double want = (double)blocks[b] * (before / all);
            ck_assert_int_le(first, cr_comm_first(&c, blocks[b], i + 1));
            ck_assert_msg((double)first < want * (1 + 1e-7) + c.size && (double)first > want * (1 - 1e-7) - c.size,
                          "rank %d of %d takes %ld of %ld from %ld on", i, c.size, first, blocks[b], (long)want);
        }
    }
}
END_TEST

Suite *message_suite(void)
{
    Suite *s = suite_create("message");
    TCase *t = tcase_create("message");
    tcase_add_loop_test(t, layout, 0, SHAPES);
    tcase_add_test(t, fresh);
    tcase_add_loop_test(t, any_cut, 0, SHAPES);
    tcase_add_test(t, canaries);
    tcase_add_loop_test(t, shares, 0, sizeof deal / sizeof *deal);
    suite_add_tcase(s, t);
    return s;
}
