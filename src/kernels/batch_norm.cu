/* Batch normalisation on CUDA, in one of two ways.

   Whole: a block takes a channel and holds it in shared memory: one launch, x (and dy) read once. Floors, in
   passes over a tensor: forward reads x and writes y (2), backward reads x and dy and writes dx (3). It
   serves where a channel fits and there are channels for most of the GPU, or little to do at all.

   Split: a channel is cut into segments, one a block, so that long or few channels fill the GPU too. The
   first kernel leaves each segment's statistics; the second joins those of its channel, every block for
   itself in the same order, and goes over the segment again. Floors: 3 passes forward, 5 backward, of which
   the second reading comes from the level-2 cache where the tensor fits there, and in part where it does not,
   because the second kernel takes the segments in reverse order.

   A channel's values, B rows of L neighbours, are counted through, so that short rows leave no thread idle; a
   thread takes four neighbours at a time where L allows. Padding is counted through too, but not read. */
#include "kernels/batch_norm.cuh"
#include "kernels/fault.cuh"
#include "kernels/launch.cuh"

namespace {

enum { SPLIT = 256, WHOLE = 512, SPLIT_WARPS = SPLIT / EBB_WARP, WHOLE_WARPS = WHOLE / EBB_WARP };

/* Whether blocks may hold `tensors` of their channel beside `own` bytes: "little to do" is what a block does
   in about the time that another launch takes. */
template <class S> bool holds_channel(const EbbBatchNormArgs &a, const EbbRun *run, int tensors, size_t own) {
  enum { LITTLE = 16384 };
  const int64_t count = a.B * a.L, room = ebb_cuda_shared_limit(run->device) - (int64_t)own;
  const bool fills = 4 * a.H >= 3 * (int64_t)ebb_cuda_multiprocessors(run->device);
  return tensors * count * (int64_t)sizeof(S) <= room && (fills || count <= LITTLE);
}
template <class S> size_t held_bytes(const EbbBatchNormArgs &a, int tensors, size_t own) {
  return own + (size_t)(tensors * a.B * a.L) * sizeof(S);
}

/* ---- forward ---- */

struct Statistics {
  float mean, rstd;
};

/* Notes what is wrong with the lengths; for all threads of the blocks that have the first segment. */
__device__ void check_lengths(const EbbBatchNormArgs &a, const EbbSegment &s, EbbFault *fault) {
  if (!a.lengths || s.h > 0 || s.index > 0) return;
  for (int64_t b = threadIdx.x; b < a.B; b += blockDim.x)
    if (a.lengths[b] != ebb_batch_norm_valid(&a, b))
      ebb_fault(fault, EBB_FAULT_NORM_LENGTH, (double)b, (double)a.lengths[b], (double)a.L, 0);
}

/* What to normalise channel h with, in one thread; write: for backward and for later evaluations too. */
__device__ Statistics finish_statistics(const EbbBatchNormArgs &a, int64_t h, const EbbMoments &moments,
                                        bool write, EbbFault *fault) {
  const Statistics s = {(float)moments.mean, ebb_batch_norm_rstd(moments.squares / moments.count, a.eps)};
  if (!write) return s;
  a.mean[h] = s.mean, a.rstd[h] = s.rstd, a.count[h] = moments.count;
  if (moments.count < 2) {
    ebb_fault(fault, EBB_FAULT_NORM_VALUES, moments.count, 0, 0, 0);
    return s;
  }
  const double unbiased = moments.squares / (moments.count - 1);
  a.running_mean[h] = ebb_batch_norm_running(a.running_mean[h], moments.mean, a.momentum);
  a.running_var[h] = ebb_batch_norm_running(a.running_var[h], unbiased, a.momentum);
  return s;
}
__device__ Statistics running_statistics(const EbbBatchNormArgs &a, int64_t h, bool write) {
  const Statistics s = {a.running_mean[h], ebb_batch_norm_rstd((double)a.running_var[h], a.eps)};
  if (write) a.mean[h] = s.mean, a.rstd[h] = s.rstd;
  return s;
}

/* y where the values come from get(places). */
template <class P, class S, class Get>
__device__ __forceinline__ void write_normalised(const EbbBatchNormArgs &a, const EbbSegment &s,
                                                 const Statistics &with, S *__restrict__ y, Get get) {
  const float mean = with.mean, scale = with.rstd * a.weight[s.h], bias = a.bias[s.h];
  ebb_visit<P>(a, s, [&](const P &places) {
    EbbPlaceValues<P::V> v = get(places);
    for (int u = 0; u < EBB_CHANNEL_LOADS; u++)
      for (int j = 0; j < P::V; j++)
        v.of[u][j] = places.keep(u, j, ebb_norm_apply(v.of[u][j], mean, scale, bias));
    ebb_store_places(y, places, v);
  });
}

/* Before what is held. */
struct alignas(16) ForwardShared {
  EbbMoments of_warp[WHOLE_WARPS];
  Statistics statistics;
};

template <class S, int V, bool MASKED>
__global__ void __launch_bounds__(WHOLE, 2)
    batch_norm_whole(EbbBatchNormArgs a, const S *__restrict__ x, S *__restrict__ y, EbbFault *fault) {
  using P = EbbPlaces<V, WHOLE, MASKED>;
  EBB_SHARED(ForwardShared, shared);
  S *held = reinterpret_cast<S *>(shared + 1);
  const EbbSegment s = {blockIdx.x, 0, 0, a.B * a.L};
  EbbMoments moments = {0, 0, 0};
  check_lengths(a, s, fault);
  ebb_visit<P>(a, s, [&](const P &places) {
    const EbbPlaceValues<V> v = ebb_load_places(x, places);
    ebb_hold_places(held, places, v);
    moments = ebb_moments_join(moments, ebb_warp_moments(places, v));
  });
  moments = ebb_join_warps(moments, shared->of_warp);
  if (threadIdx.x == 0) shared->statistics = finish_statistics(a, s.h, moments, true, fault);
  __syncthreads();
  write_normalised<P>(a, s, shared->statistics, y,
                      [&](const P &places) { return ebb_held_places(held, places); });
}

template <class S, int V, bool MASKED>
__global__ void __launch_bounds__(SPLIT) batch_norm_moments(EbbBatchNormArgs a, const S *__restrict__ x) {
  using P = EbbPlaces<V, SPLIT, MASKED>;
  EBB_SHARED(EbbMoments, of_warp);
  EbbMoments moments = {0, 0, 0};
  ebb_visit<P>(a, ebb_segment(a, blockIdx.x), [&](const P &places) {
    moments = ebb_moments_join(moments, ebb_warp_moments(places, ebb_load_places(x, places)));
  });
  moments = ebb_join_warps(moments, of_warp);
  if (threadIdx.x == 0) ((EbbMoments *)a.partial)[blockIdx.x] = moments;
}

/* Thread 0 gets the moments of channel h, joined by the first warp in the order of the segments. */
__device__ EbbMoments channel_moments(const EbbBatchNormArgs &a, int64_t h) {
  const EbbMoments *partial = (const EbbMoments *)a.partial + h * a.segments;
  EbbMoments moments = {0, 0, 0};
  for (int64_t s = threadIdx.x; s < a.segments; s += EBB_WARP)
    moments = ebb_moments_join(moments, partial[s]);
  return ebb_join_lanes(moments);
}

template <class S, int V, bool MASKED>
__global__ void __launch_bounds__(SPLIT)
    batch_norm_normalise(EbbBatchNormArgs a, const S *__restrict__ x, S *__restrict__ y, bool training,
                         EbbFault *fault) {
  using P = EbbPlaces<V, SPLIT, MASKED>;
  EBB_SHARED(Statistics, statistics);
  const EbbSegment s = ebb_segment(a, (int64_t)gridDim.x - 1 - blockIdx.x);
  check_lengths(a, s, fault);
  if (threadIdx.x < EBB_WARP) {
    const EbbMoments moments = training ? channel_moments(a, s.h) : EbbMoments{0, 0, 0};
    if (threadIdx.x == 0) {
      const Statistics of_channel = training ? finish_statistics(a, s.h, moments, s.index == 0, fault)
                                             : running_statistics(a, s.h, s.index == 0);
      *statistics = of_channel;
    }
  }
  __syncthreads();
  write_normalised<P>(a, s, *statistics, y, [&](const P &places) { return ebb_load_places(x, places); });
}

template <class S, int V, bool MASKED> EbbStatus forward_of(const EbbBatchNormArgs &a, const EbbRun *run) {
  const S *x = as<S>(a.x);
  EbbFault *fault = ebb_fault_of(run);
  const dim3 grid((unsigned)(a.H * a.segments)), block(SPLIT);
  if (run->training && holds_channel<S>(a, run, 1, sizeof(ForwardShared)))
    return EBB_LAUNCH(run, (batch_norm_whole<S, V, MASKED>), dim3((unsigned)a.H), dim3(WHOLE),
                      held_bytes<S>(a, 1, sizeof(ForwardShared)), a, x, as<S>(a.y), fault);
  if (run->training)
    EBB_TRY(EBB_LAUNCH(run, (batch_norm_moments<S, V, MASKED>), grid, block, SPLIT_WARPS * sizeof(EbbMoments),
                       a, x));
  return EBB_LAUNCH(run, (batch_norm_normalise<S, V, MASKED>), grid, block, sizeof(Statistics), a, x,
                    as<S>(a.y), run->training, fault);
}

template <class S> EbbStatus forward_stored(const EbbBatchNormArgs &a, const EbbRun *run) {
  if (a.lengths) return a.L % 4 == 0 ? forward_of<S, 4, true>(a, run) : forward_of<S, 1, true>(a, run);
  return a.L % 4 == 0 ? forward_of<S, 4, false>(a, run) : forward_of<S, 1, false>(a, run);
}

EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbBatchNormArgs &a = *(const EbbBatchNormArgs *)args;
  EBB_TRY(ebb_batch_norm_check(&a, run));
  EBB_STORAGE_DISPATCH(a.storage, S, { return forward_stored<S>(a, run); });
}

/* ---- backward ---- */

/* Sums of dy and dy (x - mean). */
struct Sums {
  double dy, dot;
};
template <int V>
__device__ __forceinline__ void add(Sums *sums, const EbbPlaceValues<V> &x, const EbbPlaceValues<V> &dy,
                                    float mean) {
  float some = 0, dot = 0; /* of 4 V products; double from there on */
  for (int u = 0; u < EBB_CHANNEL_LOADS; u++)
    for (int j = 0; j < V; j++) some += dy.of[u][j], dot += dy.of[u][j] * (x.of[u][j] - mean);
  sums->dy += (double)some, sums->dot += (double)dot;
}

/* What ebb_batch_norm_dx asks for. */
struct Means {
  float dy, dot;
};
/* From the sums of channel h, in one thread; write: the parameters' gradients too. */
__device__ Means finish_sums(const EbbBatchNormArgs &a, int64_t h, const Sums &sums, bool training,
                             bool write) {
  const double rstd = (double)a.rstd[h], dot = sums.dot * rstd;
  if (write && a.dweight) a.dweight[h] += (float)dot;
  if (write && a.dbias) a.dbias[h] += (float)sums.dy;
  if (!training) return {0, 0};
  return {(float)(sums.dy / a.count[h]), (float)(dot * rstd / a.count[h])};
}

/* dx where x and dy come from get(places, &x, &dy). */
template <class P, class S, class Get>
__device__ __forceinline__ void write_gradient(const EbbBatchNormArgs &a, const EbbSegment &s,
                                               const Means &means, S *__restrict__ dx, Get get) {
  const float mean = a.mean[s.h], scale = a.rstd[s.h] * a.weight[s.h];
  ebb_visit<P>(a, s, [&](const P &places) {
    EbbPlaceValues<P::V> x, dy;
    get(places, &x, &dy);
    for (int u = 0; u < EBB_CHANNEL_LOADS; u++)
      for (int j = 0; j < P::V; j++)
        x.of[u][j] =
            places.keep(u, j, ebb_batch_norm_dx(dy.of[u][j], x.of[u][j], mean, scale, means.dy, means.dot));
    if (a.add_dx)
      ebb_add_places(dx, places, x);
    else
      ebb_store_places(dx, places, x);
  });
}

struct alignas(16) BackwardShared {
  double scratch[EBB_WARP];
  Means means;
};

template <class S, int V, bool MASKED>
__global__ void __launch_bounds__(WHOLE, 2)
    batch_norm_whole_gradient(EbbBatchNormArgs a, const S *__restrict__ x, const S *__restrict__ dy,
                              S *__restrict__ dx, bool training) {
  using P = EbbPlaces<V, WHOLE, MASKED>;
  EBB_SHARED(BackwardShared, shared);
  const EbbSegment s = {blockIdx.x, 0, 0, a.B * a.L};
  S *held_x = reinterpret_cast<S *>(shared + 1), *held_dy = held_x + s.end;
  const float mean = a.mean[s.h];
  Sums sums = {0, 0};
  ebb_visit<P>(a, s, [&](const P &places) {
    const EbbPlaceValues<V> v = ebb_load_places(x, places), d = ebb_load_places(dy, places);
    ebb_hold_places(held_x, places, v);
    ebb_hold_places(held_dy, places, d);
    add(&sums, v, d, mean);
  });
  sums.dy = block_sum(sums.dy, shared->scratch), sums.dot = block_sum(sums.dot, shared->scratch);
  if (threadIdx.x == 0) shared->means = finish_sums(a, s.h, sums, training, true);
  __syncthreads();
  if (!dx) return;
  write_gradient<P>(a, s, shared->means, dx,
                    [&](const P &places, EbbPlaceValues<V> *v, EbbPlaceValues<V> *d) {
                      *v = ebb_held_places(held_x, places), *d = ebb_held_places(held_dy, places);
                    });
}

template <class S, int V, bool MASKED>
__global__ void __launch_bounds__(SPLIT)
    batch_norm_sums(EbbBatchNormArgs a, const S *__restrict__ x, const S *__restrict__ dy) {
  using P = EbbPlaces<V, SPLIT, MASKED>;
  EBB_SHARED(double, scratch);
  const EbbSegment s = ebb_segment(a, blockIdx.x);
  const float mean = a.mean[s.h];
  Sums sums = {0, 0};
  ebb_visit<P>(a, s, [&](const P &places) {
    const EbbPlaceValues<V> v = ebb_load_places(x, places);
    add(&sums, v, ebb_load_places(dy, places), mean);
  });
  sums.dy = block_sum(sums.dy, scratch), sums.dot = block_sum(sums.dot, scratch);
  if (threadIdx.x == 0) ((Sums *)a.partial)[blockIdx.x] = sums;
}

/* Every lane of the first warp gets the sums of channel h, added in the order of the segments. */
__device__ Sums channel_sums(const EbbBatchNormArgs &a, int64_t h) {
  const Sums *partial = (const Sums *)a.partial + h * a.segments;
  Sums sums = {0, 0};
  for (int64_t s = threadIdx.x; s < a.segments; s += EBB_WARP)
    sums.dy += partial[s].dy, sums.dot += partial[s].dot;
  return {warp_sum(sums.dy), warp_sum(sums.dot)};
}

template <class S, int V, bool MASKED>
__global__ void __launch_bounds__(SPLIT)
    batch_norm_gradient(EbbBatchNormArgs a, const S *__restrict__ x, const S *__restrict__ dy,
                        S *__restrict__ dx, bool training) {
  using P = EbbPlaces<V, SPLIT, MASKED>;
  EBB_SHARED(Means, means);
  const EbbSegment s = ebb_segment(a, (int64_t)gridDim.x - 1 - blockIdx.x);
  if (threadIdx.x < EBB_WARP) {
    const Sums sums = channel_sums(a, s.h);
    if (threadIdx.x == 0) *means = finish_sums(a, s.h, sums, training, s.index == 0);
  }
  __syncthreads();
  if (!dx) return;
  write_gradient<P>(a, s, *means, dx, [&](const P &places, EbbPlaceValues<V> *v, EbbPlaceValues<V> *d) {
    *v = ebb_load_places(x, places), *d = ebb_load_places(dy, places);
  });
}

template <class S, int V, bool MASKED> EbbStatus backward_of(const EbbBatchNormArgs &a, const EbbRun *run) {
  const S *x = as<S>(a.x), *dy = as<S>(a.dy);
  const dim3 grid((unsigned)(a.H * a.segments)), block(SPLIT);
  if (holds_channel<S>(a, run, 2, sizeof(BackwardShared)))
    return EBB_LAUNCH(run, (batch_norm_whole_gradient<S, V, MASKED>), dim3((unsigned)a.H), dim3(WHOLE),
                      held_bytes<S>(a, 2, sizeof(BackwardShared)), a, x, dy, as<S>(a.dx), run->training);
  EBB_TRY(EBB_LAUNCH(run, (batch_norm_sums<S, V, MASKED>), grid, block, EBB_WARP * sizeof(double), a, x, dy));
  return EBB_LAUNCH(run, (batch_norm_gradient<S, V, MASKED>), grid, block, sizeof(Means), a, x, dy,
                    as<S>(a.dx), run->training);
}

template <class S> EbbStatus backward_stored(const EbbBatchNormArgs &a, const EbbRun *run) {
  if (a.lengths) return a.L % 4 == 0 ? backward_of<S, 4, true>(a, run) : backward_of<S, 1, true>(a, run);
  return a.L % 4 == 0 ? backward_of<S, 4, false>(a, run) : backward_of<S, 1, false>(a, run);
}

EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbBatchNormArgs &a = *(const EbbBatchNormArgs *)args;
  EBB_STORAGE_DISPATCH(a.storage, S, { return backward_stored<S>(a, run); });
}

} // namespace

extern "C" const EbbKernels ebb_batch_norm_cuda = {forward, backward};
