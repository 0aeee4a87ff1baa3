/* The degree-P expansion on CUDA: a kernel for the spectra of k and ke, one for all rows
   (s4_series_forward.cu, s4_series_backward.cu), and after backward one that adds up the parts of the
   kernels' gradients and transforms them back. Rows too long for a block go through cuFFT
   (s4_series_long.cu). */
#include "kernels/s4_series.cuh"

namespace {

/* Row `index` of 2 H: kernel `which` (k, ke) of channel h. */
struct KernelRow {
  int which;
  int64_t h;
  bool here;
};
template <int N> __device__ __forceinline__ KernelRow kernel_row(const EbbS4SeriesArgs &a, int slot) {
  const int64_t index = (int64_t)blockIdx.x * SeriesRows<N>::SLOTS + slot;
  return {index >= a.H, index % a.H, index < 2 * a.H};
}

/* Taps divided by N. ke is moved one step back; what falls off its end would reach no output. */
template <int N> __global__ void EBB_SERIES_BOUNDS(N) s4_series_spectra(const EbbS4SeriesArgs a) {
  EBB_SHARED(float2, shared);
  constexpr int POINTS = RowFft<N>::POINTS;
  const SeriesPlace<N> place;
  const KernelRow row = kernel_row<N>(a, place.slot);
  const float *taps = (row.which ? a.ke : a.k) + row.h * a.Lk;
  float x[POINTS];
  EbbC32 z[POINTS];
#pragma unroll
  for (int k = 0; k < POINTS; k++) {
    const int lag = RowFft<N>::at(place.t, k) - row.which;
    x[k] = row.here && lag >= 0 && lag < a.Lk ? taps[lag] * (1.0f / N) : 0.0f;
  }
  place.fft(a, shared).forward(x, z);
  float2 *to = reinterpret_cast<float2 *>(a.cuda.spectra) + (row.which * a.H + row.h) * N;
#pragma unroll
  for (int k = 0; k < POINTS; k++)
    if (row.here) fft_put(to, RowFft<N>::spot(place.t, k), z[k]);
}

/* The gradient of a tap is at its lag, ke's one step later; ke's last tap of N reaches no output. */
template <int N>
__device__ __forceinline__ void store_taps(const EbbS4SeriesArgs &a, const KernelRow &row, int t,
                                           const float (&x)[RowFft<N>::POINTS]) {
  float *to = row.which ? a.dke : a.dk;
  if (!to || !row.here) return;
#pragma unroll
  for (int k = 0; k < RowFft<N>::POINTS; k++) {
    const int at = RowFft<N>::at(t, k), lag = at >= row.which ? at - row.which : N - 1;
    const float value = at >= row.which ? x[k] * (1.0f / N) : 0.0f;
    if (lag < a.Lk) store_or_add(to, row.h * a.Lk + lag, value, row.which ? a.add_dke : a.add_dk);
  }
}

template <int N> __global__ void EBB_SERIES_BOUNDS(N) s4_series_gradients(const EbbS4SeriesArgs a) {
  EBB_SHARED(float2, shared);
  constexpr int POINTS = RowFft<N>::POINTS;
  const SeriesPlace<N> place;
  const KernelRow row = kernel_row<N>(a, place.slot);
  const int64_t parts = a.cuda.layout.groups * a.cuda.layout.slots;
  const float2 *sums = reinterpret_cast<const float2 *>(a.cuda.sums) + (row.which * a.H + row.h) * parts * N;
  EbbC32 z[POINTS] = {};
  float x[POINTS];
  for (int64_t part = 0; part < parts && row.here; part++)
#pragma unroll
    for (int k = 0; k < POINTS; k++)
      z[k] = ebb_c32_add(z[k], fft_get(sums + part * N, RowFft<N>::spot(place.t, k)));
  place.fft(a, shared).inverse(z, x);
  store_taps<N>(a, row, place.t, x);
  if (!a.epilogue.dD || !row.here || row.which || place.t) return;
  double dD = 0;
  for (int64_t group = 0; group < a.cuda.layout.groups; group++)
    dD += a.cuda.dD_sums[row.h * a.cuda.layout.groups + group];
  a.epilogue.dD[row.h] += (float)dD;
}

template <int N> dim3 kernel_blocks(const EbbS4SeriesArgs &args) {
  return dim3(ebb_blocks(2 * args.H, SeriesRows<N>::SLOTS));
}

template <int N> EbbStatus launch_spectra(const EbbS4SeriesArgs &args, const EbbRun *run) {
  return EBB_LAUNCH(run, s4_series_spectra<N>, kernel_blocks<N>(args), dim3(SeriesRows<N>::BLOCK),
                    SeriesRows<N>::BYTES, args);
}
template <int N> EbbStatus launch_gradients(const EbbS4SeriesArgs &args, const EbbRun *run) {
  return EBB_LAUNCH(run, s4_series_gradients<N>, kernel_blocks<N>(args), dim3(SeriesRows<N>::BLOCK),
                    SeriesRows<N>::BYTES, args);
}
const SeriesLaunch spectra[] = SERIES_LAUNCHES(launch_spectra),
                   gradients[] = SERIES_LAUNCHES(launch_gradients);

EbbStatus forward(const void *args_, const EbbRun *run) {
  const EbbS4SeriesArgs &args = *static_cast<const EbbS4SeriesArgs *>(args_);
  if (args.cuda.channels) return ebb_series_long_forward(args, run);
  EBB_TRY(series_launch_of(spectra, args.n)(args, run));
  return ebb_series_forward_rows(args, run);
}

EbbStatus backward(const void *args_, const EbbRun *run) {
  const EbbS4SeriesArgs &args = *static_cast<const EbbS4SeriesArgs *>(args_);
  if (args.cuda.channels) return ebb_series_long_backward(args, run);
  EBB_TRY(series_launch_of(spectra, args.n)(args, run));
  EBB_TRY(ebb_series_backward_rows(args, run));
  return series_launch_of(gradients, args.n)(args, run);
}

} // namespace

extern "C" const EbbKernels ebb_s4_series_cuda = {forward, backward};
