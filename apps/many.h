/* Options that runs with many ranks have in common, whoever starts the ranks. */
#ifndef CR_APPS_MANY_H
#define CR_APPS_MANY_H

#include "apps/options.h"
#include "dist/arbiter.h"

struct cr_many {
    long min_hosts;           /* [1] */
    const char *host_timeout; /* seconds [2] */
    const char *key_file;
    const char *isa;          /* of --isa, or NULL */
    int secure, no_auth, no_ship;
};

/* Rows of an option table. type: the command's arguments, with a member `struct cr_many many`. */
#define CR_OPTIONS_MANY(type)                                                                                          \
    { .name = "min-hosts",                                                                                             \
      .argument = "N",                                                                                                 \
      .help = "end when fewer than N hosts are left",                                                                  \
      .standard = "1",                                                                                                 \
      .set = cr_option_count,                                                                                          \
      .offset = offsetof(type, many.min_hosts) },                                                                      \
        { .name = "host-timeout",                                                                                      \
          .argument = "SECONDS",                                                                                       \
          .help = "a host that is silent for so long is lost",                                                         \
          .standard = "2",                                                                                             \
          .set = cr_option_text,                                                                                       \
          .offset = offsetof(type, many.host_timeout) },                                                               \
        { .name = "key-file",                                                                                          \
          .argument = "FILE",                                                                                          \
          .help = "the job key, 64 hex digits in a file of mode 0600",                                                 \
          .standard = "a new one, by ssh",                                                                             \
          .set = cr_option_text,                                                                                       \
          .offset = offsetof(type, many.key_file) },                                                                   \
        { .name = "secure",                                                                                            \
          .help = "encrypt all that goes between hosts",                                                               \
          .set = cr_option_switch,                                                                                     \
          .offset = offsetof(type, many.secure) },                                                                     \
        { .name = "no-auth",                                                                                           \
          .help = "no job key: whoever reaches a port may take part",                                                  \
          .set = cr_option_switch,                                                                                     \
          .offset = offsetof(type, many.no_auth) },                                                                    \
    {                                                                                                                  \
        .name = "no-ship-data", .help = "do not send the data set to hosts that lack it", .set = cr_option_switch,     \
        .offset = offsetof(type, many.no_ship)                                                                         \
    }

/* The first of these options that was given, or NULL. */
const char *cr_many_given(const struct cr_many *m);
/* Fill in what these options say: least, host_timeout, key (with --key-file or --no-auth), common. -CR_E_USAGE. */
int cr_many_options(const struct cr_many *m, struct cr_arbiter_options *o, struct cr_error *e);

#endif
