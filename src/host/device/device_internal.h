/* The inside of a device: one table of functions a backend. */
#ifndef EBB_HOST_DEVICE_INTERNAL_H
#define EBB_HOST_DEVICE_INTERNAL_H

#include "ebb/device.h"
#include "host/device/cuda_fft.h"

/* Every function is there but those marked optional. */
typedef struct EbbDeviceOps {
  void (*close)(EbbDevice *device);
  EbbStatus (*alloc)(EbbDevice *device, size_t bytes, const char *what,
                     void **out); /* bytes > 0; not zeroed */
  void (*free)(EbbDevice *device, void *memory);
  EbbStatus (*write)(EbbDevice *device, void *to, const void *host, size_t bytes);
  EbbStatus (*upload)(EbbDevice *device, void *to, const void *host, size_t bytes);
  EbbStatus (*read)(EbbDevice *device, void *host, const void *from, size_t bytes);
  EbbStatus (*copy)(EbbDevice *device, void *to, const void *from, size_t bytes);
  EbbStatus (*zero)(EbbDevice *device, void *memory, size_t bytes);
  EbbStatus (*sync)(EbbDevice *device);
  EbbStatus (*set_step)(EbbDevice *device, uint64_t seed, uint64_t step);
  EbbStatus (*fft)(EbbDevice *device, int64_t n, const EbbFft **out);                           /* optional */
  EbbStatus (*cuda_fft)(EbbDevice *device, const EbbCudaFftSpec *spec, const EbbCudaFft **out); /* optional */
  EbbStatus (*record_begin)(EbbDevice *device);                                                 /* optional */
  EbbStatus (*record_end)(EbbDevice *device, bool keep, EbbRecording **out);
  EbbStatus (*replay)(EbbDevice *device, EbbRecording *recording);
  void (*release)(EbbRecording *recording);
} EbbDeviceOps;

/* Backends put this first in a struct of their own. */
struct EbbDevice {
  const EbbDeviceOps *ops;
  EbbBackend backend;
  int threads;
  EbbPrecision precision;
  char description[160];
};

/* `name` is the user's word, for sentences; index: of the GPU. */
EbbStatus ebb_cpu_open(const char *name, int index, int threads, EbbDevice **out) EBB_MUST_CHECK;
EbbStatus ebb_cuda_open(const char *name, int index, int threads, EbbDevice **out) EBB_MUST_CHECK;
/* Whether "auto" should take a GPU. */
bool ebb_cuda_available(void);

static inline double ebb_gib(double bytes) { return bytes / (1024.0 * 1024.0 * 1024.0); }

#endif
