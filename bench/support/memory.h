// Memory of the bench's device, as long as the object lives.
#ifndef EBB_BENCH_SUPPORT_MEMORY_H
#define EBB_BENCH_SUPPORT_MEMORY_H

#include "support/bench.h"

namespace ebb_bench {

class Memory {
public:
  explicit Memory(size_t bytes) { must(ebb_device_alloc(device(), bytes, "a bench", &memory_)); }
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  ~Memory() { ebb_device_free(device(), memory_); }
  float *floats() const { return static_cast<float *>(memory_); }

private:
  void *memory_ = nullptr;
};

} // namespace ebb_bench

#endif
