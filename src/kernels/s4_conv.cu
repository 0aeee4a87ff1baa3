/* The convolution of an S4 layer by transforms of single rows (kernels/fft.cuh). A small kernel makes the
   spectra of all channels' kernels, D among their taps. Then each row is one visit to a block: u comes in
   once and coalesced, transform, product with the spectrum and transform back stay in registers and shared
   memory, the liquid term is read from the last inputs, and activation and dropout are applied on the way
   out. A block of 128 to 512 threads takes one row, of short rows several.

   Bytes: u and y, and what backward keeps of x, once each; spectra of 8 n bytes a channel from L2. Backward
   is in s4_conv_back.cu, rows longer than a block's transform in s4_conv_long.cu. */
#include "kernels/s4_conv.cuh"

template <int N> __global__ void __launch_bounds__(ConvBlock<N>::BLOCK) conv_spectra(const EbbS4ConvArgs a) {
  EBB_SHARED(float2, shared);
  typedef RowFft<N> Fft;
  const int t = (int)threadIdx.x % Fft::THREADS, slot = (int)threadIdx.x / Fft::THREADS;
  const int64_t h = blockIdx.x * (int64_t)ConvBlock<N>::COUNT + slot;
  const Fft fft(t, shared + slot * Fft::SHARED, (const float2 *)(const void *)a.twiddles);
  const float scale = 1.0f / (float)N, *k = a.k + h * a.Lk, *back = k + a.H * a.Lk;
  EbbC32 z[Fft::POINTS];
#pragma unroll
  for (int i = 0; i < Fft::POINTS; i++) {
    const int j = Fft::at(t, i), m = N - 1 - j; /* lag j, and lag -1 - m */
    z[i] = ebb_c32_make(0.0f, 0.0f);
    if (h < a.H && j < a.Lk) z[i].re = scale * k[j];
    if (h < a.H && a.bidirectional && m < a.Lk) z[i].im = scale * back[m];
  }
  if (t == 0 && h < a.H && a.epilogue.D) z[0].re += scale * a.epilogue.D[h];
  fft.forward(z);
  float2 *spectrum = (float2 *)(void *)a.cuda.spectra + h * N;
  for (int i = 0; i < Fft::POINTS && h < a.H; i++) fft_put(spectrum, Fft::spot(t, i), z[i]);
  for (int c = (int)threadIdx.x / EBB_WARP; c < ConvBlock<N>::COUNT && conv_mixes(a);
       c += ConvBlock<N>::BLOCK / EBB_WARP) {
    const int64_t of_warp = blockIdx.x * (int64_t)ConvBlock<N>::COUNT + c;
    if (of_warp < a.H) s4_mix_weights(a.liquid, of_warp, a.cuda.weights);
  }
}

template <int N> static EbbStatus launch_spectra(const EbbS4ConvArgs *args, const EbbRun *run) {
  return EBB_LAUNCH(run, conv_spectra<N>, dim3(ebb_blocks(args->H, ConvBlock<N>::COUNT)),
                    dim3(ConvBlock<N>::BLOCK), sizeof(float2) * ConvBlock<N>::COUNT * RowFft<N>::SHARED,
                    *args);
}

static EbbStatus spectra(const EbbS4ConvArgs *args, const EbbRun *run) {
  static const ConvLaunch launches[] = CONV_LAUNCHES(launch_spectra);
  return conv_launch_of(launches, args->n)(args, run);
}

/* What follows the convolution of a row, whose results wait in the threads' own places of shared memory; four
   points at a time, so that the registers of the transform are enough. */
template <int N, class S>
__device__ __forceinline__ void conv_finish(const EbbS4ConvArgs &a, const S4Drop &drop, const RowFft<N> &fft,
                                            const ConvRow &row, int t, const float *weights,
                                            const float *last) {
#pragma unroll 1
  for (int k4 = 0; k4 < RowFft<N>::POINTS; k4 += 4) {
    float factor[4];
    s4_drop_factors<RowFft<N>::THREADS>(drop, row.number, a.L, RowFft<N>::at(t, k4), factor);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int at = RowFft<N>::at(t, k4 + k);
      if (!row.here || at >= a.L) continue;
      float x = fft.own(k4 + k).x;
      if (conv_mixes(a)) x += s4_mix(a.liquid, weights, last, at);
      if (a.cuda.x)
        a.cuda.x[row.start + at] = x;
      else
        s4_finish(a.epilogue, as<S>(a.y), row.start + at, x, factor[k]);
    }
  }
}

/* Rows b of one channel are neighbours in the grid, because they read the same spectrum. */
template <int N, class S>
__global__ void __launch_bounds__(ConvBlock<N>::BLOCK, ConvBlock<N>::FORWARD_BLOCKS)
    conv_forward(const EbbS4ConvArgs a, const S4Drop drop) {
  EBB_SHARED(float2, shared);
  typedef RowFft<N> Fft;
  const int t = (int)threadIdx.x % Fft::THREADS, slot = (int)threadIdx.x / Fft::THREADS;
  const int64_t number = blockIdx.x * (int64_t)ConvBlock<N>::COUNT + slot;
  const ConvRow row = conv_row(a, number % a.B, number / a.B);
  float2 *mine = shared + slot * (Fft::SHARED + conv_mix_shared(a));
  float *last = (float *)(mine + Fft::SHARED);
  const Fft fft(t, mine, (const float2 *)(const void *)a.twiddles);
  const float2 *spectrum = (const float2 *)(const void *)a.cuda.spectra + row.h * N;
  float x[Fft::POINTS];
  EbbC32 z[Fft::POINTS];
  conv_load<N>(as<S>(a.u), row, row.valid, t, x);
  if (conv_mixes(a)) conv_load_last<S>(a, row, t, Fft::THREADS, last);
  fft.forward(x, z);
#pragma unroll
  for (int k = 0; k < Fft::POINTS; k++) z[k] = ebb_c32_mul(z[k], fft_get(spectrum, Fft::spot(t, k)));
  fft.inverse(z, x);
#pragma unroll
  for (int k = 0; k < Fft::POINTS; k++) fft.own(k).x = x[k];
  conv_finish<N, S>(a, drop, fft, row, t, a.cuda.weights + 2 * (a.liquid.degree - 1) * row.h, last);
}

template <int N> static EbbStatus launch_forward(const EbbS4ConvArgs *args, const EbbRun *run) {
  EBB_STORAGE_DISPATCH(args->storage, S, {
    return EBB_LAUNCH(run, (conv_forward<N, S>), dim3(ebb_blocks(args->B * args->H, ConvBlock<N>::COUNT)),
                      dim3(ConvBlock<N>::BLOCK), conv_shared_bytes<N>(args), *args,
                      s4_drop_of(run, &args->epilogue));
  });
}

static EbbStatus block_forward(const EbbS4ConvArgs *args, const EbbRun *run) {
  static const ConvLaunch launches[] = CONV_LAUNCHES(launch_forward);
  return conv_launch_of(launches, args->n)(args, run);
}

/* Between convolution and activation where other kernels work there: y from x, and x's gradient from dy. A
   thread has four steps of a row. */
enum { APART_THREADS = 256, APART_STEPS = 4 * APART_THREADS };

template <class S, bool BACK>
__global__ void conv_apart(const EbbS4ConvArgs a, const S4Drop drop, int64_t blocks) {
  const int64_t number = blockIdx.x / blocks, start = number * a.L;
  const int64_t first = blockIdx.x % blocks * APART_STEPS + (int)threadIdx.x;
  float factor[4];
  s4_drop_factors<APART_THREADS>(drop, number, a.L, first, factor);
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const int64_t t = first + k * APART_THREADS, i = start + t;
    if (t >= a.L) continue;
    if (BACK)
      a.cuda.x[i] = s4_finish_back(a.epilogue, as<S>(a.dy), i, factor[k]);
    else
      s4_finish(a.epilogue, as<S>(a.y), i, a.cuda.x[i], factor[k]);
  }
}

template <bool BACK> static EbbStatus apart(const EbbS4ConvArgs *args, const EbbRun *run) {
  const int64_t blocks = ebb_blocks(args->L, APART_STEPS);
  EBB_STORAGE_DISPATCH(args->storage, S, {
    return EBB_LAUNCH(run, (conv_apart<S, BACK>), dim3((unsigned)(args->B * args->H * blocks)),
                      dim3(APART_THREADS), 0, *args, s4_drop_of(run, &args->epilogue), blocks);
  });
}

static S4MixRows mix_of(const EbbS4ConvArgs *args) {
  return {args->liquid, args->storage,      args->u,           args->lengths,
          args->B,      args->cuda.weights, args->cuda.streams};
}

/* KB's x before its transforms. */
static EbbStatus make_mixed(const EbbS4ConvArgs *args, const S4MixRows *mix, const EbbRun *run) {
  const int64_t size = args->B * args->H * args->L;
  EBB_TRY(ebb_cuda_zero(run, args->cuda.kb.mixed, sizeof(float) * (size_t)size));
  return ebb_s4_mix_forward(mix, run, args->cuda.kb.mixed);
}

/* x += the liquid term. */
static EbbStatus liquid_forward(const EbbS4ConvArgs *args, const EbbRun *run) {
  if (args->liquid.kind == EBB_S4_PLAIN) return EBB_OK;
  const S4MixRows mix = mix_of(args);
  EBB_TRY(ebb_s4_mix_weights(&mix, run));
  if (args->liquid.kind == EBB_S4_POLYB) return ebb_s4_mix_forward(&mix, run, args->cuda.x);
  EBB_TRY(make_mixed(args, &mix, run));
  return ebb_s4_kb_forward_rows(args, run);
}

static EbbStatus forward(const void *args_, const EbbRun *run) {
  const EbbS4ConvArgs *args = static_cast<const EbbS4ConvArgs *>(args_);
  if (args->cuda.block) EBB_TRY(spectra(args, run));
  EBB_TRY(args->cuda.block ? block_forward(args, run) : ebb_s4_conv_long_forward(args, run));
  if (!args->cuda.x) return EBB_OK;
  EBB_TRY(liquid_forward(args, run));
  return apart<false>(args, run);
}

/* x's gradient, and from it what u gets through the liquid term. */
static EbbStatus backward_apart(const EbbS4ConvArgs *args, const EbbRun *run) {
  EBB_TRY(apart<true>(args, run));
  if (args->liquid.kind == EBB_S4_PLAIN) return EBB_OK;
  const S4MixRows mix = mix_of(args);
  EBB_TRY(ebb_s4_mix_weights(&mix, run));
  if (args->liquid.kind == EBB_S4_POLYB)
    return ebb_s4_mix_backward(&mix, run, args->cuda.x, args->cuda.extra);
  EBB_TRY(make_mixed(args, &mix, run));
  EBB_TRY(ebb_s4_kb_backward_rows(args, run));
  return ebb_s4_mix_backward(&mix, run, args->cuda.kb.mixed, args->cuda.extra);
}

static EbbStatus convolution_back(const EbbS4ConvArgs *args, const EbbRun *run) {
  if (!args->cuda.block) return ebb_s4_conv_long_backward(args, run);
  EBB_TRY(spectra(args, run));
  return ebb_s4_conv_block_backward(args, run);
}

static EbbStatus backward(const void *args_, const EbbRun *run) {
  const EbbS4ConvArgs *args = static_cast<const EbbS4ConvArgs *>(args_);
  if (args->cuda.x) EBB_TRY(backward_apart(args, run));
  EBB_TRY(convolution_back(args, run));
  return args->dk && args->liquid.kind == EBB_S4_KB ? ebb_s4_kb_add_dk(args, run) : EBB_OK;
}

extern "C" const EbbKernels ebb_s4_conv_cuda = {forward, backward};
