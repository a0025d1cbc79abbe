/* Options of the commands that start processes on other hosts, and what they mean for dist/launch.h. */
#ifndef CR_APPS_REMOTE_H
#define CR_APPS_REMOTE_H

#include "apps/options.h"
#include "apps/twin.h"
#include "dist/launch.h"

enum { CR_REMOTE_BINARIES = 8 };

struct cr_remote {
    const char *hostfile, *hosts, *ssh, *remote_dir;
    const char *binary[CR_REMOTE_BINARIES + 1]; /* ARCHITECTURE=FILE, NULL-terminated */
};

cr_option_set_fn cr_option_binary;

/* Rows of an option table. type: the command's arguments, with a member `struct cr_remote remote`. */
#define CR_OPTIONS_REMOTE(type)                                                                                        \
    { .name = "hostfile",                                                                                              \
      .argument = "FILE",                                                                                              \
      .help = "a host a line: NAME slots=N port=N user=NAME data=DIR",                                                 \
      .set = cr_option_text,                                                                                           \
      .offset = offsetof(type, remote.hostfile) },                                                                     \
        { .letter = 'H',                                                                                               \
          .name = "hosts",                                                                                             \
          .argument = "LIST",                                                                                          \
          .help = "the hosts themselves, as in a:2,b:2",                                                               \
          .set = cr_option_text,                                                                                       \
          .offset = offsetof(type, remote.hosts) },                                                                    \
        { .name = "ssh",                                                                                               \
          .argument = "WORDS",                                                                                         \
          .help = "how to log in, as in \"ssh -p 2222 -i key\"",                                                       \
          .standard = "ssh",                                                                                           \
          .set = cr_option_text,                                                                                       \
          .offset = offsetof(type, remote.ssh) },                                                                      \
        { .name = "remote-dir",                                                                                        \
          .argument = "DIR",                                                                                           \
          .help = "folder of the hosts for the program",                                                               \
          .standard = "~/.cache/corering",                                                                             \
          .set = cr_option_text,                                                                                       \
          .offset = offsetof(type, remote.remote_dir) },                                                               \
    {                                                                                                                  \
        .name = "binary", .argument = "ARCH=FILE", .help = "static program for hosts of another architecture",         \
        .set = cr_option_binary, .offset = offsetof(type, remote.binary)                                               \
    }

/* Are hosts named at all? */
int cr_remote_given(const struct cr_remote *r);
/* The hosts of --hostfile or -H. -CR_E_USAGE when both or none are given, or as dist/hosts.h says. The caller frees
 * whatever the outcome. */
int cr_remote_hosts(const struct cr_remote *r, struct cr_hosts *h, struct cr_error *e);
/* Fill *o; program and twin hold the paths it points to. -CR_E_IO. */
int cr_remote_launch(const struct cr_remote *r, struct cr_launch_options *o, char program[CR_TWIN_PATH],
                     char twin[CR_TWIN_PATH], struct cr_error *e);

#endif
