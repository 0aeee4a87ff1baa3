/* A block's way through the values of one channel of (B, H, L), and their moments. */
#ifndef EBB_KERNELS_BATCH_NORM_CUH
#define EBB_KERNELS_BATCH_NORM_CUH

#include "ebb/ops/batch_norm.h"
#include "kernels/reduce.cuh"
#include "kernels/storage.cuh"

enum { EBB_CHANNEL_LOADS = 4, EBB_NO_PLACE = -1 };

/* Values begin .. end - 1 of channel h, counted through as i = b L + l; index: which part of the channel. */
struct EbbSegment {
  int64_t h, index, begin, end;
};

/* A block's segment where a channel is split into a.segments. */
__device__ __forceinline__ EbbSegment ebb_segment(const EbbBatchNormArgs &a, int64_t block) {
  const int64_t count = a.B * a.L, share = (count + a.segments - 1) / a.segments;
  const int64_t span = (share + 3) / 4 * 4; /* no border falls into four neighbours */
  const int64_t index = block % a.segments, begin = index * span, end = begin + span;
  return {block / a.segments, index, begin, end < count ? end : count};
}

/* Some of a thread's places in a segment, V neighbours each: offsets in the tensor, EBB_NO_PLACE past the
   end; slot: number of the first within the segment, the others follow T V apart. T threads a block. MASKED:
   only valid[u] of the neighbours lie within their row's length; the others are padding. */
template <int V_, int T_, bool MASKED_> struct EbbPlaces {
  static constexpr int V = V_, T = T_;
  static constexpr bool MASKED = MASKED_;
  int64_t at[EBB_CHANNEL_LOADS], slot;
  int valid[EBB_CHANNEL_LOADS];

  /* How many of the neighbours count. */
  __device__ __forceinline__ int count(int u) const {
    return MASKED ? valid[u] : at[u] == EBB_NO_PLACE ? 0 : V;
  }
  /* The value of neighbour j, 0 where that is padding. */
  __device__ __forceinline__ float keep(int u, int j, float value) const {
    return MASKED && j >= valid[u] ? 0.0f : value;
  }
};

/* Of V neighbours from position l of row b on, those that count. */
__device__ __forceinline__ int ebb_valid_of(const EbbBatchNormArgs &a, int64_t b, int64_t l, int V) {
  const int64_t left = ebb_batch_norm_valid(&a, b) - l;
  return left < 0 ? 0 : left < V ? (int)left : V;
}

/* Calls visit(places) until all of a thread's places P were given. All threads make the same calls. */
template <class P, class Visit>
__device__ __forceinline__ void ebb_visit(const EbbBatchNormArgs &a, const EbbSegment &s, Visit visit) {
  constexpr int STEP = P::T * P::V;
  const int64_t step_b = STEP / a.L, step_l = STEP % a.L, step_at = step_b * a.H * a.L + step_l;
  int64_t i = s.begin + (int64_t)threadIdx.x * P::V, b = i / a.L, l = i % a.L, at = (b * a.H + s.h) * a.L + l;
  for (int64_t base = s.begin; base < s.end; base += EBB_CHANNEL_LOADS * STEP) {
    P places;
    places.slot = i - s.begin;
#pragma unroll
    for (int u = 0; u < EBB_CHANNEL_LOADS; u++) {
      const bool there = i < s.end;
      places.at[u] = there ? at : (int64_t)EBB_NO_PLACE;
      if constexpr (P::MASKED) places.valid[u] = there ? ebb_valid_of(a, b, l, P::V) : 0;
      i += STEP, at += step_at, l += step_l, b += step_b;
      if (l >= a.L) l -= a.L, b++, at += (a.H - 1) * a.L; /* into the next row of the channel */
    }
    visit(places);
  }
}

template <int V> struct EbbPlaceValues { float of[EBB_CHANNEL_LOADS][V]; };

/* V neighbours; past the end 0. */
template <int V, class S> __device__ __forceinline__ void ebb_get(const S *x, int64_t i, float (&v)[V]) {
  if constexpr (V == 4) {
    const float4 four = i == EBB_NO_PLACE ? make_float4(0, 0, 0, 0) : load4(x, i);
    v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
  } else {
    v[0] = i == EBB_NO_PLACE ? 0.0f : load(x, i);
  }
}
template <int V, class S> __device__ __forceinline__ void ebb_put(S *x, int64_t i, const float (&v)[V]) {
  if constexpr (V == 4)
    store4(x, i, make_float4(v[0], v[1], v[2], v[3]));
  else
    store(x, i, v[0]);
}

/* What x has at places, 0 for padding, of which no more is read than its neighbours need. */
template <class P, class S>
__device__ __forceinline__ EbbPlaceValues<P::V> ebb_load_places(const S *x, const P &places) {
  EbbPlaceValues<P::V> v;
#pragma unroll
  for (int u = 0; u < EBB_CHANNEL_LOADS; u++) {
    ebb_get<P::V>(x, places.count(u) > 0 ? places.at[u] : (int64_t)EBB_NO_PLACE, v.of[u]);
    for (int j = 0; j < P::V; j++) v.of[u][j] = places.keep(u, j, v.of[u][j]);
  }
  return v;
}
/* Padding is written too. */
template <class P, class S>
__device__ __forceinline__ void ebb_store_places(S *y, const P &places, const EbbPlaceValues<P::V> &v) {
#pragma unroll
  for (int u = 0; u < EBB_CHANNEL_LOADS; u++)
    if (places.at[u] != EBB_NO_PLACE) ebb_put<P::V>(y, places.at[u], v.of[u]);
}
/* Adds to what is there, to padding nothing. */
template <class P, class S>
__device__ __forceinline__ void ebb_add_places(S *y, const P &places, EbbPlaceValues<P::V> v) {
  EbbPlaceValues<P::V> old;
#pragma unroll
  for (int u = 0; u < EBB_CHANNEL_LOADS; u++) ebb_get<P::V>(y, places.at[u], old.of[u]);
  for (int u = 0; u < EBB_CHANNEL_LOADS; u++)
    for (int j = 0; j < P::V; j++) v.of[u][j] += old.of[u][j];
  ebb_store_places(y, places, v);
}

/* The same in shared memory, which then has one value for each of the segment. */
template <class P, class S>
__device__ __forceinline__ void ebb_hold_places(S *held, const P &places, const EbbPlaceValues<P::V> &v) {
#pragma unroll
  for (int u = 0; u < EBB_CHANNEL_LOADS; u++)
    if (places.at[u] != EBB_NO_PLACE) ebb_put<P::V>(held, places.slot + u * P::T * P::V, v.of[u]);
}
template <class P, class S>
__device__ __forceinline__ EbbPlaceValues<P::V> ebb_held_places(const S *held, const P &places) {
  EbbPlaceValues<P::V> v;
#pragma unroll
  for (int u = 0; u < EBB_CHANNEL_LOADS; u++) {
    const int64_t slot = places.at[u] == EBB_NO_PLACE ? (int64_t)EBB_NO_PLACE : places.slot + u * P::T * P::V;
    ebb_get<P::V>(held, slot, v.of[u]);
  }
  return v;
}

/* ---- moments ---- */

/* Of what the lanes of a warp hold; every lane gets it. */
template <class P> __device__ EbbMoments ebb_warp_moments(const P &places, const EbbPlaceValues<P::V> &v) {
  float sum = 0, deviation = 0, squares = 0;
  int count = 0;
  for (int u = 0; u < EBB_CHANNEL_LOADS; u++) {
    count += P::MASKED ? places.valid[u]
                       : P::V * __popc(__ballot_sync(EBB_FULL_WARP, places.at[u] != EBB_NO_PLACE));
    for (int j = 0; j < P::V; j++) sum += v.of[u][j];
  }
  if constexpr (P::MASKED) count = warp_sum(count);
  const float shift = warp_sum(sum) / (float)(count > 0 ? count : 1);
  for (int u = 0; u < EBB_CHANNEL_LOADS; u++)
    for (int j = 0; j < P::V; j++) {
      const float d = j < places.count(u) ? v.of[u][j] - shift : 0.0f;
      deviation += d, squares += d * d;
    }
  deviation = warp_sum(deviation), squares = warp_sum(squares);
  return count > 0 ? ebb_moments_about(shift, count, deviation, squares) : EbbMoments{0, 0, 0};
}

/* Lane 0 gets the moments of all lanes. */
__device__ __forceinline__ EbbMoments ebb_join_lanes(EbbMoments moments) {
  for (int offset = EBB_WARP / 2; offset > 0; offset /= 2) {
    const EbbMoments other = {__shfl_down_sync(EBB_FULL_WARP, moments.count, offset),
                              __shfl_down_sync(EBB_FULL_WARP, moments.mean, offset),
                              __shfl_down_sync(EBB_FULL_WARP, moments.squares, offset)};
    moments = ebb_moments_join(moments, other);
  }
  return moments;
}

/* Thread 0 gets the moments of all warps. of_warp: shared memory, one element a warp. */
__device__ __forceinline__ EbbMoments ebb_join_warps(EbbMoments moments, EbbMoments *of_warp) {
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
  if (lane == 0) of_warp[warp] = moments;
  __syncthreads();
  const bool joins = warp == 0 && lane < (int)blockDim.x / EBB_WARP;
  return ebb_join_lanes(joins ? of_warp[lane] : EbbMoments{0, 0, 0});
}

#endif
