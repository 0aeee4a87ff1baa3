// The block transforms of kernels/fft.cuh on rows of their own, for test_row_fft.cc.
#include "cuda/row_fft.h"

#include "kernels/fft.cuh"
#include "kernels/launch.cuh"

/* Blocks of at least two rows, so that rows share blocks where a row has few threads. */
template <int N> struct Rows {
  static constexpr int THREADS = RowFft<N>::THREADS, EACH = THREADS < 64 ? 64 / THREADS : 2;
  static constexpr int BLOCK = EACH * THREADS < 512 ? EACH * THREADS : THREADS;
  static constexpr int COUNT = BLOCK / THREADS;
};

template <int N> __global__ void __launch_bounds__(Rows<N>::BLOCK) row_fft_kernel(RowFftCheck check) {
  EBB_SHARED(float2, shared);
  typedef RowFft<N> Fft;
  const int t = (int)threadIdx.x % Fft::THREADS, slot = (int)threadIdx.x / Fft::THREADS;
  const int row = (int)blockIdx.x * Rows<N>::COUNT + slot;
  const bool here = row < check.rows;
  const Fft fft(t, shared + slot * Fft::SHARED, (const float2 *)check.table);
  float x[Fft::POINTS];
  EbbC32 z[Fft::POINTS], k[Fft::POINTS];
  for (int i = 0; i < Fft::POINTS; i++) {
    const int j = row * N + Fft::at(t, i);
    x[i] = here ? check.x[j] : 0.0f;
    k[i] = here ? check.k[j] : ebb_c32_make(0.0f, 0.0f);
  }
  fft.forward(x, z);
  fft.forward(k);
  for (int i = 0; i < Fft::POINTS; i++) {
    const EbbC32 product = ebb_c32_mul(z[i], k[i]);
    if (here) check.spectrum[row * N + Fft::spot(t, i)] = z[i];
    z[i] = product, k[i] = product;
  }
  fft.inverse(z, x);
  fft.inverse(k);
  for (int i = 0; i < Fft::POINTS && here; i++) {
    const int j = row * N + Fft::at(t, i);
    check.y[j] = x[i], check.whole[j] = k[i];
  }
}

template <int N> static EbbStatus launch(const EbbRun *run, const RowFftCheck *check) {
  return EBB_LAUNCH(run, row_fft_kernel<N>, dim3(ebb_blocks(check->rows, Rows<N>::COUNT)),
                    dim3(Rows<N>::BLOCK), sizeof(float2) * RowFft<N>::SHARED * Rows<N>::COUNT, *check);
}

extern "C" EbbStatus row_fft_check(const EbbRun *run, const RowFftCheck *check) {
  typedef EbbStatus (*Launch)(const EbbRun *, const RowFftCheck *);
  static const Launch launches[] = {launch<256>,  launch<512>,  launch<1024>, launch<2048>,
                                    launch<4096>, launch<8192>, launch<16384>};
  int index = 0;
  while (EBB_ROW_SHORTEST << index < check->n) index++;
  return launches[index](run, check);
}
