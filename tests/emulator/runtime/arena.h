/* Device memory and pinned host memory. */
#ifndef EBB_EMULATOR_ARENA_H
#define EBB_EMULATOR_ARENA_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace emulator {

/* Inaccessible on both sides of every allocation. */
constexpr size_t guard_bytes = 64 * 1024;
constexpr size_t page_bytes = 4096;

struct Allocation {
  uintptr_t start; /* 256-byte aligned; start + bytes rounded up to 16 lies at most 255 bytes below the upper
                      guard */
  size_t bytes;
  uintptr_t pages; /* the pages that hold it */
  size_t page_bytes;
};

/* The range of addresses that holds all device memory. */
struct ArenaRange {
  uintptr_t base;
  size_t bytes;
};
ArenaRange arena_range();

/* The allocation of device or pinned memory that holds all the bytes; NULL without one. */
const Allocation *device_allocation(const void *pointer, size_t bytes);
const Allocation *pinned_allocation(const void *pointer, size_t bytes);

/* An address on the device in words: the nearest allocation, alive or freed, and the offset. */
struct Place {
  bool freed, inside;
  std::string text;
};
Place device_place(uintptr_t address);

/* While at least one of these lives, the host may touch device memory, as work of the device; otherwise it
 * faults. */
class DeviceAccess {
public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess &) = delete;
  DeviceAccess &operator=(const DeviceAccess &) = delete;
};

} // namespace emulator

#endif
