/* What the checker knows of each aligned word of four bytes. */
#include "words.h"
#include "arena.h"
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace emulator {
namespace {

void *map_zeroed(size_t bytes) {
  void *memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) abort();
  return memory;
}

uint8_t *state_at(const Words &words, uintptr_t address) { return words.states + (address - words.base) / 4; }

uint8_t byte_bit(uintptr_t address) { return (uint8_t)(1u << (address & 3)); }

bool is_written(const Words &words, uintptr_t address) {
  return (*state_at(words, address) & byte_bit(address)) != 0;
}

} // namespace

Words map_words(uintptr_t base, size_t bytes) {
  size_t count = bytes / 4;
  return {base, bytes, static_cast<uint8_t *>(map_zeroed(count)),
          static_cast<Cell *>(map_zeroed(count * sizeof(Cell)))};
}

void forget_accesses(const Words &words, uintptr_t start, size_t bytes) {
  uintptr_t low = (uintptr_t)(words.cells + (start - words.base) / 4);
  uintptr_t high = (uintptr_t)(words.cells + (start + bytes - words.base) / 4);
  low = (low + page_bytes - 1) / page_bytes * page_bytes; /* the ends are stale anyway: launches order them */
  high = high / page_bytes * page_bytes;
  if (low < high) madvise((void *)low, high - low, MADV_DONTNEED);
}

void set_allocated(const Words &words, uintptr_t start, size_t bytes) {
  memset(state_at(words, start), allocated_bits, bytes / 4);
  if (bytes % 4 != 0) *state_at(words, start + bytes) = (uint8_t)(((1u << bytes % 4) - 1) << 4);
}

void set_free(const Words &words, uintptr_t start, size_t bytes) {
  memset(state_at(words, start), 0, (bytes + 3) / 4);
}

void set_written(const Words &words, uintptr_t start, size_t bytes) {
  uintptr_t end = start + bytes;
  for (; start < end && start % 4 != 0; start++) *state_at(words, start) |= byte_bit(start);
  size_t whole = (end - start) / 4;
  memset(state_at(words, start), allocated_bits | written_bits, whole);
  for (start += whole * 4; start < end; start++) *state_at(words, start) |= byte_bit(start);
}

void copy_written(const Words &words, uintptr_t to, uintptr_t from, size_t bytes) {
  size_t done = 0;
  if (to % 4 == 0 && from % 4 == 0) {
    done = bytes / 4 * 4;
    memmove(state_at(words, to), state_at(words, from), bytes / 4);
  }
  for (; done < bytes; done++) {
    uint8_t *state = state_at(words, to + done), bit = byte_bit(to + done);
    *state = (uint8_t)(is_written(words, from + done) ? *state | bit : *state & ~bit);
  }
}

uintptr_t first_unwritten(const Words &words, uintptr_t start, size_t bytes) {
  uintptr_t end = start + bytes;
  while (start < end) {
    bool whole =
        start % 4 == 0 && end - start >= 4 && *state_at(words, start) == (allocated_bits | written_bits);
    if (!whole && !is_written(words, start)) return start;
    start += whole ? 4 : 1;
  }
  return 0;
}

} // namespace emulator
