/* The checker of builds without checks: AddressSanitizer, where it is on, learns which device memory exists.
 */
#include "checker.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#if !EBB_EMULATOR_CHECKS
namespace emulator {

void checker_cover(uintptr_t, size_t) {}

#if defined(__SANITIZE_ADDRESS__)
void checker_allocated(const Allocation &allocation) {
  __asan_poison_memory_region((void *)(allocation.pages - guard_bytes),
                              allocation.page_bytes + 2 * guard_bytes);
  __asan_unpoison_memory_region((void *)allocation.start, allocation.bytes);
}

/* The pages are inaccessible from here on; whoever gets them next finds them unpoisoned. */
void checker_freed(const Allocation &allocation) {
  __asan_unpoison_memory_region((void *)(allocation.pages - guard_bytes),
                                allocation.page_bytes + 2 * guard_bytes);
}
#else
void checker_allocated(const Allocation &) {}
void checker_freed(const Allocation &) {}
#endif

void checker_written(const void *, size_t) {}
void checker_copied(const void *, const void *, size_t) {}
const void *checker_unwritten(const void *, size_t) { return nullptr; }
void checker_block_starts(Block &) {}
void checker_enters_block(const Block &) {}
void checker_leaves() {}
void checker_orders_launch() {}
void checker_orders_block(Block &) {}
void checker_orders_warp(Block &, int) {}
void checker_parameters(const void *, size_t) {}

} // namespace emulator

extern "C" void ebb_emulator_atomic_access(const void *, size_t, const void *) {}
#endif
