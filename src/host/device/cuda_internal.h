/* The inside of a CUDA device, shared by the cuda_*.c files. */
#ifndef EBB_HOST_DEVICE_CUDA_INTERNAL_H
#define EBB_HOST_DEVICE_CUDA_INTERNAL_H

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "host/device/cuda.h"
#include "host/device/cuda_scatter.h"
#include "host/device/device_internal.h"

enum { EBB_UPLOAD_TRIPS = 16 };

/* Host data on its way: [begin, end) of the rings. */
typedef struct EbbUploadTrip {
  size_t begin, end;
  cudaEvent_t copied; /* the copy stream has brought it over */
  cudaEvent_t placed; /* the main stream has put it in place */
} EbbUploadTrip;

/* Written to pinned memory, copied to device memory on a stream of its own, and from there to its place in
   the order of the device's work. Both memories are rings. */
typedef struct EbbUploadRing {
  char *host, *device;
  size_t capacity;
  size_t begin, head; /* what waits for the next trip */
  EbbScatter waiting;
  EbbUploadTrip trip[EBB_UPLOAD_TRIPS];
  int oldest, used; /* trips oldest .. oldest + used - 1, modulo EBB_UPLOAD_TRIPS, are under way */
} EbbUploadRing;

/* What the device tells the host about itself when the host waits. */
typedef struct EbbCudaState {
  EbbCudaStep step;
  EbbFault fault;
} EbbCudaState;

typedef struct EbbCudaPlan EbbCudaPlan;

typedef struct EbbCuda {
  EbbDevice base;
  int index;
  struct cudaDeviceProp properties;
  cudaStream_t stream, copies;
  cublasHandle_t blas;
  void *blas_workspace;
  EbbCudaState *state; /* device memory */
  EbbFault *fault;     /* pinned: the latest copy of state->fault */
  EbbUploadRing ring;
  EbbCudaPlan *plans;
  uint64_t seed, step; /* what state->step holds, or will when the work given so far is done */
  bool step_known, recording;
} EbbCuda;

static inline EbbCuda *ebb_cuda_of(const EbbDevice *device) { return (EbbCuda *)(void *)device; }

EbbStatus ebb_cuda_check_blas(cublasStatus_t status, const char *what) EBB_MUST_CHECK;

EbbStatus ebb_cuda_upload(EbbDevice *device, void *to, const void *host, size_t bytes) EBB_MUST_CHECK;
/* Sends what uploads have gathered: before any other work. */
EbbStatus ebb_cuda_flush(EbbCuda *cuda) EBB_MUST_CHECK;
EbbStatus ebb_cuda_open_ring(EbbCuda *cuda) EBB_MUST_CHECK;
void ebb_cuda_close_ring(EbbCuda *cuda);

EbbStatus ebb_cuda_make_fft(EbbDevice *device, const EbbCudaFftSpec *spec,
                            const EbbCudaFft **out) EBB_MUST_CHECK;
void ebb_cuda_close_ffts(EbbCuda *cuda);

EbbStatus ebb_cuda_record_begin(EbbDevice *device) EBB_MUST_CHECK;
EbbStatus ebb_cuda_record_end(EbbDevice *device, bool keep, EbbRecording **out) EBB_MUST_CHECK;
EbbStatus ebb_cuda_replay(EbbDevice *device, EbbRecording *recording) EBB_MUST_CHECK;
void ebb_cuda_release(EbbRecording *recording);

#endif
