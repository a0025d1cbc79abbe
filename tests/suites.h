/* All test suites, one line each: check_MODULE.c exports MODULE_suite, tests/main.c runs it. */
#ifndef CR_TESTS_SUITES_H
#define CR_TESTS_SUITES_H

#include <check.h>


#endif
