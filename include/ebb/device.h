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
typedef struct EbbRecording EbbRecording;

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

/* How a CUDA device multiplies float32 matrices: as such (default), rounded to TF32 (10 bits of mantissa) or
   to bfloat16 (7 bits), with float32 sums. The CPU always takes float32. */
typedef enum EbbPrecision { EBB_PRECISION_FLOAT32, EBB_PRECISION_TF32, EBB_PRECISION_BF16 } EbbPrecision;
void ebb_device_set_precision(EbbDevice *device, EbbPrecision precision);

/* Memory aligned to 256 bytes, all zero (`unset`: with any content). bytes 0 gives NULL. Errors: MEMORY with
   `what`, the size asked and the size free. */
EbbStatus ebb_device_alloc(EbbDevice *device, size_t bytes, const char *what, void **out) EBB_MUST_CHECK;
EbbStatus ebb_device_alloc_unset(EbbDevice *device, size_t bytes, const char *what,
                                 void **out) EBB_MUST_CHECK;
void ebb_device_free(EbbDevice *device, void *memory);

/* A GPU works through what it is given in order, while the host goes on. What a kernel finds wrong (a token
   outside the vocabulary, see fault.h) and what the GPU itself fails with is returned by the next call that
   waits: write, read, sync. Errors: DEVICE, INVALID. */

/* Sets host memory over to the device, in the order of its work, and returns as soon as host_from may be used
   again; on a GPU the copy runs beside the work given before. */
EbbStatus ebb_device_upload(EbbDevice *device, void *device_to, const void *host_from,
                            size_t bytes) EBB_MUST_CHECK;
/* From device memory to device memory, in the order of its work. */
EbbStatus ebb_device_copy(EbbDevice *device, void *to, const void *from, size_t bytes) EBB_MUST_CHECK;

/* Copies between host memory and the device's memory (the same thing on the CPU); done when they return. */
EbbStatus ebb_device_write(EbbDevice *device, void *device_to, const void *host_from,
                           size_t bytes) EBB_MUST_CHECK;
EbbStatus ebb_device_read(EbbDevice *device, void *host_to, const void *device_from,
                          size_t bytes) EBB_MUST_CHECK;
/* Sets bytes to zero in the order of the device's work. */
EbbStatus ebb_device_zero(EbbDevice *device, void *memory, size_t bytes) EBB_MUST_CHECK;
/* Waits until all work given so far is done. */
EbbStatus ebb_device_sync(EbbDevice *device) EBB_MUST_CHECK;

/* Seed and step of the work that follows; ebb_graph_forward and backward set them from their EbbRun. Whoever
   replays a recording sets them before it. */
EbbStatus ebb_device_set_step(EbbDevice *device, uint64_t seed, uint64_t step) EBB_MUST_CHECK;

/* Work recorded once and given to the device again and again as a whole (a CUDA graph). Between begin and end
   nothing runs; only kernels, copies and zeroing on the device may be asked for. keep false: drops what was
   recorded, after an error. Lifetime of a recording: until release; all memory that it names must outlive it.
   Errors: UNSUPPORTED where ebb_device_records says no (the CPU), DEVICE. */
bool ebb_device_records(const EbbDevice *device);
EbbStatus ebb_device_record_begin(EbbDevice *device) EBB_MUST_CHECK;
EbbStatus ebb_device_record_end(EbbDevice *device, bool keep, EbbRecording **out) EBB_MUST_CHECK;
EbbStatus ebb_device_replay(EbbDevice *device, EbbRecording *recording) EBB_MUST_CHECK;
void ebb_device_release(EbbDevice *device, EbbRecording *recording);

/* A plan of the CPU for real transforms of length n >= 1, made once per length and kept by the device; NULL
   on other devices. Lifetime: the device's. Errors: MEMORY, UNSUPPORTED. */
EbbStatus ebb_device_fft(EbbDevice *device, int64_t n, const EbbFft **out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
