/* A look at a host's ssh port by hand, when ssh itself has failed without saying why. */
#ifndef CR_APPS_DOCTOR_SSH_H
#define CR_APPS_DOCTOR_SSH_H

#include "dist/hosts.h"

/* Does something answer there whose small packets come through, while large ones to it are lost? 1 or 0; at most about
 * 10 s for each of its addresses. */
int cr_ssh_port_stalls(const struct cr_host *host);

#endif
