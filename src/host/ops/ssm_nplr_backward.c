#include <omp.h>
#include <string.h>

#include "host/cpu.h"
#include "host/ops/ssm_dplr.h"
#include "host/ops/ssm_nplr.h"

static EbbC32 load(const float *r, int64_t Fp, int64_t product, int64_t j) {
  return ebb_c32_make(r[2 * product * Fp + j], r[(2 * product + 1) * Fp + j]);
}

/* The gradients of r that kernel c's spectrum gradient gives. Every node but the first counts twice, being
   one of a conjugate pair; the division by n is that of the inverse transform. */
static void split(const EbbSsmNplrArgs *args, const float *restrict r, int64_t c,
                  const EbbC32 *restrict spectrum, float *restrict re, float *restrict im) {
  int64_t channels = args->config.channels, Fp = args->Fp, F = args->F;
  int64_t pc = channels + c, bq = 2 * channels, pq = bq + 1;
  const float *restrict y = args->y;
  float twice = (float)(2 / (double)args->n);
#pragma omp simd
  for (int64_t j = 0; j < F; j++) {
    EbbC32 dkhat = ebb_c32_scale(spectrum[j], j ? twice : 0.5f * twice);
    EbbWoodburyGrad grad =
        ebb_woodbury_grad(load(r, Fp, pc, j), load(r, Fp, bq, j), load(r, Fp, pq, j), y[j], dkhat);
    re[c * Fp + j] = grad.bc.re;
    im[c * Fp + j] = grad.bc.im;
    re[pc * Fp + j] = grad.pc.re;
    im[pc * Fp + j] = grad.pc.im;
    re[bq * Fp + j] += grad.bq.re;
    im[bq * Fp + j] += grad.bq.im;
    re[pq * Fp + j] += grad.pq.re;
    im[pq * Fp + j] += grad.pq.im;
  }
}

/* Kernel c's part of near_khat. */
static void take_near(const EbbSsmNplrArgs *args, int64_t c, int64_t near, const EbbNplrScratch *scratch) {
  for (int64_t i = 0; i < near; i++)
    scratch->near_khat[c * args->Fp + i] = scratch->spectrum[scratch->near[i]];
}

/* Gradients of all r of channel h, 0 at the near nodes, whose gradients of khat are put aside; *infinity: of
   each kernel's node at infinity. */
static void upstream(const EbbSsmNplrArgs *args, int64_t h, int64_t near, const EbbNplrScratch *scratch,
                     double *infinity) {
  int64_t channels = args->config.channels, H = args->config.H, K = ebb_nplr_products(args), Fp = args->Fp;
  size_t Lk = (size_t)args->Lk;
  float *re = scratch->upstream, *im = re + K * Fp;
  memset(re, 0, (size_t)(2 * K * Fp) * sizeof *re);
  for (int64_t c = 0; c < channels; c++) {
    memcpy(scratch->row, args->dk + (c * H + h) * args->Lk, Lk * sizeof(float));
    memset(scratch->row + Lk, 0, ((size_t)args->n - Lk) * sizeof(float));
    ebb_fft_forward(args->fft, scratch->row, scratch->spectrum);
    take_near(args, c, near, scratch);
    split(args, args->r + h * 2 * K * Fp, c, scratch->spectrum, re, im);
    infinity[c] = args->n % 2 ? 0 : (double)scratch->spectrum[args->n / 2].re / (double)args->n;
  }
  for (int64_t row = 0; row < 2 * K; row++)
    for (int64_t i = 0; i < near; i++) re[row * Fp + scratch->near[i]] = 0;
}

/* Adds sixteen float sums to eight double ones. */
static void widen(const EbbNodes *part, EbbLanes *sum) {
  typedef float Half __attribute__((vector_size(32)));
  Half low, high;
  memcpy(&low, part, sizeof low);
  memcpy(&high, (const char *)part + sizeof low, sizeof high);
  *sum += __builtin_convertvector(low, EbbLanes) + __builtin_convertvector(high, EbbLanes);
}

/* The sums of one product over the nodes of a block, or of the denominator: alpha and beta, or a and b. */
typedef struct Pair {
  EbbNodes first, second;
} Pair;

static void widen_pairs(const Pair *pair, int count, EbbLanes *sum) {
  for (int i = 0; i < count; i++) {
    widen(&pair[i].first, &sum[2 * i]);
    widen(&pair[i].second, &sum[2 * i + 1]);
  }
}

static void load_nodes(const float *row, int64_t j, EbbNodes *nodes) {
  memcpy(nodes, row + j, sizeof *nodes);
}

/* One product at sixteen nodes; re points to its real row, the imaginary one lies K rows on. */
EBB_INLINE void product_grad(EbbNodesFlow *flow, EbbCauchyWeight weight, const float *re, int64_t im_offset,
                             const EbbNodes pq[4], Pair *pair) {
  EbbNodes upstream_re, upstream_im;
  load_nodes(re, 0, &upstream_re);
  load_nodes(re, im_offset, &upstream_im);
  ebb_nodes_add_grad(flow, weight, &upstream_re, &upstream_im, &pq[0], &pq[1], &pq[2], &pq[3], &pair->first,
                     &pair->second);
}

/* p, q, y p, y q. */
EBB_INLINE void pair_nodes(float lam_re, float lam_im, const EbbNodes *y, EbbNodes pq[4]) {
  ebb_nodes_pair(lam_re, lam_im, y, &pq[0], &pq[1]);
  pq[2] = *y * pq[0];
  pq[3] = *y * pq[1];
}

/* Sums over `count` nodes for one pole, added to sum: alpha, beta of each product, a, b. */
static void pole_sums4(float lam_re, float lam_im, const EbbCauchyWeight *weight, const float *y_,
                       const float *re, int64_t Fp, int64_t count, EbbLanes *sum) {
  Pair s0 = {{0}, {0}}, s1 = s0, s2 = s0, s3 = s0, s4 = s0;
  for (int64_t j = 0; j < count; j += EBB_NODES) {
    EbbNodesFlow flow = {{0}, {0}, {0}, {0}};
    EbbNodes y, pq[4];
    load_nodes(y_, j, &y);
    pair_nodes(lam_re, lam_im, &y, pq);
    product_grad(&flow, weight[0], re + j, 4 * Fp, pq, &s0);
    product_grad(&flow, weight[1], re + Fp + j, 4 * Fp, pq, &s1);
    product_grad(&flow, weight[2], re + 2 * Fp + j, 4 * Fp, pq, &s2);
    product_grad(&flow, weight[3], re + 3 * Fp + j, 4 * Fp, pq, &s3);
    ebb_nodes_pair_grad(&flow, &y, &pq[0], &pq[1], &s4.first, &s4.second);
  }
  const Pair all[] = {s0, s1, s2, s3, s4};
  widen_pairs(all, 5, sum);
}

static void pole_sums6(float lam_re, float lam_im, const EbbCauchyWeight *weight, const float *y_,
                       const float *re, int64_t Fp, int64_t count, EbbLanes *sum) {
  Pair s0 = {{0}, {0}}, s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0;
  for (int64_t j = 0; j < count; j += EBB_NODES) {
    EbbNodesFlow flow = {{0}, {0}, {0}, {0}};
    EbbNodes y, pq[4];
    load_nodes(y_, j, &y);
    pair_nodes(lam_re, lam_im, &y, pq);
    product_grad(&flow, weight[0], re + j, 6 * Fp, pq, &s0);
    product_grad(&flow, weight[1], re + Fp + j, 6 * Fp, pq, &s1);
    product_grad(&flow, weight[2], re + 2 * Fp + j, 6 * Fp, pq, &s2);
    product_grad(&flow, weight[3], re + 3 * Fp + j, 6 * Fp, pq, &s3);
    product_grad(&flow, weight[4], re + 4 * Fp + j, 6 * Fp, pq, &s4);
    product_grad(&flow, weight[5], re + 5 * Fp + j, 6 * Fp, pq, &s5);
    ebb_nodes_pair_grad(&flow, &y, &pq[0], &pq[1], &s6.first, &s6.second);
  }
  const Pair all[] = {s0, s1, s2, s3, s4, s5, s6};
  widen_pairs(all, 7, sum);
}

/* Blocks of nodes stay in the nearest cache while all poles pass over them; a block's sums are floats, those
   of the blocks doubles. */
static void all_sums(const EbbSsmNplrArgs *args, const EbbNplrScratch *scratch) {
  int64_t K = ebb_nplr_products(args), row = 2 * K + 2;
  memset(scratch->sum, 0, (size_t)(args->M * row) * sizeof *scratch->sum);
  for (int64_t j = 0; j < args->Fp; j += EBB_NPLR_BLOCK) {
    int64_t count = args->Fp - j < EBB_NPLR_BLOCK ? args->Fp - j : EBB_NPLR_BLOCK;
    for (int64_t m = 0; m < args->M; m++)
      (K == 4 ? pole_sums4 : pole_sums6)(scratch->lam_re[m], scratch->lam_im[m], scratch->weight + m * K,
                                         args->y + j, scratch->upstream + j, args->Fp, count,
                                         scratch->sum + m * row);
  }
}

/* What one pole's sums give to the gradients of its w, B and P, and to dt. */
typedef struct ModeGrad {
  EbbC64 lam, B, P;
} ModeGrad;

static EbbC64 add_mul_conj(EbbC64 to, EbbC64 a, EbbC64 b) { return ebb_c64_add(to, ebb_c64_mul_conj(a, b)); }

/* Kernel c: products B C and P C. */
static void output_grad(const EbbSsmNplrArgs *args, int64_t h, int64_t m, int64_t c, const EbbC64 wBP[3],
                        double dt, const double *sum, double infinity, ModeGrad *grad, double *ddt) {
  int64_t channels = args->config.channels, at = 2 * ((c * args->config.H + h) * args->M + m);
  EbbC64 B = wBP[1], P = wBP[2], lam = ebb_c64_scale(wBP[0], dt);
  EbbC64 C = ebb_c64_make((double)args->C[at], (double)args->C[at + 1]);
  EbbC64 bc = ebb_c64_mul(B, C), pc = ebb_c64_mul(P, C);
  const double *pc_sum = sum + 2 * (channels + c);
  EbbC64 dbc =
      ebb_cauchy_weight_grad(bc, lam, dt, sum[2 * c], sum[2 * c + 1] + 0.5 * infinity, &grad->lam, ddt);
  EbbC64 dpc = ebb_cauchy_weight_grad(pc, lam, dt, pc_sum[0], pc_sum[1], &grad->lam, ddt);
  grad->B = add_mul_conj(grad->B, dbc, C);
  grad->P = add_mul_conj(grad->P, dpc, C);
  if (!args->dC) return;
  EbbC64 dC = ebb_c64_add(ebb_c64_mul_conj(dbc, B), ebb_c64_mul_conj(dpc, P));
  args->dC[at] += (float)dC.re;
  args->dC[at + 1] += (float)dC.im;
}

/* Products B conj(P) and P conj(P), and the denominator. */
static void pole_grad(const EbbC64 wBP[3], double dt, const double *bq, ModeGrad *grad, double *ddt) {
  EbbC64 B = wBP[1], P = wBP[2], lam = ebb_c64_scale(wBP[0], dt);
  EbbC64 dbq = ebb_cauchy_weight_grad(ebb_c64_mul_conj(B, P), lam, dt, bq[0], bq[1], &grad->lam, ddt);
  EbbC64 dpq = ebb_cauchy_weight_grad(ebb_c64_mul_conj(P, P), lam, dt, bq[2], bq[3], &grad->lam, ddt);
  grad->B = ebb_c64_add(grad->B, ebb_c64_mul(dbq, P));
  grad->P = add_mul_conj(grad->P, B, dbq);
  grad->P = ebb_c64_add(grad->P, ebb_c64_scale(P, 2 * dpq.re));
  grad->lam.re += 2 * (lam.re * bq[4] - bq[5]);
  grad->lam.im += 2 * lam.im * bq[4];
}

/* The lanes' total, in their order. */
static void total(const EbbLanes *lanes, int64_t count, double *sum) {
  for (int64_t i = 0; i < count; i++) {
    sum[i] = 0;
    for (int lane = 0; lane < EBB_LANES; lane++) sum[i] += lanes[i][lane];
  }
}

static void channel_grad(const EbbSsmNplrArgs *args, int64_t h, const EbbLanes *sums,
                         const double *infinity) {
  int64_t channels = args->config.channels, row = 2 * ebb_nplr_products(args) + 2;
  double dt = exp((double)args->log_dt[h]) * args->config.rate, ddt = 0;
  for (int64_t m = 0; m < args->M; m++) {
    double sum[14];
    EbbC64 wBP[3];
    ModeGrad grad = {{0, 0}, {0, 0}, {0, 0}};
    total(sums + m * row, row, sum);
    ebb_ssm_nplr_mode(args, h, m, &wBP[0], &wBP[1], &wBP[2]);
    for (int64_t c = 0; c < channels; c++) output_grad(args, h, m, c, wBP, dt, sum, infinity[c], &grad, &ddt);
    pole_grad(wBP, dt, sum + 4 * channels, &grad, &ddt);
    ddt += grad.lam.re * wBP[0].re + grad.lam.im * wBP[0].im;
    double *shared = args->shared + (h * args->M + m) * 6;
    const double share[6] = {dt * grad.lam.re, dt * grad.lam.im, grad.B.re, grad.B.im, grad.P.re, grad.P.im};
    for (int i = 0; i < 6; i++) shared[i] += share[i];
  }
  if (args->dlog_dt) args->dlog_dt[h] += (float)(dt * ddt);
}

static void backward_channel(const EbbSsmNplrArgs *args, int64_t h, const EbbNplrScratch *scratch) {
  double infinity[2];
  ebb_nplr_poles(args, h, scratch);
  int64_t near = ebb_nplr_find_near(args, h, scratch);
  upstream(args, h, near, scratch, infinity);
  all_sums(args, scratch);
  ebb_nplr_near_backward(args, near, scratch);
  channel_grad(args, h, scratch->sum, infinity);
}

static void add_pair(float *to, int64_t i, double re, double im) {
  if (!to) return;
  to[2 * i] += (float)re;
  to[2 * i + 1] += (float)im;
}

/* Sums mode m of copy s over the channels that use it, in their order. */
static void reduce_mode(const EbbSsmNplrArgs *args, int64_t s, int64_t m) {
  int64_t copies = ebb_ssm_copies(&args->config), i = s * args->M + m;
  double sum[6] = {0, 0, 0, 0, 0, 0};
  for (int64_t h = s; h < args->config.H; h += copies)
    for (int part = 0; part < 6; part++) sum[part] += args->shared[(h * args->M + m) * 6 + part];
  if (args->dinv_w_real)
    args->dinv_w_real[i] +=
        (float)(sum[0] * ebb_ssm_real_grad(args->config.real_type, (double)args->inv_w_real[i]));
  if (args->dw_imag) args->dw_imag[i] += (float)sum[1];
  add_pair(args->dB, i, sum[2], sum[3]);
  add_pair(args->dP, i, sum[4], sum[5]);
}

EbbStatus ebb_nplr_backward(const void *args_, const EbbRun *run) {
  const EbbSsmNplrArgs *args = args_;
  int64_t H = args->config.H, M = args->M, copies = ebb_ssm_copies(&args->config);
#pragma omp parallel num_threads(EBB_THREADS(run))
  {
    EbbNplrScratch scratch = ebb_nplr_scratch(args, omp_get_thread_num());
#pragma omp for schedule(static)
    for (int64_t h = 0; h < H; h++) {
      memset(args->shared + h * M * 6, 0, (size_t)(M * 6) * sizeof *args->shared);
      if (args->dk) backward_channel(args, h, &scratch);
    }
#pragma omp for schedule(static)
    for (int64_t h = 0; h < H; h += 8)
      if (args->dke) ebb_dplr_readout_grad(args, h, scratch.lam_re);
#pragma omp for schedule(static)
    for (int64_t s = 0; s < copies; s++)
      for (int64_t m = 0; m < M; m++) reduce_mode(args, s, m);
  }
  return EBB_OK;
}
