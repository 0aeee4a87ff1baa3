/* Sparse matrices and their spectral radius. */
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/rng.h"
#include "host/reservoir/reservoir_internal.h"

enum { DENSE_UNITS = 256, FIRST_STEPS = 96, MOST_STEPS = 1100 };

static const double settled = 2.5e-4; /* relative change of the radius at which the iteration ends */

EbbStatus sparse_create(int rows, int64_t entries, SparseMatrix *out) {
  *out = (SparseMatrix){.rows = rows,
                        .start = calloc((size_t)rows + 1, sizeof *out->start),
                        .column = malloc((size_t)(entries + 1) * sizeof *out->column),
                        .value = malloc((size_t)(entries + 1) * sizeof *out->value)};
  if (out->start && out->column && out->value) return EBB_OK;
  sparse_free(out);
  return ebb_fail(EBB_MEMORY, "no memory for %lld weights of a reservoir", (long long)entries);
}

void sparse_free(SparseMatrix *matrix) {
  free(matrix->start);
  free(matrix->column);
  free(matrix->value);
  *matrix = (SparseMatrix){0};
}

double sparse_row_times(const SparseMatrix *matrix, int row, const double *x) {
  double sum = 0;
  for (int64_t i = matrix->start[row]; i < matrix->start[row + 1]; i++)
    sum += matrix->value[i] * x[matrix->column[i]];
  return sum;
}

static double largest(const double *re, const double *im, int n) {
  double most = 0;
  for (int i = 0; i < n; i++) most = fmax(most, hypot(re[i], im[i]));
  return most;
}

static EbbStatus dense_eigenvalues(const SparseMatrix *matrix, double *full, double *re, double *im) {
  const int n = matrix->rows;
  double none[1];
  for (int row = 0; row < n; row++)
    for (int64_t i = matrix->start[row]; i < matrix->start[row + 1]; i++)
      full[(int64_t)matrix->column[i] * n + row] = matrix->value[i];
  lapack_int info = LAPACKE_dgeev(LAPACK_COL_MAJOR, 'N', 'N', n, full, n, re, im, none, 1, none, 1);
  if (!info) return EBB_OK;
  return ebb_fail(EBB_NUMERIC,
                  "the spectral radius of a reservoir was not found: dgeev failed with code %lld",
                  (long long)info);
}

static EbbStatus dense_radius(const SparseMatrix *matrix, double *radius) {
  const size_t n = (size_t)matrix->rows;
  double *full = calloc(n * n + 2 * n, sizeof *full);
  if (!full) return ebb_fail(EBB_MEMORY, "no memory for the spectral radius of %d units", matrix->rows);
  double *re = full + n * n, *im = re + n;
  EbbStatus status = dense_eigenvalues(matrix, full, re, im);
  if (status == EBB_OK) *radius = largest(re, im, matrix->rows);
  free(full);
  return status;
}

/* Arnoldi's iteration: basis (steps + 1, H), its rows orthonormal; reduced (steps, steps) by columns of
   MOST_STEPS, an upper Hessenberg matrix whose eigenvalues approach the outer ones of the matrix. */
typedef struct Arnoldi {
  const SparseMatrix *matrix;
  double *basis, *reduced, *copy, *re, *im;
  int steps;
  bool closed; /* the basis spans an invariant space */
} Arnoldi;

static double *basis_row(const Arnoldi *a, int row) { return a->basis + (int64_t)row * a->matrix->rows; }

static double dot(const double *x, const double *y, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += x[i] * y[i];
  return sum;
}

static void scale(double *x, double factor, int n) {
  for (int i = 0; i < n; i++) x[i] *= factor;
}

static void begin(Arnoldi *a) {
  const int n = a->matrix->rows;
  double *x = basis_row(a, 0);
  for (int i = 0; i < n; i++) x[i] = ebb_unit_double(ebb_random(0, 0, 0, (uint64_t)i)) - 0.5;
  scale(x, 1 / sqrt(dot(x, x, n)), n);
}

/* One more row of the basis; orthogonalised twice, which rounding needs. */
static void extend(Arnoldi *a) {
  const int n = a->matrix->rows;
  const double *from = basis_row(a, a->steps);
  double *x = basis_row(a, a->steps + 1), *column = a->reduced + (int64_t)a->steps * MOST_STEPS;
  for (int row = 0; row < n; row++) x[row] = sparse_row_times(a->matrix, row, from);
  const double length = sqrt(dot(x, x, n));
  for (int pass = 0; pass < 2; pass++)
    for (int k = 0; k <= a->steps; k++) {
      const double *y = basis_row(a, k), part = dot(x, y, n);
      for (int i = 0; i < n; i++) x[i] -= part * y[i];
      column[k] += part;
    }
  const double rest = sqrt(dot(x, x, n));
  a->steps++;
  a->closed = rest <= 1e-12 * length || a->steps == n;
  if (a->closed) return;
  if (a->steps < MOST_STEPS) column[a->steps] = rest;
  scale(x, 1 / rest, n);
}

static EbbStatus ritz_radius(const Arnoldi *a, double *radius) {
  const int n = a->steps;
  double none[1];
  for (int k = 0; k < n; k++)
    memcpy(a->copy + (int64_t)k * n, a->reduced + (int64_t)k * MOST_STEPS, (size_t)n * sizeof *a->copy);
  lapack_int info = LAPACKE_dhseqr(LAPACK_COL_MAJOR, 'E', 'N', n, 1, n, a->copy, n, a->re, a->im, none, n);
  if (info)
    return ebb_fail(EBB_NUMERIC,
                    "the spectral radius of a reservoir was not found: dhseqr failed with code %lld",
                    (long long)info);
  *radius = largest(a->re, a->im, n);
  return EBB_OK;
}

static EbbStatus iterate(Arnoldi *a, double *radius) {
  begin(a);
  double before = -1;
  for (int steps = FIRST_STEPS; steps <= MOST_STEPS; steps += steps / 2) {
    while (a->steps < steps && !a->closed) extend(a);
    EBB_TRY(ritz_radius(a, radius));
    if (a->closed || fabs(*radius - before) <= settled * *radius) return EBB_OK;
    before = *radius;
  }
  return ebb_fail(EBB_NUMERIC,
                  "the spectral radius of %d units did not settle within %d steps of Arnoldi's "
                  "iteration; draw with another seed or density",
                  a->matrix->rows, MOST_STEPS);
}

static EbbStatus arnoldi_radius(const SparseMatrix *matrix, double *radius) {
  const size_t n = (size_t)matrix->rows, m = MOST_STEPS;
  Arnoldi a = {.matrix = matrix,
               .basis = malloc((m + 1) * n * sizeof *a.basis),
               .reduced = calloc(m * m, sizeof *a.reduced),
               .copy = malloc((m * m + 2 * m) * sizeof *a.copy)};
  EbbStatus status = EBB_OK;
  if (a.basis && a.reduced && a.copy) {
    a.re = a.copy + m * m, a.im = a.re + m;
    status = iterate(&a, radius);
  } else {
    status = ebb_fail(EBB_MEMORY, "no memory for the spectral radius of %d units", matrix->rows);
  }
  free(a.basis);
  free(a.reduced);
  free(a.copy);
  return status;
}

EbbStatus sparse_radius(const SparseMatrix *matrix, double *radius) {
  *radius = 0;
  if (!matrix->start[matrix->rows]) return EBB_OK;
  return matrix->rows <= DENSE_UNITS ? dense_radius(matrix, radius) : arnoldi_radius(matrix, radius);
}
