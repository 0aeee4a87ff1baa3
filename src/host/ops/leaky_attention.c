/* Attention on the CPU: a task is one head of one row. */
#include "ebb/ops/leaky_attention.h"

#include <math.h>
#include <string.h>

#include "ebb/fault.h"
#include "host/cpu.h"
#include "host/ops/sequence.h"

static EbbStatus check(const char *where, const EbbLeakyAttentionConfig *c, int64_t D) {
  if (c->heads < 1 || D % c->heads != 0)
    return ebb_fail(EBB_INVALID, "%s: %lld heads do not divide %lld channels", where, (long long)c->heads,
                    (long long)D);
  if (!(c->tau != 0 && isfinite(c->tau)))
    return ebb_fail(EBB_INVALID, "%s: tau is %g; it must be finite and not 0", where, c->tau);
  return EBB_OK;
}

static EbbStatus inputs(EbbSetup *setup, EbbLeakyAttentionArgs *a) {
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, 3, true, &a->q));
  EBB_TRY(ebb_setup_input(setup, 1, EBB_F32, 3, true, &a->k));
  EBB_TRY(ebb_setup_input(setup, 2, EBB_F32, 3, true, &a->v));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dq, &a->add_dq));
  EBB_TRY(ebb_setup_input_grad(setup, 1, &a->dk, &a->add_dk));
  EBB_TRY(ebb_setup_input_grad(setup, 2, &a->dv, &a->add_dv));
  const EbbShape shape = ebb_setup_shape(setup, 0);
  EBB_TRY(ebb_setup_require_shape(setup, 1, shape, "k"));
  EBB_TRY(ebb_setup_require_shape(setup, 2, shape, "v"));
  a->B = shape.dim[0], a->T = shape.dim[1], a->D = shape.dim[2];
  return ebb_setup_inputs(setup) > 3 ? ebb_setup_lengths(setup, 3, a->B, &a->lengths) : EBB_OK;
}

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbLeakyAttentionConfig *c = config;
  EbbLeakyAttentionArgs *a = out;
  EBB_TRY(inputs(setup, a));
  EBB_TRY(check(ebb_setup_where(setup), c, a->D));
  const double leak = 1 - 1 / c->tau;
  a->heads = c->heads, a->causal = c->causal, a->published = c->published;
  a->scale = (float)(leak * leak / sqrt((double)a->D));
  const int64_t matrix = a->T * a->T, matrices = a->B * a->heads;
  const int64_t scratch = ebb_setup_backend(setup) == EBB_CUDA ? matrices : ebb_setup_threads(setup);
  EBB_TRY(ebb_setup_saved(setup, (size_t)(matrices * matrix) * sizeof(float), &a->p));
  EBB_TRY(ebb_setup_scratch(setup, ebb_setup_training(setup) ? (size_t)(scratch * matrix) * sizeof(float) : 0,
                            &a->ds));
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, ebb_setup_shape(setup, 0), false, &a->y));
  EBB_TRY(ebb_setup_output(setup, 1, EBB_F32, ebb_shape(a->B, a->heads, a->T, a->T), true, &a->weights));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

/* One head of one row: where its slice of a (B, T, D) tensor and its (T, T) matrices start. */
typedef struct Head {
  int64_t b, slice, matrix, width;
} Head;

static Head head_of(const EbbLeakyAttentionArgs *a, int64_t b, int64_t n) {
  const int64_t width = a->D / a->heads;
  return (Head){b, b * a->T * a->D + n * width, (b * a->heads + n) * a->T * a->T, width};
}

/* ---- forward ---- */

/* Scores become p, and weights. */
static void row_forward(const EbbLeakyAttentionArgs *a, const Head *head, int64_t i) {
  const int64_t keys = ebb_leaky_keys(a, head->b, i);
  float *restrict p = a->p + head->matrix + i * a->T, *restrict w = a->weights + head->matrix + i * a->T;
  float most = p[0];
  double sum = 0, total = 0;
  for (int64_t j = 1; j < keys; j++) most = p[j] > most ? p[j] : most;
  for (int64_t j = 0; j < keys; j++) sum += (double)(p[j] = ebb_expf(p[j] - most));
  const float inverse = (float)(1 / sum);
  for (int64_t j = 0; j < keys; j++) total += (double)(w[j] = ebb_sigmoidf(p[j] *= inverse));
  for (int64_t j = keys; j < a->T; j++) p[j] = 0, w[j] = a->published ? 0.5f : 0;
  if (a->published) return;
  const float share = (float)(1 / total);
  for (int64_t j = 0; j < keys; j++) w[j] *= share;
}

static void head_forward(const EbbLeakyAttentionArgs *a, const Head *head) {
  ebb_cpu_gemm(&(EbbGemm){.transpose_b = true,
                          .m = a->T,
                          .n = a->T,
                          .k = head->width,
                          .alpha = a->scale,
                          .a = a->q + head->slice,
                          .lda = a->D,
                          .b = a->k + head->slice,
                          .ldb = a->D,
                          .c = a->p + head->matrix,
                          .ldc = a->T});
  for (int64_t i = 0; i < a->T; i++) row_forward(a, head, i);
  ebb_cpu_gemm(&(EbbGemm){.m = a->T,
                          .n = head->width,
                          .k = a->T,
                          .alpha = 1,
                          .a = a->weights + head->matrix,
                          .lda = a->T,
                          .b = a->v + head->slice,
                          .ldb = a->D,
                          .c = a->y + head->slice,
                          .ldc = a->D});
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbLeakyAttentionArgs *a = args;
  for (int64_t b = 0; b < a->B && a->lengths; b++)
    if (a->lengths[b] < 1 || a->lengths[b] > a->T)
      return ebb_fault_fail(EBB_FAULT_ATTENTION_LENGTH, (double)b, (double)a->lengths[b], (double)a->T, 0);
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t n = 0; n < a->heads; n++) {
      const Head head = head_of(a, b, n);
      head_forward(a, &head);
    }
  return EBB_OK;
}

/* ---- backward ---- */

/* ds holds dL/dw and becomes dL/d(score). */
static void row_backward(const EbbLeakyAttentionArgs *a, const Head *head, int64_t i, float *restrict ds) {
  const int64_t keys = ebb_leaky_keys(a, head->b, i);
  const float *restrict p = a->p + head->matrix + i * a->T, *restrict w =
                                                                a->weights + head->matrix + i * a->T;
  float mean = 0, share = 1;
  if (!a->published) {
    double total = 0, dot = 0;
    for (int64_t j = 0; j < keys; j++) total += (double)ebb_sigmoidf(p[j]), dot += (double)(ds[j] * w[j]);
    mean = (float)dot, share = (float)(1 / total);
  }
  double dot = 0;
  for (int64_t j = 0; j < keys; j++) {
    ds[j] = ebb_leaky_dp((ds[j] - mean) * share, p[j]);
    dot += (double)(ds[j] * p[j]);
  }
  for (int64_t j = 0; j < keys; j++) ds[j] = p[j] * (ds[j] - (float)dot);
  memset(ds + keys, 0, (size_t)(a->T - keys) * sizeof *ds);
}

/* to = alpha op(left) right, or += where add is set: left (T, T), right and to slices. */
static void spread(const EbbLeakyAttentionArgs *a, const Head *head, float alpha, const float *left,
                   bool transpose, const float *right, bool add, float *to) {
  if (!to) return;
  ebb_cpu_gemm(&(EbbGemm){.transpose_a = transpose,
                          .m = a->T,
                          .n = head->width,
                          .k = a->T,
                          .alpha = alpha,
                          .a = left,
                          .lda = a->T,
                          .b = right + head->slice,
                          .ldb = a->D,
                          .beta = add ? 1.0f : 0.0f,
                          .c = to + head->slice,
                          .ldc = a->D});
}

static void head_backward(const EbbLeakyAttentionArgs *a, const Head *head, float *ds) {
  spread(a, head, 1, a->weights + head->matrix, true, a->dy, a->add_dv, a->dv);
  if (!a->dq && !a->dk) return;
  ebb_cpu_gemm(&(EbbGemm){.transpose_b = true,
                          .m = a->T,
                          .n = a->T,
                          .k = head->width,
                          .alpha = 1,
                          .a = a->dy + head->slice,
                          .lda = a->D,
                          .b = a->v + head->slice,
                          .ldb = a->D,
                          .c = ds,
                          .ldc = a->T});
  for (int64_t i = 0; i < a->T; i++) row_backward(a, head, i, ds + i * a->T);
  spread(a, head, a->scale, ds, false, a->k, a->add_dq, a->dq);
  spread(a, head, a->scale, ds, true, a->q, a->add_dk, a->dk);
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbLeakyAttentionArgs *a = args;
  const int64_t threads = EBB_THREADS(run), heads = a->B * a->heads;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t thread = 0; thread < threads; thread++)
    for (int64_t i = thread; i < heads; i += threads) {
      const Head head = head_of(a, i / a->heads, i % a->heads);
      head_backward(a, &head, a->ds + thread * a->T * a->T);
    }
  return EBB_OK;
}

const EbbOp ebb_leaky_attention_op = {
    .name = "leaky_attention", .args_size = sizeof(EbbLeakyAttentionArgs), .setup = set_up};
const EbbKernels ebb_leaky_attention_cpu = {forward, backward};
