/* Layer normalisation over channels on CUDA: tiles of 32 columns in shared memory (norm_columns.cuh), one a
   block. Floors, in passes over a tensor, reached while a tile fits in shared memory: forward reads x and
   writes y (2), backward reads x and dy and writes dx (3). In backward at most EBB_NORM_BLOCKS blocks walk
   over the tiles and keep their sums for dweight and dbias in shared memory; a second kernel adds the blocks'
   sums in order. */
#include "ebb/ops/layer_norm.h"

#include "kernels/norm_columns.cuh"

namespace {

/* ---- forward ---- */

template <class S>
__global__ void __launch_bounds__(EBB_NORM_THREADS, 1)
    layer_norm_forward(EbbLayerNormArgs a, const S *__restrict__ x, S *__restrict__ y, bool hold) {
  EBB_SHARED(float, scratch);
  const EbbColumnValues<S> values = {x, hold ? reinterpret_cast<S *>(scratch + blockDim.x) : nullptr, a.L,
                                     (int)a.H};
  const EbbColumn c = ebb_column(blockIdx.x, a.B, a.H, a.L);
  const EbbColumnMoments moments = ebb_column_moments(values, c, scratch);
  const float mean = moments.mean, rstd = ebb_norm_rstd(moments.var, (float)a.eps);
  if (c.valid && threadIdx.x < EBB_WARP) a.mean[c.index] = mean, a.rstd[c.index] = rstd;
  for (int h = ebb_first_row(); h < values.H; h += ebb_row_step()) {
    float v[EBB_NORM_BATCH];
    values.again(c, h, v);
    for (int j = 0; j < EBB_NORM_BATCH; j++)
      if (h + j < values.H) v[j] = ebb_norm_apply(v[j], mean, rstd * a.weight[h + j], a.bias[h + j]);
    ebb_write_rows(y, c, h, values.H, a.L, false, v);
  }
}

EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbLayerNormArgs &a = *(const EbbLayerNormArgs *)args;
  const dim3 grid(ebb_blocks(a.B * a.L, EBB_NORM_COLUMNS));
  EBB_STORAGE_DISPATCH(a.storage, S, {
    const EbbColumnLaunch launch = ebb_column_launch<S>(run, a.H, 0, 1);
    return EBB_LAUNCH(run, layer_norm_forward<S>, grid, dim3(launch.threads), launch.shared, a, as<S>(a.x),
                      as<S>(a.y), launch.hold);
  });
}

/* ---- backward ---- */

/* What a block has in shared memory. */
template <class S> struct Backward {
  float *scratch, *weight, *bias; /* for ebb_column_sum; sums for dweight and dbias, (H) each */
  EbbColumnValues<S> x, dy;
};

/* Adds the sums of rows h .. over the lanes; each sum belongs to one thread for the whole kernel. */
__device__ __forceinline__ void add_rows(const float (&v)[EBB_NORM_BATCH], float *sums, int h, int H) {
  const float sum = warp_sums(v);
  if (ebb_lane() < EBB_NORM_BATCH && h + ebb_lane() < H) sums[h + ebb_lane()] += sum;
}

/* First pass over a tile: column sums of g = dy weight and g xhat, row sums of dy xhat and dy. */
template <class S>
__device__ float2 tile_sums(const EbbLayerNormArgs &a, const Backward<S> &tile, const EbbColumn &c,
                            float mean, float rstd) {
  float2 sums = make_float2(0, 0);
  for (int h = ebb_first_row(); h < tile.x.H; h += ebb_row_step()) {
    float x[EBB_NORM_BATCH], dy[EBB_NORM_BATCH];
    tile.x.read(c, h, x);
    tile.dy.read(c, h, dy);
    for (int j = 0; j < EBB_NORM_BATCH; j++) {
      const float weight = h + j < tile.x.H ? a.weight[h + j] : 0.0f;
      x[j] = dy[j] * (x[j] - mean) * rstd;
      sums.x += dy[j] * weight, sums.y += x[j] * weight;
    }
    add_rows(x, tile.weight, h, tile.x.H);
    add_rows(dy, tile.bias, h, tile.x.H);
  }
  return sums;
}

template <class S>
__device__ void tile_gradient(const EbbLayerNormArgs &a, const Backward<S> &tile, const EbbColumn &c,
                              S *__restrict__ dx) {
  const float mean = c.valid ? a.mean[c.index] : 0.0f, rstd = c.valid ? a.rstd[c.index] : 0.0f;
  const float inverse = 1.0f / (float)tile.x.H;
  const float2 sums = tile_sums(a, tile, c, mean, rstd);
  if (!dx) return;
  const float mean_g = ebb_column_sum(sums.x, tile.scratch) * inverse;
  const float mean_dot = ebb_column_sum(sums.y, tile.scratch) * inverse;
  for (int h = ebb_first_row(); h < tile.x.H; h += ebb_row_step()) {
    float x[EBB_NORM_BATCH], dy[EBB_NORM_BATCH];
    tile.x.again(c, h, x);
    tile.dy.again(c, h, dy);
    for (int j = 0; j < EBB_NORM_BATCH; j++)
      if (h + j < tile.x.H)
        x[j] = ebb_layer_norm_dx(dy[j] * a.weight[h + j], (x[j] - mean) * rstd, rstd, mean_g, mean_dot);
    ebb_write_rows(dx, c, h, tile.x.H, a.L, a.add_dx, x);
  }
}

template <class S>
__global__ void __launch_bounds__(EBB_NORM_THREADS, 1)
    layer_norm_backward(EbbLayerNormArgs a, const S *__restrict__ x, const S *__restrict__ dy,
                        S *__restrict__ dx, bool hold) {
  EBB_SHARED(float, scratch);
  const int H = (int)a.H;
  float *weight = scratch + blockDim.x, *bias = weight + H;
  S *held = hold ? reinterpret_cast<S *>(bias + H) : nullptr;
  const Backward<S> tile = {
      scratch, weight, bias, {x, held, a.L, H}, {dy, held ? held + H * EBB_NORM_COLUMNS : nullptr, a.L, H}};
  for (int h = ebb_first_row() + ebb_lane(); ebb_lane() < EBB_NORM_BATCH && h < H; h += ebb_row_step())
    weight[h] = bias[h] = 0;
  for (int64_t t = blockIdx.x; t * EBB_NORM_COLUMNS < a.B * a.L; t += gridDim.x)
    tile_gradient(a, tile, ebb_column(t, a.B, a.H, a.L), dx);
  float *partial = a.partial + (int64_t)blockIdx.x * 2 * H;
  for (int h = ebb_first_row() + ebb_lane(); ebb_lane() < EBB_NORM_BATCH && h < H; h += ebb_row_step())
    partial[h] = weight[h], partial[H + h] = bias[h];
}

EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbLayerNormArgs &a = *(const EbbLayerNormArgs *)args;
  EBB_STORAGE_DISPATCH(a.storage, S, {
    const EbbColumnLaunch launch = ebb_column_launch<S>(run, a.H, (size_t)(2 * a.H) * sizeof(float), 2);
    EBB_TRY(EBB_LAUNCH(run, layer_norm_backward<S>, dim3((unsigned)a.parts), dim3(launch.threads),
                       launch.shared, a, as<S>(a.x), as<S>(a.dy), as<S>(a.dx), launch.hold));
  });
  return ebb_launch_join(run, a.partial, a.parts, a.H, a.dweight, a.dbias);
}

} // namespace

extern "C" const EbbKernels ebb_layer_norm_cuda = {forward, backward};
