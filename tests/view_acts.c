#include "tests/view_acts.h"

#include <stdio.h>

struct cr_views v;

const char *acts(void)
{
    static const char *const name[] = {
        [CR_ACT_DROP] = "drop", [CR_ACT_PREPARE] = "prepare", [CR_ACT_FETCH] = "fetch", [CR_ACT_PATCH] = "patch",
        [CR_ACT_SNAPSHOT] = "snapshot", [CR_ACT_ENTER] = "enter", [CR_ACT_START] = "start", [CR_ACT_LEAVE] = "leave",
        [CR_ACT_SAVE] = "save", [CR_ACT_FAIL] = "fail",
    };
    static char text[256];
    size_t n = 0;
    int last = -1;
    struct cr_act a;
    text[0] = '\0';
    while (cr_views_next(&v, &a)) {
        ck_assert_uint_eq(a.view, v.view);
        ck_assert_uint_eq(a.collective, v.collective);
        if ((int)a.kind != last)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", last < 0 ? "" : ", ", name[a.kind]);
        if (a.rank >= 0) n += (size_t)snprintf(text + n, sizeof text - n, " %d", a.rank);
        last = (int)a.kind;
    }
    return text;
}

void begin(int ranks, int least)
{
    cr_views_init(&v, ranks, least);
    for (int i = 0; i < ranks; i++) ck_assert_int_eq(cr_views_arrived(&v, i, 1), 1);
    expect("");
    cr_views_begin(&v);
    acts();
    ck_assert_int_eq(v.stage, CR_VIEW_RUNNING);
    ck_assert_uint_eq(v.view, 1);
}

void all_ready(uint64_t collective)
{
    for (int i = 0; i < v.ranks; i++) cr_views_ready(&v, v.view, i, collective);
}
