#include "ebb/ridge.h"

#include <cblas.h>
#include <lapacke.h>
#include <stdlib.h>
#include <string.h>

#include "host/finite.h"

enum { MAX_FEATURES = 32768, MAX_OUTPUTS = 65536, PIECE = 256 };

struct EbbRidge {
  int features, outputs;
  bool bias;
  int columns;   /* features, and one more with a bias */
  int64_t n;     /* samples so far */
  double *RR;    /* (columns, columns): R'R, the upper triangle */
  double *RY;    /* (columns, outputs) */
  double *piece; /* (PIECE, columns): samples with their constant 1 */
};

EbbStatus ebb_ridge_create(int features, int outputs, bool bias, EbbRidge **out) {
  *out = NULL;
  if (features < 1 || features > MAX_FEATURES || outputs < 1 || outputs > MAX_OUTPUTS)
    return ebb_fail(EBB_INVALID, "a readout of %d features and %d outputs; 1 to %d and 1 to %d are possible",
                    features, outputs, MAX_FEATURES, MAX_OUTPUTS);
  EbbRidge *ridge = calloc(1, sizeof *ridge);
  if (ridge) {
    const size_t columns = (size_t)features + bias;
    *ridge = (EbbRidge){.features = features,
                        .outputs = outputs,
                        .bias = bias,
                        .columns = (int)columns,
                        .RR = calloc(columns * columns, sizeof *ridge->RR),
                        .RY = calloc(columns * (size_t)outputs, sizeof *ridge->RY),
                        .piece = malloc(PIECE * columns * sizeof *ridge->piece)};
  }
  if (ridge && ridge->RR && ridge->RY && ridge->piece) {
    *out = ridge;
    return EBB_OK;
  }
  ebb_ridge_destroy(ridge);
  return ebb_fail(EBB_MEMORY, "no memory for a readout of %d features", features);
}

void ebb_ridge_destroy(EbbRidge *ridge) {
  if (!ridge) return;
  free(ridge->RR);
  free(ridge->RY);
  free(ridge->piece);
  free(ridge);
}

static void add_piece(EbbRidge *ridge, int n, const double *R, const double *Y) {
  const int columns = ridge->columns;
  for (int i = 0; i < n; i++) {
    double *row = ridge->piece + (int64_t)i * columns;
    memcpy(row, R + (int64_t)i * ridge->features, (size_t)ridge->features * sizeof *row);
    if (ridge->bias) row[ridge->features] = 1;
  }
  cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, columns, n, 1, ridge->piece, columns, 1, ridge->RR,
              columns);
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, columns, ridge->outputs, n, 1, ridge->piece, columns,
              Y, ridge->outputs, 1, ridge->RY, ridge->outputs);
}

EbbStatus ebb_ridge_add(EbbRidge *ridge, int64_t n, const double *R, const double *Y) {
  EBB_TRY(ebb_check_finite("the readout's features R", R, n * ridge->features));
  EBB_TRY(ebb_check_finite("the readout's targets Y", Y, n * ridge->outputs));
  for (int64_t at = 0; at < n; at += PIECE) {
    const int piece = (int)(n - at < PIECE ? n - at : PIECE);
    add_piece(ridge, piece, R + at * ridge->features, Y + at * ridge->outputs);
  }
  ridge->n += n;
  return EBB_OK;
}

static EbbStatus singular(const EbbRidge *ridge, double lambda) {
  return ebb_fail(
      EBB_NUMERIC,
      "the normal equations of a readout with %d features over %lld samples are singular with lambda "
      "= %g: raise lambda, or give more samples that differ",
      ridge->features, (long long)ridge->n, lambda);
}

static double one_norm(const double *upper, int n) {
  double most = 0;
  for (int i = 0; i < n; i++) {
    double sum = 0;
    for (int j = 0; j < n; j++) sum += fabs(i < j ? upper[(int64_t)i * n + j] : upper[(int64_t)j * n + i]);
    most = fmax(most, sum);
  }
  return most;
}

static EbbStatus factor_and_solve(const EbbRidge *ridge, double lambda, double *A, double *W) {
  const double least_condition = 1e-14; /* reciprocal; beyond it no digit of W would be right */
  const int n = ridge->columns;
  for (int i = 0; i < ridge->features; i++) A[(int64_t)i * n + i] += lambda;
  const double norm = one_norm(A, n);
  double condition = 0;
  if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'U', n, A, n)) return singular(ridge, lambda);
  if (LAPACKE_dpocon(LAPACK_ROW_MAJOR, 'U', n, A, n, norm, &condition) || condition < least_condition)
    return singular(ridge, lambda);
  if (LAPACKE_dpotrs(LAPACK_ROW_MAJOR, 'U', n, ridge->outputs, A, n, W, ridge->outputs))
    return ebb_fail(EBB_NUMERIC, "the readout was not found: dpotrs failed");
  return ebb_check_finite("the readout's weight W", W, (int64_t)n * ridge->outputs);
}

EbbStatus ebb_ridge_solve(const EbbRidge *ridge, double lambda, double *W) {
  if (!(lambda >= 0 && isfinite(lambda)))
    return ebb_fail(EBB_INVALID, "lambda of a ridge regression is %g; it is 0 or more", lambda);
  if (!ridge->n) return ebb_fail(EBB_STATE, "a readout cannot be solved for before samples were added");
  const size_t columns = (size_t)ridge->columns;
  double *A = malloc(columns * columns * sizeof *A);
  if (!A) return ebb_fail(EBB_MEMORY, "no memory to solve for a readout of %d features", ridge->features);
  memcpy(A, ridge->RR, columns * columns * sizeof *A);
  memcpy(W, ridge->RY, columns * (size_t)ridge->outputs * sizeof *W);
  EbbStatus status = factor_and_solve(ridge, lambda, A, W);
  free(A);
  return status;
}

void ebb_ridge_apply(const EbbRidge *ridge, const double *W, int64_t n, const double *R, double *Y) {
  const int outputs = ridge->outputs;
  for (int64_t i = 0; i < n * outputs; i++)
    Y[i] = ridge->bias ? W[(int64_t)ridge->features * outputs + i % outputs] : 0;
  for (int64_t at = 0; at < n; at += PIECE) {
    const int piece = (int)(n - at < PIECE ? n - at : PIECE);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, piece, outputs, ridge->features, 1,
                R + at * ridge->features, ridge->features, W, outputs, 1, Y + at * outputs, outputs);
  }
}
