/* A rank that is examined by `corering doctor` instead of computing (cr_summons.probe).
 *
 * It talks in lines over the pipes it was started with, which need no network but ssh's. On standard output, each line
 * beginning with "probe ":
 *     build TEXT | arch NAME | cpu TEXT | isa NAME | cores N | load X | memory BYTES | disk BYTES FOLDER |
 *     self ADDRESS (what its own name means there) | machine ID | address INTERFACE MTU ADDRESS:PORT ... | ready
 * On standard input it takes, after "ready", one command at a time, and answers with a line:
 *     time                 time NANOSECONDS           its clock
 *     data NAME            data FINGERPRINT | data none WHY: of the summons' folder, or the cache's folder NAME
 *     reach RANK LIST      reach RANK ok OWN PEER SECONDS | large OWN PEER | no SENTENCE
 *     measure RANK LIST    measure RANK SENT RECEIVED (bytes/s) | no SENTENCE
 * LIST is ADDRESS,ADDRESS... "large": connected, and a packet of full size does not arrive.
 * Meanwhile a thread of its own answers other ranks. The end of standard input ends it. */
#ifndef CR_APPS_PROBE_H
#define CR_APPS_PROBE_H

#include "dist/launch.h"

/* 0 after the end of standard input, or -CR_E_... when it cannot even listen. */
int cr_probe_rank(const struct cr_summons *s, struct cr_error *e);

#endif
