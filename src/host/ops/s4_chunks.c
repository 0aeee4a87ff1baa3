#include "host/ops/s4_chunks.h"

int64_t ebb_s4_chunk_channels(int64_t B, int64_t H, int64_t n) {
  const int64_t budget = (int64_t)16 << 20, most = budget / ((int64_t)sizeof(float) * B * n);
  int64_t channels = most < 1 ? 1 : most < H ? most : H;
  while (H % channels) channels--;
  return channels;
}

EbbStatus ebb_s4_chunk_ffts(EbbSetup *setup, int64_t n, int64_t rows, const EbbCudaFft *plans[2]) {
  EbbCudaFftSpec spec = {EBB_FFT_R2C, n, rows, n, n / 2 + 1};
  EBB_TRY(ebb_setup_cuda_fft(setup, &spec, &plans[0]));
  spec.kind = EBB_FFT_C2R;
  return ebb_setup_cuda_fft(setup, &spec, &plans[1]);
}
