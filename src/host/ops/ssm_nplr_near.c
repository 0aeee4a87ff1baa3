#include <string.h>

#include "host/ops/ssm_nplr.h"

EBB_CAUCHY_FORMULAS(double, EbbCauchyWeight64, EbbF64x8, EBB_CAUCHY_INVERSE, DBL_MIN, LanesSum, LanesFlow,
                    lanes)

int64_t ebb_nplr_find_near(const EbbSsmNplrArgs *args, int64_t h, const EbbNplrScratch *scratch) {
  double dt = ebb_nplr_dt(args, h);
  int64_t count = 0, begin, end;
  int32_t *mark = scratch->near;
  memset(mark, 0, (size_t)args->F * sizeof *mark);
  for (int64_t m = 0; m < args->M; m++) {
    ebb_nplr_near(args, scratch->lam[m], dt, &begin, &end);
    for (int64_t j = begin; j < end; j++) mark[j] = 1;
  }
  for (int64_t j = 0; j < args->F; j++)
    if (mark[j]) scratch->near[count++] = (int32_t)j;
  return count;
}

/* y of the near nodes from i on; the last one again beyond the count. */
static void load_nodes(const EbbSsmNplrArgs *args, int64_t i, int64_t count, const EbbNplrScratch *scratch,
                       EbbF64x8 *y) {
  for (int lane = 0; lane < EBB_F64X8; lane++)
    (*y)[lane] = ebb_nplr_node(scratch->near[i + lane < count ? i + lane : count - 1], args->n);
}

/* All r at eight nodes. */
typedef struct Values {
  EbbF64x8 re[EBB_NPLR_PRODUCTS], im[EBB_NPLR_PRODUCTS];
} Values;

static void cauchy(const EbbSsmNplrArgs *args, const EbbNplrScratch *scratch, const EbbF64x8 *y, Values *r) {
  int64_t K = ebb_nplr_padded_products(args);
  LanesSum sum[EBB_NPLR_PRODUCTS];
  memset(sum, 0, sizeof sum);
  for (int64_t m = 0; m < args->M; m++) {
    EbbF64x8 p, q;
    lanes_pair(scratch->lam[m].re, scratch->lam[m].im, y, &p, &q);
    for (int64_t i = 0; i < K; i++) lanes_add(&sum[i], scratch->exact[m * K + i], &p, &q);
  }
  for (int64_t i = 0; i < K; i++) lanes_value(&sum[i], y, &r->re[i], &r->im[i]);
}

static EbbC64 lane_of(const Values *r, int64_t product, int lane) {
  return ebb_c64_make(r->re[product][lane], r->im[product][lane]);
}

static void add_lane(Values *r, int64_t product, int lane, EbbC64 value) {
  r->re[product][lane] += value.re;
  r->im[product][lane] += value.im;
}

/* One node's r, those of one column with rank 1. */
typedef struct Node {
  EbbC64 pc[2], bq[2], pq[4];
} Node;

static Node node_of(const EbbSsmNplrArgs *args, const Values *r, int64_t c, int lane) {
  int64_t rank = ebb_ssm_rank(&args->config), channels = args->config.channels;
  Node node = {0};
  for (int64_t i = 0; i < rank; i++) {
    node.pc[i] = lane_of(r, ebb_nplr_pc(channels, i, c), lane);
    node.bq[i] = lane_of(r, ebb_nplr_bq(rank, channels) + i, lane);
  }
  for (int64_t i = 0; i < rank * rank; i++) node.pq[i] = lane_of(r, ebb_nplr_pq(rank, channels) + i, lane);
  return node;
}

/* Rank 1 is rank 2 with a second column of 0. */
void ebb_nplr_near_forward(const EbbSsmNplrArgs *args, int64_t count, const EbbNplrScratch *scratch) {
  for (int64_t i = 0; i < count; i += EBB_F64X8) {
    EbbF64x8 y;
    Values r;
    load_nodes(args, i, count, scratch, &y);
    cauchy(args, scratch, &y, &r);
    for (int64_t c = 0; c < args->config.channels; c++)
      for (int lane = 0; lane < EBB_F64X8 && i + lane < count; lane++) {
        Node node = node_of(args, &r, c, lane);
        EbbC64 khat = ebb_woodbury2_64(lane_of(&r, c, lane), node.pc, node.bq, node.pq, y[lane]);
        scratch->near_khat[c * args->Fp + i + lane] = ebb_c32_from(ebb_c64_scale(khat, 1 / (double)args->n));
      }
  }
}

static void add_node(const EbbSsmNplrArgs *args, int64_t c, int lane, const EbbWoodbury2Grad64 *one,
                     Values *grad) {
  int64_t rank = ebb_ssm_rank(&args->config), channels = args->config.channels;
  add_lane(grad, c, lane, one->bc);
  for (int64_t i = 0; i < rank; i++) {
    add_lane(grad, ebb_nplr_pc(channels, i, c), lane, one->pc[i]);
    add_lane(grad, ebb_nplr_bq(rank, channels) + i, lane, one->bq[i]);
  }
  for (int64_t i = 0; i < rank * rank; i++) add_lane(grad, ebb_nplr_pq(rank, channels) + i, lane, one->pq[i]);
}

/* Gradients of all r at eight nodes. Every node but the first counts twice, being one of a conjugate pair. */
static void split(const EbbSsmNplrArgs *args, int64_t i, int64_t count, const EbbNplrScratch *scratch,
                  const EbbF64x8 *y, const Values *r, Values *grad) {
  memset(grad, 0, sizeof *grad);
  for (int64_t c = 0; c < args->config.channels; c++)
    for (int lane = 0; lane < EBB_F64X8 && i + lane < count; lane++) {
      double times = (scratch->near[i + lane] ? 2 : 1) / (double)args->n;
      EbbC64 dkhat = ebb_c64_scale(ebb_c64_from(scratch->near_khat[c * args->Fp + i + lane]), times);
      Node node = node_of(args, r, c, lane);
      EbbC64 beta[2], gamma[2];
      ebb_woodbury2_64_factors(node.pc, node.bq, node.pq, beta, gamma);
      EbbWoodbury2Grad64 one = ebb_woodbury2_64_grad(beta, gamma, (*y)[lane], dkhat);
      add_node(args, c, lane, &one, grad);
    }
}

static void add_sums(const EbbSsmNplrArgs *args, const EbbNplrScratch *scratch, const EbbF64x8 *y,
                     const Values *grad) {
  int64_t K = ebb_nplr_padded_products(args);
  EbbF64x8 *sum = scratch->sum;
  for (int64_t m = 0; m < args->M; m++, sum += 2 * K + 2) {
    LanesFlow flow = {{0}, {0}, {0}, {0}};
    EbbF64x8 p, q;
    lanes_pair(scratch->lam[m].re, scratch->lam[m].im, y, &p, &q);
    EbbF64x8 yp = *y * p, yq = *y * q;
    for (int64_t i = 0; i < K; i++)
      lanes_add_grad(&flow, scratch->exact[m * K + i], &grad->re[i], &grad->im[i], &p, &q, &yp, &yq,
                     &sum[2 * i], &sum[2 * i + 1]);
    lanes_pair_grad(&flow, y, &p, &q, &sum[2 * K], &sum[2 * K + 1]);
  }
}

void ebb_nplr_near_backward(const EbbSsmNplrArgs *args, int64_t count, const EbbNplrScratch *scratch) {
  for (int64_t i = 0; i < count; i += EBB_F64X8) {
    EbbF64x8 y;
    Values r, grad;
    load_nodes(args, i, count, scratch, &y);
    cauchy(args, scratch, &y, &r);
    split(args, i, count, scratch, &y, &r, &grad);
    add_sums(args, scratch, &y, &grad);
  }
}
