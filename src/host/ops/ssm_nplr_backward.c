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
  int64_t pc = ebb_nplr_pc(channels, 0, c), bq = ebb_nplr_bq(1, channels), pq = ebb_nplr_pq(1, channels);
  const float *restrict y = args->y;
  float twice = (float)(2 / (double)args->n);
#pragma omp simd
  for (int64_t j = 0; j < F; j++) {
    EbbC32 dkhat = ebb_c32_scale(spectrum[j], j ? twice : 0.5f * twice);
    EbbC32 beta, gamma;
    ebb_woodbury_factors(load(r, Fp, pc, j), load(r, Fp, bq, j), load(r, Fp, pq, j), &beta, &gamma);
    EbbWoodburyGrad grad = ebb_woodbury_grad(beta, gamma, y[j], dkhat);
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

static void add_product(float *restrict re, float *restrict im, int64_t at, EbbC32 value) {
  re[at] += value.re;
  im[at] += value.im;
}

static void split2(const EbbSsmNplrArgs *args, const float *restrict r, int64_t c,
                   const EbbC32 *restrict spectrum, float *restrict re, float *restrict im) {
  int64_t channels = args->config.channels, Fp = args->Fp;
  int64_t pc0 = ebb_nplr_pc(channels, 0, c), pc1 = ebb_nplr_pc(channels, 1, c);
  int64_t bq0 = ebb_nplr_bq(2, channels), pq0 = ebb_nplr_pq(2, channels);
  float twice = (float)(2 / (double)args->n);
  for (int64_t j = 0; j < args->F; j++) {
    const EbbC32 pc[] = {load(r, Fp, pc0, j), load(r, Fp, pc1, j)};
    const EbbC32 bq[] = {load(r, Fp, bq0, j), load(r, Fp, bq0 + 1, j)};
    const EbbC32 pq[] = {load(r, Fp, pq0, j), load(r, Fp, pq0 + 1, j), load(r, Fp, pq0 + 2, j),
                         load(r, Fp, pq0 + 3, j)};
    EbbC32 dkhat = ebb_c32_scale(spectrum[j], j ? twice : 0.5f * twice);
    EbbC32 beta[2], gamma[2];
    ebb_woodbury2_factors(pc, bq, pq, beta, gamma);
    EbbWoodbury2Grad grad = ebb_woodbury2_grad(beta, gamma, args->y[j], dkhat);
    add_product(re, im, c * Fp + j, grad.bc);
    add_product(re, im, pc0 * Fp + j, grad.pc[0]);
    add_product(re, im, pc1 * Fp + j, grad.pc[1]);
    for (int i = 0; i < 2; i++) add_product(re, im, (bq0 + i) * Fp + j, grad.bq[i]);
    for (int i = 0; i < 4; i++) add_product(re, im, (pq0 + i) * Fp + j, grad.pq[i]);
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
  int64_t channels = args->config.channels, H = args->config.H, K = ebb_nplr_padded_products(args),
          Fp = args->Fp;
  size_t Lk = (size_t)args->Lk;
  float *re = scratch->upstream, *im = re + K * Fp;
  memset(re, 0, (size_t)(2 * K * Fp) * sizeof *re);
  for (int64_t c = 0; c < channels; c++) {
    memcpy(scratch->row, args->dk + (c * H + h) * args->Lk, Lk * sizeof(float));
    memset(scratch->row + Lk, 0, ((size_t)args->n - Lk) * sizeof(float));
    ebb_fft_forward(args->cpu.fft, scratch->row, scratch->spectrum);
    take_near(args, c, near, scratch);
    (ebb_ssm_rank(&args->config) == 1 ? split : split2)(args, args->cpu.r + h * 2 * K * Fp, c,
                                                        scratch->spectrum, re, im);
    infinity[c] = args->n % 2 ? 0 : (double)scratch->spectrum[args->n / 2].re / (double)args->n;
  }
  for (int64_t row = 0; row < 2 * K; row++)
    for (int64_t i = 0; i < near; i++) re[row * Fp + scratch->near[i]] = 0;
}

/* Adds sixteen float sums to eight double ones. */
static void widen(const EbbNodes *part, EbbF64x8 *sum) {
  typedef float Half __attribute__((vector_size(32)));
  Half low, high;
  memcpy(&low, part, sizeof low);
  memcpy(&high, (const char *)part + sizeof low, sizeof high);
  *sum += __builtin_convertvector(low, EbbF64x8) + __builtin_convertvector(high, EbbF64x8);
}

/* The sums of one product over the nodes of a block, or of the denominator: alpha and beta, or a and b. */
typedef struct Pair {
  EbbNodes first, second;
} Pair;

static void widen_pairs(const Pair *pair, int count, EbbF64x8 *sum) {
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

/* Sums over `count` nodes for one pole and four products: alpha, beta of each, added to sum, and a, b, added
   to pair. The imaginary rows lie `im` behind the real ones. */
static void pole_sums4(float lam_re, float lam_im, const EbbCauchyWeight *weight, const float *y_,
                       const float *re, int64_t Fp, int64_t im, int64_t count, EbbF64x8 *sum,
                       EbbF64x8 *pair) {
  Pair s0 = {{0}, {0}}, s1 = s0, s2 = s0, s3 = s0, s4 = s0;
  for (int64_t j = 0; j < count; j += EBB_NODES) {
    EbbNodesFlow flow = {{0}, {0}, {0}, {0}};
    EbbNodes y, pq[4];
    load_nodes(y_, j, &y);
    pair_nodes(lam_re, lam_im, &y, pq);
    product_grad(&flow, weight[0], re + j, im, pq, &s0);
    product_grad(&flow, weight[1], re + Fp + j, im, pq, &s1);
    product_grad(&flow, weight[2], re + 2 * Fp + j, im, pq, &s2);
    product_grad(&flow, weight[3], re + 3 * Fp + j, im, pq, &s3);
    ebb_nodes_pair_grad(&flow, &y, &pq[0], &pq[1], &s4.first, &s4.second);
  }
  const Pair all[] = {s0, s1, s2, s3};
  widen_pairs(all, 4, sum);
  widen_pairs(&s4, 1, pair);
}

static void pole_sums6(float lam_re, float lam_im, const EbbCauchyWeight *weight, const float *y_,
                       const float *re, int64_t Fp, int64_t im, int64_t count, EbbF64x8 *sum,
                       EbbF64x8 *pair) {
  Pair s0 = {{0}, {0}}, s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0;
  for (int64_t j = 0; j < count; j += EBB_NODES) {
    EbbNodesFlow flow = {{0}, {0}, {0}, {0}};
    EbbNodes y, pq[4];
    load_nodes(y_, j, &y);
    pair_nodes(lam_re, lam_im, &y, pq);
    product_grad(&flow, weight[0], re + j, im, pq, &s0);
    product_grad(&flow, weight[1], re + Fp + j, im, pq, &s1);
    product_grad(&flow, weight[2], re + 2 * Fp + j, im, pq, &s2);
    product_grad(&flow, weight[3], re + 3 * Fp + j, im, pq, &s3);
    product_grad(&flow, weight[4], re + 4 * Fp + j, im, pq, &s4);
    product_grad(&flow, weight[5], re + 5 * Fp + j, im, pq, &s5);
    ebb_nodes_pair_grad(&flow, &y, &pq[0], &pq[1], &s6.first, &s6.second);
  }
  const Pair all[] = {s0, s1, s2, s3, s4, s5};
  widen_pairs(all, 6, sum);
  widen_pairs(&s6, 1, pair);
}

/* Blocks of nodes stay in the nearest cache while all poles pass over them; a block's sums are floats, those
   of the blocks doubles. */
static void all_sums(const EbbSsmNplrArgs *args, const EbbNplrScratch *scratch) {
  int64_t K = ebb_nplr_padded_products(args), row = 2 * K + 2;
  memset(scratch->sum, 0, (size_t)(args->M * row) * sizeof *scratch->sum);
  for (int64_t j = 0; j < args->Fp; j += EBB_NPLR_BLOCK) {
    int64_t count = args->Fp - j < EBB_NPLR_BLOCK ? args->Fp - j : EBB_NPLR_BLOCK;
    for (int64_t first = 0; first < K; first += ebb_nplr_group(K, first))
      for (int64_t m = 0; m < args->M; m++)
        (ebb_nplr_group(K, first) == 4 ? pole_sums4 : pole_sums6)(
            scratch->lam_re[m], scratch->lam_im[m], scratch->weight + m * K + first, args->y + j,
            scratch->upstream + first * args->Fp + j, args->Fp, K * args->Fp, count,
            scratch->sum + m * row + 2 * first, scratch->sum + m * row + 2 * K);
  }
}

/* The lanes' total, in their order. */
static void total(const EbbF64x8 *lanes, int64_t count, double *sum) {
  for (int64_t i = 0; i < count; i++) {
    sum[i] = 0;
    for (int lane = 0; lane < EBB_F64X8; lane++) sum[i] += lanes[i][lane];
  }
}

static void add_pair(float *to, int64_t i, double re, double im) {
  if (!to) return;
  to[2 * i] += (float)re;
  to[2 * i + 1] += (float)im;
}

/* Adds one mode's gradients; returns the share of d dt. */
static double mode_grad(const EbbSsmNplrArgs *args, int64_t h, int64_t m, double dt, const EbbF64x8 *sums,
                        const double *infinity) {
  int64_t rank = ebb_ssm_rank(&args->config), channels = args->config.channels;
  int64_t K = ebb_nplr_padded_products(args);
  double sum[2 * EBB_NPLR_PRODUCTS + 2];
  EbbNplrMode mode = ebb_nplr_mode(args, h, m, dt);
  EbbNplrModeGrad grad = {{0, 0}, {0, 0}, {{0, 0}, {0, 0}}, 0};
  total(sums, 2 * K + 2, sum);
  for (int64_t c = 0; c < channels; c++) {
    int64_t at = ebb_nplr_output_at(args, h, m, c);
    EbbC64 C = ebb_nplr_output(args, h, m, c);
    EbbC64 dC = ebb_nplr_output_grad(&mode, C, rank, channels, c, sum, infinity[c], &grad);
    add_pair(args->dC, at, dC.re, dC.im);
  }
  ebb_nplr_pole_grad(&mode, rank, channels, sum, sum + 2 * K, &grad);
  ebb_nplr_share(args, h, m, ebb_c64_scale(grad.lam, dt), grad.B, grad.P, false);
  return grad.dt;
}

static void channel_grad(const EbbSsmNplrArgs *args, int64_t h, const EbbF64x8 *sums,
                         const double *infinity) {
  int64_t row = 2 * ebb_nplr_padded_products(args) + 2;
  double dt = ebb_nplr_dt(args, h), ddt = 0;
  for (int64_t m = 0; m < args->M; m++) ddt += mode_grad(args, h, m, dt, sums + m * row, infinity);
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

/* Sums mode m of copy s over the channels that use it, in their order. */
static void reduce_mode(const EbbSsmNplrArgs *args, int64_t s, int64_t m) {
  int64_t copies = ebb_ssm_copies(&args->config), i = s * args->M + m;
  int64_t shares = ebb_nplr_shares(ebb_ssm_rank(&args->config));
  double sum[8] = {0};
  for (int64_t h = s; h < args->config.H; h += copies)
    for (int64_t part = 0; part < shares; part++)
      sum[part] += args->shared[(h * shares + part) * args->M + m];
  if (args->dinv_w_real)
    args->dinv_w_real[i] +=
        (float)(sum[0] * ebb_ssm_real_grad(args->config.real_type, (double)args->inv_w_real[i]));
  if (args->dw_imag) args->dw_imag[i] += (float)sum[1];
  add_pair(args->dB, i, sum[2], sum[3]);
  for (int64_t c = 0; 4 + 2 * c < shares; c++)
    add_pair(args->dP, c * copies * args->M + i, sum[4 + 2 * c], sum[5 + 2 * c]);
}

EbbStatus ebb_nplr_backward(const void *args_, const EbbRun *run) {
  const EbbSsmNplrArgs *args = args_;
  int64_t H = args->config.H, M = args->M, copies = ebb_ssm_copies(&args->config);
  int64_t row = M * ebb_nplr_shares(ebb_ssm_rank(&args->config));
#pragma omp parallel num_threads(EBB_THREADS(run))
  {
    EbbNplrScratch scratch = ebb_nplr_scratch(args, omp_get_thread_num());
#pragma omp for schedule(static)
    for (int64_t h = 0; h < H; h++) {
      if (args->dk)
        backward_channel(args, h, &scratch);
      else
        memset(args->shared + h * row, 0, (size_t)row * sizeof *args->shared);
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
