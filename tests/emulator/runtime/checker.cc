/* The checker's view of a running kernel. */
#include "checker.h"
#include "access.h"
#include "shared.h"
#include <cstdlib>
#include <cstring>

#if EBB_EMULATOR_CHECKS
extern "C" const char __executable_start, _end; /* by the linker */

namespace emulator {
namespace {

/* Before the clock runs over, all accesses are forgotten and it starts again. */
constexpr uint32_t latest_clock = 0xf0000000u;

std::vector<Words *> shared_words; /* of all blocks, for that */

uint32_t tick() { return ++view.clock; }

void restart_clock() {
  for (Words *words : shared_words) memset(words->cells, 0, words->bytes / 4 * sizeof(Cell));
  forget_accesses(view.arena, view.arena.base, view.arena.bytes);
  view.clock = 1;
}

Words *words_of(Shared &shared) {
  if (shared.words == nullptr) {
    shared.words = new Words(map_words((uintptr_t)shared.payload - shared_guard_bytes, shared_span_bytes));
    shared_words.push_back(shared.words);
  }
  return shared.words;
}

} // namespace

View view;

void checker_cover(uintptr_t base, size_t bytes) {
  view.arena = map_words(base, bytes);
  view.program = (uintptr_t)&__executable_start;
  view.program_bytes = (size_t)((uintptr_t)&_end - view.program);
}

void checker_allocated(const Allocation &allocation) {
  set_free(view.arena, allocation.pages, allocation.page_bytes);
  set_allocated(view.arena, allocation.start, allocation.bytes);
}

void checker_freed(const Allocation &allocation) {
  set_free(view.arena, allocation.pages, allocation.page_bytes);
  forget_accesses(view.arena, allocation.pages, allocation.page_bytes);
}

void checker_written(const void *pointer, size_t bytes) {
  set_written(view.arena, (uintptr_t)pointer, bytes);
}

void checker_copied(const void *to, const void *from, size_t bytes) {
  copy_written(view.arena, (uintptr_t)to, (uintptr_t)from, bytes);
}

const void *checker_unwritten(const void *pointer, size_t bytes) {
  return (const void *)first_unwritten(view.arena, (uintptr_t)pointer, bytes);
}

void checker_block_starts(Block &block) {
  Words *words = words_of(block.shared);
  set_free(*words, words->base, words->bytes);
  set_allocated(*words, (uintptr_t)block.shared.payload, block.shared.bytes);
  block.start = block.clock = tick();
  for (Warp &warp : block.warps) warp.clock = block.clock;
}

void checker_enters_block(const Block &block) {
  view.shared = *block.shared.words;
  view.shared_since = block.start;
  view.block_clock = block.clock;
  view.block_who = block.number << block_shift;
}

void checker_leaves() { view.active = false; }

void checker_orders_launch() {
  if (view.clock > latest_clock) restart_clock();
  view.arena_since = tick();
}

void checker_orders_block(Block &block) {
  view.block_clock = block.clock = tick();
  for (Warp &warp : block.warps) warp.clock = block.clock;
}

void checker_orders_warp(Block &block, int warp) { block.warps[warp].clock = tick(); }

void checker_parameters(const void *pointer, size_t bytes) {
  view.parameters = (uintptr_t)pointer;
  view.parameter_bytes = bytes;
}

} // namespace emulator
#endif
