// Transforms of kernels/fft.cuh there and back without global memory, tables apart: what fused convolutions
// can hope for.
#include <vector>

#include "kernels/fft.cuh"
#include "kernels/launch.cuh"
#include "rates/rates.h"
#include "support/bench.h"

namespace {

enum { kBlocksPerProcessor = 16 };

// As many rows a block as fill 256 threads.
template <int N> struct Rows {
  static constexpr int THREADS = RowFft<N>::THREADS, COUNT = THREADS < 256 ? 256 / THREADS : 1;
  static constexpr int BLOCK = COUNT * THREADS;
};

template <int N>
__global__ void __launch_bounds__(Rows<N>::BLOCK)
    there_and_back(const float2 *table, float *out, int rounds) {
  EBB_SHARED(float2, shared);
  typedef RowFft<N> Fft;
  const int t = (int)threadIdx.x % Fft::THREADS, row = (int)threadIdx.x / Fft::THREADS;
  const Fft fft(t, shared + row * Fft::SHARED, table);
  float x[Fft::POINTS];
  EbbC32 z[Fft::POINTS];
  for (int k = 0; k < Fft::POINTS; k++) x[k] = (float)Fft::at(t, k) * (1.0f / N);
  for (int r = 0; r < rounds; r++) {
    fft.forward(x, z);
    fft.inverse(z, x);
    for (int k = 0; k < Fft::POINTS; k++) x[k] *= 1.0f / N;
  }
  float sum = 0;
  for (int k = 0; k < Fft::POINTS; k++) sum += x[k];
  if (sum == 0.123f) *out = sum;
}

// The table in device memory, made once a length.
template <int N> const float2 *table_of(EbbDevice *device) {
  static const float2 *table = [device] {
    const int64_t length = N;
    std::vector<char> host(ebb_row_fft_table_bytes(length));
    ebb_row_fft_table_fill(&length, host.data());
    void *memory = nullptr;
    ebb_bench::must(ebb_device_alloc(device, host.size(), "a table of roots", &memory));
    ebb_bench::must(ebb_device_write(device, memory, host.data(), host.size()));
    return (const float2 *)memory;
  }();
  return table;
}

template <int N> double start(const ebb_bench::Bench &bench, int rounds) {
  const EbbRun run = {bench.device, true, 1, 1};
  const int blocks = ebb_cuda_multiprocessors(bench.device) * kBlocksPerProcessor;
  const size_t shared = sizeof(float2) * RowFft<N>::SHARED * Rows<N>::COUNT;
  ebb_bench::must(EBB_LAUNCH(&run, there_and_back<N>, dim3((unsigned)blocks), dim3(Rows<N>::BLOCK), shared,
                             table_of<N>(bench.device), bench.out, rounds));
  return (double)blocks * Rows<N>::COUNT * rounds * 2 * 5 * N * log2((double)N);
}

} // namespace

double ebb_bench::start_fft_1024(const Bench &bench, int rounds) { return start<1024>(bench, rounds); }
double ebb_bench::start_fft_2048(const Bench &bench, int rounds) { return start<2048>(bench, rounds); }
double ebb_bench::start_fft_4096(const Bench &bench, int rounds) { return start<4096>(bench, rounds); }
double ebb_bench::start_fft_8192(const Bench &bench, int rounds) { return start<8192>(bench, rounds); }
double ebb_bench::start_fft_16384(const Bench &bench, int rounds) { return start<16384>(bench, rounds); }
