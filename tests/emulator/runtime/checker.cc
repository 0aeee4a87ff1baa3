/* The checker's knowledge of memory. */
#include "checker.h"

namespace emulator {
void checker_cover(uintptr_t, size_t) {}
void checker_allocated(const Allocation &) {}
void checker_freed(const Allocation &) {}
void checker_written(const void *, size_t) {}
void checker_copied(const void *, const void *, size_t) {}
const void *checker_unwritten(const void *, size_t) { return nullptr; }
void checker_block_starts(Block &) {}
void checker_enters(const Thread *) {}
void checker_orders_launch() {}
void checker_orders_block(Block &) {}
void checker_orders_warp(Block &, int) {}
void checker_parameters(const void *, size_t) {}
} // namespace emulator
extern "C" void ebb_emulator_atomic_access(const void *, size_t) {}
