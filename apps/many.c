#include "apps/many.h"

#include "apps/agreement.h"
#include "core/number.h"

static int parse_seconds(const char *text, double *seconds, struct cr_error *e)
{
    *seconds = 2;
    if (!text) return 0;
    if (cr_parse_double(text, seconds) == 0 && *seconds >= 0.5 && *seconds <= 3600) return 0;
    return cr_fail(e, CR_E_USAGE, "--host-timeout takes seconds from 0.5 to 3600, not '%s'", text);
}

const char *cr_many_given(const struct cr_many *m)
{
    return m->min_hosts      ? "min-hosts"
           : m->host_timeout ? "host-timeout"
           : m->key_file     ? "key-file"
           : m->secure       ? "secure"
           : m->no_auth      ? "no-auth"
           : m->no_ship      ? "no-ship-data"
                             : NULL;
}

int cr_many_options(const struct cr_many *m, struct cr_arbiter_options *o, struct cr_error *e)
{
    if (m->secure && m->no_auth) return cr_fail(e, CR_E_USAGE, "--secure needs a job key; leave --no-auth away");
    o->least = m->min_hosts ? (int)m->min_hosts : 1;
    if (o->least > o->ranks)
        return cr_fail(e, CR_E_USAGE, "--min-hosts %d, but there are only %d hosts", o->least, o->ranks);
    CR_TRY(parse_seconds(m->host_timeout, &o->host_timeout, e));
    if (m->key_file) CR_TRY(cr_key_read(&o->key, m->key_file, e));
    if (m->no_auth) o->key = (struct cr_key){ .none = 1 };
    CR_TRY(cr_agreement_fill(&o->common, e));
    o->common.secure = m->secure;
    return 0;
}
