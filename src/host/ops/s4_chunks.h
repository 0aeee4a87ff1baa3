/* What GPU kernels with cuFFT between them work on at a time: all rows of some channels. */
#ifndef EBB_HOST_OPS_S4_CHUNKS_H
#define EBB_HOST_OPS_S4_CHUNKS_H

#include "ebb/op.h"
#include "host/device/cuda_fft.h"

/* As many of H channels, one at least, as keep their B rows of n floats below 16 MiB (about what stays in a
   level-2 cache); a divisor of H, so that one plan serves all chunks. */
int64_t ebb_s4_chunk_channels(int64_t B, int64_t H, int64_t n);
/* Plans for `rows` real rows of n, there (0) and back (1). */
EbbStatus ebb_s4_chunk_ffts(EbbSetup *setup, int64_t n, int64_t rows,
                            const EbbCudaFft *plans[2]) EBB_MUST_CHECK;

#endif
