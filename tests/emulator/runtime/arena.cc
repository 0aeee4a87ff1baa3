/* Device memory: one reserved range of addresses, inaccessible except for the allocations, and those only
   while the device works. */
#include "arena.h"
#include "block.h"
#include "checker.h"
#include "device.h"
#include "streams.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace emulator {
namespace {

constexpr size_t alignment = 256;

struct Arena {
  uintptr_t base = 0;
  size_t bytes = 0; /* of addresses: four times the memory, so that freed ones stay unused for long */
  size_t memory = 0, used = 0;
  uintptr_t cursor = 0;
  std::map<uintptr_t, Allocation> live, freed; /* by start */
  std::map<uintptr_t, Allocation> pinned;
  int open = 0;
};

size_t round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }

size_t memory_from_environment() {
  const char *text = getenv("EBB_EMULATOR_MEMORY_MIB");
  long long mib = text != nullptr ? atoll(text) : 0;
  return (mib > 0 ? (size_t)mib : 8192) << 20;
}

Arena &arena() {
  static Arena *made = [] {
    Arena *a = new Arena; /* lives as long as the process: streams may be drained while it exits */
    a->memory = memory_from_environment();
    a->bytes = 4 * a->memory + (size_t)(1 << 30);
    void *range = mmap(nullptr, a->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) abort();
    a->base = a->cursor = (uintptr_t)range;
    checker_cover(a->base, a->bytes);
    watch_device_memory();
    return a;
  }();
  return *made;
}

/* The first gap of `bytes` addresses at or after `from`; 0 without one. */
uintptr_t gap_from(const Arena &a, uintptr_t from, size_t bytes) {
  for (auto next = a.live.upper_bound(from);; ++next) {
    uintptr_t end = next == a.live.end() ? a.base + a.bytes : next->second.pages - guard_bytes;
    if (from + bytes <= end) return from;
    if (next == a.live.end()) return 0;
    from = next->second.pages + next->second.page_bytes + guard_bytes;
  }
}

void forget_freed(Arena &a, uintptr_t from, uintptr_t to) {
  a.freed.erase(a.freed.lower_bound(from), a.freed.lower_bound(to));
}

const Allocation *holder(const std::map<uintptr_t, Allocation> &map, uintptr_t address, size_t bytes) {
  auto next = map.upper_bound(address);
  if (next == map.begin()) return nullptr;
  const Allocation &found = std::prev(next)->second;
  return address + bytes <= found.start + found.bytes ? &found : nullptr;
}

void protect(const Allocation &allocation, int rights) {
  if (mprotect((void *)allocation.pages, allocation.page_bytes, rights) != 0) abort();
}

/* Larger allocations are filled by mapping the same pages of ones again and again: only what is written later
   takes memory, and opening and closing the rest costs nothing. */
constexpr size_t chunk_bytes = 4 << 20;

int chunk_of_ones() {
  static const int file = [] {
    int made = memfd_create("ones", MFD_CLOEXEC);
    std::vector<char> ones(chunk_bytes, '\xff');
    if (made < 0 || write(made, ones.data(), ones.size()) != (ssize_t)ones.size()) abort();
    return made;
  }();
  return file;
}

void *map_at(uintptr_t address, size_t bytes, int rights, int flags, int file) {
  void *memory =
      mmap((void *)address, bytes, rights, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | flags, file, 0);
  if (memory == MAP_FAILED) abort();
  return memory;
}

void map_ones(const Allocation &allocation) {
  if (allocation.page_bytes < chunk_bytes / 4) {
    protect(allocation, PROT_READ | PROT_WRITE);
    memset((void *)allocation.pages, 0xff, allocation.page_bytes);
    return;
  }
  for (size_t at = 0; at < allocation.page_bytes; at += chunk_bytes)
    map_at(allocation.pages + at, std::min(chunk_bytes, allocation.page_bytes - at), PROT_READ | PROT_WRITE,
           0, chunk_of_ones());
}

void unmap(const Allocation &allocation) {
  map_at(allocation.pages, allocation.page_bytes, PROT_NONE, MAP_ANONYMOUS, -1);
}

Allocation placed(uintptr_t pages, size_t bytes) {
  size_t held = round_up(bytes, 16);
  size_t size = round_up(round_up(held, alignment), page_bytes);
  uintptr_t start = (pages + size - held) / alignment * alignment;
  return {start, bytes, pages, size};
}

} // namespace

ArenaRange arena_range() { return {arena().base, arena().bytes}; }

const Allocation *device_allocation(const void *pointer, size_t bytes) {
  return holder(arena().live, (uintptr_t)pointer, bytes);
}

const Allocation *pinned_allocation(const void *pointer, size_t bytes) {
  return holder(arena().pinned, (uintptr_t)pointer, bytes);
}

Place device_place(uintptr_t address) {
  const Arena &a = arena();
  const Allocation *nearest = nullptr;
  size_t best = 0;
  bool freed = false;
  for (const auto *map : {&a.live, &a.freed}) {
    auto next = map->upper_bound(address);
    for (int side = 0; side < 2; side++) {
      if (side == 0 ? next == map->begin() : next == map->end()) continue;
      const Allocation &found = side == 0 ? std::prev(next)->second : next->second;
      uintptr_t end = found.start + found.bytes;
      size_t far = address < found.start ? found.start - address : address >= end ? address - end + 1 : 0;
      if (nearest != nullptr && far >= best) continue;
      nearest = &found, best = far, freed = map == &a.freed;
    }
  }
  if (nearest == nullptr) return {false, false, "no allocation of the device"};
  return {freed, best == 0,
          (freed ? "freed allocation of " : "allocation of ") + std::to_string(nearest->bytes) +
              " bytes, offset " + std::to_string((long long)(address - nearest->start))};
}

DeviceAccess::DeviceAccess() {
  Arena &a = arena();
  if (a.open++ > 0) return;
  for (const auto &entry : a.live) protect(entry.second, PROT_READ | PROT_WRITE);
}

DeviceAccess::~DeviceAccess() {
  Arena &a = arena();
  if (--a.open > 0) return;
  for (const auto &entry : a.live) protect(entry.second, PROT_NONE);
}

} // namespace emulator

using namespace emulator;

cudaError_t cudaMalloc(void **pointer, size_t bytes) {
  Guard guard(device_mutex());
  cudaError_t error = device_error();
  if (error == cudaSuccess) error = forbidden_by_capture();
  if (error != cudaSuccess) return failed(error);
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  calls().allocations++;
  Arena &a = arena();
  if (bytes > a.memory) return failed(cudaErrorMemoryAllocation);
  Allocation made = placed(0, bytes);
  if (made.page_bytes > a.memory - a.used) return failed(cudaErrorMemoryAllocation);
  size_t span = made.page_bytes + 2 * guard_bytes;
  uintptr_t at = gap_from(a, a.cursor, span);
  if (at == 0) at = gap_from(a, a.base, span);
  if (at == 0) return failed(cudaErrorMemoryAllocation);
  made = placed(at + guard_bytes, bytes);
  forget_freed(a, at, at + span);
  a.cursor = at + span;
  a.used += made.page_bytes;
  a.live[made.start] = made;
  map_ones(made);
  checker_allocated(made);
  if (a.open == 0) protect(made, PROT_NONE);
  *pointer = (void *)made.start;
  return cudaSuccess;
}

cudaError_t cudaFree(void *pointer) {
  Guard guard(device_mutex());
  if (pointer == nullptr) return failed(device_error());
  cudaError_t error = forbidden_by_capture();
  if (error != cudaSuccess) return failed(error);
  run_everything();
  Arena &a = arena();
  auto found = a.live.find((uintptr_t)pointer);
  if (found == a.live.end()) return failed(cudaErrorInvalidValue);
  Allocation gone = found->second;
  checker_freed(gone);
  unmap(gone);
  a.used -= gone.page_bytes;
  a.live.erase(found);
  a.freed[gone.start] = gone;
  return failed(device_error());
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
  Guard guard(device_mutex());
  *available = arena().memory - arena().used;
  *total = arena().memory;
  return failed(device_error());
}

cudaError_t cudaHostAlloc(void **pointer, size_t bytes, unsigned int) {
  Guard guard(device_mutex());
  cudaError_t error = device_error();
  if (error == cudaSuccess) error = forbidden_by_capture();
  if (error != cudaSuccess) return failed(error);
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  void *memory = aligned_alloc(alignment, round_up(bytes, alignment));
  if (memory == nullptr) return failed(cudaErrorMemoryAllocation);
  memset(memory, 0xff, bytes);
  arena().pinned[(uintptr_t)memory] = {(uintptr_t)memory, bytes, 0, 0};
  *pointer = memory;
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void **pointer, size_t bytes) {
  return cudaHostAlloc(pointer, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void *pointer) {
  Guard guard(device_mutex());
  if (pointer == nullptr) return failed(device_error());
  cudaError_t error = forbidden_by_capture();
  if (error != cudaSuccess) return failed(error);
  run_everything();
  if (arena().pinned.erase((uintptr_t)pointer) == 0) return failed(cudaErrorInvalidValue);
  free(pointer);
  return failed(device_error());
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *pointer) {
  Guard guard(device_mutex());
  void *p = const_cast<void *>(pointer);
  *attributes = {cudaMemoryTypeUnregistered, 0, nullptr, p};
  if (device_allocation(pointer, 1) != nullptr)
    *attributes = {cudaMemoryTypeDevice, 0, p, nullptr};
  else if (pinned_allocation(pointer, 1) != nullptr)
    *attributes = {cudaMemoryTypeHost, 0, p, p};
  return failed(device_error());
}
