/* The subcommands. Each lives in its own cmd_NAME.c and exports its table. */
#ifndef CR_APPS_COMMANDS_H
#define CR_APPS_COMMANDS_H

#include "apps/options.h"
#include "simd/error.h"

extern const struct cr_command cr_command_train, cr_command_test, cr_command_predict, cr_command_info,
    cr_command_data_get, cr_command_data_synth, cr_command_nets, cr_command_recipes, cr_command_bench_peak,
    cr_command_bench_conv, cr_command_bench_gemm, cr_command_bench_step, cr_command_bench_infer,
    cr_command_bench_allreduce, cr_command_rank, cr_command_doctor, cr_command_plan;

/* The program as the user called it. */
extern const char *cr_program;

/* Exit status of the program for an error: the documented numbers. 128 + signal for CR_E_INTERRUPTED. */
int cr_exit_status(enum cr_err code);

#endif
