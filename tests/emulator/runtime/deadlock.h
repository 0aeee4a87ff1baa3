/* What threads that meet must agree on, and what is said when they never do. */
#ifndef EBB_EMULATOR_DEADLOCK_H
#define EBB_EMULATOR_DEADLOCK_H

#include "block.h"

namespace emulator {

/* A warp operation: the mask holds the calling lane and no lane that has ended; a shuffle reads a lane of the
 * mask. */
void check_warp_mask(const Thread &self, bool shuffle);
/* All lanes of the mask came to the same operation with the same mask. */
void check_warp_agrees(const Thread &self, const Thread *lanes);
/* All threads of the block came to the same kind of barrier. */
void check_barrier_agrees(const Thread &self);
/* Nobody in the block can go on: who waits where. */
Fault deadlock_of(const Block &block);
/* A grid barrier in a launch that is not cooperative. */
Fault plain_grid_sync(const Thread &self);

} // namespace emulator

#endif
