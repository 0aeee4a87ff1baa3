/* What is said of a wrong access. */
#include "access.h"
#include "arena.h"
#include "shared.h"
#include "source.h"

#if EBB_EMULATOR_CHECKS
namespace emulator {
namespace {

std::string place_text(const Fault &fault) {
  uintptr_t address = (uintptr_t)fault.address;
  const Shared &shared = fault.thread->block->shared;
  if (address - shared.words->base < shared.words->bytes)
    return "shared byte " + std::to_string((long long)(address - (uintptr_t)shared.payload)) + " of " +
           std::to_string(shared.bytes);
  if (address - view.arena.base < view.arena.bytes) return device_place(address).text;
  if (on_some_stack(address)) return "local memory of another thread";
  return "neither device, shared nor local memory: a host pointer?";
}

const char *kind_text(const Fault &fault) {
  Place place = device_place((uintptr_t)fault.address);
  const char *kinds[] = {place.freed && place.inside ? "use after free" : "out of bounds", "uninitialised",
                         "race", "illegal address", "misaligned"};
  return kinds[fault.kind];
}

/* "out of bounds: write of 4 bytes in kernel 'k', block (0,0,0), thread (1,0,0) at k.cu:12: shared byte 64 of
 * 64" */
std::string describe(const Fault &fault) {
  std::string text = std::string(kind_text(fault)) + ": " + (fault.write ? "write of " : "read of ") +
                     std::to_string(fault.bytes) + (fault.bytes == 1 ? " byte" : " bytes") + " in " +
                     thread_text(*fault.thread) + source_text(fault.code);
  if (fault.other_thread >= 0)
    text += std::string(", not ordered after the ") + (fault.other_write ? "write" : "read") + " by block " +
            index_text(block_index(fault.other_block)) + ", thread " +
            index_text(thread_index(fault.other_thread));
  return text + ": " + place_text(fault);
}

/* The nearest block, at or before the running one, with these low bits in its number. */
uint32_t block_of(uint32_t who) {
  uint32_t count = 1u << (32 - block_shift), low = who >> block_shift, mine = running_thread()->block->number;
  uint32_t number = (mine & ~(count - 1)) | low;
  return number > mine && number >= count ? number - count : number;
}

} // namespace

void wrong_access(Wrong wrong, Use use, const void *pointer, size_t bytes, const void *code,
                  const Access *other, bool other_write) {
  bool misaligned = wrong == Wrong::alignment;
  Fault fault = {misaligned ? cudaErrorMisalignedAddress : cudaErrorIllegalAddress,
                 describe,
                 running_thread(),
                 (int)wrong,
                 bytes,
                 use != Use::read,
                 other_write,
                 pointer,
                 code,
                 other != nullptr ? block_of(other->who) : 0,
                 other != nullptr ? (int)(other->who >> thread_shift & (max_block_threads - 1)) : -1};
  if (wrong == Wrong::race || wrong == Wrong::unwritten) fault.error = cudaErrorLaunchFailure;
  abandon(fault);
}

void check_elsewhere(Use use, const void *pointer, size_t bytes, const void *code) {
  if ((uintptr_t)pointer - view.parameters < view.parameter_bytes ||
      pinned_allocation(pointer, bytes) != nullptr)
    return;
  wrong_access(Wrong::address, use, pointer, bytes, code, nullptr, false);
}

} // namespace emulator
#endif
