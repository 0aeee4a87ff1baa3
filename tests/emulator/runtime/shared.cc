/* Shared memory of blocks. */
#include "shared.h"
#include <cstdlib>
#include <cstring>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace emulator {

void prepare_shared(Shared &shared, size_t bytes) {
  if (shared.payload == nullptr) {
    char *memory = static_cast<char *>(aligned_alloc(shared_guard_bytes, shared_span_bytes));
    if (memory == nullptr) abort();
    shared.payload = memory + shared_guard_bytes;
  }
  shared.bytes = bytes;
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(shared.payload - shared_guard_bytes, shared_span_bytes);
  __asan_unpoison_memory_region(shared.payload, bytes);
#endif
  memset(shared.payload, 0xff, bytes);
}

} // namespace emulator
