/* Stream capture and graphs. */
#include "capture.h"
#include "device.h"
#include <algorithm>

struct CUgraph_st {
  std::vector<emulator::Work> work;
};

struct CUgraphExec_st {
  std::shared_ptr<const std::vector<emulator::Work>> work;
};

namespace emulator {
namespace {

std::vector<std::shared_ptr<Capture>> &captures() {
  static auto *running = new std::vector<std::shared_ptr<Capture>>;
  return *running;
}

} // namespace

cudaError_t add_to(Capture &capture, Work work) {
  if (capture.invalid) return cudaErrorStreamCaptureInvalidated;
  capture.work.push_back(std::move(work));
  return cudaSuccess;
}

cudaError_t refuse(Capture &capture) {
  capture.invalid = true;
  return cudaErrorStreamCaptureUnsupported;
}

void end_captures() { captures().clear(); }

cudaError_t forbidden_by_capture() {
  cudaError_t error = cudaSuccess;
  for (auto &capture : captures()) {
    bool concerns =
        capture->mode == cudaStreamCaptureModeGlobal ||
        (capture->mode == cudaStreamCaptureModeThreadLocal && capture->thread == std::this_thread::get_id());
    if (concerns) error = refuse(*capture);
  }
  return error;
}

} // namespace emulator

using namespace emulator;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  Guard guard(device_mutex());
  if (device_error() != cudaSuccess) return failed(device_error());
  if (stream == nullptr || stream == cudaStreamLegacy) return failed(cudaErrorStreamCaptureUnsupported);
  std::shared_ptr<Capture> *slot = capture_of(stream);
  if (slot == nullptr) return failed(cudaErrorInvalidResourceHandle);
  if (*slot != nullptr) return failed(cudaErrorIllegalState);
  *slot = std::make_shared<Capture>();
  (*slot)->origin = stream;
  (*slot)->mode = mode;
  (*slot)->thread = std::this_thread::get_id();
  captures().push_back(*slot);
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  Guard guard(device_mutex());
  *graph = nullptr;
  std::shared_ptr<Capture> *slot = capture_of(stream);
  if (slot == nullptr) return failed(cudaErrorInvalidResourceHandle);
  if (*slot == nullptr) return failed(cudaErrorIllegalState);
  std::shared_ptr<Capture> capture = *slot;
  if (capture->origin != stream) return failed(cudaErrorStreamCaptureUnmatched);
  leave_capture(capture.get());
  captures().erase(std::find(captures().begin(), captures().end(), capture));
  if (capture->invalid) return failed(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st{std::move(capture->work)};
  return failed(device_error());
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
  Guard guard(device_mutex());
  std::shared_ptr<Capture> *slot = capture_of(stream);
  if (slot == nullptr) return failed(cudaErrorInvalidResourceHandle);
  *status = *slot == nullptr   ? cudaStreamCaptureStatusNone
            : (*slot)->invalid ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long) {
  Guard guard(device_mutex());
  if (device_error() != cudaSuccess) return failed(device_error());
  if (graph == nullptr) return failed(cudaErrorInvalidValue);
  *exec = new CUgraphExec_st{std::make_shared<const std::vector<Work>>(graph->work)};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  Guard guard(device_mutex());
  if (exec == nullptr) return failed(cudaErrorInvalidValue);
  auto work = exec->work;
  calls().graphs++;
  return failed(enqueue(stream, [work] {
    for (const Work &one : *work)
      if (device_error() == cudaSuccess) one();
  }));
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t) {
  return failed(exec != nullptr ? device_error() : cudaErrorInvalidValue);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
  if (graph == nullptr || count == nullptr) return failed(cudaErrorInvalidValue);
  if (nodes == nullptr) {
    *count = graph->work.size();
    return cudaSuccess;
  }
  for (size_t i = 0; i < *count; i++)
    nodes[i] = i < graph->work.size() ? reinterpret_cast<cudaGraphNode_t>(&graph->work[i]) : nullptr;
  *count = std::min(*count, graph->work.size());
  return cudaSuccess;
}
