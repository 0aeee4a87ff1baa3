#include "ebb/device.h"

#include <stdlib.h>
#include <string.h>

#include "host/device/device_internal.h"
#include "host/with_cuda.h"

enum { MOST_THREADS = 1024 };

typedef EbbStatus (*OpenFn)(const char *name, int index, int threads, EbbDevice **out);
typedef bool (*AvailableFn)(void);

static EbbStatus open_cuda(const char *name, int index, int threads, EbbDevice **out) {
  const OpenFn open = EBB_CUDA_ENTRY(ebb_cuda_open);
  if (open) return open(name, index, threads, out);
  return ebb_fail(EBB_UNSUPPORTED, "device '%s': this ebb was built without CUDA; use device=cpu", name);
}

static EbbStatus open_auto(const char *name, int index, int threads, EbbDevice **out) {
  const AvailableFn available = EBB_CUDA_ENTRY(ebb_cuda_available);
  return (available && available() ? open_cuda : ebb_cpu_open)(name, index, threads, out);
}

/* The index behind "cuda:"; -1 where it is none. */
static int index_of(const char *text) {
  char *end;
  long index = strtol(text, &end, 10);
  return end == text || *end || index < 0 || index > 1023 ? -1 : (int)index;
}

EbbStatus ebb_device_open(const char *name, int threads, EbbDevice **out) {
  *out = NULL;
  if (threads < 0 || threads > MOST_THREADS)
    return ebb_fail(EBB_INVALID, "threads is %d; 0 (all) to %d are possible", threads, MOST_THREADS);
  static const struct {
    const char *name;
    OpenFn open;
  } kinds[] = {{"cpu", ebb_cpu_open}, {"cuda", open_cuda}, {"auto", open_auto}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (!strcmp(name, kinds[i].name)) return kinds[i].open(name, 0, threads, out);
  const int index = strncmp(name, "cuda:", 5) ? -1 : index_of(name + 5);
  if (index >= 0) return open_cuda(name, index, threads, out);
  return ebb_fail(EBB_INVALID, "device '%s' is unknown; use cpu, cuda, cuda:<index> or auto", name);
}

void ebb_device_close(EbbDevice *device) {
  if (device) device->ops->close(device);
}

EbbBackend ebb_device_backend(const EbbDevice *device) { return device->backend; }

const char *ebb_device_description(const EbbDevice *device) { return device->description; }

int ebb_device_threads(const EbbDevice *device) { return device->threads; }

void ebb_device_set_precision(EbbDevice *device, EbbPrecision precision) { device->precision = precision; }

EbbStatus ebb_device_alloc_unset(EbbDevice *device, size_t bytes, const char *what, void **out) {
  *out = NULL;
  return bytes ? device->ops->alloc(device, bytes, what, out) : EBB_OK;
}

EbbStatus ebb_device_alloc(EbbDevice *device, size_t bytes, const char *what, void **out) {
  EBB_TRY(ebb_device_alloc_unset(device, bytes, what, out));
  EbbStatus status = ebb_device_zero(device, *out, bytes);
  if (status == EBB_OK) return EBB_OK;
  ebb_device_free(device, *out);
  *out = NULL;
  return status;
}

void ebb_device_free(EbbDevice *device, void *memory) {
  if (memory) device->ops->free(device, memory);
}

EbbStatus ebb_device_write(EbbDevice *device, void *device_to, const void *host_from, size_t bytes) {
  return bytes ? device->ops->write(device, device_to, host_from, bytes) : EBB_OK;
}

EbbStatus ebb_device_upload(EbbDevice *device, void *device_to, const void *host_from, size_t bytes) {
  return bytes ? device->ops->upload(device, device_to, host_from, bytes) : EBB_OK;
}

EbbStatus ebb_device_read(EbbDevice *device, void *host_to, const void *device_from, size_t bytes) {
  return bytes ? device->ops->read(device, host_to, device_from, bytes) : EBB_OK;
}

EbbStatus ebb_device_copy(EbbDevice *device, void *to, const void *from, size_t bytes) {
  return bytes ? device->ops->copy(device, to, from, bytes) : EBB_OK;
}

EbbStatus ebb_device_zero(EbbDevice *device, void *memory, size_t bytes) {
  return bytes ? device->ops->zero(device, memory, bytes) : EBB_OK;
}

EbbStatus ebb_device_sync(EbbDevice *device) { return device->ops->sync(device); }

EbbStatus ebb_device_set_step(EbbDevice *device, uint64_t seed, uint64_t step) {
  return device->ops->set_step(device, seed, step);
}

EbbStatus ebb_device_fft(EbbDevice *device, int64_t n, const EbbFft **out) {
  *out = NULL;
  return device->ops->fft ? device->ops->fft(device, n, out) : EBB_OK;
}

/* ---- recordings ---- */

bool ebb_device_records(const EbbDevice *device) { return device->ops->record_begin != NULL; }

EbbStatus ebb_device_record_begin(EbbDevice *device) {
  if (!ebb_device_records(device))
    return ebb_fail(EBB_UNSUPPORTED, "%s does not record work", device->description);
  return device->ops->record_begin(device);
}

EbbStatus ebb_device_record_end(EbbDevice *device, bool keep, EbbRecording **out) {
  *out = NULL;
  return device->ops->record_end(device, keep, out);
}

EbbStatus ebb_device_replay(EbbDevice *device, EbbRecording *recording) {
  return device->ops->replay(device, recording);
}

void ebb_device_release(EbbDevice *device, EbbRecording *recording) {
  if (recording) device->ops->release(recording);
}
