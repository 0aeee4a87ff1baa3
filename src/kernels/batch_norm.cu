/* Batch normalisation on CUDA. Floors, in passes over a tensor: forward reads x twice and writes y (3),
   backward reads x and dy twice and writes dx (5). A second read comes from the level-2 cache where the
   tensor fits there, and its first part where it does not, because the second kernel takes the segments in
   reverse order.

   A channel's values, B rows of L neighbours, are counted through as i = b L + l and cut into segments, one a
   block, so that few channels fill the GPU too and short rows leave no thread idle. The first kernel leaves
   each segment's statistics; the second joins those of its channel, every block for itself in the same order,
   and goes over the segment again. A thread takes four neighbours at a time where L allows. */
#include "ebb/ops/batch_norm.h"

#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"
#include "kernels/storage.cuh"

namespace {

enum { THREADS = 256, WARPS = THREADS / EBB_WARP, LOADS = 4, NONE = -1 };

/* What one block works on: values begin .. end - 1 of channel h. */
struct Segment {
  int64_t h, index, begin, end;
};

__device__ Segment segment_of(const EbbBatchNormArgs &a, int64_t block) {
  const int64_t count = a.B * a.L, share = (count + a.segments - 1) / a.segments;
  const int64_t span = (share + 3) / 4 * 4; /* no border falls into four neighbours */
  const int64_t index = block % a.segments, begin = index * span, end = begin + span;
  return {block / a.segments, index, begin, end < count ? end : count};
}

/* Calls visit(at) for a thread's share of the segment, LOADS places at a time: offsets in the tensor of V
   neighbours each, NONE past the end. All threads of the block make the same calls. */
template <int V, class Visit>
__device__ __forceinline__ void visit_segment(const EbbBatchNormArgs &a, const Segment &s, Visit visit) {
  constexpr int STEP = THREADS * V;
  const int64_t step_l = STEP % a.L, step_at = STEP / a.L * a.H * a.L + step_l;
  int64_t i = s.begin + (int64_t)threadIdx.x * V, l = i % a.L, at = (i / a.L * a.H + s.h) * a.L + l;
  for (int64_t base = s.begin; base < s.end; base += LOADS * STEP) {
    int64_t places[LOADS];
#pragma unroll
    for (int u = 0; u < LOADS; u++) {
      places[u] = i < s.end ? at : (int64_t)NONE;
      i += STEP, at += step_at, l += step_l;
      if (l >= a.L) l -= a.L, at += (a.H - 1) * a.L; /* into the next row of the channel */
    }
    visit(places);
  }
}

/* The values at those places, 0 where there is none. */
template <int V, class S>
__device__ __forceinline__ void load_places(const S *x, const int64_t (&at)[LOADS], float (&v)[LOADS][V]) {
#pragma unroll
  for (int u = 0; u < LOADS; u++) {
    if constexpr (V == 4) {
      const float4 four = at[u] == NONE ? make_float4(0, 0, 0, 0) : load4(x, at[u]);
      v[u][0] = four.x, v[u][1] = four.y, v[u][2] = four.z, v[u][3] = four.w;
    } else {
      v[u][0] = at[u] == NONE ? 0.0f : load(x, at[u]);
    }
  }
}

template <int V, class S>
__device__ __forceinline__ void store_places(S *y, const int64_t (&at)[LOADS], const float (&v)[LOADS][V]) {
#pragma unroll
  for (int u = 0; u < LOADS; u++) {
    if (at[u] == NONE) continue;
    if constexpr (V == 4)
      store4(y, at[u], make_float4(v[u][0], v[u][1], v[u][2], v[u][3]));
    else
      store(y, at[u], v[u][0]);
  }
}

/* ---- forward ---- */

/* Of what the lanes of a warp hold; every lane gets it. */
template <int V> __device__ EbbMoments warp_moments(const int64_t (&at)[LOADS], const float (&v)[LOADS][V]) {
  float sum = 0, deviation = 0, squares = 0;
  int count = 0;
  for (int u = 0; u < LOADS; u++) {
    count += V * __popc(__ballot_sync(EBB_FULL_WARP, at[u] != NONE));
    for (int j = 0; j < V; j++) sum += v[u][j];
  }
  const float shift = warp_sum(sum) / (float)(count > 0 ? count : 1);
  for (int u = 0; u < LOADS; u++)
    for (int j = 0; j < V; j++) {
      const float d = at[u] == NONE ? 0.0f : v[u][j] - shift;
      deviation += d, squares += d * d;
    }
  deviation = warp_sum(deviation), squares = warp_sum(squares);
  return count > 0 ? ebb_moments_about(shift, count, deviation, squares) : EbbMoments{0, 0, 0};
}

/* Lane 0 gets the moments of all lanes. */
__device__ EbbMoments join_lanes(EbbMoments moments) {
  for (int offset = EBB_WARP / 2; offset > 0; offset /= 2) {
    const EbbMoments other = {__shfl_down_sync(EBB_FULL_WARP, moments.count, offset),
                              __shfl_down_sync(EBB_FULL_WARP, moments.mean, offset),
                              __shfl_down_sync(EBB_FULL_WARP, moments.squares, offset)};
    moments = ebb_moments_join(moments, other);
  }
  return moments;
}

template <class S, int V>
__global__ void __launch_bounds__(THREADS) batch_norm_moments(EbbBatchNormArgs a, const S *__restrict__ x) {
  EBB_SHARED(EbbMoments, of_warp);
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
  EbbMoments moments = {0, 0, 0};
  visit_segment<V>(a, segment_of(a, blockIdx.x), [&](const int64_t(&at)[LOADS]) {
    float v[LOADS][V];
    load_places(x, at, v);
    moments = ebb_moments_join(moments, warp_moments(at, v));
  });
  if (lane == 0) of_warp[warp] = moments;
  __syncthreads();
  if (warp > 0) return;
  moments = join_lanes(lane < WARPS ? of_warp[lane] : EbbMoments{0, 0, 0});
  if (lane == 0) ((EbbMoments *)a.partial)[blockIdx.x] = moments;
}

/* Lane 0 of the calling warp gets the moments of channel h, joined in the order of the segments. */
__device__ EbbMoments channel_moments(const EbbBatchNormArgs &a, int64_t h) {
  const EbbMoments *partial = (const EbbMoments *)a.partial + h * a.segments;
  EbbMoments moments = {0, 0, 0};
  for (int64_t s = threadIdx.x % EBB_WARP; s < a.segments; s += EBB_WARP)
    moments = ebb_moments_join(moments, partial[s]);
  return join_lanes(moments);
}

/* Makes mean and rstd of a channel; one block of the channel writes them down. */
__device__ void finish_statistics(const EbbBatchNormArgs &a, const Segment &s, bool training,
                                  float *statistics) {
  const EbbMoments moments = training ? channel_moments(a, s.h) : EbbMoments{0, 0, 0};
  if (threadIdx.x > 0) return;
  const double var = training ? moments.squares / moments.count : (double)a.running_var[s.h];
  statistics[0] = training ? (float)moments.mean : a.running_mean[s.h];
  statistics[1] = ebb_batch_norm_rstd(var, a.eps);
  if (s.index > 0) return;
  a.mean[s.h] = statistics[0], a.rstd[s.h] = statistics[1];
  if (!training) return;
  const double unbiased = moments.squares / (moments.count - 1);
  a.running_mean[s.h] = ebb_batch_norm_running(a.running_mean[s.h], moments.mean, a.momentum);
  a.running_var[s.h] = ebb_batch_norm_running(a.running_var[s.h], unbiased, a.momentum);
}

template <class S, int V>
__global__ void __launch_bounds__(THREADS)
    batch_norm_normalise(EbbBatchNormArgs a, const S *__restrict__ x, S *__restrict__ y, bool training) {
  EBB_SHARED(float, statistics);
  const Segment s = segment_of(a, (int64_t)gridDim.x - 1 - blockIdx.x);
  if (threadIdx.x < EBB_WARP) finish_statistics(a, s, training, statistics);
  __syncthreads();
  const float mean = statistics[0], scale = statistics[1] * a.weight[s.h], bias = a.bias[s.h];
  visit_segment<V>(a, s, [&](const int64_t(&at)[LOADS]) {
    float v[LOADS][V];
    load_places(x, at, v);
    for (int u = 0; u < LOADS; u++)
      for (int j = 0; j < V; j++) v[u][j] = ebb_norm_apply(v[u][j], mean, scale, bias);
    store_places(y, at, v);
  });
}

template <class S, int V> EbbStatus forward_of(const EbbBatchNormArgs &a, const EbbRun *run) {
  const dim3 grid((unsigned)(a.H * a.segments)), block(THREADS);
  const S *x = as<S>(a.x);
  if (run->training)
    EBB_TRY(EBB_LAUNCH(run, (batch_norm_moments<S, V>), grid, block, WARPS * sizeof(EbbMoments), a, x));
  return EBB_LAUNCH(run, (batch_norm_normalise<S, V>), grid, block, 2 * sizeof(float), a, x, as<S>(a.y),
                    run->training);
}

EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbBatchNormArgs &a = *(const EbbBatchNormArgs *)args;
  EBB_TRY(ebb_batch_norm_check(&a, run));
  EBB_STORAGE_DISPATCH(a.storage, S,
                       { return a.L % 4 == 0 ? forward_of<S, 4>(a, run) : forward_of<S, 1>(a, run); });
}

/* ---- backward ---- */

/* Sums over the segment of dy and dy (x - mean). */
template <class S, int V>
__global__ void __launch_bounds__(THREADS)
    batch_norm_sums(EbbBatchNormArgs a, const S *__restrict__ x, const S *__restrict__ dy) {
  EBB_SHARED(double, scratch);
  const Segment s = segment_of(a, blockIdx.x);
  const float mean = a.mean[s.h];
  double sum = 0, dot = 0;
  visit_segment<V>(a, s, [&](const int64_t(&at)[LOADS]) {
    float v[LOADS][V], d[LOADS][V], some = 0, some_dot = 0;
    load_places(x, at, v);
    load_places(dy, at, d);
    for (int u = 0; u < LOADS; u++)
      for (int j = 0; j < V; j++) some += d[u][j], some_dot += d[u][j] * (v[u][j] - mean);
    sum += (double)some, dot += (double)some_dot;
  });
  sum = block_sum(sum, scratch), dot = block_sum(dot, scratch);
  if (threadIdx.x == 0)
    a.partial[2 * (int64_t)blockIdx.x] = sum, a.partial[2 * (int64_t)blockIdx.x + 1] = dot;
}

/* Adds the sums of a channel up, in warp 0; one block of the channel adds them to the parameters' gradients.
   means: what ebb_batch_norm_dx asks for. */
__device__ void finish_sums(const EbbBatchNormArgs &a, const Segment &s, bool training, float *means) {
  const double *partial = a.partial + 2 * s.h * a.segments, rstd = (double)a.rstd[s.h];
  double sum = 0, dot = 0;
  for (int64_t i = threadIdx.x; i < a.segments; i += EBB_WARP)
    sum += partial[2 * i], dot += partial[2 * i + 1];
  sum = warp_sum(sum), dot = warp_sum(dot) * rstd;
  if (threadIdx.x > 0) return;
  const double count = (double)(a.B * a.L);
  means[0] = training ? (float)(sum / count) : 0.0f;
  means[1] = training ? (float)(dot * rstd / count) : 0.0f;
  if (s.index > 0) return;
  if (a.dweight) a.dweight[s.h] += (float)dot;
  if (a.dbias) a.dbias[s.h] += (float)sum;
}

template <class S, int V>
__global__ void __launch_bounds__(THREADS)
    batch_norm_gradient(EbbBatchNormArgs a, const S *__restrict__ x, const S *__restrict__ dy,
                        S *__restrict__ dx, bool training) {
  EBB_SHARED(float, means);
  const Segment s = segment_of(a, (int64_t)gridDim.x - 1 - blockIdx.x);
  if (threadIdx.x < EBB_WARP) finish_sums(a, s, training, means);
  __syncthreads();
  if (!dx) return;
  const float mean = a.mean[s.h], scale = a.rstd[s.h] * a.weight[s.h];
  const float mean_dy = means[0], mean_dot = means[1];
  visit_segment<V>(a, s, [&](const int64_t(&at)[LOADS]) {
    float v[LOADS][V], d[LOADS][V], old[LOADS][V] = {};
    load_places(x, at, v);
    load_places(dy, at, d);
    if (a.add_dx) load_places(dx, at, old);
    for (int u = 0; u < LOADS; u++)
      for (int j = 0; j < V; j++)
        old[u][j] += ebb_batch_norm_dx(d[u][j], v[u][j], mean, scale, mean_dy, mean_dot);
    store_places(dx, at, old);
  });
}

template <class S, int V> EbbStatus backward_of(const EbbBatchNormArgs &a, const EbbRun *run) {
  const dim3 grid((unsigned)(a.H * a.segments)), block(THREADS);
  const S *x = as<S>(a.x), *dy = as<S>(a.dy);
  EBB_TRY(EBB_LAUNCH(run, (batch_norm_sums<S, V>), grid, block, 32 * sizeof(double), a, x, dy));
  return EBB_LAUNCH(run, (batch_norm_gradient<S, V>), grid, block, 2 * sizeof(float), a, x, dy, as<S>(a.dx),
                    run->training);
}

EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbBatchNormArgs &a = *(const EbbBatchNormArgs *)args;
  EBB_STORAGE_DISPATCH(a.storage, S,
                       { return a.L % 4 == 0 ? backward_of<S, 4>(a, run) : backward_of<S, 1>(a, run); });
}

} // namespace

extern "C" const EbbKernels ebb_batch_norm_cuda = {forward, backward};
