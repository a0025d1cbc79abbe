#include "apps/agreement.h"

#include <stdio.h>
#include <string.h>

#include "simd/answer.h"
#include "simd/kernels.h"
#include "version.h"

int cr_agreement_fill(struct cr_agreement *a, struct cr_error *e)
{
    uint64_t answer;
    memset(a, 0, sizeof *a);
    CR_TRY(cr_kernels_answer(cr_kernels(), &answer, e));
    a->numerics = CR_NUMERICS;
    for (int i = 0; i < 8; i++) a->answer[i] = (uint8_t)(answer >> 8 * i);
    snprintf(a->build, sizeof a->build, "%s", CR_VERSION);
    return 0;
}
