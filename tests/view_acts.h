/* The arbiter's decisions as text, for suites that go through them case by case: what happens goes in by the calls of
 * dist/view.h, expect() says what is to be done. */
#ifndef CR_TESTS_VIEW_ACTS_H
#define CR_TESTS_VIEW_ACTS_H

#include <check.h>

#include "dist/view.h"

/* That of the case that runs; begin or cr_views_init make it new. */
extern struct cr_views v;

/* What is to be done, as text: "prepare 0 1, drop 2". */
const char *acts(void);
#define expect(text) ck_assert_str_eq(acts(), text)

/* A run of `ranks`, of which all have come and begun: view 1, nothing committed. */
void begin(int ranks, int least);
/* All members of the view that is prepared answer that they have committed `collective`. */
void all_ready(uint64_t collective);

#endif
