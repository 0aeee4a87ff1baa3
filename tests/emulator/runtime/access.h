/* One access of a kernel, checked. */
#ifndef EBB_EMULATOR_ACCESS_H
#define EBB_EMULATOR_ACCESS_H

#include "block.h"
#include "words.h"

namespace emulator {

/* What an access is compared with: the running thread, its memory, and since when accesses may be unordered.
 */
struct View {
  bool active; /* a thread runs */
  uintptr_t stack_low;
  size_t stack_bytes;
  Words shared, arena;
  uint32_t shared_since, arena_since;
  uint32_t clock, block_clock, warp_clock;
  uint32_t block_who, who;
  uintptr_t parameters, program; /* of the launch; with its variables */
  size_t parameter_bytes, program_bytes;
};
extern View view;

/* From here on accesses are those of this thread of the block that was entered last. */
inline void enter_thread(const Thread &thread) {
  view.active = true;
  view.stack_low = thread.stack_low;
  view.stack_bytes = stack_bytes;
  view.warp_clock = thread.block->warps[thread.rank / warp_lanes].clock;
  view.who = view.block_who | (uint32_t)thread.rank << thread_shift;
}

enum class Use { read, write, atomic };
enum class Wrong { bounds, unwritten, race, address, alignment };

/* Reports and ends the launch. */
[[noreturn]] void wrong_access(Wrong wrong, Use use, const void *pointer, size_t bytes, const void *code,
                               const Access *other, bool other_write);
/* An address outside of the thread's stack, the program, shared and device memory: what else a kernel may
 * touch. */
void check_elsewhere(Use use, const void *pointer, size_t bytes, const void *code);

/* Whether an access that is not older than `since` comes before what the running thread does now. */
inline bool comes_before(const Access &access) {
  if (((access.who ^ view.who) & block_bits) != 0) return false;
  if (access.stamp < view.block_clock || ((access.who ^ view.who) & thread_and_block_bits) == 0) return true;
  return ((access.who ^ view.who) & warp_and_block_bits) == 0 && access.stamp < view.warp_clock;
}

inline bool conflicts(const Access &access, uint32_t since, uint32_t who) {
  return access.stamp >= since && (access.who & who & bytes_bits) != 0 &&
         (access.who & who & atomic_bit) == 0 && !comes_before(access);
}

/* The same thread's accesses to several bytes of a word since it last met others count as one. */
inline void note(Access &slot, uint32_t who) {
  bool same = slot.stamp == view.clock && ((slot.who ^ who) & (thread_and_block_bits | atomic_bit)) == 0;
  slot = {view.clock, same ? slot.who | who : who};
}

inline void note_read(Cell &cell, uint32_t since, uint32_t who) {
  Access &first = cell.read, &second = cell.other_read;
  if (first.stamp < since || comes_before(first)) {
    if (((first.who ^ who) & thread_and_block_bits) != 0) second.stamp = 0;
    note(first, who);
  } else if (second.stamp < since || comes_before(second) ||
             ((second.who ^ first.who) & warp_and_block_bits) == 0) {
    note(second, who);
  }
}

struct WordCheck {
  bool allowed;
  Wrong wrong;
  const Access *other;
  bool other_write;
};

template <Use use>
inline WordCheck check_word(const Words &words, size_t word, uint32_t since, uint32_t bytes) {
  uint8_t &state = words.states[word];
  uint32_t need = bytes << 4 | (use == Use::write ? 0 : bytes);
  if ((state & need) != need)
    return {false, (state & bytes << 4) != bytes << 4 ? Wrong::bounds : Wrong::unwritten, nullptr, false};
  Cell &cell = words.cells[word];
  uint32_t who = view.who | bytes | (use == Use::atomic ? atomic_bit : 0);
  if (conflicts(cell.write, since, who)) return {false, Wrong::race, &cell.write, true};
  if (use == Use::read) {
    note_read(cell, since, who);
    return {true, Wrong::race, nullptr, false};
  }
  if (conflicts(cell.read, since, who)) return {false, Wrong::race, &cell.read, false};
  if (conflicts(cell.other_read, since, who)) return {false, Wrong::race, &cell.other_read, false};
  state = (uint8_t)(state | bytes);
  note(cell.write, who);
  return {true, Wrong::race, nullptr, false};
}

template <Use use>
inline void check_words(const Words &words, uint32_t since, uintptr_t address, size_t bytes,
                        const void *code) {
  uintptr_t end = address + bytes;
  for (uintptr_t at = address & ~(uintptr_t)3; at < end; at += 4) {
    uint32_t low = at < address ? (uint32_t)(address - at) : 0,
             high = end - at < 4 ? (uint32_t)(end - at) : 4;
    WordCheck result =
        check_word<use>(words, (at - words.base) / 4, since, ((1u << high) - 1) & ~((1u << low) - 1));
    if (!result.allowed)
      wrong_access(result.wrong, use, (const void *)(at + low), bytes, code, result.other,
                   result.other_write);
  }
}

template <Use use> inline void check_access(const void *pointer, size_t bytes, const void *code) {
  uintptr_t address = (uintptr_t)pointer;
  if (!view.active || address - view.stack_low < view.stack_bytes) return;
  if (address - view.shared.base < view.shared.bytes)
    check_words<use>(view.shared, view.shared_since, address, bytes, code);
  else if (address - view.arena.base < view.arena.bytes)
    check_words<use>(view.arena, view.arena_since, address, bytes, code);
  else if (address - view.program >= view.program_bytes)
    check_elsewhere(use, pointer, bytes, code);
}

} // namespace emulator

#endif
