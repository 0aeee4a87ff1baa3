#include "ebb/ops/ssm_step.h"

#include <stdlib.h>

#include "ebb/ops/ssm_mode.h"
#include "host/ops/ssm_dplr.h"

/* Rows of a channel are M real, then M imaginary parts; r and q have `rank` of them a channel. */
struct EbbSsmStep {
  EbbSsmStepKind kind;
  int64_t H, M, rank, degree;
  double bound;
  double *a, *b, *r, *q, *c,
      *e; /* (H, 2M), r and q (H, rank, 2M); c and e as rows that multiply a state: 2 Re, -2 Im */
};

int64_t ebb_ssm_step_state(const EbbSsmStep *step) { return step->H * step->degree * 2 * step->M; }

void ebb_ssm_step_destroy(EbbSsmStep *step) {
  if (!step) return;
  free(step->a);
  free(step);
}

static double dot(int64_t n, const double *restrict a, const double *restrict x) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += a[i] * x[i];
  return sum;
}

/* x := x - r s */
static void subtract(int64_t n, const double *restrict r, double s, double *restrict x) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) x[i] -= r[i] * s;
}

/* x := a x - sum_j r_j s_j + b v, s_j = q_j x. */
static void advance(const EbbSsmStep *step, int64_t h, double v, double *restrict x) {
  int64_t M = step->M, row = h * 2 * M, low_rank = row * step->rank;
  const double *restrict a = step->a + row, *restrict b = step->b + row;
  double s[2];
  for (int64_t j = 0; j < step->rank; j++) s[j] = dot(2 * M, step->q + low_rank + j * 2 * M, x);
#pragma omp simd
  for (int64_t m = 0; m < M; m++) {
    double re = a[m] * x[m] - a[M + m] * x[M + m] + b[m] * v;
    double im = a[m] * x[M + m] + a[M + m] * x[m] + b[M + m] * v;
    x[m] = re, x[M + m] = im;
  }
  for (int64_t j = 0; j < step->rank; j++) subtract(2 * M, step->r + low_rank + j * 2 * M, s[j], x);
}

/* x := g x + b u with g = a + b u, where |g| is at most the bound. */
static void advance_scan(const EbbSsmStep *step, int64_t h, double u, double *restrict x) {
  int64_t M = step->M, row = h * 2 * M;
  const double *restrict a = step->a + row, *restrict b = step->b + row;
  for (int64_t m = 0; m < M; m++) {
    double re = a[m] + b[m] * u, im = a[M + m] + b[M + m] * u, size = hypot(re, im);
    double factor = step->bound > 0 && size > step->bound ? step->bound / size : 1;
    double x_re = x[m], x_im = x[M + m];
    x[m] = factor * (re * x_re - im * x_im) + b[m] * u;
    x[M + m] = factor * (re * x_im + im * x_re) + b[M + m] * u;
  }
}

static double run_channel(const EbbSsmStep *step, int64_t h, double u, double *x) {
  int64_t width = 2 * step->M, row = h * width;
  double v = u, y = 0;
  if (step->kind == EBB_STEP_SCAN) {
    advance_scan(step, h, u, x);
    return dot(width, step->c + row, x);
  }
  for (int64_t degree = 0; degree < step->degree; degree++, x += width) {
    double next = u * dot(width, step->e + row, x);
    advance(step, h, v, x);
    y += dot(width, step->c + row, x);
    v = next;
  }
  return y;
}

void ebb_ssm_step_run(const EbbSsmStep *step, const float *u, double *state, float *y) {
  int64_t width = step->degree * 2 * step->M;
  for (int64_t h = 0; h < step->H; h++) y[h] = (float)run_channel(step, h, (double)u[h], state + h * width);
}

static void put(const EbbSsmStep *step, double *rows, int64_t row, int64_t m, EbbC64 z) {
  rows[row * 2 * step->M + m] = z.re;
  rows[row * 2 * step->M + step->M + m] = z.im;
}

/* C and e as they are stored, made into rows over states. */
static void put_outputs(const EbbSsmStep *step, const EbbSsmStepParams *params) {
  for (int64_t h = 0; h < step->H; h++)
    for (int64_t m = 0; m < step->M; m++) {
      int64_t i = 2 * (h * step->M + m);
      put(step, step->c, h, m, ebb_c64_make(2 * (double)params->C[i], -2 * (double)params->C[i + 1]));
      EbbC64 e = {2, 0};
      if (params->e) e = ebb_c64_make(2 * (double)params->e[i], -2 * (double)params->e[i + 1]);
      put(step, step->e, h, m, e);
    }
}

static void make_diagonal(const EbbSsmStep *step, const EbbSsmStepConfig *config,
                          const EbbSsmStepParams *params) {
  const EbbSsmDiagonal diagonal = {.config = config->ssm,
                                   .log_dt = params->log_dt,
                                   .B = params->B,
                                   .inv_w_real = params->inv_w_real,
                                   .w_imag = params->w_imag};
  for (int64_t h = 0; h < step->H; h++)
    for (int64_t m = 0; m < step->M; m++) {
      const EbbSsmMode mode = ebb_ssm_mode(&diagonal, h, m);
      put(step, step->a, h, m, mode.discrete.lambda);
      put(step, step->b, h, m, ebb_ssm_bbar(&mode));
    }
}

static EbbC64 lane_of(EbbC64x8 z, int lane) { return ebb_c64_make(z.re[lane], z.im[lane]); }

static EbbStatus make_low_rank(const EbbSsmStep *step, const EbbSsmNplrArgs *args) {
  int64_t M = step->M;
  EbbC64x8 *memory = aligned_alloc(64, (size_t)(ebb_dplr_vectors(step->rank) * M) * sizeof *memory);
  if (!memory) return ebb_fail(EBB_MEMORY, "no memory for a step of %lld modes", (long long)M);
  EbbDplrLanes lanes = ebb_dplr_place(args, memory);
  for (int64_t h = 0; h < step->H; h++) {
    int lane = (int)(h % EBB_F64X8);
    if (lane == 0) ebb_dplr_lanes(args, h, &lanes);
    for (int64_t m = 0; m < M; m++) {
      put(step, step->a, h, m, lane_of(lanes.a[m], lane));
      put(step, step->b, h, m, lane_of(lanes.x0[m], lane));
      for (int64_t j = 0; j < step->rank; j++) {
        EbbC64 q = lane_of(lanes.q[j * M + m], lane);
        put(step, step->r, h * step->rank + j, m, lane_of(lanes.r[j * M + m], lane));
        put(step, step->q, h * step->rank + j, m, ebb_c64_make(2 * q.re, -2 * q.im));
      }
    }
  }
  free(memory);
  return EBB_OK;
}

/* C~ as stored, made into C. */
static EbbStatus recover_C(const EbbSsmStep *step, const EbbSsmNplrArgs *args, int64_t n,
                           const float *stored) {
  int64_t M = step->M, count = step->H * M;
  EbbC64 *C = malloc((size_t)count * sizeof *C);
  if (!C) return ebb_fail(EBB_MEMORY, "no memory for %lld values of C", (long long)count);
  for (int64_t i = 0; i < count; i++) C[i] = ebb_c64_make((double)stored[2 * i], (double)stored[2 * i + 1]);
  EbbStatus status = ebb_dplr_untransform(args, n, C);
  for (int64_t i = 0; i < count; i++)
    put(step, step->c, i / M, i % M, ebb_c64_make(2 * C[i].re, -2 * C[i].im));
  free(C);
  return status;
}

static EbbStatus check(const EbbSsmStepConfig *config) {
  EBB_TRY(ebb_ssm_check(&config->ssm, config->diagonal, "step by step"));
  if ((unsigned)config->kind >= EBB_STEP_KINDS)
    return ebb_fail(EBB_INVALID, "step by step: kind %d is out of range", (int)config->kind);
  if (config->ssm.channels != 1)
    return ebb_fail(EBB_UNSUPPORTED, "a bidirectional layer looks ahead and cannot run step by step");
  if (config->kind == EBB_STEP_SCAN && !config->diagonal)
    return ebb_fail(EBB_UNSUPPORTED, "the scan recurrence needs a diagonal state matrix: mode diag");
  if (config->kind == EBB_STEP_SERIES && config->degree < 1)
    return ebb_fail(EBB_INVALID, "series step by step: degree must be at least 1, got %lld",
                    (long long)config->degree);
  return EBB_OK;
}

static EbbStatus fill(const EbbSsmStep *step, const EbbSsmStepConfig *config,
                      const EbbSsmStepParams *params) {
  put_outputs(step, params);
  if (config->diagonal) {
    make_diagonal(step, config, params);
    return EBB_OK;
  }
  EbbSsmNplrArgs args = {.config = config->ssm,
                         .M = step->M,
                         .log_dt = params->log_dt,
                         .B = params->B,
                         .P = params->P,
                         .inv_w_real = params->inv_w_real,
                         .w_imag = params->w_imag};
  EBB_TRY(make_low_rank(step, &args));
  int64_t n = (int64_t)nearbyint(params->L / config->ssm.rate);
  return n > 0 ? recover_C(step, &args, n, params->C) : EBB_OK;
}

EbbStatus ebb_ssm_step_create(const EbbSsmStepConfig *config, const EbbSsmStepParams *params,
                              EbbSsmStep **out) {
  *out = NULL;
  EBB_TRY(check(config));
  size_t size = 2 * (size_t)ebb_ssm_modes(&config->ssm) * (size_t)config->ssm.H;
  size_t rank = config->diagonal ? 1 : (size_t)ebb_ssm_rank(&config->ssm);
  EbbSsmStep *step = calloc(1, sizeof *step);
  double *rows = calloc((4 + 2 * rank) * size, sizeof *rows);
  if (!step || !rows) {
    free(step);
    free(rows);
    return ebb_fail(EBB_MEMORY, "no memory for a layer step by step");
  }
  *step = (EbbSsmStep){.kind = config->kind,
                       .H = config->ssm.H,
                       .M = ebb_ssm_modes(&config->ssm),
                       .rank = (int64_t)rank,
                       .degree = config->kind == EBB_STEP_SERIES ? config->degree : 1,
                       .bound = config->bound,
                       .a = rows,
                       .b = rows + size,
                       .c = rows + 2 * size,
                       .e = rows + 3 * size,
                       .r = rows + 4 * size,
                       .q = rows + (4 + rank) * size};
  EbbStatus status = fill(step, config, params);
  if (status != EBB_OK) {
    ebb_ssm_step_destroy(step);
    return status;
  }
  *out = step;
  return EBB_OK;
}
