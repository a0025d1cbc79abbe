/* All test suites, one line each: check_MODULE.c exports MODULE_suite, tests/main.c runs it. */
#ifndef CR_TESTS_SUITES_H
#define CR_TESTS_SUITES_H

#include <check.h>
Suite *stop_suite(void);
Suite *json_suite(void);
Suite *number_suite(void);
Suite *sha256_suite(void);
Suite *hmac_suite(void);
Suite *handshake_suite(void);
Suite *seal_suite(void);
Suite *crc32c_suite(void);
Suite *deal_suite(void);
Suite *measure_suite(void);
Suite *message_suite(void);
Suite *predict_suite(void);
Suite *allreduce_suite(void);
Suite *checkpoint_suite(void);
Suite *safetensors_suite(void);
Suite *conv_suite(void);
Suite *linear_suite(void);
Suite *simd_suite(void);
Suite *update_suite(void);
Suite *dispatch_suite(void);
Suite *ref_suite(void);
Suite *gemm_suite(void);
Suite *math_suite(void);
Suite *rng_suite(void);
Suite *data_suite(void);
Suite *synth_suite(void);
Suite *picture_suite(void);
Suite *gradient_suite(void);
Suite *ranks_suite(void);
Suite *hosts_suite(void);
Suite *address_suite(void);
Suite *door_suite(void);
Suite *strangers_suite(void);
Suite *dial_suite(void);
Suite *frame_suite(void);
Suite *rendezvous_suite(void);
Suite *torch_suite(void);
Suite *view_suite(void);
Suite *disputes_suite(void);
Suite *ending_suite(void);
Suite *explore_suite(void);

#endif
