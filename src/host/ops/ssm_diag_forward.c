#include <omp.h>
#include <string.h>

#include "host/cpu.h"
#include "host/ops/ssm_diag.h"
#include "host/parts.h"

/* Lays the parts out from `base` on; returns the bytes they take. */
static size_t place(const EbbSsmDiagArgs *args, char *base, EbbDiagScratch *scratch) {
  size_t M = (size_t)args->M, I = (size_t)args->blocks, J = (size_t)args->width, R = (size_t)args->R;
  const EbbPart parts[] = {
      {&scratch->mode, M * sizeof(EbbSsmMode)},        {&scratch->fine, 2 * M * J * sizeof(double)},
      {&scratch->coarse, 2 * M * I * sizeof(double)},  {&scratch->table, 4 * M * J * sizeof(float)},
      {&scratch->left, R * I * 4 * M * sizeof(float)}, {&scratch->rows, R * I * J * sizeof(float)}};
  return ebb_place_parts(base, parts, sizeof parts / sizeof *parts);
}

size_t ebb_diag_scratch_bytes(const EbbSsmDiagArgs *args) {
  EbbDiagScratch unused;
  return place(args, NULL, &unused);
}

EbbDiagScratch ebb_diag_scratch(const EbbSsmDiagArgs *args, int thread) {
  EbbDiagScratch scratch;
  place(args, args->scratch + (size_t)thread * args->scratch_row, &scratch);
  return scratch;
}

/* out = a b for rows of M real and M imaginary parts. */
static void multiply_rows(int64_t M, const double *restrict a, const double *restrict b,
                          double *restrict out) {
#pragma omp simd
  for (int64_t m = 0; m < M; m++) {
    out[m] = a[m] * b[m] - a[M + m] * b[M + m];
    out[M + m] = a[m] * b[M + m] + a[M + m] * b[m];
  }
}

static void table_row(int64_t M, const double *restrict power, double j, float *restrict table) {
#pragma omp simd
  for (int64_t i = 0; i < 2 * M; i++) {
    table[i] = (float)power[i];
    table[2 * M + i] = (float)(j * power[i]);
  }
}

void ebb_diag_powers(const EbbSsmDiagArgs *args, int64_t h, const EbbDiagScratch *scratch) {
  int64_t M = args->M, I = args->blocks, J = args->width;
  double *fine = scratch->fine, *coarse = scratch->coarse;
  for (int64_t m = 0; m < M; m++) {
    scratch->mode[m] = ebb_ssm_mode(&args->diagonal, h, m);
    fine[m] = coarse[m] = 1;
    fine[M + m] = coarse[M + m] = 0;
    fine[2 * M + m] = scratch->mode[m].discrete.lambda.re;
    fine[3 * M + m] = scratch->mode[m].discrete.lambda.im;
  }
  for (int64_t j = 2; j < J; j++) multiply_rows(M, fine + (j - 1) * 2 * M, fine + 2 * M, fine + j * 2 * M);
  if (I > 1) multiply_rows(M, fine + (J - 1) * 2 * M, fine + 2 * M, coarse + 2 * M);
  for (int64_t i = 2; i < I; i++)
    multiply_rows(M, coarse + (i - 1) * 2 * M, coarse + 2 * M, coarse + i * 2 * M);
  for (int64_t j = 0; j < J; j++) table_row(M, fine + j * 2 * M, (double)j, scratch->table + j * 4 * M);
}

/* Rows 2 Re(E lambda^(i width)), -2 Im(E lambda^(i width)), with E = C bbar. */
static void weigh(const EbbSsmDiagArgs *args, int64_t h, const EbbDiagScratch *scratch) {
  int64_t M = args->M, I = args->blocks;
  for (int64_t r = 0; r < args->R; r++)
    for (int64_t m = 0; m < M; m++) {
      EbbC64 E = ebb_c64_mul(ebb_ssm_diag_output(args, r, h, m), ebb_ssm_bbar(&scratch->mode[m]));
      E = ebb_c64_scale(E, 2);
      float *left = scratch->left + r * I * 2 * M + m;
      const double *power = scratch->coarse + m;
      for (int64_t i = 0; i < I; i++) {
        left[i * 2 * M] = (float)(E.re * power[i * 2 * M] - E.im * power[i * 2 * M + M]);
        left[i * 2 * M + M] = (float)-(E.re * power[i * 2 * M + M] + E.im * power[i * 2 * M]);
      }
    }
}

static void forward_channel(const EbbSsmDiagArgs *args, int64_t h, const EbbDiagScratch *scratch) {
  int64_t M = args->M, I = args->blocks, J = args->width, H = args->diagonal.config.H;
  ebb_diag_powers(args, h, scratch);
  weigh(args, h, scratch);
  ebb_cpu_gemm(&(EbbGemm){.transpose_b = true,
                          .m = args->R * I,
                          .n = J,
                          .k = 2 * M,
                          .alpha = 1,
                          .a = scratch->left,
                          .lda = 2 * M,
                          .b = scratch->table,
                          .ldb = 4 * M,
                          .c = scratch->rows,
                          .ldc = J});
  for (int64_t r = 0; r < args->R; r++) {
    float *to =
        r < args->diagonal.config.channels ? args->k + (r * H + h) * args->Lk : args->ke + h * args->Lk;
    memcpy(to, scratch->rows + r * I * J, (size_t)args->Lk * sizeof *to);
  }
}

EbbStatus ebb_diag_forward(const void *args_, const EbbRun *run) {
  const EbbSsmDiagArgs *args = args_;
#pragma omp parallel num_threads(EBB_THREADS(run))
  {
    EbbDiagScratch scratch = ebb_diag_scratch(args, omp_get_thread_num());
#pragma omp for schedule(static)
    for (int64_t h = 0; h < args->diagonal.config.H; h++) forward_channel(args, h, &scratch);
  }
  return EBB_OK;
}
