/* A network as a table for people. */
#ifndef CR_APPS_PRINT_NET_H
#define CR_APPS_PRINT_NET_H

#include <stdio.h>

#include "core/net.h"

/* Layers in order of computation with shape, parameters and arithmetic, then the sums and the memory they need. */
void cr_print_net(FILE *out, const struct cr_net *net);

#endif
