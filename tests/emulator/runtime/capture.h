/* Capture of streams into graphs. A graph is its work in the order of the calls, which every dependency
 * agrees with. */
#ifndef EBB_EMULATOR_CAPTURE_H
#define EBB_EMULATOR_CAPTURE_H

#include "streams.h"
#include <thread>
#include <vector>

namespace emulator {

struct Capture {
  std::vector<Work> work;
  cudaStream_t origin;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  bool invalid = false;
};

/* The error of adding to an invalid capture. */
cudaError_t add_to(Capture &capture, Work work);
/* A forbidden call was made: the capture is invalid. Returns the call's error. */
cudaError_t refuse(Capture &capture);
/* Forgets all captures. */
void end_captures();

/* Of a stream; NULL when there is no such stream. */
std::shared_ptr<Capture> *capture_of(cudaStream_t stream);
/* Takes all streams out of a capture. */
void leave_capture(const Capture *capture);

} // namespace emulator

#endif
