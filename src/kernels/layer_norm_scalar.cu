/* Layer normalisation with scalar parameters on CUDA: tiles of 32 columns in shared memory
   (norm_columns.cuh), one a block. Floors, in passes over a tensor, reached while a tile fits in shared
   memory: forward reads x and writes y (2), backward reads x and dy and writes dx (3). In backward at most
   EBB_NORM_BLOCKS blocks walk over the tiles; a second kernel adds their sums for ds and dm in order. */
#include "ebb/ops/layer_norm_scalar.h"

#include "kernels/norm_columns.cuh"

namespace {

template <class S>
__global__ void __launch_bounds__(EBB_NORM_THREADS, 1)
    layer_norm_scalar_forward(EbbLayerNormScalarArgs a, const S *__restrict__ x, S *__restrict__ y,
                              bool hold) {
  EBB_SHARED(float, scratch);
  const EbbColumnValues<S> values = {x, hold ? reinterpret_cast<S *>(scratch + blockDim.x) : nullptr, a.L,
                                     (int)a.H};
  const EbbColumn c = ebb_column(blockIdx.x, a.B, a.H, a.L);
  const EbbColumnMoments moments = ebb_column_moments(values, c, scratch);
  const float mean = moments.mean, rstd = ebb_norm_rstd(moments.var, 0), s = a.s[0], m = a.m[0];
  if (c.valid && threadIdx.x < EBB_WARP) a.mean[c.index] = mean, a.rstd[c.index] = rstd;
  for (int h = ebb_first_row(); h < values.H; h += ebb_row_step()) {
    float v[EBB_NORM_BATCH];
    values.again(c, h, v);
    for (int j = 0; j < EBB_NORM_BATCH; j++) v[j] = ebb_layer_norm_scalar_apply(v[j], mean, rstd, s, m);
    ebb_write_rows(y, c, h, values.H, a.L, false, v);
  }
}

EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbLayerNormScalarArgs &a = *(const EbbLayerNormScalarArgs *)args;
  const dim3 grid(ebb_blocks(a.B * a.L, EBB_NORM_COLUMNS));
  EBB_STORAGE_DISPATCH(a.storage, S, {
    const EbbColumnLaunch launch = ebb_column_launch<S>(run, a.H, 0, 1);
    return EBB_LAUNCH(run, layer_norm_scalar_forward<S>, grid, dim3(launch.threads), launch.shared, a,
                      as<S>(a.x), as<S>(a.y), launch.hold);
  });
}

template <class S> struct Backward {
  float *scratch; /* for ebb_column_sum */
  EbbColumnValues<S> x, dy;
};

/* Sums of dy and dy (x - mean) over the column. */
template <class S> __device__ float2 column_sums(const Backward<S> &tile, const EbbColumn &c, float mean) {
  float sum = 0, dot = 0;
  for (int h = ebb_first_row(); h < tile.x.H; h += ebb_row_step()) {
    float x[EBB_NORM_BATCH], dy[EBB_NORM_BATCH];
    tile.x.read(c, h, x);
    tile.dy.read(c, h, dy);
    for (int j = 0; j < EBB_NORM_BATCH; j++) sum += dy[j], dot += dy[j] * (x[j] - mean);
  }
  sum = ebb_column_sum(sum, tile.scratch);
  return make_float2(sum, ebb_column_sum(dot, tile.scratch));
}

template <class S>
__device__ void column_gradient(const EbbLayerNormScalarArgs &a, const Backward<S> &tile, const EbbColumn &c,
                                float mean, float rstd, float2 sums, S *__restrict__ dx) {
  const float inverse = 1.0f / (float)tile.x.H, s = a.s[0], m = a.m[0];
  const float mean_dy = sums.x * inverse, mean_dot = sums.y * inverse;
  for (int h = ebb_first_row(); h < tile.x.H; h += ebb_row_step()) {
    float x[EBB_NORM_BATCH], dy[EBB_NORM_BATCH];
    tile.x.again(c, h, x);
    tile.dy.again(c, h, dy);
    for (int j = 0; j < EBB_NORM_BATCH; j++)
      x[j] = ebb_layer_norm_scalar_dx(dy[j], x[j] - mean, rstd, s, m, mean_dy, mean_dot);
    ebb_write_rows(dx, c, h, tile.x.H, a.L, a.add_dx, x);
  }
}

template <class S>
__global__ void __launch_bounds__(EBB_NORM_THREADS, 1)
    layer_norm_scalar_backward(EbbLayerNormScalarArgs a, const S *__restrict__ x, const S *__restrict__ dy,
                               S *__restrict__ dx, bool hold) {
  EBB_SHARED(float, scratch);
  const int H = (int)a.H;
  S *held = hold ? reinterpret_cast<S *>(scratch + blockDim.x) : nullptr;
  const Backward<S> tile = {
      scratch, {x, held, a.L, H}, {dy, held ? held + H * EBB_NORM_COLUMNS : nullptr, a.L, H}};
  const float s = a.s[0], m = a.m[0];
  double ds = 0, dm = 0;
  for (int64_t t = blockIdx.x; t * EBB_NORM_COLUMNS < a.B * a.L; t += gridDim.x) {
    const EbbColumn c = ebb_column(t, a.B, a.H, a.L);
    const float mean = c.valid ? a.mean[c.index] : 0.0f, rstd = c.valid ? a.rstd[c.index] : 0.0f;
    const float2 sums = column_sums(tile, c, mean);
    ds += (double)(rstd * (sums.y + m * sums.x)), dm += (double)(rstd * s * sums.x);
    if (dx) column_gradient(a, tile, c, mean, rstd, sums, dx);
  }
  ds = warp_sum(ds), dm = warp_sum(dm); /* the same in every warp */
  if (threadIdx.x == 0) a.partial[2 * (int64_t)blockIdx.x] = ds, a.partial[2 * (int64_t)blockIdx.x + 1] = dm;
}

EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbLayerNormScalarArgs &a = *(const EbbLayerNormScalarArgs *)args;
  EBB_STORAGE_DISPATCH(a.storage, S, {
    const EbbColumnLaunch launch = ebb_column_launch<S>(run, a.H, 0, 2);
    EBB_TRY(EBB_LAUNCH(run, layer_norm_scalar_backward<S>, dim3((unsigned)a.parts), dim3(launch.threads),
                       launch.shared, a, as<S>(a.x), as<S>(a.dy), as<S>(a.dx), launch.hold));
  });
  return ebb_launch_join(run, a.partial, a.parts, 1, a.ds, a.dm);
}

} // namespace

extern "C" const EbbKernels ebb_layer_norm_scalar_cuda = {forward, backward};
