/* Backward of s4_conv by transforms of single rows. A block takes a run of the batch's rows of one channel
   (of short rows several channels). For each row it transforms u, makes the gradient g of the convolution's
   result from dy and transforms it, adds G conj(U) to the run's sum and transforms G conj(K) back to du. A
   second kernel adds a channel's sums in order and transforms them back to dk. The sums stay in shared memory
   and U in registers; rows of more than 4096 points leave no room for that, so theirs pass through L2.

   Bytes: u, dy, what forward kept of x, and du once each (u again from L2 where D trains); 16 n a run of rows
   for its sum. */
#include "kernels/s4_conv.cuh"

/* What a thread works with, beside its row. */
template <int N> struct ConvBack {
  static constexpr bool NEAR = RowFft<N>::POINTS == 16; /* sums in shared memory, U in registers */
  static constexpr int SHARED = RowFft<N>::SHARED + (NEAR ? N : 0);
  int t;
  RowFft<N> fft;
  float *g;     /* (N) shared, in the exchanges' memory */
  float *last;  /* (span) shared: the last inputs */
  float *mixed; /* (span) shared: their gradient through the liquid term */
  float2 *sum;  /* (N) shared or device */
  double dD;

  __device__ ConvBack(const EbbS4ConvArgs &a, float2 *shared, int thread, float2 *sums)
      : t(thread), fft(thread, shared, (const float2 *)(const void *)a.twiddles), g((float *)shared),
        last((float *)(shared + SHARED)), mixed(last + a.liquid.span),
        sum(NEAR ? shared + RowFft<N>::SHARED : sums), dD(0.0) {}
};

/* The row's g from dy; four points at a time, as in conv_finish. */
template <int N, class S>
__device__ __forceinline__ void conv_make_grads(const EbbS4ConvArgs &a, const S4Drop &drop,
                                                const ConvRow &row, ConvBack<N> &c) {
  float dD = 0.0f;
#pragma unroll 1
  for (int k4 = 0; k4 < RowFft<N>::POINTS; k4 += 4) {
    const int first = RowFft<N>::at(c.t, k4);
    float factor[4];
    s4_drop_factors<RowFft<N>::THREADS>(drop, row.number, a.L, first, factor);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int at = first + k * RowFft<N>::THREADS;
      const int64_t i = row.start + at;
      float g = 0.0f;
      if (row.here && at < a.L)
        g = a.cuda.x ? a.cuda.x[i] : s4_finish_back(a.epilogue, as<S>(a.dy), i, factor[k]);
      c.g[at] = g;
      if (a.epilogue.dD && at < row.valid) dD += g * load(as<S>(a.u), i);
    }
  }
  c.dD += (double)dD;
}

/* The gradient of the last inputs through the liquid term, from all of the row's g. */
template <int N, class S>
__device__ __forceinline__ void conv_mix_back(const EbbS4ConvArgs &a, const ConvRow &row,
                                              const ConvBack<N> &c) {
  constexpr int LANES = RowFft<N>::THREADS < EBB_WARP ? RowFft<N>::THREADS : EBB_WARP;
  conv_load_last<S>(a, row, c.t, RowFft<N>::THREADS, c.last);
  RowFft<N>::sync();
  s4_mix_back_row<LANES>(a.liquid, a.cuda.weights + 2 * (a.liquid.degree - 1) * row.h, c.last, c.g, c.t,
                         RowFft<N>::THREADS, c.mixed);
}

template <int N, class S>
__device__ __forceinline__ void conv_store_du(const EbbS4ConvArgs &a, const ConvRow &row,
                                              const ConvBack<N> &c) {
  const int from = (int)(a.L - a.liquid.span);
#pragma unroll 1
  for (int k4 = 0; k4 < RowFft<N>::POINTS; k4 += 4) {
#pragma unroll
    for (int k = k4; k < k4 + 4; k++) {
      const int at = RowFft<N>::at(c.t, k);
      const int64_t i = row.start + at;
      if (!row.here || at >= a.L || (a.add_du && at >= row.valid)) continue;
      float du = c.fft.own(k).x;
      if (conv_mixes(a) && at >= from) du += c.mixed[at - from];
      if (a.cuda.x && a.cuda.extra) du += a.cuda.extra[i];
      store_or_add(as<S>(a.du), i, at < row.valid ? du : 0.0f, a.add_du);
    }
  }
}

/* One row. `begin`: the first of its run. */
template <int N, class S>
__device__ __forceinline__ void conv_row_back(const EbbS4ConvArgs &a, const S4Drop &drop, const ConvRow &row,
                                              bool begin, ConvBack<N> &c) {
  typedef RowFft<N> Fft;
  constexpr bool NEAR = ConvBack<N>::NEAR;
  float2 *held = (float2 *)(void *)a.cuda.held + (int64_t)blockIdx.x * N;
  const float2 *spectrum = (const float2 *)(const void *)a.cuda.spectra + row.h * N;
  float x[Fft::POINTS];
  EbbC32 u[Fft::POINTS], g[Fft::POINTS];
  if (a.dk) {
    conv_load<N>(as<S>(a.u), row, row.valid, c.t, x);
    c.fft.forward(x, u);
#pragma unroll
    for (int k = 0; k < Fft::POINTS && !NEAR; k++) fft_put(held, Fft::spot(c.t, k), u[k]);
  }
  Fft::sync();
  conv_make_grads<N, S>(a, drop, row, c);
  if (conv_mixes(a)) conv_mix_back<N, S>(a, row, c);
#pragma unroll
  for (int k = 0; k < Fft::POINTS; k++) x[k] = c.g[Fft::at(c.t, k)];
  c.fft.forward(x, g);
#pragma unroll
  for (int k = 0; k < Fft::POINTS && a.dk; k++) {
    const int spot = Fft::spot(c.t, k);
    const EbbC32 product = ebb_c32_mul_conj(g[k], NEAR ? u[k] : fft_get(held, spot));
    fft_put(c.sum, spot, begin ? product : ebb_c32_add(fft_get(c.sum, spot), product));
  }
  if (!a.du) return;
#pragma unroll
  for (int k = 0; k < Fft::POINTS; k++) g[k] = ebb_c32_mul_conj(g[k], fft_get(spectrum, Fft::spot(c.t, k)));
  c.fft.inverse(g, x);
#pragma unroll
  for (int k = 0; k < Fft::POINTS; k++) c.fft.own(k).x = x[k];
  conv_store_du<N, S>(a, row, c);
}

/* Sum of the row's threads in an order that never changes; thread 0 gets it. scratch: (32) shared. */
template <int N> __device__ __forceinline__ double conv_row_sum(double value, int t, double *scratch) {
  constexpr int THREADS = RowFft<N>::THREADS, LANES = THREADS < EBB_WARP ? THREADS : EBB_WARP;
#pragma unroll
  for (int offset = LANES / 2; offset > 0; offset /= 2)
    value += __shfl_xor_sync(EBB_FULL_WARP, value, offset);
  if (t % LANES == 0) scratch[t / LANES] = value;
  RowFft<N>::sync();
  double sum = 0;
  for (int i = 0; i < THREADS / LANES && t == 0; i++) sum += scratch[i];
  return sum;
}

/* A block's runs are run `first`, `first` + 1 .. of the (groups, H). The last group may have fewer rows. */
template <int N, class S>
__global__ void __launch_bounds__(ConvBlock<N>::BLOCK, ConvBlock<N>::BACKWARD_BLOCKS)
    conv_backward(const EbbS4ConvArgs a, const S4Drop drop) {
  EBB_SHARED(float2, shared);
  typedef RowFft<N> Fft;
  constexpr int COUNT = ConvBlock<N>::COUNT;
  const int t = (int)threadIdx.x % Fft::THREADS, slot = (int)threadIdx.x / Fft::THREADS;
  float2 *mine = shared + slot * (ConvBack<N>::SHARED + conv_mix_shared(a));
  const int64_t each = (a.B + a.cuda.groups - 1) / a.cuda.groups, runs = a.cuda.groups * a.H;
  for (int64_t first = blockIdx.x * (int64_t)COUNT; first < runs; first += gridDim.x * (int64_t)COUNT) {
    const int64_t run = first + slot, h = run % a.H, begin = run / a.H * each;
    const int64_t left = a.B - first / a.H * each, rows = left < each ? left : each;
    float2 *sums = (float2 *)(void *)a.cuda.sums + run * N;
    ConvBack<N> c(a, mine, t, sums);
    for (int64_t i = 0; i < rows; i++) conv_row_back<N, S>(a, drop, conv_row(a, begin + i, h), i == 0, c);
    for (int k = 0; k < Fft::POINTS && ConvBack<N>::NEAR && a.dk && run < runs; k++)
      sums[Fft::spot(t, k)] = c.sum[Fft::spot(t, k)];
    Fft::sync();
    const double dD = conv_row_sum<N>(c.dD, t, (double *)(void *)mine);
    if (t == 0 && run < runs) a.cuda.sums_D[run] = dD;
  }
}

/* dk and dD of a channel from the sums of its runs. */
template <int N> __global__ void __launch_bounds__(ConvBlock<N>::BLOCK) conv_join(const EbbS4ConvArgs a) {
  EBB_SHARED(float2, shared);
  typedef RowFft<N> Fft;
  const int t = (int)threadIdx.x % Fft::THREADS, slot = (int)threadIdx.x / Fft::THREADS;
  const int64_t h = blockIdx.x * (int64_t)ConvBlock<N>::COUNT + slot, at = h < a.H ? h : 0;
  const Fft fft(t, shared + slot * Fft::SHARED, (const float2 *)(const void *)a.twiddles);
  if (a.dk) {
    EbbC32 z[Fft::POINTS];
    for (int k = 0; k < Fft::POINTS; k++) z[k] = ebb_c32_make(0.0f, 0.0f);
    for (int64_t group = 0; group < a.cuda.groups; group++) {
      const float2 *sum = (const float2 *)(const void *)a.cuda.sums + (group * a.H + at) * N;
#pragma unroll
      for (int k = 0; k < Fft::POINTS; k++) z[k] = ebb_c32_add(z[k], fft_get(sum, Fft::spot(t, k)));
    }
    fft.inverse(z);
#pragma unroll
    for (int k = 0; k < Fft::POINTS; k++) {
      if (h < a.H) conv_store_dk(a, h, N, Fft::at(t, k), ebb_c32_scale(z[k], 1.0f / (float)N));
    }
  }
  double dD = 0;
  for (int64_t group = 0; group < a.cuda.groups && t == 0; group++) dD += a.cuda.sums_D[group * a.H + at];
  if (t == 0 && h < a.H && a.epilogue.dD) a.epilogue.dD[h] += (float)dD;
}

template <int N> static EbbStatus launch_backward(const EbbS4ConvArgs *args, const EbbRun *run) {
  constexpr int COUNT = ConvBlock<N>::COUNT;
  const size_t shared = sizeof(float2) * COUNT * (size_t)(ConvBack<N>::SHARED + conv_mix_shared(*args));
  const unsigned blocks =
      args->cuda.held ? (unsigned)args->cuda.holders : ebb_blocks(args->cuda.groups * args->H, COUNT);
  EBB_STORAGE_DISPATCH(args->storage, S, {
    EBB_TRY(EBB_LAUNCH(run, (conv_backward<N, S>), dim3(blocks), dim3(ConvBlock<N>::BLOCK), shared, *args,
                       s4_drop_of(run, &args->epilogue)));
  });
  return EBB_LAUNCH(run, conv_join<N>, dim3(ebb_blocks(args->H, COUNT)), dim3(ConvBlock<N>::BLOCK),
                    sizeof(float2) * COUNT * RowFft<N>::SHARED, *args);
}

EbbStatus ebb_s4_conv_block_backward(const EbbS4ConvArgs *args, const EbbRun *run) {
  static const ConvLaunch launches[] = CONV_LAUNCHES(launch_backward);
  return conv_launch_of(launches, args->n)(args, run);
}
