#include <omp.h>
#include <string.h>

#include "host/cpu.h"
#include "host/ops/ssm_diag.h"

/* Gradients of channel h's rows, zero beyond Lk and where nobody gave one. */
static void load_rows(const EbbSsmDiagArgs *args, int64_t h, float *rows) {
  int64_t row = args->blocks * args->width, channels = args->config.channels;
  for (int64_t r = 0; r < args->R; r++) {
    const float *all = r < channels ? args->dk : args->dke;
    const float *from = !all ? NULL : all + (r < channels ? r * args->config.H + h : h) * args->Lk;
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

/* k = 2 Re sum E lambda^l with E = B C f: the chain from one row's sums. */
static void row_grad(const EbbSsmDiagArgs *args, int64_t r, int64_t h, int64_t m, PowerSums sums, EbbC64 B,
                     EbbC64 f, EbbC64 *dB, EbbC64 *df, EbbC64 *dlog) {
  EbbC64 C = ebb_diag_output(args, r, h, m), BC = ebb_c64_mul(B, C);
  EbbC64 dE = ebb_c64_scale(ebb_c64_conj(sums.plain), 2);
  EbbC64 weighted = ebb_c64_scale(ebb_c64_conj(sums.weighted), 2);
  *dB = ebb_c64_add(*dB, ebb_c64_mul_conj(dE, ebb_c64_mul(C, f)));
  *df = ebb_c64_add(*df, ebb_c64_mul_conj(dE, BC));
  *dlog = ebb_c64_add(*dlog, ebb_c64_mul_conj(weighted, ebb_c64_mul(BC, f)));
  bool readout = r == args->config.channels;
  float *to = readout ? args->de : args->dC;
  if (!to) return;
  EbbC64 dC = ebb_c64_mul_conj(dE, ebb_c64_mul(B, f));
  int64_t at = 2 * ((readout ? h : r * args->config.H + h) * args->M + m);
  to[at] += (float)dC.re;
  to[at + 1] += (float)dC.im;
}

static void channel_grad(const EbbSsmDiagArgs *args, int64_t h, const EbbDiagScratch *scratch) {
  double dt = exp((double)args->log_dt[h]) * args->config.rate, ddt = 0;
  for (int64_t m = 0; m < args->M; m++) {
    const EbbSsmDiscrete *discrete = &scratch->discrete[m];
    EbbC64 dB = {0, 0}, df = {0, 0}, dlog = {0, 0}, f = ebb_c64_scale(discrete->phi, dt);
    for (int64_t r = 0; r < args->R; r++)
      row_grad(args, r, h, m, power_sums(args, scratch, r, m), scratch->B[m], f, &dB, &df, &dlog);
    EbbC64 dx = ebb_c64_add(ebb_c64_scale(ebb_c64_mul_conj(df, discrete->dphi), dt),
                            ebb_c64_mul_conj(dlog, discrete->dlog));
    ddt += ebb_c64_mul_conj(df, discrete->phi).re + ebb_c64_mul_conj(dx, scratch->w[m]).re;
    double *shared = args->shared + (h * args->M + m) * 4;
    shared[0] = dt * dx.re, shared[1] = dt * dx.im;
    shared[2] = dB.re, shared[3] = dB.im;
  }
  if (args->dlog_dt) args->dlog_dt[h] += (float)(dt * ddt);
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
  int64_t copies = ebb_ssm_copies(&args->config), i = s * args->M + m;
  double sum[4] = {0, 0, 0, 0};
  for (int64_t h = s; h < args->config.H; h += copies)
    for (int part = 0; part < 4; part++) sum[part] += args->shared[(h * args->M + m) * 4 + part];
  if (args->dinv_w_real)
    args->dinv_w_real[i] +=
        (float)(sum[0] * ebb_ssm_real_grad(args->config.real_type, (double)args->inv_w_real[i]));
  if (args->dw_imag) args->dw_imag[i] += (float)sum[1];
  if (!args->dB) return;
  args->dB[2 * i] += (float)sum[2];
  args->dB[2 * i + 1] += (float)sum[3];
}

EbbStatus ebb_diag_backward(const void *args_, const EbbRun *run) {
  const EbbSsmDiagArgs *args = args_;
  int64_t copies = ebb_ssm_copies(&args->config);
#pragma omp parallel num_threads(EBB_THREADS(run))
  {
    EbbDiagScratch scratch = ebb_diag_scratch(args, omp_get_thread_num());
#pragma omp for schedule(static)
    for (int64_t h = 0; h < args->config.H; h++) backward_channel(args, h, &scratch);
#pragma omp for schedule(static)
    for (int64_t s = 0; s < copies; s++)
      for (int64_t m = 0; m < args->M; m++) reduce_mode(args, s, m);
  }
  return EBB_OK;
}
