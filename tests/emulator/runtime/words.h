/* What the checker knows of each aligned word of four bytes. */
#ifndef EBB_EMULATOR_WORDS_H
#define EBB_EMULATOR_WORDS_H

#include <cstddef>
#include <cstdint>

namespace emulator {

/* An access: when (the checker's clock) and who. */
struct Access {
  uint32_t stamp;
  uint32_t who;
};

/* Of `who`, from the low end: which bytes of the word (4 bits), whether atomic (1), the thread's rank in its
   block (10), its block's number (the low 17 bits). */
constexpr uint32_t bytes_bits = 0xf, atomic_bit = 1u << 4;
constexpr int thread_shift = 5, block_shift = 15;
constexpr uint32_t warp_and_block_bits = ~0u << (thread_shift + 5), block_bits = ~0u << block_shift;
constexpr uint32_t thread_and_block_bits = ~0u << thread_shift;

/* The last write and two reads: of all reads since the threads last met, one and another by a different
   thread, if possible of a different warp; a write that is unordered with any of the reads is so with one of
   these. */
struct Cell {
  Access write, read, other_read;
};

/* Of a state: which bytes of the word were written (4 bits), which are allocated (4 bits). */
constexpr uint8_t written_bits = 0x0f, allocated_bits = 0xf0;

/* The words of a range of addresses that starts at a multiple of four. */
struct Words {
  uintptr_t base;
  size_t bytes;
  uint8_t *states;
  Cell *cells;
};

/* Maps zeroed states and cells; pages that are never touched cost nothing. */
Words map_words(uintptr_t base, size_t bytes);
/* Forgets all accesses in the range. */
void forget_accesses(const Words &words, uintptr_t start, size_t bytes);

/* The bytes are allocated and unwritten; or not allocated. `start` is a multiple of four. */
void set_allocated(const Words &words, uintptr_t start, size_t bytes);
void set_free(const Words &words, uintptr_t start, size_t bytes);
void set_written(const Words &words, uintptr_t start, size_t bytes);
/* Written where the bytes at `from` are. */
void copy_written(const Words &words, uintptr_t to, uintptr_t from, size_t bytes);
/* The first unwritten byte; 0 without one. */
uintptr_t first_unwritten(const Words &words, uintptr_t start, size_t bytes);

} // namespace emulator

#endif
