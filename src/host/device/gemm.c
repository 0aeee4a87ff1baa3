/* Matrix products of one thread. With AVX-512 they are ebb's own: packaged BLAS libraries choose their
   kernels from a list of processors and fall back to AVX2, at about half the speed, on one that is newer than
   the list. A block of C of 8 x 32 stays in registers; B travels in packed panels of 32 columns that stay in
   first-level cache while all rows of A pass; rows of A are read where they lie. The order of a sum depends
   on the shape only. Without AVX-512 the BLAS library does the work. */
#include "host/cpu.h"

#ifdef __AVX512F__

#include <string.h>

#include "ebb/scalar.h"

enum { LANES = 16, ROWS = 8, COLUMNS = 32, MOST_K = 256, MOST_M = 256, TURNED = MOST_K + LANES };

typedef float Vec __attribute__((vector_size(64), may_alias, aligned(4)));

/* Packed copies: a panel of B (k, COLUMNS), and the block of a transposed A as rows (m, k), their
   starts spread over the cache's sets. */
static _Thread_local _Alignas(64) float panel[MOST_K * COLUMNS];
static _Thread_local _Alignas(64) float turned[MOST_M * TURNED];

/* to[j][i] = from[i][j] of 16 x 16 numbers: four perfect shuffles of the rows. */
EBB_INLINE void transpose_square(const float *from, int64_t ld_from, float *to, int64_t ld_to) {
  Vec x[LANES];
  for (int i = 0; i < LANES; i++) x[i] = *(const Vec *)(const void *)(from + i * ld_from);
#pragma GCC unroll 4
  for (int stage = 0; stage < 4; stage++) {
    Vec y[LANES];
#pragma GCC unroll 8
    for (int i = 0; i < LANES / 2; i++) {
      const Vec a = x[i], b = x[i + LANES / 2];
      y[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      y[2 * i + 1] =
          __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) x[i] = y[i];
  }
  for (int i = 0; i < LANES; i++) *(Vec *)(void *)(to + i * ld_to) = x[i];
}

/* to (columns, rows) = from (rows, columns) transposed. */
static void transpose(const float *from, int64_t ld_from, int64_t rows, int64_t columns, float *to,
                      int64_t ld_to) {
  const int64_t whole_rows = rows / LANES * LANES, whole_columns = columns / LANES * LANES;
  for (int64_t i = 0; i < whole_rows; i += LANES)
    for (int64_t j = 0; j < whole_columns; j += LANES)
      transpose_square(from + i * ld_from + j, ld_from, to + j * ld_to + i, ld_to);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = i < whole_rows ? whole_columns : 0; j < columns; j++)
      to[j * ld_to + i] = from[i * ld_from + j];
}

/* Rows k0 .. k0 + k - 1 and columns j0 .. j0 + n - 1 of op(B), filled up with zeros. */
static void pack_panel(const EbbGemm *g, int64_t k0, int64_t k, int64_t j0, int64_t n) {
  if (n < COLUMNS) memset(panel, 0, sizeof(float) * (size_t)(k * COLUMNS));
  if (g->transpose_b) {
    transpose(g->b + j0 * g->ldb + k0, g->ldb, n, k, panel, COLUMNS);
    return;
  }
  const float *from = g->b + k0 * g->ldb + j0;
  if (n == COLUMNS)
    for (int64_t i = 0; i < k; i++) memcpy(panel + i * COLUMNS, from + i * g->ldb, sizeof(float) * COLUMNS);
  else
    for (int64_t i = 0; i < k; i++) memcpy(panel + i * COLUMNS, from + i * g->ldb, sizeof(float) * (size_t)n);
}

/* How a block of sums enters C. */
typedef struct Store {
  float alpha, beta;
  float *c;
  int64_t ldc, n;
} Store;

EBB_INLINE void store_row(const Store *s, int i, const Vec *sum) {
  float *c = s->c + i * s->ldc;
  if (s->n == COLUMNS) {
    for (int v = 0; v < 2; v++) {
      Vec *to = (Vec *)(void *)(c + v * LANES);
      *to = s->beta == 0.0f ? s->alpha * sum[v] : s->alpha * sum[v] + s->beta * *to;
    }
    return;
  }
  float row[COLUMNS];
  memcpy(row, sum, sizeof row);
  for (int64_t j = 0; j < s->n; j++)
    c[j] = s->beta == 0.0f ? s->alpha * row[j] : s->alpha * row[j] + s->beta * c[j];
}

/* `rows` rows of A (k each) against the panel; `rows` is a constant where this is expanded. */
EBB_INLINE void multiply(int rows, int64_t k, const float *a, int64_t lda, const Store *store) {
  Vec sum[ROWS][2];
#pragma GCC unroll 8
  for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = (Vec){0};
  for (int64_t t = 0; t < k; t++) {
    const Vec b0 = *(const Vec *)(const void *)(panel + t * COLUMNS);
    const Vec b1 = *(const Vec *)(const void *)(panel + t * COLUMNS + LANES);
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
      const float factor = a[i * lda + t];
      sum[i][0] += factor * b0;
      sum[i][1] += factor * b1;
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows; i++) store_row(store, i, sum[i]);
}

static void multiply8(int64_t k, const float *a, int64_t lda, const Store *store) {
  multiply(ROWS, k, a, lda, store);
}
static void multiply1(int64_t k, const float *a, int64_t lda, const Store *store) {
  multiply(1, k, a, lda, store);
}

/* The part of C that sums k0 .. k0 + k - 1 of its rows i0 .. i0 + m - 1 give. */
static void multiply_block(const EbbGemm *g, int64_t i0, int64_t m, int64_t k0, int64_t k) {
  const float *a = g->a + i0 * g->lda + k0;
  int64_t lda = g->lda;
  if (g->transpose_a) {
    transpose(g->a + k0 * g->lda + i0, g->lda, k, m, turned, TURNED);
    a = turned, lda = TURNED;
  }
  for (int64_t j0 = 0; j0 < g->n; j0 += COLUMNS) {
    Store store = {g->alpha, k0 ? 1.0f : g->beta, g->c + i0 * g->ldc + j0, g->ldc, g->n - j0};
    if (store.n > COLUMNS) store.n = COLUMNS;
    pack_panel(g, k0, k, j0, store.n);
    int64_t i = 0;
    for (; i + ROWS <= m; i += ROWS, store.c += ROWS * g->ldc) multiply8(k, a + i * lda, lda, &store);
    for (; i < m; i++, store.c += g->ldc) multiply1(k, a + i * lda, lda, &store);
  }
}

/* Length of each of the equal parts, of at most `most`, that n falls into. */
static int64_t part_of(int64_t n, int64_t most) {
  const int64_t parts = (n + most - 1) / most;
  return (n + parts - 1) / parts;
}

void ebb_cpu_gemm(const EbbGemm *g) {
  if (g->m <= 0 || g->n <= 0 || g->k <= 0) return;
  const int64_t k_part = part_of(g->k, MOST_K);
  for (int64_t i = 0; i < g->m; i += MOST_M)
    for (int64_t t = 0; t < g->k; t += k_part)
      multiply_block(g, i, g->m - i < MOST_M ? g->m - i : MOST_M, t, g->k - t < k_part ? g->k - t : k_part);
}

#else

#include <cblas.h>

void ebb_cpu_gemm(const EbbGemm *g) {
  cblas_sgemm(CblasRowMajor, g->transpose_a ? CblasTrans : CblasNoTrans,
              g->transpose_b ? CblasTrans : CblasNoTrans, (int)g->m, (int)g->n, (int)g->k, g->alpha, g->a,
              (int)g->lda, g->b, (int)g->ldb, g->beta, g->c, (int)g->ldc);
}

#endif
