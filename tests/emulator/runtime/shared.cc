/* Shared memory of blocks. */
#include "shared.h"
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace emulator {

void prepare_shared(Shared &shared, size_t bytes) {
  if (shared.payload == nullptr) {
    void *memory = mmap(nullptr, shared_span_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) abort();
    shared.payload = static_cast<char *>(memory) + shared_guard_bytes;
  }
  shared.bytes = bytes;
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(shared.payload - shared_guard_bytes, shared_span_bytes);
  __asan_unpoison_memory_region(shared.payload, bytes);
#endif
  memset(shared.payload, 0xff, bytes);
}

} // namespace emulator
