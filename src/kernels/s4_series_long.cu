/* s4_series on rows that no block transforms: cuFFT's batched transforms, with elementwise kernels between
   them, over all rows of some channels at a time so that scratch stays bounded. Same steps as s4_series.cuh,
   ke one step back; here rows are padded to n >= Lk + L. Bytes: every kernel and transform reads and writes
   its rows once, about 40 a value, stream and direction. */
#include "kernels/s4_series.cuh"

namespace {

enum { THREADS = 256 };

/* Channels h .. h + channels - 1 of the args, and the buffer that a launch works on. */
struct Chunk {
  EbbS4SeriesArgs a;
  int64_t h;
};

/* A thread's value: step t of row (c, b) of a buffer whose rows have `width` values. */
struct Value {
  int64_t row, c, t, number, element; /* number b H + h; element: in (B, H, L) */
  bool here, valid;                   /* there is such a value; it is before the row's end */
};
__device__ __forceinline__ Value value_of(const Chunk &s, int64_t width) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, row = i / width, t = i % width;
  const int64_t c = row / s.a.B, b = row % s.a.B, number = b * s.a.H + s.h + c;
  const bool here = row < s.a.cuda.channels * s.a.B;
  return {row, c, t, number, number * s.a.L + t, here, here && t < ebb_s4_valid(s.a.lengths, b, s.a.L)};
}

/* ---- kernels k and ke ---- */

/* Tap `lag` of kernel `which` for place j of padded taps; here false: there is none. */
struct Tap {
  int64_t which, at;
  bool here;
};
__device__ __forceinline__ Tap tap_of(const Chunk &s, int64_t i) {
  const int64_t row = i / s.a.n, which = row / s.a.cuda.channels, h = s.h + row % s.a.cuda.channels;
  const int64_t lag = i % s.a.n - which;
  return {which, h * s.a.Lk + lag, which < 2 && lag >= 0 && lag < s.a.Lk};
}

__global__ void series_long_taps(const Chunk s) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i >= 2 * s.a.cuda.channels * s.a.n) return;
  const Tap tap = tap_of(s, i);
  s.a.cuda.padded_taps[i] = tap.here ? (tap.which ? s.a.ke : s.a.k)[tap.at] / (float)s.a.n : 0.0f;
}

__global__ void series_long_store_taps(const Chunk s) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  const Tap tap = tap_of(s, i);
  float *to = tap.which ? s.a.dke : s.a.dk;
  if (tap.here && to)
    store_or_add(to, tap.at, s.a.cuda.padded_taps[i] / (float)s.a.n, tap.which ? s.a.add_dke : s.a.add_dk);
}

/* spectrum = from times kernel `which`, or its conjugate. */
__global__ void series_long_multiply(const Chunk s, const EbbC32 *from, int which, bool conjugate) {
  const int64_t m = s.a.n / 2 + 1;
  const Value v = value_of(s, m);
  if (!v.here) return;
  const EbbC32 z = from[v.row * m + v.t], k = s.a.cuda.spectra[(which * s.a.cuda.channels + v.c) * m + v.t];
  s.a.cuda.spectrum[v.row * m + v.t] = conjugate ? ebb_c32_mul_conj(z, k) : ebb_c32_mul(z, k);
}

/* sums[which] (+)= spectrum conj(stream), over the rows of a channel in their order. */
__global__ void series_long_correlate(const Chunk s, const EbbC32 *stream, int which, bool first) {
  const int64_t m = s.a.n / 2 + 1, i = (int64_t)blockIdx.x * THREADS + threadIdx.x, c = i / m, j = i % m;
  if (c >= s.a.cuda.channels) return;
  EbbC32 *to = s.a.cuda.sums + which * s.a.cuda.channels * m + i;
  EbbC32 sum = first ? ebb_c32_make(0.0f, 0.0f) : *to;
  for (int64_t row = c * s.a.B; row < (c + 1) * s.a.B; row++)
    sum = ebb_c32_add(sum, ebb_c32_mul_conj(s.a.cuda.spectrum[row * m + j], stream[row * m + j]));
  *to = sum;
}

/* ---- forward ---- */

template <class S> __global__ void series_long_load(const Chunk s) {
  const Value v = value_of(s, s.a.n);
  if (!v.here) return;
  const float u = v.valid ? load(as<S>(s.a.u), v.element) : 0.0f;
  s.a.cuda.row[v.row * s.a.n + v.t] = u;
  if (v.t < s.a.L) s.a.cuda.total[v.row * s.a.L + v.t] = u;
}

/* From s_q in row: the next stream there, or, where that is the last, the sum of all. states: where s_q is
   kept, or NULL. */
template <class S> __global__ void series_long_next(const Chunk s, float *states, bool last) {
  const Value v = value_of(s, s.a.n);
  if (!v.here) return;
  float *row = s.a.cuda.row + v.row * s.a.n + v.t;
  if (v.t >= s.a.L) {
    *row = 0.0f;
    return;
  }
  const float next = v.valid ? load(as<S>(s.a.u), v.element) * *row : 0.0f;
  float *total = s.a.cuda.total + v.row * s.a.L + v.t;
  if (states) states[v.row * s.a.L + v.t] = *row;
  *total += next;
  *row = last ? *total : next;
}

template <class S> __global__ void series_long_finish(const Chunk s, const S4Drop drop) {
  const Value v = value_of(s, s.a.L);
  if (!v.here) return;
  const float D = s.a.epilogue.D ? s.a.epilogue.D[s.h + v.c] : 0.0f;
  const float x = s.a.cuda.row[v.row * s.a.n + v.t] + (v.valid ? D * load(as<S>(s.a.u), v.element) : 0.0f);
  s4_finish(s.a.epilogue, as<S>(s.a.y), v.element, x, s4_drop_factor(drop, v.number, s.a.L, v.t));
}

/* ---- backward ---- */

/* row = dL/dx from dy, du = D row. */
template <class S> __global__ void series_long_gradient(const Chunk s, const S4Drop drop) {
  const Value v = value_of(s, s.a.n);
  if (!v.here) return;
  float g = 0.0f;
  if (v.t < s.a.L) {
    g = s4_finish_back(s.a.epilogue, as<S>(s.a.dy), v.element, s4_drop_factor(drop, v.number, s.a.L, v.t));
    s.a.cuda.du[v.row * s.a.L + v.t] = s.a.epilogue.D ? s.a.epilogue.D[s.h + v.c] * g : 0.0f;
  }
  s.a.cuda.row[v.row * s.a.n + v.t] = g;
}

/* dD of a channel a block, from x's gradient in row. */
template <class S> __global__ void series_long_dot(const Chunk s) {
  EBB_SHARED(double, scratch);
  const int64_t c = blockIdx.x, h = s.h + c;
  double sum = 0;
  for (int64_t b = 0; b < s.a.B; b++) {
    const int64_t valid = ebb_s4_valid(s.a.lengths, b, s.a.L), start = (b * s.a.H + h) * s.a.L;
    const float *g = s.a.cuda.row + (c * s.a.B + b) * s.a.n;
    for (int64_t t = threadIdx.x; t < valid; t += blockDim.x)
      sum += (double)(g[t] * load(as<S>(s.a.u), start + t));
  }
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) s.a.epilogue.dD[h] += (float)sum;
}

/* The gradient of a stream: what is in row, and what all streams get through x, which `total` holds but for
   the first time, when row is just that. */
__device__ __forceinline__ float stream_gradient(const Chunk &s, const Value &v, bool first) {
  const float g = s.a.cuda.row[v.row * s.a.n + v.t];
  float *through_x = s.a.cuda.total + v.row * s.a.L + v.t;
  if (first) *through_x = g;
  return first ? g : g + *through_x;
}

/* Through v_{q+1} = u s_q: row becomes the gradient of s_q, and du gets its part. */
template <class S> __global__ void series_long_product(const Chunk s, const float *states, bool first) {
  const Value v = value_of(s, s.a.n);
  if (!v.here) return;
  float g = 0.0f;
  if (v.t < s.a.L) g = stream_gradient(s, v, first);
  if (v.valid) s.a.cuda.du[v.row * s.a.L + v.t] += g * states[v.row * s.a.L + v.t];
  s.a.cuda.row[v.row * s.a.n + v.t] = v.valid ? g * load(as<S>(s.a.u), v.element) : 0.0f;
}

template <class S> __global__ void series_long_store(const Chunk s, bool first) {
  const Value v = value_of(s, s.a.L);
  if (!v.here) return;
  const float du = s.a.cuda.du[v.row * s.a.L + v.t] + stream_gradient(s, v, first);
  store_or_add(as<S>(s.a.du), v.element, v.valid ? du : 0.0f, s.a.add_du);
}

/* ---- launches ---- */

/* Kernels over the values of the chunk's rows, `width` a row. */
#define EACH_VALUE(run, kernel, s, width, ...)                                                               \
  EBB_TRY(EBB_LAUNCH(run, kernel, dim3(ebb_blocks((s).a.cuda.channels *(s).a.B *(width), THREADS)),          \
                     dim3(THREADS), 0, __VA_ARGS__))

dim3 tap_blocks(const Chunk &s, int64_t width) {
  return dim3(ebb_blocks(2 * s.a.cuda.channels * width, THREADS));
}

EbbStatus make_spectra(const Chunk &s, const EbbRun *run) {
  EBB_TRY(EBB_LAUNCH(run, series_long_taps, tap_blocks(s, s.a.n), dim3(THREADS), 0, s));
  return ebb_cuda_fft_r2c(run, s.a.cuda.taps[0], s.a.cuda.padded_taps, s.a.cuda.spectra);
}

EbbStatus convolve(const Chunk &s, const EbbRun *run, const EbbC32 *from, int which, bool conjugate) {
  EACH_VALUE(run, series_long_multiply, s, s.a.n / 2 + 1, s, from, which, conjugate);
  return ebb_cuda_fft_c2r(run, s.a.cuda.rows[1], s.a.cuda.spectrum, s.a.cuda.row);
}

EbbC32 *stream(const Chunk &s, int64_t q) {
  return s.a.cuda.streams + (q - 1) * s.a.cuda.channels * s.a.B * (s.a.n / 2 + 1);
}
float *state(const Chunk &s, int64_t q) {
  return s.a.cuda.states + (q - 1) * s.a.cuda.channels * s.a.B * s.a.L;
}

template <class S> EbbStatus forward_of(const Chunk &s, const EbbRun *run) {
  EBB_TRY(make_spectra(s, run));
  EACH_VALUE(run, series_long_load<S>, s, s.a.n, s);
  for (int64_t q = 1; q <= s.a.degree; q++) {
    const bool last = q == s.a.degree;
    EBB_TRY(ebb_cuda_fft_r2c(run, s.a.cuda.rows[0], s.a.cuda.row, s.a.cuda.spectrum));
    EBB_TRY(convolve(s, run, s.a.cuda.spectrum, last ? 0 : 1, false));
    if (!last) EACH_VALUE(run, series_long_next<S>, s, s.a.n, s, (float *)NULL, q + 1 == s.a.degree);
  }
  EACH_VALUE(run, series_long_finish<S>, s, s.a.L, s, s4_drop_of(run, &s.a.epilogue));
  return EBB_OK;
}

template <class S> EbbStatus remake_streams(const Chunk &s, const EbbRun *run) {
  EACH_VALUE(run, series_long_load<S>, s, s.a.n, s);
  for (int64_t q = 1; q <= s.a.degree; q++) {
    EBB_TRY(ebb_cuda_fft_r2c(run, s.a.cuda.rows[0], s.a.cuda.row, stream(s, q)));
    if (q == s.a.degree) break;
    EBB_TRY(convolve(s, run, stream(s, q), 1, false));
    EACH_VALUE(run, series_long_next<S>, s, s.a.n, s, state(s, q), q + 1 == s.a.degree);
  }
  return EBB_OK;
}

/* From x's gradient in row down to u's, the output's convolution being the last of P. */
template <class S> EbbStatus streams_back(const Chunk &s, const EbbRun *run) {
  const int64_t P = s.a.degree, m = s.a.n / 2 + 1;
  for (int64_t q = P; q > 0; q--) {
    const int which = q == P ? 0 : 1;
    if (q < P) EACH_VALUE(run, series_long_product<S>, s, s.a.n, s, state(s, q), q == P - 1);
    EBB_TRY(ebb_cuda_fft_r2c(run, s.a.cuda.rows[0], s.a.cuda.row, s.a.cuda.spectrum));
    EBB_TRY(EBB_LAUNCH(run, series_long_correlate, dim3(ebb_blocks(s.a.cuda.channels * m, THREADS)),
                       dim3(THREADS), 0, s, stream(s, q), which, q >= P - 1));
    EBB_TRY(convolve(s, run, s.a.cuda.spectrum, which, true));
  }
  if (s.a.du) EACH_VALUE(run, series_long_store<S>, s, s.a.L, s, P == 1);
  return EBB_OK;
}

EbbStatus store_taps(const Chunk &s, const EbbRun *run) {
  const int64_t m = s.a.n / 2 + 1, size = s.a.cuda.channels * m;
  if (s.a.degree == 1) EBB_TRY(ebb_cuda_zero(run, s.a.cuda.sums + size, sizeof(EbbC32) * (size_t)size));
  EBB_TRY(ebb_cuda_fft_c2r(run, s.a.cuda.taps[1], s.a.cuda.sums, s.a.cuda.padded_taps));
  return EBB_LAUNCH(run, series_long_store_taps, tap_blocks(s, s.a.n), dim3(THREADS), 0, s);
}

template <class S> EbbStatus backward_of(const Chunk &s, const EbbRun *run) {
  EBB_TRY(make_spectra(s, run));
  EBB_TRY(remake_streams<S>(s, run));
  EACH_VALUE(run, series_long_gradient<S>, s, s.a.n, s, s4_drop_of(run, &s.a.epilogue));
  if (s.a.epilogue.dD)
    EBB_TRY(EBB_LAUNCH(run, series_long_dot<S>, dim3((unsigned)s.a.cuda.channels), dim3(1024),
                       32 * sizeof(double), s));
  EBB_TRY(streams_back<S>(s, run));
  return store_taps(s, run);
}

} // namespace

EbbStatus ebb_series_long_forward(const EbbS4SeriesArgs &args, const EbbRun *run) {
  for (int64_t h = 0; h < args.H; h += args.cuda.channels)
    EBB_STORAGE_DISPATCH(args.storage, S, { EBB_TRY(forward_of<S>(Chunk{args, h}, run)); });
  return EBB_OK;
}

EbbStatus ebb_series_long_backward(const EbbS4SeriesArgs &args, const EbbRun *run) {
  for (int64_t h = 0; h < args.H; h += args.cuda.channels)
    EBB_STORAGE_DISPATCH(args.storage, S, { EBB_TRY(backward_of<S>(Chunk{args, h}, run)); });
  return EBB_OK;
}
