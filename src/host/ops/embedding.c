#include "ebb/ops/embedding.h"

#include <string.h>

#include "ebb/fault.h"
#include "host/cpu.h"
#include "host/rows.h"

enum { BLOCK = 16 }; /* channels and positions that are transposed at once: one cache line each way */

static EbbStatus set_up_parts(EbbSetup *setup, EbbEmbeddingArgs *a) {
  a->splits = ebb_embedding_splits(a->B, a->H, a->L, a->V);
  bool apart = ebb_setup_backend(setup) == EBB_CUDA && ebb_setup_training(setup) && a->splits > 1;
  size_t floats = apart ? (size_t)(a->splits * a->V * a->H) : 0;
  return ebb_setup_scratch(setup, floats * sizeof(float), &a->parts);
}

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbEmbeddingConfig *c = config;
  EbbEmbeddingArgs *a = out;
  if (c->V < 1 || c->H < 1)
    return ebb_fail(EBB_INVALID, "%s: an embedding of %lld tokens in %lld channels; both must be at least 1",
                    ebb_setup_where(setup), (long long)c->V, (long long)c->H);
  EBB_TRY(ebb_setup_input(setup, 0, EBB_I32, 2, true, &a->tokens));
  EbbShape shape = ebb_setup_shape(setup, 0);
  a->B = shape.dim[0], a->L = shape.dim[1], a->H = c->H, a->V = c->V;
  const EbbParamSpec weight = {
      .name = "weight", .shape = ebb_shape(c->V, c->H), .draw = EBB_DRAW_NORMAL, .a = 1};
  EBB_TRY(ebb_setup_param(setup, &weight, &a->weight, &a->dweight));
  a->storage = ebb_setup_activations(setup);
  EBB_TRY(ebb_setup_output(setup, 0, a->storage, ebb_shape(a->B, a->H, a->L), false, &a->y));
  EBB_TRY(ebb_setup_output_grad(setup, 0, &a->dy));
  return set_up_parts(setup, a);
}

static EbbStatus check_tokens(const EbbEmbeddingArgs *a) {
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t l = 0; l < a->L; l++) {
      const int32_t token = a->tokens[b * a->L + l];
      if (token < 0 || token >= a->V)
        return ebb_fault_fail(EBB_FAULT_TOKEN, (double)token, (double)b, (double)l, (double)(a->V - 1));
    }
  return EBB_OK;
}

/* Positions l0 .. l0 + BLOCK - 1 of row b in all channels. */
static void gather(const EbbEmbeddingArgs *a, int64_t b, int64_t l0) {
  int64_t width = ebb_min64(BLOCK, a->L - l0);
  const int32_t *tokens = a->tokens + b * a->L + l0;
  for (int64_t h0 = 0; h0 < a->H; h0 += BLOCK) {
    int64_t height = ebb_min64(BLOCK, a->H - h0);
    float tile[BLOCK][BLOCK];
    for (int64_t l = 0; l < width; l++)
      memcpy(tile[l], a->weight + tokens[l] * a->H + h0, (size_t)height * sizeof(float));
    for (int64_t h = 0; h < height; h++) {
      float *restrict y = a->y + (b * a->H + h0 + h) * a->L + l0;
      for (int64_t l = 0; l < width; l++) y[l] = tile[l][h];
    }
  }
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbEmbeddingArgs *a = args;
  EBB_TRY(check_tokens(a));
  int64_t blocks = (a->L + BLOCK - 1) / BLOCK;
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t block = 0; block < blocks; block++) gather(a, b, block * BLOCK);
  return EBB_OK;
}

/* Adds row b of dy for channels h0 .. h0 + BLOCK - 1. Only this call touches these channels of dweight, so
   that sums have one order whatever the number of threads. */
static void scatter(const EbbEmbeddingArgs *a, int64_t b, int64_t h0) {
  int64_t height = ebb_min64(BLOCK, a->H - h0);
  const int32_t *tokens = a->tokens + b * a->L;
  for (int64_t l0 = 0; l0 < a->L; l0 += BLOCK) {
    int64_t width = ebb_min64(BLOCK, a->L - l0);
    float tile[BLOCK][BLOCK] = {{0}};
    for (int64_t h = 0; h < height; h++) {
      const float *restrict dy = a->dy + (b * a->H + h0 + h) * a->L + l0;
      for (int64_t l = 0; l < width; l++) tile[l][h] = dy[l];
    }
    for (int64_t l = 0; l < width; l++) {
      float *restrict to = a->dweight + tokens[l0 + l] * a->H + h0;
      for (int64_t h = 0; h < height; h++) to[h] += tile[l][h];
    }
  }
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbEmbeddingArgs *a = args;
  if (!a->dweight) return EBB_OK;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t h0 = 0; h0 < a->H; h0 += BLOCK)
    for (int64_t b = 0; b < a->B; b++) scatter(a, b, h0);
  return EBB_OK;
}

const EbbOp ebb_embedding_op = {.name = "embedding", .args_size = sizeof(EbbEmbeddingArgs), .setup = set_up};
const EbbKernels ebb_embedding_cpu = {forward, backward};
