#include <omp.h>
#include <string.h>

#include "host/cpu.h"
#include "host/ops/ssm_dplr.h"
#include "host/ops/ssm_nplr.h"
#include "host/parts.h"

/* Lays the parts out from `base` on; returns the bytes they take. */
static size_t place(const EbbSsmNplrArgs *args, char *base, EbbNplrScratch *scratch) {
  size_t M = (size_t)args->M, K = (size_t)ebb_nplr_padded_products(args);
  size_t C = (size_t)args->config.channels, Fp = (size_t)args->Fp;
  const EbbPart parts[] = {{&scratch->lam_re, M * sizeof(float)},
                           {&scratch->lam_im, M * sizeof(float)},
                           {&scratch->weight, M * K * sizeof(EbbCauchyWeight)},
                           {&scratch->sum, M * (2 * K + 2) * sizeof(EbbF64x8)},
                           {&scratch->upstream, 2 * K * Fp * sizeof(float)},
                           {&scratch->spectrum, (size_t)ebb_spectrum_floats(args->n) * sizeof(float)},
                           {&scratch->row, (size_t)ebb_row_floats(args->n) * sizeof(float)},
                           {&scratch->lam, M * sizeof(EbbC64)},
                           {&scratch->exact, M * K * sizeof(EbbCauchyWeight64)},
                           {&scratch->near, Fp * sizeof(int32_t)},
                           {&scratch->near_khat, C * Fp * sizeof(EbbC32)}};
  return ebb_place_parts(base, parts, sizeof parts / sizeof *parts);
}

size_t ebb_nplr_scratch_bytes(const EbbSsmNplrArgs *args) {
  EbbNplrScratch unused;
  return place(args, NULL, &unused);
}

EbbNplrScratch ebb_nplr_scratch(const EbbSsmNplrArgs *args, int thread) {
  EbbNplrScratch scratch;
  place(args, args->cpu.scratch + (size_t)thread * args->cpu.scratch_row, &scratch);
  return scratch;
}

void ebb_nplr_poles(const EbbSsmNplrArgs *args, int64_t h, const EbbNplrScratch *scratch) {
  int64_t K = ebb_nplr_padded_products(args), channels = args->config.channels;
  double dt = ebb_nplr_dt(args, h);
  for (int64_t m = 0; m < args->M; m++) {
    EbbNplrMode mode = ebb_nplr_mode(args, h, m, dt);
    EbbCauchyWeight64 *weight = scratch->exact + m * K;
    scratch->lam[m] = mode.lam;
    scratch->lam_re[m] = (float)mode.lam.re;
    scratch->lam_im[m] = (float)mode.lam.im;
    weight[K - 1] = (EbbCauchyWeight64){0, 0};
    ebb_nplr_weights(args, h, m, &mode, ebb_ssm_rank(&args->config), channels, weight);
    for (int64_t i = 0; i < K; i++)
      scratch->weight[m * K + i] = (EbbCauchyWeight){(float)weight[i].alpha, (float)weight[i].beta};
  }
}

/* Row `product` of r and its imaginary twin at one vector of nodes. */
static void store(float *r, int64_t Fp, int64_t product, const EbbNodesSum *sum, const EbbNodes *y) {
  EbbNodes re, im;
  ebb_nodes_value(sum, y, &re, &im);
  memcpy(r + 2 * product * Fp, &re, sizeof re);
  memcpy(r + (2 * product + 1) * Fp, &im, sizeof im);
}

/* The r of four products, from `first` on of K, at sixteen nodes; the sums over poles stay in registers. */
static void cauchy4(const EbbNplrScratch *scratch, const float *y_, int64_t M, int64_t K, int64_t first,
                    int64_t Fp, float *r) {
  const EbbCauchyWeight *restrict weight = scratch->weight + first;
  EbbNodesSum s0 = {{0}, {0}, {0}, {0}}, s1 = s0, s2 = s0, s3 = s0;
  EbbNodes y, p, q;
  memcpy(&y, y_, sizeof y);
  for (int64_t m = 0; m < M; m++, weight += K) {
    ebb_nodes_pair(scratch->lam_re[m], scratch->lam_im[m], &y, &p, &q);
    ebb_nodes_add(&s0, weight[0], &p, &q);
    ebb_nodes_add(&s1, weight[1], &p, &q);
    ebb_nodes_add(&s2, weight[2], &p, &q);
    ebb_nodes_add(&s3, weight[3], &p, &q);
  }
  store(r, Fp, first, &s0, &y);
  store(r, Fp, first + 1, &s1, &y);
  store(r, Fp, first + 2, &s2, &y);
  store(r, Fp, first + 3, &s3, &y);
}

/* The same of six. */
static void cauchy6(const EbbNplrScratch *scratch, const float *y_, int64_t M, int64_t K, int64_t first,
                    int64_t Fp, float *r) {
  const EbbCauchyWeight *restrict weight = scratch->weight + first;
  EbbNodesSum s0 = {{0}, {0}, {0}, {0}}, s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0;
  EbbNodes y, p, q;
  memcpy(&y, y_, sizeof y);
  for (int64_t m = 0; m < M; m++, weight += K) {
    ebb_nodes_pair(scratch->lam_re[m], scratch->lam_im[m], &y, &p, &q);
    ebb_nodes_add(&s0, weight[0], &p, &q);
    ebb_nodes_add(&s1, weight[1], &p, &q);
    ebb_nodes_add(&s2, weight[2], &p, &q);
    ebb_nodes_add(&s3, weight[3], &p, &q);
    ebb_nodes_add(&s4, weight[4], &p, &q);
    ebb_nodes_add(&s5, weight[5], &p, &q);
  }
  store(r, Fp, first, &s0, &y);
  store(r, Fp, first + 1, &s1, &y);
  store(r, Fp, first + 2, &s2, &y);
  store(r, Fp, first + 3, &s3, &y);
  store(r, Fp, first + 4, &s4, &y);
  store(r, Fp, first + 5, &s5, &y);
}

static EbbC32 load(const float *r, int64_t Fp, int64_t product, int64_t j) {
  return ebb_c32_make(r[2 * product * Fp + j], r[(2 * product + 1) * Fp + j]);
}

/* khat of kernel c at the regular nodes, divided by n. */
static void combine(const EbbSsmNplrArgs *args, const float *restrict r, int64_t c, EbbC32 *restrict khat) {
  int64_t channels = args->config.channels, Fp = args->Fp;
  int64_t pc = ebb_nplr_pc(channels, 0, c), bq = ebb_nplr_bq(1, channels), pq = ebb_nplr_pq(1, channels);
  float scale = (float)(1 / (double)args->n);
  const float *restrict y = args->y;
#pragma omp simd
  for (int64_t j = 0; j < args->F; j++)
    khat[j] = ebb_c32_scale(
        ebb_woodbury(load(r, Fp, c, j), load(r, Fp, pc, j), load(r, Fp, bq, j), load(r, Fp, pq, j), y[j]),
        scale);
}

static void combine2(const EbbSsmNplrArgs *args, const float *restrict r, int64_t c, EbbC32 *restrict khat) {
  int64_t channels = args->config.channels, Fp = args->Fp;
  int64_t pc0 = ebb_nplr_pc(channels, 0, c), pc1 = ebb_nplr_pc(channels, 1, c);
  int64_t bq0 = ebb_nplr_bq(2, channels), pq0 = ebb_nplr_pq(2, channels);
  float scale = (float)(1 / (double)args->n);
  for (int64_t j = 0; j < args->F; j++) {
    const EbbC32 pc[] = {load(r, Fp, pc0, j), load(r, Fp, pc1, j)};
    const EbbC32 bq[] = {load(r, Fp, bq0, j), load(r, Fp, bq0 + 1, j)};
    const EbbC32 pq[] = {load(r, Fp, pq0, j), load(r, Fp, pq0 + 1, j), load(r, Fp, pq0 + 2, j),
                         load(r, Fp, pq0 + 3, j)};
    khat[j] = ebb_c32_scale(ebb_woodbury2(load(r, Fp, c, j), pc, bq, pq, args->y[j]), scale);
  }
}

/* The node at infinity of even n: the limit (z/2) dt sum_m 2 Re(B C~) / z. The weights beta hold it. */
static void close_spectrum(const EbbSsmNplrArgs *args, const EbbNplrScratch *scratch, int64_t c) {
  if (args->n % 2) return;
  double sum = 0;
  for (int64_t m = 0; m < args->M; m++) sum += scratch->exact[m * ebb_nplr_padded_products(args) + c].beta;
  scratch->spectrum[args->n / 2] = ebb_c32_make((float)(0.5 * sum / (double)args->n), 0);
}

static void forward_channel(const EbbSsmNplrArgs *args, int64_t h, const EbbNplrScratch *scratch) {
  int64_t channels = args->config.channels, H = args->config.H, K = ebb_nplr_padded_products(args);
  float *r = args->cpu.r ? args->cpu.r + h * 2 * K * args->Fp : scratch->upstream;
  ebb_nplr_poles(args, h, scratch);
  for (int64_t j = 0; j < args->Fp; j += EBB_NODES)
    for (int64_t first = 0; first < K; first += ebb_nplr_group(K, first))
      (ebb_nplr_group(K, first) == 4 ? cauchy4 : cauchy6)(scratch, args->y + j, args->M, K, first, args->Fp,
                                                          r + j);
  int64_t near = ebb_nplr_find_near(args, h, scratch);
  ebb_nplr_near_forward(args, near, scratch);
  for (int64_t c = 0; c < channels; c++) {
    (ebb_ssm_rank(&args->config) == 1 ? combine : combine2)(args, r, c, scratch->spectrum);
    for (int64_t i = 0; i < near; i++)
      scratch->spectrum[scratch->near[i]] = scratch->near_khat[c * args->Fp + i];
    close_spectrum(args, scratch, c);
    ebb_fft_inverse(args->cpu.fft, scratch->spectrum, scratch->row);
    memcpy(args->k + (c * H + h) * args->Lk, scratch->row, (size_t)args->Lk * sizeof(float));
  }
}

EbbStatus ebb_nplr_forward(const void *args_, const EbbRun *run) {
  const EbbSsmNplrArgs *args = args_;
#pragma omp parallel num_threads(EBB_THREADS(run))
  {
    EbbNplrScratch scratch = ebb_nplr_scratch(args, omp_get_thread_num());
#pragma omp for schedule(static)
    for (int64_t h = 0; h < args->config.H; h++) forward_channel(args, h, &scratch);
#pragma omp for schedule(static)
    for (int64_t h = 0; h < args->config.H; h += 8)
      if (args->ke) ebb_dplr_readout(args, h, scratch.lam_re);
  }
  return EBB_OK;
}
