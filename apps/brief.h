/* The first thing a rank is told: which data set the run is on, so that it can look for it or have it sent. */
#ifndef CR_APPS_BRIEF_H
#define CR_APPS_BRIEF_H

#include "core/data.h"
#include "dist/frame.h"

struct cr_brief {
    uint64_t train, test;  /* fingerprints: of the training split (core/data.h), of the test split */
    char path[512];        /* where it lies on the launcher's host */
    char isa[16];          /* --isa; "" = the best of each host */
    int ship;              /* may be sent to hosts that lack it */
    double host_timeout;   /* seconds */
};

/* A number that tells test splits apart: their counts, and CRC32C of images and labels. */
uint64_t cr_brief_test(const struct cr_data *d);
void cr_brief_put(struct cr_writer *w, const struct cr_brief *b);
/* 0 or -CR_E_PEER. */
int cr_brief_get(struct cr_brief *b, const void *bytes, size_t size, struct cr_error *e);

#endif
