/* C (I - T^n)^-1 without matrices: 1 / (1 - t^n) is the mean over the n-th roots of unity o of 1 / (1 - o t),
   and (I - o Abar)^-1 is a resolvent of A, which Woodbury's formula gives in O(M):
     C~ (I - o Abar)^-1 = (1 + z/2) [C~ (1 - lam/2) - (1 - z/2) gamma Q] / (z - lam),
   with z = 2 (1 - o) / (1 + o) and gamma = (I + r_PQ)^-1 r_PC as in ebb/ops/ssm_nplr.h. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "host/ops/ssm_dplr.h"

EBB_CAUCHY_FORMULAS(double, EbbCauchyWeight64, double, EBB_CAUCHY_INVERSE, 0.0, Sum, Flow, cauchy)

/* Rows over the modes of one channel. Products: r_PC of each column, then r_PQ. */
typedef struct Rows {
  double *lam_re, *lam_im, *p, *q; /* 1 / ((z - lam)(z - conj(lam))) = p - i q */
  double *a_re, *a_im;             /* C~ (1 - lam / 2) */
  double *sum_re, *sum_im;         /* of all nodes so far */
  double *Q_re[2], *Q_im[2];
  double *alpha[6], *beta[6];
} Rows;
enum { ROWS = sizeof(Rows) / sizeof(double *) };

static Rows place(double *memory, int64_t M) {
  double *part[ROWS];
  for (int i = 0; i < ROWS; i++) part[i] = memory + i * M;
  Rows rows;
  memcpy(&rows, part, sizeof rows);
  return rows;
}

static void set_weight(const Rows *rows, int64_t product, int64_t m, EbbCauchyWeight64 weight) {
  rows->alpha[product][m] = weight.alpha;
  rows->beta[product][m] = weight.beta;
}

static void start(const EbbSsmNplrArgs *args, int64_t h, const EbbC64 *C, const Rows *rows) {
  int64_t rank = ebb_ssm_rank(&args->config);
  double dt = ebb_nplr_dt(args, h);
  for (int64_t m = 0; m < args->M; m++) {
    EbbC64 w, B, P[2] = {{0, 0}, {0, 0}};
    ebb_ssm_nplr_mode(args, h, m, &w, &B, P);
    EbbC64 lam = ebb_c64_scale(w, dt), a = ebb_c64_mul(C[m], ebb_c64_make(1 - 0.5 * lam.re, -0.5 * lam.im));
    rows->lam_re[m] = lam.re, rows->lam_im[m] = lam.im;
    rows->a_re[m] = a.re, rows->a_im[m] = a.im;
    rows->sum_re[m] = rows->sum_im[m] = 0;
    for (int64_t i = 0; i < rank; i++) {
      rows->Q_re[i][m] = P[i].re, rows->Q_im[i][m] = -P[i].im;
      set_weight(rows, i, m, ebb_cauchy_weight(ebb_c64_mul(P[i], C[m]), lam, dt));
      for (int64_t j = 0; j < rank; j++)
        set_weight(rows, rank + i * rank + j, m, ebb_cauchy_weight(ebb_c64_mul_conj(P[i], P[j]), lam, dt));
    }
  }
}

static void pairs(int64_t M, double y, const double *restrict lam_re, const double *restrict lam_im,
                  double *restrict p, double *restrict q) {
#pragma omp simd
  for (int64_t m = 0; m < M; m++) cauchy_pair(lam_re[m], lam_im[m], &y, &p[m], &q[m]);
}

static EbbC64 value(int64_t M, double y, const Rows *rows, int64_t product) {
  const double *alpha = rows->alpha[product], *beta = rows->beta[product], *p = rows->p, *q = rows->q;
  double ap = 0, aq = 0, bp = 0, bq = 0;
#pragma omp simd reduction(+ : ap, aq, bp, bq)
  for (int64_t m = 0; m < M; m++) {
    ap += alpha[m] * p[m];
    aq += alpha[m] * q[m];
    bp += beta[m] * p[m];
    bq += beta[m] * q[m];
  }
  return ebb_c64_make(ap + y * bq, y * bp - aq);
}

static void solve(int64_t M, double y, int64_t rank, const Rows *rows, EbbC64 gamma[2]) {
  EbbC64 r[6] = {{0, 0}};
  for (int64_t i = 0; i < rank + rank * rank; i++) r[i] = value(M, y, rows, i);
  if (rank == 1)
    gamma[0] = ebb_c64_div(r[0], ebb_c64_make(1 + r[1].re, r[1].im));
  else
    ebb_woodbury64_solve(r + 2, r, gamma);
}

/* (1 + z/2) C~ (1 - lam/2) - gamma Q of mode m, h = 1 + z/2. */
static EbbC64 numerator(const Rows *rows, int64_t m, int64_t rank, EbbC64 h, const EbbC64 *gamma) {
  EbbC64 sum = ebb_c64_mul(h, ebb_c64_make(rows->a_re[m], rows->a_im[m]));
  for (int64_t i = 0; i < rank; i++)
    sum = ebb_c64_sub(sum, ebb_c64_mul(gamma[i], ebb_c64_make(rows->Q_re[i][m], rows->Q_im[i][m])));
  return sum;
}

/* Adds what the node z = i y gives, and, if `twice`, conj(z). gamma includes (1 + z/2) (1 - z/2). */
static void add_node(int64_t M, double y, int64_t rank, bool twice, const EbbC64 gamma[2], const Rows *rows) {
  const EbbC64 h = {1, 0.5 * y}, mirrored[2] = {ebb_c64_conj(gamma[0]), ebb_c64_conj(gamma[1])};
  double other = twice ? 1 : 0;
#pragma omp simd
  for (int64_t m = 0; m < M; m++) {
    EbbC64 pair = ebb_c64_make(rows->p[m], -rows->q[m]), lam = ebb_c64_make(rows->lam_re[m], rows->lam_im[m]);
    EbbC64 inverse = ebb_c64_mul(ebb_c64_make(-lam.re, y + lam.im), pair);
    EbbC64 mirror = ebb_c64_scale(ebb_c64_conj(ebb_c64_mul(ebb_c64_make(-lam.re, y - lam.im), pair)), other);
    EbbC64 sum = ebb_c64_add(ebb_c64_mul(numerator(rows, m, rank, h, gamma), inverse),
                             ebb_c64_mul(numerator(rows, m, rank, ebb_c64_conj(h), mirrored), mirror));
    rows->sum_re[m] += sum.re;
    rows->sum_im[m] += sum.im;
  }
}

/* The limit z -> infinity, the root o = -1 of even n. */
static void add_infinity(int64_t M, int64_t rank, const Rows *rows) {
  double total[2] = {0, 0};
  for (int64_t i = 0; i < rank; i++)
    for (int64_t m = 0; m < M; m++) total[i] += rows->beta[i][m];
  for (int64_t m = 0; m < M; m++) {
    EbbC64 sum = ebb_c64_make(rows->a_re[m], rows->a_im[m]);
    for (int64_t i = 0; i < rank; i++)
      sum = ebb_c64_add(sum, ebb_c64_scale(ebb_c64_make(rows->Q_re[i][m], rows->Q_im[i][m]), 0.5 * total[i]));
    rows->sum_re[m] += 0.5 * sum.re;
    rows->sum_im[m] += 0.5 * sum.im;
  }
}

/* Whether the result is finite. */
static bool channel(const EbbSsmNplrArgs *args, int64_t h, int64_t n, EbbC64 *C, const Rows *rows) {
  int64_t M = args->M, rank = ebb_ssm_rank(&args->config);
  bool finite = true;
  start(args, h, C, rows);
  for (int64_t j = 0; 2 * j < n; j++) {
    double y = ebb_nplr_node(j, n);
    EbbC64 gamma[2] = {{0, 0}, {0, 0}};
    pairs(M, y, rows->lam_re, rows->lam_im, rows->p, rows->q);
    solve(M, y, rank, rows, gamma);
    for (int64_t i = 0; i < rank; i++) gamma[i] = ebb_c64_scale(gamma[i], 1 + 0.25 * y * y);
    add_node(M, y, rank, j > 0, gamma, rows);
  }
  if (n % 2 == 0) add_infinity(M, rank, rows);
  for (int64_t m = 0; m < M; m++) {
    C[m] = ebb_c64_make(rows->sum_re[m] / (double)n, rows->sum_im[m] / (double)n);
    finite = finite && isfinite(C[m].re) && isfinite(C[m].im);
  }
  return finite;
}

EbbStatus ebb_dplr_untransform(const EbbSsmNplrArgs *args, int64_t n, EbbC64 *C) {
  int64_t H = args->config.H, M = args->M, singular = H;
  atomic_bool memory_ok = true;
#pragma omp parallel
  {
    double *memory = malloc((size_t)(ROWS * M) * sizeof *memory);
    if (!memory) memory_ok = false;
    Rows rows = memory ? place(memory, M) : (Rows){0};
#pragma omp for reduction(min : singular)
    for (int64_t h = 0; h < H; h++)
      if (memory && !channel(args, h, n, C + h * M, &rows) && h < singular) singular = h;
    free(memory);
  }
  if (!memory_ok) return ebb_fail(EBB_MEMORY, "no memory to recover C of %lld modes", (long long)M);
  if (singular < H)
    return ebb_fail(EBB_NUMERIC, "channel %lld: I - Abar^%lld is singular, so its C cannot be recovered",
                    (long long)singular, (long long)n);
  return EBB_OK;
}
