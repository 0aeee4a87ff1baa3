#include <omp.h>
#include <string.h>

#include "host/cpu.h"
#include "host/ops/ssm_dplr.h"
#include "host/ops/ssm_nplr.h"

static int64_t products(const EbbSsmNplrArgs *args) { return 2 * args->config.channels + 2; }

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

/* Gradients of all r of channel h; *infinity: of each kernel's node at infinity. */
static void upstream(const EbbSsmNplrArgs *args, int64_t h, const EbbNplrScratch *scratch, double *infinity) {
  int64_t channels = args->config.channels, H = args->config.H, K = products(args), Fp = args->Fp;
  size_t Lk = (size_t)args->Lk;
  float *re = scratch->upstream, *im = re + K * Fp;
  memset(re, 0, (size_t)(2 * K * Fp) * sizeof *re);
  for (int64_t c = 0; c < channels; c++) {
    memcpy(scratch->row, args->dk + (c * H + h) * args->Lk, Lk * sizeof(float));
    memset(scratch->row + Lk, 0, ((size_t)args->n - Lk) * sizeof(float));
    ebb_fft_forward(args->fft, scratch->row, scratch->spectrum);
    split(args, args->r + h * 2 * K * Fp, c, scratch->spectrum, re, im);
    infinity[c] = args->n % 2 ? 0 : (double)scratch->spectrum[args->n / 2].re / (double)args->n;
  }
}

/* One product's share of a node: sums for its weights, and what flows on to p and q (the part with beta is
   still to be multiplied by y). */
typedef struct NodeGrad {
  float p, q, yp, yq;
} NodeGrad;

EBB_INLINE void product_grad(NodeGrad *node, EbbCauchyWeight weight, float re, float im, float p, float q,
                             float *alpha, float *beta) {
  *alpha += re * p - im * q;
  *beta += re * q + im * p;
  node->p += weight.alpha * re;
  node->q -= weight.alpha * im;
  node->yp += weight.beta * im;
  node->yq += weight.beta * re;
}

/* From the gradients of p and q to those of a and y b in 1 / (a + i b) = p - i q. */
EBB_INLINE void pair_grad(NodeGrad node, float y, float p, float q, float *a, float *b) {
  float dp = node.p + y * node.yp, dq = node.q + y * node.yq;
  float square = p * p - q * q, cross = 2.0f * p * q;
  *a -= square * dp + cross * dq;
  *b += y * (square * dq - cross * dp);
}

/* Sums over the nodes begin..end-1 for one pole, added to sum: alpha, beta of each product, a, b. */
static void pole_sums4(float lam_re, float lam_im, const EbbCauchyWeight *weight, const float *restrict y,
                       const float *restrict re, int64_t Fp, int64_t begin, int64_t end, double *sum) {
  const float *restrict im = re + 4 * Fp;
  EbbCauchyWeight w0 = weight[0], w1 = weight[1], w2 = weight[2], w3 = weight[3];
  float a0 = 0, b0 = 0, a1 = 0, b1 = 0, a2 = 0, b2 = 0, a3 = 0, b3 = 0, da = 0, db = 0;
#pragma omp simd reduction(+ : a0, b0, a1, b1, a2, b2, a3, b3, da, db)
  for (int64_t j = begin; j < end; j++) {
    float p, q, z = y[j], beta0 = 0, beta1 = 0, beta2 = 0, beta3 = 0;
    NodeGrad node = {0, 0, 0, 0};
    ebb_cauchy_pair(lam_re, lam_im, z, &p, &q);
    product_grad(&node, w0, re[j], im[j], p, q, &a0, &beta0);
    product_grad(&node, w1, re[Fp + j], im[Fp + j], p, q, &a1, &beta1);
    product_grad(&node, w2, re[2 * Fp + j], im[2 * Fp + j], p, q, &a2, &beta2);
    product_grad(&node, w3, re[3 * Fp + j], im[3 * Fp + j], p, q, &a3, &beta3);
    b0 += z * beta0, b1 += z * beta1, b2 += z * beta2, b3 += z * beta3;
    pair_grad(node, z, p, q, &da, &db);
  }
  const float part[] = {a0, b0, a1, b1, a2, b2, a3, b3, da, db};
  for (int i = 0; i < 10; i++) sum[i] += (double)part[i];
}

static void pole_sums6(float lam_re, float lam_im, const EbbCauchyWeight *weight, const float *restrict y,
                       const float *restrict re, int64_t Fp, int64_t begin, int64_t end, double *sum) {
  const float *restrict im = re + 6 * Fp;
  EbbCauchyWeight w0 = weight[0], w1 = weight[1], w2 = weight[2], w3 = weight[3], w4 = weight[4],
                  w5 = weight[5];
  float a0 = 0, b0 = 0, a1 = 0, b1 = 0, a2 = 0, b2 = 0, a3 = 0, b3 = 0, a4 = 0, b4 = 0, a5 = 0, b5 = 0;
  float da = 0, db = 0;
#pragma omp simd reduction(+ : a0, b0, a1, b1, a2, b2, a3, b3, a4, b4, a5, b5, da, db)
  for (int64_t j = begin; j < end; j++) {
    float p, q, z = y[j], beta0 = 0, beta1 = 0, beta2 = 0, beta3 = 0, beta4 = 0, beta5 = 0;
    NodeGrad node = {0, 0, 0, 0};
    ebb_cauchy_pair(lam_re, lam_im, z, &p, &q);
    product_grad(&node, w0, re[j], im[j], p, q, &a0, &beta0);
    product_grad(&node, w1, re[Fp + j], im[Fp + j], p, q, &a1, &beta1);
    product_grad(&node, w2, re[2 * Fp + j], im[2 * Fp + j], p, q, &a2, &beta2);
    product_grad(&node, w3, re[3 * Fp + j], im[3 * Fp + j], p, q, &a3, &beta3);
    product_grad(&node, w4, re[4 * Fp + j], im[4 * Fp + j], p, q, &a4, &beta4);
    product_grad(&node, w5, re[5 * Fp + j], im[5 * Fp + j], p, q, &a5, &beta5);
    b0 += z * beta0, b1 += z * beta1, b2 += z * beta2;
    b3 += z * beta3, b4 += z * beta4, b5 += z * beta5;
    pair_grad(node, z, p, q, &da, &db);
  }
  const float part[] = {a0, b0, a1, b1, a2, b2, a3, b3, a4, b4, a5, b5, da, db};
  for (int i = 0; i < 14; i++) sum[i] += (double)part[i];
}

/* Blocks of nodes stay in the nearest cache while all poles pass over them; a block's sum is a float, the sum
   of blocks a double. */
static void all_sums(const EbbSsmNplrArgs *args, const EbbNplrScratch *scratch) {
  int64_t K = products(args), row = 2 * K + 2;
  memset(scratch->sum, 0, (size_t)(args->M * row) * sizeof *scratch->sum);
  for (int64_t begin = 0; begin < args->Fp; begin += EBB_NPLR_BLOCK) {
    int64_t end = begin + EBB_NPLR_BLOCK < args->Fp ? begin + EBB_NPLR_BLOCK : args->Fp;
    for (int64_t m = 0; m < args->M; m++)
      (K == 4 ? pole_sums4 : pole_sums6)(scratch->lam_re[m], scratch->lam_im[m], scratch->weight + m * K,
                                         args->y, scratch->upstream, args->Fp, begin, end,
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

static void channel_grad(const EbbSsmNplrArgs *args, int64_t h, const double *sums, const double *infinity) {
  int64_t channels = args->config.channels, row = 2 * products(args) + 2;
  double dt = exp((double)args->log_dt[h]) * args->config.rate, ddt = 0;
  for (int64_t m = 0; m < args->M; m++) {
    const double *sum = sums + m * row;
    EbbC64 wBP[3];
    ModeGrad grad = {{0, 0}, {0, 0}, {0, 0}};
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
  upstream(args, h, scratch, infinity);
  all_sums(args, scratch);
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
