/* Streams: queues of work that runs when a synchronisation needs it. */
#ifndef EBB_EMULATOR_STREAMS_H
#define EBB_EMULATOR_STREAMS_H

#include "cuda_runtime_api.h"
#include <cstdint>
#include <functional>
#include <memory>

namespace emulator {

/* Runs on the device; may run several times when it is part of a graph. */
using Work = std::function<void()>;

/* Queues work, or adds it to the graph that the stream is capturing. Errors: no such stream; a fault of the
 * device. */
cudaError_t enqueue(cudaStream_t stream, Work work);
/* The same for a blocking call: everything before it in the stream runs, then the work. */
cudaError_t run_now(cudaStream_t stream, const Work &work);
/* Runs all that is queued anywhere. */
void run_everything();
/* Drops all that is queued anywhere, without running it. */
void drop_everything();

/* Whether the stream is being captured. */
bool is_capturing(cudaStream_t stream);
/* cudaSuccess, or the error of a call that is forbidden while a stream of this thread's concern is captured;
   the capture is then invalid. */
cudaError_t forbidden_by_capture();

} // namespace emulator

#endif
