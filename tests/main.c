/* Runs the test suites: all of them, or those named as arguments.
 *
 *     obj/tests/check [SUITE...]
 *
 * libcheck's environment works as usual: CK_FORK=no to debug, CK_RUN_CASE, CK_VERBOSITY. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suites.h"

static const struct {
    const char *name;
    Suite *(*make)(void);
} suites[] = {
    { "stop", stop_suite },
    { "json", json_suite },
    { "number", number_suite },
    { "sha256", sha256_suite },
    { "hmac", hmac_suite },
    { "handshake", handshake_suite },
    { "seal", seal_suite },
    { "crc32c", crc32c_suite },
    { "deal", deal_suite },
    { "measure", measure_suite },
    { "message", message_suite },
    { "predict", predict_suite },
    { "allreduce", allreduce_suite },
    { "checkpoint", checkpoint_suite },
    { "safetensors", safetensors_suite },
    { "conv", conv_suite },
    { "linear", linear_suite },
    { "simd", simd_suite },
    { "update", update_suite },
    { "dispatch", dispatch_suite },
    { "ref", ref_suite },
    { "gemm", gemm_suite },
    { "math", math_suite },
    { "pace", pace_suite },
    { "rng", rng_suite },
    { "data", data_suite },
    { "synth", synth_suite },
    { "picture", picture_suite },
    { "gradient", gradient_suite },
    { "ranks", ranks_suite },
    { "hosts", hosts_suite },
    { "address", address_suite },
    { "door", door_suite },
    { "strangers", strangers_suite },
    { "dial", dial_suite },
    { "frame", frame_suite },
    { "rendezvous", rendezvous_suite },
    { "torch", torch_suite },
    { "view", view_suite },
    { "disputes", disputes_suite },
    { "ending", ending_suite },
    { "explore", explore_suite },
    { NULL, NULL },
};

static int wanted(const char *name, int words, char **word)
{
    for (int i = 0; i < words; i++)
        if (strcmp(word[i], name) == 0) return 1;
    return words == 0;
}

static int known(const char *word)
{
    for (size_t i = 0; suites[i].name; i++)
        if (strcmp(suites[i].name, word) == 0) return 1;
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (known(argv[i])) continue;
        fprintf(stderr, "check: no suite is called '%s'; there are:", argv[i]);
        for (size_t s = 0; suites[s].name; s++) fprintf(stderr, " %s", suites[s].name);
        fputc('\n', stderr);
        return 2;
    }

    SRunner *runner = srunner_create(NULL);
    for (size_t i = 0; suites[i].name; i++)
        if (wanted(suites[i].name, argc - 1, argv + 1)) srunner_add_suite(runner, suites[i].make());
    srunner_run_all(runner, CK_ENV);

    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
