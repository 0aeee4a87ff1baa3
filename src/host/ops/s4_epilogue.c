#include "host/ops/s4_epilogue.h"

#include <string.h>

#include "ebb/ops/dropout.h"

enum { DROP_CHUNK = 256 };

EbbStatus ebb_s4_epilogue_setup(EbbSetup *setup, const EbbS4EpilogueConfig *config, EbbShape output,
                                EbbS4Epilogue *epilogue) {
  *epilogue = (EbbS4Epilogue){.activation = config->activation,
                              .tie = config->tie,
                              .dropout = (float)config->dropout,
                              .node = ebb_setup_node(setup)};
  if (!(config->dropout >= 0 && (float)config->dropout < 1.0f))
    return ebb_fail(EBB_INVALID, "%s: dropout is %g; it must be at least 0 and below 1",
                    ebb_setup_where(setup), config->dropout);
  if ((unsigned)config->activation >= EBB_S4_ACTIVATIONS)
    return ebb_fail(EBB_INVALID, "%s: there is no activation number %d", ebb_setup_where(setup),
                    (int)config->activation);
  if (config->skip) {
    EbbParamSpec spec = {
        .name = "D", .shape = ebb_shape(1, output.dim[1]), .draw = EBB_DRAW_NORMAL, .a = 1.0};
    EBB_TRY(ebb_setup_param(setup, &spec, &epilogue->D, &epilogue->dD));
  }
  if (ebb_setup_training(setup) && config->activation != EBB_S4_IDENTITY)
    EBB_TRY(ebb_setup_saved(setup,
                            ebb_dtype_size(ebb_setup_activations(setup)) * (size_t)ebb_shape_size(&output),
                            (void *)&epilogue->pre));
  return EBB_OK;
}

void ebb_s4_skip(const EbbS4Epilogue *epilogue, const EbbS4Row *row, const float *restrict u,
                 float *restrict x) {
  if (!epilogue->D) return;
  const float d = epilogue->D[row->h];
  for (int64_t t = 0; t < row->valid; t++) x[t] += d * u[t];
}

static bool drops(const EbbS4Epilogue *epilogue, const EbbRun *run) {
  return run->training && epilogue->dropout > 0.0f;
}

/* The factor of a whole row: that of a tied draw, or 1. */
static float row_factor(const EbbS4Epilogue *epilogue, const EbbRun *run, const EbbS4Row *row) {
  if (!drops(epilogue, run) || !epilogue->tie) return 1.0f;
  uint64_t element = (uint64_t)(row->b * row->H + row->h);
  return ebb_dropout_factor(ebb_random(run->seed, run->step, epilogue->node, element), epilogue->dropout);
}

/* y *= the untied draws of the row, a chunk of words at a time because a Philox block gives four. */
static void drop_elements(const EbbS4Epilogue *epilogue, const EbbRun *run, const EbbS4Row *row, float *y) {
  const uint64_t first = (uint64_t)((row->b * row->H + row->h) * row->L), end = first + (uint64_t)row->L;
  for (uint64_t base = first / 4 * 4; base < end; base += DROP_CHUNK) {
    uint32_t words[DROP_CHUNK];
    for (uint64_t block = 0; block < DROP_CHUNK / 4; block++) {
      EbbRandom4 random = ebb_random4(run->seed, run->step, epilogue->node, base / 4 + block);
      for (int lane = 0; lane < 4; lane++) words[4 * block + (uint64_t)lane] = random.word[lane];
    }
    uint64_t from = base < first ? first : base, to = base + DROP_CHUNK < end ? base + DROP_CHUNK : end;
    for (uint64_t e = from; e < to; e++)
      y[e - first] *= ebb_dropout_factor(words[e - base], epilogue->dropout);
  }
}

static float *kept_row(const EbbS4Epilogue *epilogue, const EbbS4Row *row) {
  return epilogue->pre ? epilogue->pre + (row->b * row->H + row->h) * row->L : NULL;
}

void ebb_s4_finish(const EbbS4Epilogue *epilogue, const EbbRun *run, const EbbS4Row *row,
                   const float *restrict x, float *restrict y) {
  const float factor = row_factor(epilogue, run, row);
  float *restrict pre = kept_row(epilogue, row);
  if (pre)
    for (int64_t t = 0; t < row->L; t++) pre[t] = x[t];
  if (epilogue->activation == EBB_S4_GELU)
    for (int64_t t = 0; t < row->L; t++) y[t] = factor * ebb_gelu(x[t]);
  else
    for (int64_t t = 0; t < row->L; t++) y[t] = factor * x[t];
  if (drops(epilogue, run) && !epilogue->tie) drop_elements(epilogue, run, row, y);
}

void ebb_s4_finish_back(const EbbS4Epilogue *epilogue, const EbbRun *run, const EbbS4Row *row,
                        const float *restrict dy, float *restrict g) {
  const float factor = row_factor(epilogue, run, row);
  const float *restrict pre = kept_row(epilogue, row);
  if (pre)
    for (int64_t t = 0; t < row->L; t++) g[t] = factor * dy[t] * ebb_gelu_grad(pre[t]);
  else
    for (int64_t t = 0; t < row->L; t++) g[t] = factor * dy[t];
  if (drops(epilogue, run) && !epilogue->tie) drop_elements(epilogue, run, row, g);
}

double ebb_s4_dot(int64_t n, const float *restrict g, const float *restrict u) {
  double sum = 0;
  for (int64_t block = 0; block < n; block += DROP_CHUNK) {
    int64_t end = block + DROP_CHUNK < n ? block + DROP_CHUNK : n;
    float part = 0;
#pragma omp simd reduction(+ : part)
    for (int64_t t = block; t < end; t++) part += g[t] * u[t];
    sum += (double)part;
  }
  return sum;
}

static void add_rows(int64_t n, const float *restrict x, float factor, const float *restrict extra, bool add,
                     float *restrict du) {
  if (add && extra)
    for (int64_t t = 0; t < n; t++) du[t] += x[t] + factor * extra[t];
  else if (extra)
    for (int64_t t = 0; t < n; t++) du[t] = x[t] + factor * extra[t];
  else if (add)
    for (int64_t t = 0; t < n; t++) du[t] += x[t];
  else
    memcpy(du, x, sizeof(float) * (size_t)n);
}

void ebb_s4_store_grad(const EbbS4Row *row, const float *restrict x, float factor,
                       const float *restrict extra, bool add, float *restrict du) {
  add_rows(row->valid, x, factor, extra, add, du);
  if (!add) memset(du + row->valid, 0, sizeof(float) * (size_t)(row->L - row->valid));
}
