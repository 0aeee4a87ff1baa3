/* The checker: sees every access of a kernel and knows which bytes are allocated, which were written, and
   which accesses of a launch are ordered. Without EBB_EMULATOR_CHECKS it only keeps AddressSanitizer
   informed, where that is on. */
#ifndef EBB_EMULATOR_CHECKER_H
#define EBB_EMULATOR_CHECKER_H

#include "arena.h"
#include <cstddef>
#include <cstdint>

namespace emulator {

#if EBB_EMULATOR_CHECKS
constexpr bool checks = true;
#else
constexpr bool checks = false;
#endif

struct Block;

/* The addresses that device memory will come from. */
void checker_cover(uintptr_t base, size_t bytes);
void checker_allocated(const Allocation &allocation);
void checker_freed(const Allocation &allocation);
/* Device memory that something other than a kernel wrote, or copied with what is known about it. */
void checker_written(const void *pointer, size_t bytes);
void checker_copied(const void *to, const void *from, size_t bytes);
/* The first of the bytes that was never written; NULL when all were. */
const void *checker_unwritten(const void *pointer, size_t bytes);

/* A block starts: its shared memory is allocated and unwritten. */
void checker_block_starts(Block &block);
/* From here on accesses are those of a thread of this block (see also access.h), or of the host. */
void checker_enters_block(const Block &block);
void checker_leaves();
/* All earlier accesses of the launch, of the block, of the warp come before all later ones of the same. */
void checker_orders_launch();
void checker_orders_block(Block &block);
void checker_orders_warp(Block &block, int warp);
/* Launch parameters, which every thread may read. */
void checker_parameters(const void *pointer, size_t bytes);

} // namespace emulator

#endif
