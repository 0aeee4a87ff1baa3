#include "ebb/hippo.h"

#include <complex.h>
#include <lapacke.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* Skew part of A + P P^T for i > j (its negative holds for i < j), its constant diagonal, b and the columns
 * of P. */
typedef struct Hippo {
  double (*below)(int64_t i, int64_t j);
  double diagonal;
  double (*b)(int64_t i);
  double (*p[2])(int64_t i);
} Hippo;

static double legs_below(int64_t i, int64_t j) {
  return -0.5 * sqrt((2.0 * (double)i + 1) * (2.0 * (double)j + 1));
}
static double legs_b(int64_t i) { return sqrt(2.0 * (double)i + 1); }
static double legs_p(int64_t i) { return sqrt((double)i + 0.5); }

static double legt_below(int64_t i, int64_t j) { return (i - j) % 2 ? legs_below(i, j) : 0; }
static double legt_b(int64_t i) { return 0.5 * legs_b(i); }
static double legt_odd(int64_t i) { return i % 2 ? legs_p(i) : 0; }
static double legt_even(int64_t i) { return i % 2 ? 0 : legs_p(i); }

static double lagt_below(int64_t i, int64_t j) {
  (void)i, (void)j;
  return -0.5;
}
static double lagt_b(int64_t i) {
  (void)i;
  return 1;
}
static double lagt_p(int64_t i) {
  (void)i;
  return sqrt(0.5);
}

static const Hippo legs = {legs_below, -0.5, legs_b, {legs_p, NULL}};
static const Hippo legt = {legt_below, 0, legt_b, {legt_odd, legt_even}};
static const Hippo lagt = {lagt_below, 0, lagt_b, {lagt_p, NULL}};

/* Columns P[0] and P[1] of the correction are NULL where nobody wants them. P[1] comes in as 0. */

/* The first component above rounding noise becomes real and positive. */
static double complex gauge(const double complex *column, int64_t N) {
  for (int64_t i = 0; i < N; i++)
    if (cabs(column[i]) > 1e-9) return conj(column[i]) / cabs(column[i]);
  return 1;
}

/* V* x for one column V, with the phase of the gauge. */
static EbbC64 project(const double complex *column, int64_t N, double (*x)(int64_t)) {
  double complex sum = 0, phase = gauge(column, N);
  for (int64_t i = 0; i < N; i++) sum += conj(column[i] * phase) * x(i);
  return ebb_c64_make(creal(sum), cimag(sum));
}

static EbbStatus diagonalise(const Hippo *hippo, int64_t N, double complex *matrix, double *values, EbbC64 *w,
                             EbbC64 *B, EbbC64 *const *P) {
  for (int64_t i = 0; i < N; i++) /* row i of the Hermitian -i S; its lower triangle is enough */
    for (int64_t j = 0; j < N; j++) matrix[j * N + i] = i > j ? -I * hippo->below(i, j) : 0;
  lapack_int info = LAPACKE_zheevd(LAPACK_COL_MAJOR, 'V', 'L', (lapack_int)N, matrix, (lapack_int)N, values);
  if (info)
    return ebb_fail(EBB_NUMERIC, "HiPPO spectrum with d_state %lld: zheevd failed with code %lld",
                    (long long)N, (long long)info);
  for (int64_t m = 0; m < N / 2; m++) {
    const double complex *column = matrix + m * N;
    w[m] = ebb_c64_make(hippo->diagonal, values[m]);
    B[m] = project(column, N, hippo->b);
    for (int i = 0; i < 2; i++)
      if (P[i] && hippo->p[i]) P[i][m] = project(column, N, hippo->p[i]);
  }
  return EBB_OK;
}

static EbbStatus normal_plus_low_rank(const Hippo *hippo, int64_t N, EbbC64 *w, EbbC64 *B, EbbC64 *const *P) {
  double complex *matrix = malloc((size_t)N * (size_t)N * sizeof *matrix);
  double *values = malloc((size_t)N * sizeof *values);
  EbbStatus status = matrix && values
                         ? diagonalise(hippo, N, matrix, values, w, B, P)
                         : ebb_fail(EBB_MEMORY, "HiPPO spectrum: no memory for a %lld x %lld matrix",
                                    (long long)N, (long long)N);
  free(matrix);
  free(values);
  return status;
}

static EbbStatus make_legs(int64_t N, EbbC64 *w, EbbC64 *B, EbbC64 *const *P) {
  return normal_plus_low_rank(&legs, N, w, B, P);
}

static EbbStatus make_lagt(int64_t N, EbbC64 *w, EbbC64 *B, EbbC64 *const *P) {
  return normal_plus_low_rank(&lagt, N, w, B, P);
}

static EbbStatus make_legt(int64_t N, EbbC64 *w, EbbC64 *B, EbbC64 *const *P) {
  return normal_plus_low_rank(&legt, N, w, B, P);
}

/* The blocks pi [[0, -k], [k, 0]] have the eigenvectors (1, i) / sqrt 2 at -i pi k; k = 0 stands for the one
   double zero eigenvalue, whose eigenvectors are otherwise not determined. */
static EbbStatus make_fourier(int64_t N, EbbC64 *w, EbbC64 *B, EbbC64 *const *P) {
  if (N % 2) return ebb_fail(EBB_INVALID, "measure fourier needs an even d_state, got %lld", (long long)N);
  for (int64_t m = 0; m < N / 2; m++) {
    int64_t k = N / 2 - 1 - m;
    w[m] = ebb_c64_make(0, -PI * (double)k);
    B[m] = ebb_c64_make(k ? 1 : sqrt(0.5), 0);
    if (P[0]) P[0][m] = B[m];
  }
  return EBB_OK;
}

static EbbStatus make_diagonal(int64_t N, EbbC64 *w, EbbC64 *B, EbbC64 *const *P,
                               double (*im)(double, double)) {
  for (int64_t m = 0; m < N / 2; m++) {
    w[m] = ebb_c64_make(-0.5, im((double)m, (double)N));
    B[m] = ebb_c64_make(1, 0);
    if (P[0]) P[0][m] = ebb_c64_make(0, 0);
  }
  return EBB_OK;
}

static double linear_im(double m, double N) {
  (void)N;
  return PI * m;
}
static double inverse_im(double m, double N) { return N / PI * (N / (2 * m + 1) - 1); }

static EbbStatus make_diag_lin(int64_t N, EbbC64 *w, EbbC64 *B, EbbC64 *const *P) {
  return make_diagonal(N, w, B, P, linear_im);
}
static EbbStatus make_diag_inv(int64_t N, EbbC64 *w, EbbC64 *B, EbbC64 *const *P) {
  return make_diagonal(N, w, B, P, inverse_im);
}
static EbbStatus make_diag_legs(int64_t N, EbbC64 *w, EbbC64 *B, EbbC64 *const *P) {
  EbbC64 *const none[2] = {NULL, NULL};
  EBB_TRY(make_legs(N, w, B, none));
  for (int64_t m = 0; m < N / 2; m++) {
    B[m] = ebb_c64_make(1, 0);
    if (P[0]) P[0][m] = ebb_c64_make(0, 0);
  }
  return EBB_OK;
}

typedef EbbStatus (*Maker)(int64_t N, EbbC64 *w, EbbC64 *B, EbbC64 *const *P);

static const struct {
  const char *name;
  Maker part[2]; /* second: of the latter half of the copies, where it differs */
} measures[EBB_SSM_MEASURES] = {
    [EBB_SSM_LEGS] = {"legs", {make_legs, NULL}},
    [EBB_SSM_LEGT] = {"legt", {make_legt, NULL}},
    [EBB_SSM_LAGT] = {"lagt", {make_lagt, NULL}},
    [EBB_SSM_FOURIER] = {"fourier", {make_fourier, NULL}},
    [EBB_SSM_HIPPO] = {"hippo", {make_legs, make_fourier}},
    [EBB_SSM_DIAG_LIN] = {"diag-lin", {make_diag_lin, NULL}},
    [EBB_SSM_DIAG_INV] = {"diag-inv", {make_diag_inv, NULL}},
    [EBB_SSM_DIAG_LEGS] = {"diag-legs", {make_diag_legs, NULL}},
    [EBB_SSM_DIAG] = {"diag", {make_diag_inv, make_diag_lin}},
};

const char *ebb_hippo_name(EbbSsmMeasure measure) { return measures[measure].name; }

int64_t ebb_hippo_rank(EbbSsmMeasure measure) { return measure == EBB_SSM_LEGT ? 2 : 1; }

/* All copies of one part are the same. */
static EbbStatus fill(Maker maker, int64_t N, int64_t copies, EbbC64 *w, EbbC64 *B, EbbC64 *const *P) {
  int64_t M = N / 2;
  size_t bytes = (size_t)M * sizeof *w;
  if (P[1]) memset(P[1], 0, bytes);
  EBB_TRY(maker(N, w, B, P));
  for (int64_t c = 1; c < copies; c++) {
    memcpy(w + c * M, w, bytes);
    memcpy(B + c * M, B, bytes);
    for (int i = 0; i < 2; i++)
      if (P[i]) memcpy(P[i] + c * M, P[i], bytes);
  }
  return EBB_OK;
}

EbbStatus ebb_hippo_spectrum(EbbSsmMeasure measure, int64_t N, int64_t copies, int64_t rank, EbbC64 *w,
                             EbbC64 *B, EbbC64 *P) {
  if (N < 2) return ebb_fail(EBB_INVALID, "d_state must be at least 2, got %lld", (long long)N);
  if (P && (rank < ebb_hippo_rank(measure) || rank > 2))
    return ebb_fail(EBB_INVALID, "measure %s needs rank %lld to 2, got %lld", ebb_hippo_name(measure),
                    (long long)ebb_hippo_rank(measure), (long long)rank);
  int64_t half = copies / 2, M = N / 2;
  EbbC64 *const columns[2] = {P, P && rank == 2 ? P + copies * M : NULL};
  const Maker *part = measures[measure].part;
  if (!part[1]) return fill(part[0], N, copies, w, B, columns);
  if (copies % 2)
    return ebb_fail(EBB_INVALID, "measure %s mixes two spectra: n_ssm must be even, got %lld",
                    ebb_hippo_name(measure), (long long)copies);
  int64_t offset = half * M;
  EbbC64 *const latter[2] = {columns[0] ? columns[0] + offset : NULL,
                             columns[1] ? columns[1] + offset : NULL};
  EBB_TRY(fill(part[0], N, half, w, B, columns));
  return fill(part[1], N, half, w + offset, B + offset, latter);
}
