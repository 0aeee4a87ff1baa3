/* Rows of s4_series forward: 2 P transforms a row, see s4_series.cuh. A block goes through a group of a
   channel's rows, so that the two spectra come from its level-1 cache from the second row on. Bytes: u and y
   (and `pre`) once; the work between them exceeds that by far. */
#include "kernels/s4_series.cuh"

namespace {

/* y = drop(act(x + D u)). */
template <int N, class S>
__device__ __forceinline__ void finish_row(const EbbS4SeriesArgs &a, const S4Drop &drop, const SeriesRow &row,
                                           float D, int t, const float (&x)[RowFft<N>::POINTS]) {
#pragma unroll
  for (int first = 0; first < RowFft<N>::POINTS; first += 4) {
    float factor[4];
    s4_drop_factors<RowFft<N>::THREADS>(drop, row.index, a.L, RowFft<N>::at(t, first), factor);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int step = RowFft<N>::at(t, first + k);
      if (step >= row.length) continue;
      const float skipped = D * series_load(as<S>(a.u), row.start, step, row.valid);
      s4_finish(a.epilogue, as<S>(a.y), row.start + step, x[first + k] + skipped, factor[k]);
    }
  }
}

/* v_1 .. v_P in v; in the end x. The sum of the streams goes through k as each of them went through ke. */
template <int N, class S>
__device__ __forceinline__ void mix_row(const EbbS4SeriesArgs &a, const RowFft<N> &fft, const SeriesRow &row,
                                        int64_t h, int t, float (&v)[RowFft<N>::POINTS]) {
  constexpr int POINTS = RowFft<N>::POINTS;
  EbbC32 z[POINTS];
  float total[POINTS];
#pragma unroll
  for (int k = 0; k < POINTS; k++)
    total[k] = v[k] = series_load(as<S>(a.u), row.start, RowFft<N>::at(t, k), row.valid);
  for (int q = 1; q <= a.degree; q++) {
    const bool last = q == a.degree;
#pragma unroll
    for (int k = 0; k < POINTS; k++) v[k] = last ? total[k] : v[k];
    fft.forward(v, z);
    series_multiply<N, false>(z, series_spectrum(a, last ? 0 : 1, h), t);
    fft.inverse(z, v);
    if (last) break;
#pragma unroll
    for (int k = 0; k < POINTS; k++) {
      v[k] *= series_load(as<S>(a.u), row.start, RowFft<N>::at(t, k), row.valid);
      total[k] += v[k];
    }
  }
}

template <int N, class S>
__global__ void EBB_SERIES_BOUNDS(N) s4_series_forward(const EbbS4SeriesArgs a, const S4Drop drop) {
  EBB_SHARED(float2, shared);
  const SeriesPlace<N> place;
  const RowFft<N> fft = place.fft(a, shared);
  const SeriesItem item = series_item(a, blockIdx.x);
  const float D = a.epilogue.D ? a.epilogue.D[item.h] : 0.0f;
  for (int64_t b = item.begin; b < item.end; b += SeriesRows<N>::SLOTS) {
    const SeriesRow row = series_row(a, item, b + place.slot);
    float x[RowFft<N>::POINTS];
    mix_row<N, S>(a, fft, row, item.h, place.t, x);
    finish_row<N, S>(a, drop, row, D, place.t, x);
  }
}

template <int N> EbbStatus launch(const EbbS4SeriesArgs &args, const EbbRun *run) {
  EBB_STORAGE_DISPATCH(args.storage, S, {
    return EBB_LAUNCH(run, (s4_series_forward<N, S>), dim3((unsigned)(args.H * args.cuda.layout.groups)),
                      dim3(SeriesRows<N>::BLOCK), SeriesRows<N>::BYTES, args,
                      s4_drop_of(run, &args.epilogue));
  });
}

} // namespace

EbbStatus ebb_series_forward_rows(const EbbS4SeriesArgs &args, const EbbRun *run) {
  static const SeriesLaunch launches[] = SERIES_LAUNCHES(launch);
  return series_launch_of(launches, args.n)(args, run);
}
