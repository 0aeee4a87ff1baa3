/* Rows of s4_series backward: 4 P - 1 transforms a row, see s4_series.cuh.

   A row's streams are made again: their spectra V_q and the states s_q go to scratch that belongs to the
   block, so blocks stay and take one item after the other, no more of them than run at once, and the scratch
   mostly stays in the level-2 cache (12 bytes a value, stream and row at work). Making V_q a second time
   would save 16 bytes of that traffic a value and cost a transform, which moves 32 through shared memory and
   wants another spectrum in registers. The gradients of both kernels are summed over an item's rows as
   spectra, in shared memory where a multiprocessor has enough, else where the parts lie
   that the last kernel adds up. */
#include "kernels/s4_series.cuh"

namespace {

template <int N> struct BackRows : SeriesRows<N> {
  static constexpr bool SUMS_SHARED = N <= 4096;
  static constexpr size_t BYTES =
      SeriesRows<N>::BYTES + (SUMS_SHARED ? sizeof(float2) * SeriesRows<N>::SLOTS * 2 * N : 0);
};

/* What the threads of a row work with. */
template <int N> struct Back {
  typedef RowFft<N> Fft;
  const EbbS4SeriesArgs &a;
  const Fft fft;
  const int t;
  float2 *streams; /* of this row: (degree, N) */
  float *states;   /* (degree - 1, N) */
  float2 *sum[2];  /* spectra of dk and dke */
  const float2 *spectrum[2];
  float D;

  __device__ float2 *stream(int q) const { return streams + (int64_t)(q - 1) * N; }
  __device__ float *state(int q) const { return states + (int64_t)(q - 1) * N; }
};

template <int N>
__device__ __forceinline__ void keep_spectrum(float2 *to, const EbbC32 (&z)[RowFft<N>::POINTS], int t) {
#pragma unroll
  for (int k = 0; k < RowFft<N>::POINTS; k++) fft_put(to, RowFft<N>::spot(t, k), z[k]);
}

/* sum += z conj(stream). */
template <int N>
__device__ __forceinline__ void correlate(float2 *sum, const EbbC32 (&z)[RowFft<N>::POINTS],
                                          const float2 *stream, int t) {
#pragma unroll
  for (int k = 0; k < RowFft<N>::POINTS; k++) {
    const int i = RowFft<N>::spot(t, k);
    fft_put(sum, i, ebb_c32_add(fft_get(sum, i), ebb_c32_mul_conj(z[k], fft_get(stream, i))));
  }
}

/* Keeps V_1 .. V_{P-1}, the spectrum of all streams' sum in the place of V_P, and s_1 .. s_{P-1}. */
template <int N, class S>
__device__ __forceinline__ void remake_streams(const Back<N> &back, const SeriesRow &row) {
  constexpr int POINTS = RowFft<N>::POINTS;
  const EbbS4SeriesArgs &a = back.a;
  EbbC32 z[POINTS];
  float v[POINTS], total[POINTS];
#pragma unroll
  for (int k = 0; k < POINTS; k++)
    total[k] = v[k] = series_load(as<S>(a.u), row.start, RowFft<N>::at(back.t, k), row.valid);
  for (int q = 1; q <= a.degree; q++) {
    const bool last = q == a.degree;
#pragma unroll
    for (int k = 0; k < POINTS; k++) v[k] = last ? total[k] : v[k];
    back.fft.forward(v, z);
    keep_spectrum<N>(back.stream(q), z, back.t);
    if (last) break;
    series_multiply<N, false>(z, back.spectrum[1], back.t);
    back.fft.inverse(z, v);
#pragma unroll
    for (int k = 0; k < POINTS; k++) {
      const int step = RowFft<N>::at(back.t, k);
      back.state(q)[step] = v[k];
      v[k] *= series_load(as<S>(a.u), row.start, step, row.valid);
      total[k] += v[k];
    }
  }
}

/* g = dL/dx from dy. Returns the thread's part of dD, and begins du. */
template <int N, class S>
__device__ __forceinline__ float load_gradient(const Back<N> &back, const S4Drop &drop, const SeriesRow &row,
                                               float (&g)[RowFft<N>::POINTS],
                                               float (&du)[RowFft<N>::POINTS]) {
  const EbbS4SeriesArgs &a = back.a;
  float dot = 0.0f;
#pragma unroll
  for (int first = 0; first < RowFft<N>::POINTS; first += 4) {
    float factor[4];
    s4_drop_factors<RowFft<N>::THREADS>(drop, row.index, a.L, RowFft<N>::at(back.t, first), factor);
#pragma unroll
    for (int k = first; k < first + 4; k++) {
      const int step = RowFft<N>::at(back.t, k);
      g[k] = 0.0f;
      if (step < row.length)
        g[k] = s4_finish_back(a.epilogue, as<S>(a.dy), row.start + step, factor[k - first]);
      du[k] = back.D * g[k];
      dot += g[k] * series_load(as<S>(a.u), row.start, step, row.valid);
    }
  }
  return dot;
}

/* Through v_{q+1} = u s_q: gv becomes the gradient of s_q, and du gets its part. */
template <int N, class S>
__device__ __forceinline__ void product_back(const Back<N> &back, const SeriesRow &row, int q,
                                             float (&gv)[RowFft<N>::POINTS], float (&du)[RowFft<N>::POINTS]) {
#pragma unroll
  for (int k = 0; k < RowFft<N>::POINTS; k++) {
    const int step = RowFft<N>::at(back.t, k);
    du[k] += gv[k] * back.state(q)[step];
    gv[k] *= series_load(as<S>(back.a.u), row.start, step, row.valid);
  }
}

/* From x's gradient gv down to v_1, the output's convolution being the last of P: `grad` is what every stream
   gets through it. Adds to du and to both kernels' gradients. */
template <int N, class S>
__device__ __forceinline__ void streams_back(const Back<N> &back, const SeriesRow &row,
                                             float (&gv)[RowFft<N>::POINTS], float (&du)[RowFft<N>::POINTS]) {
  constexpr int POINTS = RowFft<N>::POINTS;
  EbbC32 z[POINTS];
  float grad[POINTS] = {};
  for (int q = (int)back.a.degree; q > 0; q--) {
    const bool output = q == back.a.degree;
    if (!output) product_back<N, S>(back, row, q, gv, du);
    back.fft.forward(gv, z);
    correlate<N>(output ? back.sum[0] : back.sum[1], z, back.stream(q), back.t);
    series_multiply<N, true>(z, output ? back.spectrum[0] : back.spectrum[1], back.t);
    back.fft.inverse(z, gv);
#pragma unroll
    for (int k = 0; k < POINTS; k++) {
      gv[k] += grad[k];
      grad[k] = output ? gv[k] : grad[k];
    }
  }
#pragma unroll
  for (int k = 0; k < POINTS; k++) du[k] += gv[k];
}

/* The padding gets nothing (add) or 0. */
template <int N, class S>
__device__ __forceinline__ void store_gradient(const Back<N> &back, const SeriesRow &row,
                                               const float (&du)[RowFft<N>::POINTS]) {
  const EbbS4SeriesArgs &a = back.a;
  if (!a.du) return;
#pragma unroll
  for (int k = 0; k < RowFft<N>::POINTS; k++) {
    const int step = RowFft<N>::at(back.t, k);
    if (step < row.length)
      store_or_add(as<S>(a.du), row.start + step, step < row.valid ? du[k] : 0.0f, a.add_du);
  }
}

template <int N, class S>
__device__ __forceinline__ float row_back(const Back<N> &back, const S4Drop &drop, const SeriesRow &row) {
  float g[RowFft<N>::POINTS], du[RowFft<N>::POINTS];
  remake_streams<N, S>(back, row);
  const float dot = load_gradient<N, S>(back, drop, row, g, du);
  streams_back<N, S>(back, row, g, du);
  store_gradient<N, S>(back, row, du);
  return dot;
}

/* Where an item's sum `which` lies at the end. */
template <int N>
__device__ __forceinline__ float2 *sum_of(const EbbS4SeriesArgs &a, const SeriesItem &item, int which,
                                          int slot) {
  const int64_t part =
      ((which * a.H + item.h) * a.cuda.layout.groups + item.group) * a.cuda.layout.slots + slot;
  return reinterpret_cast<float2 *>(a.cuda.sums) + part * N;
}

template <int N>
__device__ __forceinline__ Back<N> begin_back(const EbbS4SeriesArgs &a, const SeriesItem &item,
                                              const SeriesPlace<N> &place, float2 *shared) {
  const int64_t row = (int64_t)blockIdx.x * SeriesRows<N>::SLOTS + place.slot;
  float2 *sums = shared + SeriesRows<N>::SLOTS * RowFft<N>::SHARED + 2 * N * place.slot;
  constexpr bool SHARED = BackRows<N>::SUMS_SHARED;
  Back<N> back = {a,
                  place.fft(a, shared),
                  place.t,
                  reinterpret_cast<float2 *>(a.cuda.streams) + row * a.degree * N,
                  a.cuda.states + row * (a.degree - 1) * N,
                  {SHARED ? sums : sum_of<N>(a, item, 0, place.slot),
                   SHARED ? sums + N : sum_of<N>(a, item, 1, place.slot)},
                  {series_spectrum(a, 0, item.h), series_spectrum(a, 1, item.h)},
                  a.epilogue.D ? a.epilogue.D[item.h] : 0.0f};
  for (int which = 0; which < 2; which++)
    for (int i = place.t; i < N; i += RowFft<N>::THREADS) back.sum[which][i] = make_float2(0.0f, 0.0f);
  return back;
}

/* A thread reads and writes its own places of all sums, so nothing waits. */
template <int N>
__device__ __forceinline__ void end_back(const Back<N> &back, const SeriesItem &item,
                                         const SeriesPlace<N> &place, double dot, float2 *shared) {
  __syncthreads(); /* the last transform has read its part of shared memory */
  dot = block_sum(dot, reinterpret_cast<double *>(shared));
  if (threadIdx.x == 0) back.a.cuda.dD_sums[item.h * back.a.cuda.layout.groups + item.group] = dot;
  if constexpr (BackRows<N>::SUMS_SHARED)
    for (int which = 0; which < 2; which++) {
      float2 *to = sum_of<N>(back.a, item, which, place.slot);
      for (int i = place.t; i < N; i += RowFft<N>::THREADS) to[i] = back.sum[which][i];
    }
}

template <int N, class S>
__global__ void EBB_SERIES_BOUNDS(N) s4_series_backward(const EbbS4SeriesArgs a, const S4Drop drop) {
  EBB_SHARED(float2, shared);
  const SeriesPlace<N> place;
  for (int64_t index = blockIdx.x; index < a.H * a.cuda.layout.groups; index += gridDim.x) {
    const SeriesItem item = series_item(a, index);
    const Back<N> back = begin_back<N>(a, item, place, shared);
    double dot = 0;
    for (int64_t b = item.begin; b < item.end; b += SeriesRows<N>::SLOTS)
      dot += (double)row_back<N, S>(back, drop, series_row(a, item, b + place.slot));
    end_back<N>(back, item, place, dot, shared);
  }
}

template <int N> EbbStatus launch(const EbbS4SeriesArgs &args, const EbbRun *run) {
  EBB_STORAGE_DISPATCH(args.storage, S, {
    return EBB_LAUNCH(run, (s4_series_backward<N, S>), dim3((unsigned)args.cuda.layout.blocks),
                      dim3(SeriesRows<N>::BLOCK), BackRows<N>::BYTES, args, s4_drop_of(run, &args.epilogue));
  });
}

} // namespace

EbbStatus ebb_series_backward_rows(const EbbS4SeriesArgs &args, const EbbRun *run) {
  static const SeriesLaunch launches[] = SERIES_LAUNCHES(launch);
  return series_launch_of(launches, args.n)(args, run);
}
