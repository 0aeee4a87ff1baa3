/* Puts the pieces of one upload where they belong, in one launch: a block a 4 KiB part, 16 bytes a thread
   where piece and place allow it. Bytes: each twice. */
#include "host/device/cuda_scatter.h"
#include "kernels/launch.cuh"

enum { THREADS = 256, PART = THREADS * 16 };

__global__ void scatter(EbbScatter s) {
  unsigned part = blockIdx.x;
  int p = 0;
  while (part >= s.piece[p].parts) part -= s.piece[p++].parts;
  const EbbScatterPiece &piece = s.piece[p];
  const int64_t begin = (int64_t)part * PART, left = piece.bytes - begin;
  const char *from = piece.from + begin;
  char *to = piece.to + begin;
  const int bytes = (int)(left < (int64_t)PART ? left : (int64_t)PART);
  const bool wide = ((uintptr_t)to | (uintptr_t)from) % sizeof(uint4) == 0;
  const int wide_bytes = wide ? bytes / (int)sizeof(uint4) * (int)sizeof(uint4) : 0;
  const int at = (int)threadIdx.x * (int)sizeof(uint4);
  if (at < wide_bytes) *reinterpret_cast<uint4 *>(to + at) = *reinterpret_cast<const uint4 *>(from + at);
  for (int i = wide_bytes + (int)threadIdx.x; i < bytes; i += THREADS) to[i] = from[i];
}

extern "C" EbbStatus ebb_cuda_scatter(cudaStream_t stream, EbbScatter *s) {
  unsigned parts = 0;
  for (int p = 0; p < s->count; p++) parts += s->piece[p].parts = ebb_blocks(s->piece[p].bytes, PART);
  return ebb_launched(EBB_LAUNCH_ON(stream, scatter, dim3(parts), dim3(THREADS), 0, *s), "scatter",
                      dim3(parts), dim3(THREADS), 0);
}
