/* Batch normalisation of x (B, H, L) [, lengths (B) int32] over (B, L) for each channel: y = (x - mean) rstd
   weight + bias, rstd = 1 / sqrt(var + eps) with the biased variance. Training updates running_mean and
   running_var (the unbiased variance): running += momentum (batch - running); evaluation normalises with
   them. With lengths only the first lengths[b] positions of row b, 0..L, count: the others are in no
   statistic and no gradient, y is 0 there. Without, padded positions count like others, as published.
   Parameters weight (H) = 1, bias (H) = 0; buffers running_mean (H) = 0, running_var (H) = 1. Source: Ioffe
   and Szegedy 2015, "Batch Normalization", algorithm 1. */
#ifndef EBB_OPS_BATCH_NORM_H
#define EBB_OPS_BATCH_NORM_H

#include "ebb/op.h"
#include "ebb/ops/norm.h"

typedef struct EbbBatchNormConfig {
  double eps, momentum; /* published: 1e-5 and 0.1 */
} EbbBatchNormConfig;

/* All pointers are disjoint device memory of the graph. Forward fails with INVALID in training where fewer
   than two values of a channel count, and where a length is outside 0..L. */
typedef struct EbbBatchNormArgs {
  const float *x;             /* (B, H, L), read again by backward */
  float *dx;                  /* (B, H, L) or NULL */
  bool add_dx;                /* dx: add to what is there, else overwrite */
  const int32_t *lengths;     /* (B) or NULL: every position counts */
  const float *weight, *bias; /* (H) */
  float *dweight, *dbias;     /* (H), added to; NULL: not wanted */
  float *running_mean;        /* (H), written in training */
  float *running_var;         /* (H), written in training */
  float *mean, *rstd;         /* (H) each, forward to backward: what forward normalised with */
  double *count;              /* (H), forward to backward in training: the values that counted */
  double *partial;            /* (H, segments, 3) scratch of the CUDA kernels: EbbMoments, or two sums */
  float *y;                   /* (B, H, L) */
  const float *dy;            /* (B, H, L) */
  int64_t B, H, L;
  int64_t segments; /* blocks that a channel is split into on CUDA */
  EbbDtype storage; /* of x, dx, y and dy */
  double eps, momentum;
} EbbBatchNormArgs;

/* Both backends' forward begins with it. */
static inline EbbStatus ebb_batch_norm_check(const EbbBatchNormArgs *a, const EbbRun *run) {
  if (!run->training || a->B * a->L > 1) return EBB_OK;
  return ebb_fail(
      EBB_INVALID,
      "batch_norm: training needs more than one value a channel, but batch and length are both 1; "
      "use a larger batch or norm 'layer'");
}

/* Positions of row b that count; of a length outside 0..L, what lies inside. */
EBB_INLINE int64_t ebb_batch_norm_valid(const EbbBatchNormArgs *a, int64_t b) {
  const int64_t length = a->lengths ? a->lengths[b] : a->L;
  return length < 0 ? 0 : length < a->L ? length : a->L;
}

/* A channel's B L values go to blocks of EBB_BATCH_NORM_ROUND values or a multiple, as long as that gives
   about EBB_BATCH_NORM_BLOCKS blocks over all channels: several waves of any GPU. */
enum { EBB_BATCH_NORM_ROUND = 4096, EBB_BATCH_NORM_BLOCKS = 2048 };
EBB_INLINE int64_t ebb_batch_norm_segments(int64_t B, int64_t H, int64_t L) {
  const int64_t most = (B * L + EBB_BATCH_NORM_ROUND - 1) / EBB_BATCH_NORM_ROUND;
  const int64_t wanted = (EBB_BATCH_NORM_BLOCKS + H - 1) / H;
  return wanted < most ? wanted : most;
}

EBB_INLINE float ebb_batch_norm_rstd(double var, double eps) { return (float)(1 / sqrt(var + eps)); }

/* A running statistic after one more batch. */
EBB_INLINE float ebb_batch_norm_running(float running, double batch, double momentum) {
  return (float)((1 - momentum) * (double)running + momentum * batch);
}

/* dL/dx of y = (x - mean) scale + bias where mean and variance depend on x: scale = rstd weight, mean_dy the
   mean of dy, mean_dot the mean of dy (x - mean) rstd^2. With both means 0: constant statistics. */
EBB_INLINE float ebb_batch_norm_dx(float dy, float x, float mean, float scale, float mean_dy,
                                   float mean_dot) {
  return scale * (dy - mean_dy - (x - mean) * mean_dot);
}

#endif
