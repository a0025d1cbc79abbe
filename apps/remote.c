#include "apps/remote.h"

#include <string.h>

int cr_option_binary(void *target, const struct cr_option *o, const char *value, struct cr_error *e)
{
    const char **const binary = (const char **)(void *)((char *)target + o->offset);
    const char *const equals = strchr(value, '=');
    if (!equals || equals == value || !equals[1])
        return cr_fail(e, CR_E_USAGE, "option --binary takes ARCHITECTURE=FILE as in aarch64=corering-static, not '%s'",
                       value);
    for (int i = 0; i < CR_REMOTE_BINARIES; i++) {
        if (binary[i]) continue;
        binary[i] = value;
        return 0;
    }
    return cr_fail(e, CR_E_USAGE, "more than %d options --binary", (int)CR_REMOTE_BINARIES);
}

int cr_remote_given(const struct cr_remote *r) { return r->hostfile || r->hosts; }

int cr_remote_hosts(const struct cr_remote *r, struct cr_hosts *h, struct cr_error *e)
{
    *h = (struct cr_hosts){ 0 };
    if (r->hostfile && r->hosts)
        return cr_fail(e, CR_E_USAGE, "--hostfile and -H both name the hosts: give one of them");
    if (!cr_remote_given(r)) return cr_fail(e, CR_E_USAGE, "which hosts? Give --hostfile FILE or -H a:2,b:2");
    return r->hostfile ? cr_hosts_read(h, r->hostfile, e) : cr_hosts_parse(h, r->hosts, e);
}

int cr_remote_launch(const struct cr_remote *r, struct cr_launch_options *o, char program[CR_TWIN_PATH],
                     char twin[CR_TWIN_PATH], struct cr_error *e)
{
    if (cr_find_program(program) < 0)
        return cr_fail(e, CR_E_IO, "/proc/self/exe does not tell where this program lies: is /proc mounted?");
    *o = (struct cr_launch_options){ .ssh = r->ssh, .program = program, .binary = r->binary,
                                     .remote_dir = r->remote_dir, .start_seconds = 10 };
    if (cr_find_twin(twin)) o->twin = twin;
    return 0;
}
