/* Copies of several pieces of device memory in one launch. */
#ifndef EBB_HOST_DEVICE_CUDA_SCATTER_H
#define EBB_HOST_DEVICE_CUDA_SCATTER_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EBB_SCATTER_PIECES = 32 };

/* No two pieces overlap; parts is the launcher's. */
typedef struct EbbScatterPiece {
  const char *from;
  char *to;
  int64_t bytes;
  unsigned parts;
} EbbScatterPiece;
typedef struct EbbScatter {
  EbbScatterPiece piece[EBB_SCATTER_PIECES];
  int count;
} EbbScatter;

EbbStatus ebb_cuda_scatter(cudaStream_t stream, EbbScatter *scatter) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
