/* A CUDA device: opening it, its memory, and waiting for it. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/device/cuda_internal.h"

/* For the kernels that cuBLAS splits; given once, so that products neither allocate nor differ. */
enum { BLAS_WORKSPACE = 32 * 1024 * 1024, LEAST_MAJOR = 8 };

EbbStatus ebb_cuda_check(cudaError_t error, const char *what) {
  if (error == cudaSuccess) return EBB_OK;
  (void)cudaGetLastError();
  return ebb_fail(EBB_DEVICE, "%s: %s (%s)", what, cudaGetErrorString(error), cudaGetErrorName(error));
}

EbbStatus ebb_cuda_check_blas(cublasStatus_t status, const char *what) {
  if (status == CUBLAS_STATUS_SUCCESS) return EBB_OK;
  return ebb_fail(EBB_DEVICE, "%s: cuBLAS says %s", what, cublasGetStatusString(status));
}

/* ---- what launchers ask ---- */

EbbStatus ebb_cuda_stream(EbbDevice *device, cudaStream_t *stream) {
  *stream = ebb_cuda_of(device)->stream;
  return ebb_cuda_flush(ebb_cuda_of(device));
}
const EbbCudaStep *ebb_cuda_step(const EbbDevice *device) { return &ebb_cuda_of(device)->state->step; }
EbbFault *ebb_cuda_fault(const EbbDevice *device) { return &ebb_cuda_of(device)->state->fault; }
int ebb_cuda_multiprocessors(const EbbDevice *device) {
  return ebb_cuda_of(device)->properties.multiProcessorCount;
}
int64_t ebb_cuda_shared_limit(const EbbDevice *device) {
  return (int64_t)ebb_cuda_of(device)->properties.sharedMemPerBlockOptin;
}
EbbPrecision ebb_cuda_precision(const EbbDevice *device) { return ebb_cuda_of(device)->base.precision; }

/* ---- memory ---- */

static EbbStatus cuda_alloc(EbbDevice *device, size_t bytes, const char *what, void **out) {
  cudaError_t error = cudaMalloc(out, bytes);
  if (error == cudaSuccess) return EBB_OK;
  *out = NULL;
  if (error != cudaErrorMemoryAllocation) return ebb_cuda_check(error, what);
  (void)cudaGetLastError();
  size_t available = 0, all = 0;
  (void)cudaMemGetInfo(&available, &all);
  return ebb_fail(EBB_MEMORY,
                  "no memory for %s on %s: %.3f GiB asked, %.3f GiB of %.1f GiB free: use a smaller batch, "
                  "model or length",
                  what, device->description, ebb_gib((double)bytes), ebb_gib((double)available),
                  ebb_gib((double)all));
}

static void cuda_free(EbbDevice *device, void *memory) {
  (void)device;
  (void)cudaFree(memory);
}

/* Waits, and turns what kernels noted into an error; the note is wiped, so that it is told once. */
static EbbStatus cuda_sync(EbbDevice *device) {
  EbbCuda *cuda = ebb_cuda_of(device);
  EBB_TRY(ebb_cuda_flush(cuda));
  EBB_TRY(ebb_cuda_check(cudaMemcpyAsync(cuda->fault, &cuda->state->fault, sizeof *cuda->fault,
                                         cudaMemcpyDeviceToHost, cuda->stream),
                         "reading what kernels noted"));
  EBB_TRY(ebb_cuda_check(cudaStreamSynchronize(cuda->stream), "waiting for the GPU"));
  if (!cuda->fault->kind) return EBB_OK;
  EBB_TRY(ebb_device_zero(device, &cuda->state->fault, sizeof *cuda->fault));
  const EbbFault fault = *cuda->fault;
  return ebb_fault_fail((EbbFaultKind)fault.kind, fault.value[0], fault.value[1], fault.value[2],
                        fault.value[3]);
}

static EbbStatus cuda_write(EbbDevice *device, void *to, const void *host, size_t bytes) {
  EbbCuda *cuda = ebb_cuda_of(device);
  EBB_TRY(ebb_cuda_flush(cuda));
  EBB_TRY(ebb_cuda_check(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, cuda->stream),
                         "copying to the GPU"));
  return cuda_sync(device);
}

static EbbStatus cuda_read(EbbDevice *device, void *host, const void *from, size_t bytes) {
  EbbCuda *cuda = ebb_cuda_of(device);
  EBB_TRY(ebb_cuda_flush(cuda));
  EBB_TRY(ebb_cuda_check(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, cuda->stream),
                         "copying from the GPU"));
  return cuda_sync(device);
}

static EbbStatus cuda_copy(EbbDevice *device, void *to, const void *from, size_t bytes) {
  EBB_TRY(ebb_cuda_flush(ebb_cuda_of(device)));
  return ebb_cuda_check(
      cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, ebb_cuda_of(device)->stream),
      "copying on the GPU");
}

static EbbStatus cuda_zero(EbbDevice *device, void *memory, size_t bytes) {
  EBB_TRY(ebb_cuda_flush(ebb_cuda_of(device)));
  return ebb_cuda_check(cudaMemsetAsync(memory, 0, bytes, ebb_cuda_of(device)->stream),
                        "zeroing memory of the GPU");
}

static EbbStatus cuda_set_step(EbbDevice *device, uint64_t seed, uint64_t step) {
  EbbCuda *cuda = ebb_cuda_of(device);
  if (cuda->recording || (cuda->step_known && cuda->seed == seed && cuda->step == step)) return EBB_OK;
  const EbbCudaStep now = {seed, step};
  EBB_TRY(ebb_cuda_upload(device, &cuda->state->step, &now, sizeof now));
  cuda->seed = seed, cuda->step = step, cuda->step_known = true;
  return EBB_OK;
}

/* ---- opening and closing ---- */

static void cuda_close(EbbDevice *device) {
  EbbCuda *cuda = ebb_cuda_of(device);
  if (cuda->stream) (void)cudaStreamSynchronize(cuda->stream);
  ebb_cuda_close_ffts(cuda);
  ebb_cuda_close_ring(cuda);
  if (cuda->blas) (void)cublasDestroy(cuda->blas);
  (void)cudaFree(cuda->blas_workspace);
  (void)cudaFree(cuda->state);
  (void)cudaFreeHost(cuda->fault);
  if (cuda->copies) (void)cudaStreamDestroy(cuda->copies);
  if (cuda->stream) (void)cudaStreamDestroy(cuda->stream);
  free(cuda);
}

static const EbbDeviceOps cuda_ops = {.close = cuda_close,
                                      .alloc = cuda_alloc,
                                      .free = cuda_free,
                                      .write = cuda_write,
                                      .upload = ebb_cuda_upload,
                                      .read = cuda_read,
                                      .copy = cuda_copy,
                                      .zero = cuda_zero,
                                      .sync = cuda_sync,
                                      .set_step = cuda_set_step,
                                      .cuda_fft = ebb_cuda_make_fft,
                                      .record_begin = ebb_cuda_record_begin,
                                      .record_end = ebb_cuda_record_end,
                                      .replay = ebb_cuda_replay,
                                      .release = ebb_cuda_release};

static EbbStatus check_driver(const char *name) {
  int driver = 0, runtime = 0;
  EBB_TRY(ebb_cuda_check(cudaDriverGetVersion(&driver), "asking for the NVIDIA driver"));
  EBB_TRY(ebb_cuda_check(cudaRuntimeGetVersion(&runtime), "asking for the CUDA runtime"));
  if (!driver)
    return ebb_fail(EBB_NOT_FOUND,
                    "device '%s': no NVIDIA driver is loaded on this machine; install it, or use device=cpu",
                    name);
  if (driver / 1000 < runtime / 1000)
    return ebb_fail(EBB_UNSUPPORTED,
                    "device '%s': the NVIDIA driver supports CUDA %d.%d, this ebb was built with CUDA %d.%d; "
                    "update the driver, or build ebb with a toolkit of CUDA %d",
                    name, driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10,
                    driver / 1000);
  return EBB_OK;
}

static EbbStatus check_device(const char *name, int index, struct cudaDeviceProp *properties) {
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorNoDevice) count = 0, error = cudaSuccess, (void)cudaGetLastError();
  EBB_TRY(ebb_cuda_check(error, "counting the GPUs"));
  if (!count)
    return ebb_fail(EBB_NOT_FOUND, "device '%s': this machine has no GPU that CUDA can use; use device=cpu",
                    name);
  if (index >= count)
    return ebb_fail(EBB_NOT_FOUND, "device '%s': this machine has %d GPU%s, cuda:0 to cuda:%d", name, count,
                    count == 1 ? "" : "s", count - 1);
  EBB_TRY(ebb_cuda_check(cudaSetDevice(index), "choosing the GPU"));
  EBB_TRY(ebb_cuda_check(cudaGetDeviceProperties(properties, index), "asking for the GPU's properties"));
  if (properties->major >= LEAST_MAJOR) return EBB_OK;
  return ebb_fail(EBB_UNSUPPORTED,
                  "device '%s': %s has compute capability %d.%d; ebb needs 8.0 (sm_80, Ampere) or newer: use "
                  "device=cpu",
                  name, properties->name, properties->major, properties->minor);
}

static EbbStatus open_parts(EbbCuda *cuda) {
  EBB_TRY(ebb_cuda_check(cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking), "making a stream"));
  EBB_TRY(ebb_cuda_check(cudaStreamCreateWithFlags(&cuda->copies, cudaStreamNonBlocking), "making a stream"));
  EBB_TRY(ebb_device_alloc(&cuda->base, sizeof *cuda->state, "the device's state", (void **)&cuda->state));
  EBB_TRY(ebb_cuda_check(cudaMallocHost((void **)&cuda->fault, sizeof *cuda->fault),
                         "taking page-locked host memory"));
  EBB_TRY(ebb_cuda_check_blas(cublasCreate(&cuda->blas), "starting cuBLAS"));
  EBB_TRY(ebb_cuda_check_blas(cublasSetStream(cuda->blas, cuda->stream), "giving cuBLAS its stream"));
  EBB_TRY(ebb_device_alloc_unset(&cuda->base, BLAS_WORKSPACE, "cuBLAS", &cuda->blas_workspace));
  EBB_TRY(ebb_cuda_check_blas(cublasSetWorkspace(cuda->blas, cuda->blas_workspace, BLAS_WORKSPACE),
                              "giving cuBLAS its workspace"));
  return ebb_cuda_open_ring(cuda);
}

EbbStatus ebb_cuda_open(const char *name, int index, int threads, EbbDevice **out) {
  struct cudaDeviceProp properties = {0};
  EBB_TRY(check_driver(name));
  EBB_TRY(check_device(name, index, &properties));
  EbbCuda *cuda = calloc(1, sizeof *cuda);
  if (!cuda) return ebb_fail(EBB_MEMORY, "no memory for device '%s'", name);
  cuda->index = index;
  cuda->properties = properties;
  EbbDevice *device = &cuda->base;
  device->ops = &cuda_ops;
  device->backend = EBB_CUDA;
  device->threads = threads ? threads : omp_get_num_procs();
  snprintf(device->description, sizeof device->description, "cuda:%d (%.80s, %.0f GiB, sm_%d%d)", index,
           properties.name, ebb_gib((double)properties.totalGlobalMem), properties.major, properties.minor);
  EbbStatus status = open_parts(cuda);
  if (status == EBB_OK)
    *out = device;
  else
    cuda_close(device);
  return status;
}

/* The emulated device is for tests and is slow, so it has to be asked for. */
bool ebb_cuda_available(void) {
#ifdef EBB_CUDA_EMULATED
  return false;
#else
  int driver = 0, count = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || !driver || cudaGetDeviceCount(&count) != cudaSuccess) {
    (void)cudaGetLastError();
    return false;
  }
  struct cudaDeviceProp properties;
  return count > 0 && cudaGetDeviceProperties(&properties, 0) == cudaSuccess &&
         properties.major >= LEAST_MAJOR;
#endif
}
