/* Devices: memory, copies, matrix products, Fourier transforms. The CPU device is always there. */
#ifndef EBB_DEVICE_H
#define EBB_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebb/complex.h"
#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbDevice EbbDevice;
typedef struct EbbFft EbbFft;

/* The backends in the order of a kernel table's columns. */
typedef enum EbbBackend { EBB_CPU, EBB_CUDA, EBB_BACKENDS } EbbBackend;

/* Opens "cpu", "cuda", "cuda:<index>" or "auto" (a GPU where there is one, else the CPU). threads: CPU
   threads to use, 0 for all. Errors: NOT_FOUND (no such device, with the reason), UNSUPPORTED (built without
   CUDA), INVALID, MEMORY. Lifetime: until ebb_device_close; everything made on a device is released before
   it. */
EbbStatus ebb_device_open(const char *name, int threads, EbbDevice **out) EBB_MUST_CHECK;
void ebb_device_close(EbbDevice *device);

EbbBackend ebb_device_backend(const EbbDevice *device);
/* "cpu (2 threads, AMD EPYC)": for people. Lifetime: the device's. */
const char *ebb_device_description(const EbbDevice *device);
int ebb_device_threads(const EbbDevice *device);

/* Memory aligned to 256 bytes, all zero. bytes 0 gives NULL. Errors: MEMORY with `what`, the size asked and
 * the size free. */
EbbStatus ebb_device_alloc(EbbDevice *device, size_t bytes, const char *what, void **out) EBB_MUST_CHECK;
void ebb_device_free(EbbDevice *device, void *memory);

/* Copies between host memory and the device's memory (the same thing on the CPU); done when they return. */
EbbStatus ebb_device_write(EbbDevice *device, void *device_to, const void *host_from,
                           size_t bytes) EBB_MUST_CHECK;
EbbStatus ebb_device_read(EbbDevice *device, void *host_to, const void *device_from,
                          size_t bytes) EBB_MUST_CHECK;
/* Sets bytes to zero in the order of the device's work. */
EbbStatus ebb_device_zero(EbbDevice *device, void *memory, size_t bytes) EBB_MUST_CHECK;
/* Waits until all work given so far is done. */
EbbStatus ebb_device_sync(EbbDevice *device) EBB_MUST_CHECK;

/* A plan for real transforms of length n >= 1, made once per length and kept by the device.
   Lifetime: the device's. Errors: MEMORY, UNSUPPORTED. */
EbbStatus ebb_device_fft(EbbDevice *device, int64_t n, const EbbFft **out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
