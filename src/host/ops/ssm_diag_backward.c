#include <omp.h>
#include <string.h>

#include "host/cpu.h"
#include "host/ops/ssm_diag.h"

/* Gradients of channel h's rows, zero beyond Lk and where nobody gave one. */
static void load_rows(const EbbSsmDiagArgs *args, int64_t h, float *rows) {
  int64_t row = args->blocks * args->width, channels = args->diagonal.config.channels;
  for (int64_t r = 0; r < args->R; r++) {
    const float *all = r < channels ? args->dk : args->dke;
    const float *from = !all ? NULL : all + (r < channels ? r * args->diagonal.config.H + h : h) * args->Lk;
    size_t given = from ? (size_t)args->Lk : 0;
    if (from) memcpy(rows + r * row, from, given * sizeof *rows);
    memset(rows + r * row + given, 0, ((size_t)row - given) * sizeof *rows);
  }
}

/* For row r and mode m, with g the gradient: sum_l g_l lambda^l and sum_l l g_l lambda^l. */
typedef struct PowerSums {
  EbbC64 plain, weighted;
} PowerSums;

static PowerSums power_sums(const EbbSsmDiagArgs *args, const EbbDiagScratch *scratch, int64_t r, int64_t m) {
  int64_t M = args->M;
  PowerSums sums = {{0, 0}, {0, 0}};
  for (int64_t i = 0; i < args->blocks; i++) {
    const float *left = scratch->left + (r * args->blocks + i) * 4 * M + m;
    const double *power = scratch->coarse + i * 2 * M + m;
    EbbC64 U = ebb_c64_make((double)left[0], (double)left[M]);
    EbbC64 W = ebb_c64_make((double)left[2 * M], (double)left[3 * M]);
    EbbC64 coarse = ebb_c64_make(power[0], power[M]);
    sums.plain = ebb_c64_add(sums.plain, ebb_c64_mul(coarse, U));
    W = ebb_c64_add(W, ebb_c64_scale(U, (double)(i * args->width)));
    sums.weighted = ebb_c64_add(sums.weighted, ebb_c64_mul(coarse, W));
  }
  return sums;
}

static void channel_grad(const EbbSsmDiagArgs *args, int64_t h, const EbbDiagScratch *scratch) {
  double dlog_dt = 0;
  for (int64_t m = 0; m < args->M; m++) {
    const EbbSsmMode *mode = &scratch->mode[m];
    EbbC64 dbbar = {0, 0}, dlog = {0, 0}, bbar = ebb_ssm_bbar(mode);
    for (int64_t r = 0; r < args->R; r++) {
      const PowerSums sums = power_sums(args, scratch, r, m);
      ebb_ssm_diag_row_grad(sums.plain, sums.weighted, ebb_ssm_diag_output(args, r, h, m), bbar,
                            ebb_ssm_diag_output_grad(args, r, h, m), &dbbar, &dlog);
    }
    const EbbSsmModeGrad grad = ebb_ssm_mode_grad(mode, dlog, dbbar);
    double *shared = args->shared + (h * args->M + m) * 4;
    shared[0] = grad.w.re, shared[1] = grad.w.im, shared[2] = grad.B.re, shared[3] = grad.B.im;
    dlog_dt += grad.log_dt;
  }
  if (args->diagonal.dlog_dt) args->diagonal.dlog_dt[h] += (float)dlog_dt;
}

static void backward_channel(const EbbSsmDiagArgs *args, int64_t h, const EbbDiagScratch *scratch) {
  int64_t M = args->M;
  ebb_diag_powers(args, h, scratch);
  load_rows(args, h, scratch->rows);
  ebb_cpu_gemm(&(EbbGemm){.m = args->R * args->blocks,
                          .n = 4 * M,
                          .k = args->width,
                          .alpha = 1,
                          .a = scratch->rows,
                          .lda = args->width,
                          .b = scratch->table,
                          .ldb = 4 * M,
                          .c = scratch->left,
                          .ldc = 4 * M});
  channel_grad(args, h, scratch);
}

/* Sums mode m of copy s over the channels that use it, in their order. */
static void reduce_mode(const EbbSsmDiagArgs *args, int64_t s, int64_t m) {
  int64_t copies = ebb_ssm_copies(&args->diagonal.config), i = s * args->M + m;
  double sum[4] = {0, 0, 0, 0};
  for (int64_t h = s; h < args->diagonal.config.H; h += copies)
    for (int part = 0; part < 4; part++) sum[part] += args->shared[(h * args->M + m) * 4 + part];
  ebb_ssm_diagonal_add(&args->diagonal, i, sum);
}

EbbStatus ebb_diag_backward(const void *args_, const EbbRun *run) {
  const EbbSsmDiagArgs *args = args_;
  int64_t copies = ebb_ssm_copies(&args->diagonal.config);
#pragma omp parallel num_threads(EBB_THREADS(run))
  {
    EbbDiagScratch scratch = ebb_diag_scratch(args, omp_get_thread_num());
#pragma omp for schedule(static)
    for (int64_t h = 0; h < args->diagonal.config.H; h++) backward_channel(args, h, &scratch);
#pragma omp for schedule(static)
    for (int64_t s = 0; s < copies; s++)
      for (int64_t m = 0; m < args->M; m++) reduce_mode(args, s, m);
  }
  return EBB_OK;
}
