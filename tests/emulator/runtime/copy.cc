/* Copies and fills. */
#include "arena.h"
#include "checker.h"
#include "device.h"
#include "streams.h"
#include <cstring>
#include <vector>

namespace emulator {
namespace {

/* Longer copies from pageable memory run at once, so that queued ones stay small. */
constexpr size_t longest_staging = 16 << 20;

bool is_device(const void *pointer) {
  ArenaRange range = arena_range();
  return (uintptr_t)pointer - range.base < range.bytes;
}

cudaMemcpyKind kind_of(bool to_device, bool from_device) {
  return to_device ? (from_device ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice)
                   : (from_device ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost);
}

/* A copy's kind must be what its pointers are, and device memory must be allocated. */
cudaError_t check_copy(const void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
  if (device_error() != cudaSuccess) return device_error();
  if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
  bool to_device = is_device(to), from_device = is_device(from);
  if (kind != cudaMemcpyDefault && kind != kind_of(to_device, from_device)) return cudaErrorInvalidValue;
  if (to_device && device_allocation(to, bytes) == nullptr) return cudaErrorInvalidValue;
  if (from_device && device_allocation(from, bytes) == nullptr) return cudaErrorInvalidValue;
  return cudaSuccess;
}

void copy(void *to, const void *from, size_t bytes) {
  memcpy(to, from, bytes);
  if (!is_device(to)) return;
  if (is_device(from))
    checker_copied(to, from, bytes);
  else
    checker_written(to, bytes);
}

Work copy_work(void *to, const void *from, size_t bytes) {
  return [to, from, bytes] { copy(to, from, bytes); };
}

/* Pageable memory goes through a staging buffer that is filled at the call. */
Work staged_copy_work(void *to, const void *from, size_t bytes) {
  const char *source = static_cast<const char *>(from);
  auto staging = std::make_shared<const std::vector<char>>(source, source + bytes);
  return [to, staging] { copy(to, staging->data(), staging->size()); };
}

cudaError_t check_fill(const void *pointer, size_t bytes) {
  if (device_error() != cudaSuccess) return device_error();
  return device_allocation(pointer, bytes) != nullptr ? cudaSuccess : cudaErrorInvalidValue;
}

Work fill_work(void *pointer, int value, size_t bytes) {
  return [pointer, value, bytes] {
    memset(pointer, value, bytes);
    checker_written(pointer, bytes);
  };
}

} // namespace
} // namespace emulator

using namespace emulator;

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
  Guard guard(device_mutex());
  if (bytes == 0) return failed(device_error());
  cudaError_t error = check_copy(to, from, bytes, kind);
  return failed(error == cudaSuccess ? run_now(nullptr, copy_work(to, from, bytes)) : error);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  Guard guard(device_mutex());
  if (bytes == 0) return failed(device_error());
  cudaError_t error = check_copy(to, from, bytes, kind);
  if (error != cudaSuccess) return failed(error);
  bool pageable_to = !is_device(to) && pinned_allocation(to, bytes) == nullptr;
  bool pageable_from = !is_device(from) && pinned_allocation(from, bytes) == nullptr;
  if (is_capturing(stream) || (!pageable_to && !pageable_from))
    return failed(enqueue(stream, copy_work(to, from, bytes)));
  if (pageable_to || bytes > longest_staging) return failed(run_now(stream, copy_work(to, from, bytes)));
  return failed(enqueue(stream, staged_copy_work(to, from, bytes)));
}

cudaError_t cudaMemset(void *pointer, int value, size_t bytes) {
  Guard guard(device_mutex());
  if (bytes == 0) return failed(device_error());
  cudaError_t error = check_fill(pointer, bytes);
  return failed(error == cudaSuccess ? enqueue(nullptr, fill_work(pointer, value, bytes)) : error);
}

cudaError_t cudaMemsetAsync(void *pointer, int value, size_t bytes, cudaStream_t stream) {
  Guard guard(device_mutex());
  if (bytes == 0) return failed(device_error());
  cudaError_t error = check_fill(pointer, bytes);
  return failed(error == cudaSuccess ? enqueue(stream, fill_work(pointer, value, bytes)) : error);
}
