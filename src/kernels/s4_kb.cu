/* The KB term of s4_conv (ebb/ops/s4_liquid.h) on the mix of the streams, by cuFFT, all rows of some channels
   at a time: n = Lk + L and m = n/2 + 1, whatever these are, because the published formula depends on them. A
   thread an element between the transforms; about 40 bytes an element of the padded rows forward, 80
   backward. */
#include "kernels/s4_conv.cuh"

namespace {

enum { THREADS = 256 };

/* Channels h .. of a chunk; row (c, b) of its buffers is row b H + h + c of the batch. */
struct Chunk {
  EbbS4ConvArgs a;
  int64_t h, n, m;
};
Chunk chunk_of(const EbbS4ConvArgs *args, int64_t h) {
  const int64_t n = args->Lk + args->L;
  return {*args, h, n, n / 2 + 1};
}

/* A thread's element: number i of rows of `width`; at: of (B, H, L). */
struct Element {
  int64_t i, c, j, at;
  bool here;
};
__device__ __forceinline__ Element element_of(const Chunk &s, int64_t width) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, row = i / width, j = i % width;
  const int64_t c = row / s.a.B, number = row % s.a.B * s.a.H + s.h + c;
  return {i, c, j, number * s.a.L + j, row < s.a.cuda.kb.channels * s.a.B};
}

/* The kernels as the published code lays them out before it cuts them to m taps: k_0 from 0, k_1 reversed
   from L. Where in dk's layout taps of k_0 and k_1 at l are, or -1. */
struct Places {
  int64_t forward, backward;
};
__device__ __forceinline__ Places places_of(const Chunk &s, int64_t h, int64_t l) {
  const int64_t L = s.a.L, Lk = s.a.Lk;
  const bool back = s.a.bidirectional && l >= L && l < L + Lk;
  return {l < Lk ? h * Lk + l : -1, back ? (s.a.H + h) * Lk + Lk - 1 - (l - L) : -1};
}

__global__ void kb_taps(const Chunk s) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i >= s.a.cuda.kb.channels * s.m) return;
  const Places at = places_of(s, s.h + i / s.m, i % s.m);
  float tap = at.forward >= 0 ? s.a.k[at.forward] : 0.0f;
  if (at.backward >= 0) tap += s.a.k[at.backward];
  s.a.cuda.kb.taps[i] = ebb_c32_make(tap, 0.0f);
}

__global__ void kb_add_dk(const Chunk s) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, h = i / s.m;
  if (h >= s.a.H) return;
  const Places at = places_of(s, h, i % s.m);
  const float grad = s.a.cuda.kb.taps_grad[i].re; /* the taps are real */
  if (at.forward >= 0) s.a.dk[at.forward] += grad;
  if (at.backward >= 0) s.a.dk[at.backward] += grad;
}

/* row = scale x, zeros behind L. */
__global__ void kb_pad(const Chunk s, const float *x, float scale) {
  const Element e = element_of(s, s.n);
  if (e.here) s.a.cuda.kb.row[e.i] = e.j < s.a.L ? scale * x[e.at] : 0.0f;
}

/* x = row / n, or, for the gradient, which has been divided, row. */
template <bool ADD> __global__ void kb_crop(const Chunk s, float *x) {
  const Element e = element_of(s, s.n);
  if (!e.here || e.j >= s.a.L) return;
  if (ADD)
    x[e.at] += s.a.cuda.kb.row[e.i] / (float)s.n;
  else
    x[e.at] = s.a.cuda.kb.row[e.i];
}

/* z *= taps, or their conjugates. A real row has real first and (n even) last bins; what a product leaves
   there in the imaginary part is dropped. */
template <bool CONJUGATE> __global__ void kb_multiply(const Chunk s, EbbC32 *z) {
  const Element e = element_of(s, s.m);
  if (!e.here) return;
  const EbbC32 taps = s.a.cuda.kb.taps[e.c * s.m + e.j];
  EbbC32 product = CONJUGATE ? ebb_c32_mul_conj(z[e.i], taps) : ebb_c32_mul(z[e.i], taps);
  if (e.j == 0 || 2 * e.j == s.n) product.im = 0.0f;
  z[e.i] = product;
}

/* The gradient of the taps' spectrum, over the rows of a channel in their order. Bins other than the first
   and (n even) the last stand for two of the full transform. */
__global__ void kb_correlate(const Chunk s) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, c = i / s.m, j = i % s.m;
  if (c >= s.a.cuda.kb.channels) return;
  EbbC32 sum = ebb_c32_make(0.0f, 0.0f);
  for (int64_t row = c * s.a.B; row < (c + 1) * s.a.B; row++)
    sum = ebb_c32_add(sum,
                      ebb_c32_mul_conj(s.a.cuda.kb.kept[row * s.m + j], s.a.cuda.kb.spectrum[row * s.m + j]));
  s.a.cuda.kb.taps_grad[s.h * s.m + i] = ebb_c32_scale(sum, j == 0 || 2 * j == s.n ? 1.0f : 2.0f);
}

dim3 tap_blocks(const Chunk &s) { return dim3(ebb_blocks(s.a.cuda.kb.channels * s.m, THREADS)); }
dim3 row_blocks(const Chunk &s, int64_t width) {
  return dim3(ebb_blocks(s.a.cuda.kb.channels * s.a.B * width, THREADS));
}

EbbStatus taps_spectra(const Chunk &s, const EbbRun *run) {
  const EbbS4ConvKb &kb = s.a.cuda.kb;
  EBB_TRY(EBB_LAUNCH(run, kb_taps, tap_blocks(s), dim3(THREADS), 0, s));
  return ebb_cuda_fft_c2c(run, kb.taps_fft, kb.taps, kb.taps, false);
}

EbbStatus transform(const Chunk &s, const EbbRun *run, const float *x, float scale, EbbC32 *to) {
  EBB_TRY(EBB_LAUNCH(run, kb_pad, row_blocks(s, s.n), dim3(THREADS), 0, s, x, scale));
  return ebb_cuda_fft_r2c(run, s.a.cuda.kb.rows_ffts[0], s.a.cuda.kb.row, to);
}

EbbStatus forward_chunk(const Chunk &s, const EbbRun *run) {
  const EbbS4ConvKb &kb = s.a.cuda.kb;
  EBB_TRY(taps_spectra(s, run));
  EBB_TRY(transform(s, run, kb.mixed, 1.0f, kb.spectrum));
  EBB_TRY(EBB_LAUNCH(run, kb_multiply<false>, row_blocks(s, s.m), dim3(THREADS), 0, s, kb.spectrum));
  EBB_TRY(ebb_cuda_fft_c2r(run, kb.rows_ffts[1], kb.spectrum, kb.row));
  return EBB_LAUNCH(run, kb_crop<true>, row_blocks(s, s.n), dim3(THREADS), 0, s, s.a.cuda.x);
}

EbbStatus backward_chunk(const Chunk &s, const EbbRun *run) {
  const EbbS4ConvKb &kb = s.a.cuda.kb;
  EBB_TRY(taps_spectra(s, run));
  EBB_TRY(transform(s, run, kb.mixed, 1.0f, kb.spectrum));
  EBB_TRY(transform(s, run, s.a.cuda.x, 1.0f / (float)s.n, kb.kept));
  EBB_TRY(EBB_LAUNCH(run, kb_correlate, tap_blocks(s), dim3(THREADS), 0, s));
  EBB_TRY(EBB_LAUNCH(run, kb_multiply<true>, row_blocks(s, s.m), dim3(THREADS), 0, s, kb.kept));
  EBB_TRY(ebb_cuda_fft_c2r(run, kb.rows_ffts[1], kb.kept, kb.row));
  return EBB_LAUNCH(run, kb_crop<false>, row_blocks(s, s.n), dim3(THREADS), 0, s, kb.mixed);
}

} // namespace

EbbStatus ebb_s4_kb_forward_rows(const EbbS4ConvArgs *args, const EbbRun *run) {
  for (int64_t h = 0; h < args->H; h += args->cuda.kb.channels)
    EBB_TRY(forward_chunk(chunk_of(args, h), run));
  return EBB_OK;
}

EbbStatus ebb_s4_kb_backward_rows(const EbbS4ConvArgs *args, const EbbRun *run) {
  for (int64_t h = 0; h < args->H; h += args->cuda.kb.channels)
    EBB_TRY(backward_chunk(chunk_of(args, h), run));
  return EBB_OK;
}

EbbStatus ebb_s4_kb_add_dk(const EbbS4ConvArgs *args, const EbbRun *run) {
  const Chunk s = chunk_of(args, 0);
  const EbbS4ConvKb &kb = args->cuda.kb;
  for (int64_t h = 0; h < args->H; h += kb.channels)
    EBB_TRY(ebb_cuda_fft_c2c(run, kb.taps_fft, kb.taps_grad + h * s.m, kb.taps_grad + h * s.m, true));
  return EBB_LAUNCH(run, kb_add_dk, dim3(ebb_blocks(args->H * s.m, THREADS)), dim3(THREADS), 0, s);
}
