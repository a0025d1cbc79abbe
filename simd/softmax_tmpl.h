/* Softmax with cross-entropy: the template, vectors across the samples of a group. Included after a vec_*.h;
 * softmax_ref.c is the same with vectors of 1. */
#include "simd/kernels.h"
#include "simd/math_tmpl.h"
#include "simd/tables.h"

enum { FEW_CLASSES = 64, CHAINS = 16 }; /* from 64 classes on the denominator is 16 chains and a tree */

/* Some neighbouring samples of one group: `width` lanes from x[class * stride], the first `count` of them real. */
struct part {
    int classes, stride, width, count;
};

static inline vf logit(struct part s, const float *x, int class)
{
    return vf_load_n(x + (ptrdiff_t)class * s.stride, s.width);
}

static vf greatest(struct part s, const float *x)
{
    vf max = logit(s, x, 0);
    for (int c = 1; c < s.classes; c++) {
        const vf v = logit(s, x, c);
        max = vf_select(vf_gt(v, max), v, max);
    }
    return max;
}

/* The sum over classes of exp(x - max): one chain below 64 classes; else chain c % 16 for class c, and the tree. */
static vf denominator(struct part s, const float *x, vf max)
{
    const int chains = s.classes < FEW_CLASSES ? 1 : CHAINS;
    vf sum[CHAINS];

    for (int i = 0; i < chains; i++) sum[i] = vf_zero();
    for (int c = 0; c < s.classes; c++)
        sum[c % chains] = vf_add(sum[c % chains], math_exp(vf_sub(logit(s, x, c), max)));
    for (int half = chains / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) sum[i] = vf_add(sum[i], sum[i + half]);
    return sum[0];
}

/* label, loss: those of the part's samples. p, dx may be NULL. */
static void softmax_part(struct part s, const float *x, const uint8_t *label, float *p, float *dx, float *loss)
{
    float target[VL], present[VL]; /* lanes without a sample: no class is the right one, the gradient is nothing */
    for (int l = 0; l < VL; l++) {
        target[l] = l < s.count ? (float)label[l] : -1.0f;
        present[l] = l < s.count ? 1.0f : 0.0f;
    }
    const vf targets = vf_load(target);
    const vm absent = vf_eq(vf_load(present), vf_zero());

    const vf max = greatest(s, x), sum = denominator(s, x, max);
    vf hit = vf_zero(); /* x[label] - max */
    for (int c = 0; c < s.classes; c++) {
        const vf shifted = vf_sub(logit(s, x, c), max);
        const vm right = vf_eq(targets, vf_set1((float)c));
        hit = vf_select(right, shifted, hit);

        const vf prob = vf_div(math_exp(shifted), sum);
        const vf grad = vf_sub(prob, vf_select(right, vf_set1(1.0f), vf_zero()));
        if (p) vf_store_n(p + (ptrdiff_t)c * s.stride, prob, s.width);
        if (dx) vf_store_n(dx + (ptrdiff_t)c * s.stride, vf_select(absent, vf_zero(), grad), s.width);
    }
    vf_store_n(loss, vf_sub(math_log(sum), hit), s.count);
}

void ISA(cr_softmax)(int classes, struct cr_samples s, const float *x, const uint8_t *label, float *p, float *dx,
                     float *loss)
{
    const int width = s.lanes < VL ? s.lanes : VL;

    for (int first = 0; first < cr_groups(s) * s.lanes; first += width) {
        const ptrdiff_t at = (ptrdiff_t)(first / s.lanes) * classes * s.lanes + first % s.lanes;
        const int left = s.n > first ? s.n - first : 0;
        const int count = left < width ? left : width, read = left ? first : 0;
        softmax_part((struct part){ classes, s.lanes, width, count }, x + at, label + read, p ? p + at : NULL,
                     dx ? dx + at : NULL, loss + read);
    }
}
