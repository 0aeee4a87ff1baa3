/* Shared memory of blocks. */
#ifndef EBB_EMULATOR_SHARED_H
#define EBB_EMULATOR_SHARED_H

#include "block.h"

namespace emulator {

/* Below and above the payload; accesses there are out of bounds. */
constexpr size_t shared_guard_bytes = 4096;
constexpr size_t shared_span_bytes = max_shared_bytes + 2 * shared_guard_bytes;

/* Makes the payload so many bytes large, filled with 0xFF. */
void prepare_shared(Shared &shared, size_t bytes);

} // namespace emulator

#endif
