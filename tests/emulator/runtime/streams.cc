/* Streams and events. The legacy stream, NULL, waits for the blocking streams and they for it. */
#include "streams.h"
#include "arena.h"
#include "capture.h"
#include "device.h"
#include <chrono>
#include <deque>
#include <set>

namespace emulator {

/* More than this runs at once, so that a host that never synchronises does not pile up work. */
constexpr size_t longest_queue = 4096;

/* Work number n, counted from 1, is done when done >= n. */
struct Queue {
  std::deque<Work> work;
  uint64_t queued = 0, done = 0;
};

/* The moment when the work up to some number is done. */
struct Ticket {
  std::shared_ptr<Queue> queue;
  uint64_t number = 0;
  bool passed() const { return queue == nullptr || queue->done >= number; }
};

using Time = std::chrono::steady_clock::time_point;

} // namespace emulator

struct CUstream_st {
  unsigned flags = 0;
  std::shared_ptr<emulator::Queue> queue = std::make_shared<emulator::Queue>();
  std::shared_ptr<emulator::Capture> capture;
};

struct CUevent_st {
  unsigned flags = 0;
  emulator::Ticket ticket;
  std::shared_ptr<emulator::Time> time; /* of the last record */
  std::shared_ptr<emulator::Capture> capture;
};

namespace emulator {
namespace {

struct Streams {
  CUstream_st legacy;
  std::set<CUstream_st *> made;
  std::set<CUevent_st *> events;
};

Streams &streams() {
  static Streams *all = new Streams;
  return *all;
}

/* NULL for a handle that is no stream. */
CUstream_st *stream_of(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return &streams().legacy;
  return streams().made.count(handle) > 0 ? handle : nullptr;
}

bool is_event(cudaEvent_t event) { return streams().events.count(event) > 0; }

Ticket tail_of(const CUstream_st &stream) { return {stream.queue, stream.queue->queued}; }

void run_one(Queue &queue) {
  Work work = std::move(queue.work.front());
  queue.work.pop_front();
  if (device_error() == cudaSuccess) work();
  queue.done++;
}

void run_until(const Ticket &ticket) {
  if (ticket.passed()) return;
  DeviceAccess access;
  while (!ticket.passed()) run_one(*ticket.queue);
}

void push(CUstream_st &stream, Work work) {
  stream.queue->work.push_back(std::move(work));
  stream.queue->queued++;
}

void push_wait(CUstream_st &stream, const Ticket &ticket) {
  if (!ticket.passed() && ticket.queue != stream.queue) push(stream, [ticket] { run_until(ticket); });
}

/* What CUDA orders without being asked: the legacy stream against the blocking ones. */
void push_implicit_waits(CUstream_st &stream) {
  if (&stream != &streams().legacy) {
    if ((stream.flags & cudaStreamNonBlocking) == 0) push_wait(stream, tail_of(streams().legacy));
    return;
  }
  for (CUstream_st *other : streams().made)
    if ((other->flags & cudaStreamNonBlocking) == 0) push_wait(stream, tail_of(*other));
}

/* Starts a call on a stream: its error, or cudaSuccess and the stream. */
cudaError_t open_stream(cudaStream_t handle, CUstream_st **stream) {
  if (device_error() != cudaSuccess) return device_error();
  *stream = stream_of(handle);
  return *stream != nullptr ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaError_t synchronise(CUstream_st &stream) {
  if (stream.capture != nullptr) return refuse(*stream.capture);
  push_implicit_waits(stream);
  run_until(tail_of(stream));
  return device_error();
}

} // namespace

cudaError_t enqueue(cudaStream_t handle, Work work) {
  CUstream_st *stream = nullptr;
  cudaError_t error = open_stream(handle, &stream);
  if (error != cudaSuccess) return error;
  if (stream->capture != nullptr) return add_to(*stream->capture, std::move(work));
  push_implicit_waits(*stream);
  push(*stream, std::move(work));
  if (stream->queue->work.size() > longest_queue) run_until(tail_of(*stream));
  return cudaSuccess;
}

cudaError_t run_now(cudaStream_t handle, const Work &work) {
  CUstream_st *stream = nullptr;
  cudaError_t error = open_stream(handle, &stream);
  if (error == cudaSuccess) error = forbidden_by_capture();
  if (error == cudaSuccess) error = enqueue(handle, work);
  return error == cudaSuccess ? synchronise(*stream) : error;
}

void run_everything() {
  run_until(tail_of(streams().legacy));
  for (CUstream_st *stream : streams().made) run_until(tail_of(*stream));
}

void drop_everything() {
  auto drop = [](CUstream_st &stream) {
    stream.queue->work.clear();
    stream.queue->done = stream.queue->queued;
    stream.capture = nullptr;
  };
  drop(streams().legacy);
  for (CUstream_st *stream : streams().made) drop(*stream);
  end_captures();
}

bool is_capturing(cudaStream_t handle) {
  CUstream_st *stream = stream_of(handle);
  return stream != nullptr && stream->capture != nullptr;
}

std::shared_ptr<Capture> *capture_of(cudaStream_t handle) {
  CUstream_st *stream = stream_of(handle);
  return stream != nullptr ? &stream->capture : nullptr;
}

void leave_capture(const Capture *capture) {
  for (CUstream_st *stream : streams().made)
    if (stream->capture.get() == capture) stream->capture = nullptr;
}

} // namespace emulator

using namespace emulator;

cudaError_t cudaDeviceSynchronize(void) {
  Guard guard(device_mutex());
  cudaError_t error = forbidden_by_capture();
  if (error != cudaSuccess) return failed(error);
  run_everything();
  return failed(device_error());
}

cudaError_t cudaDeviceReset(void) { return cudaDeviceSynchronize(); }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int flags) {
  Guard guard(device_mutex());
  if (device_error() != cudaSuccess) return failed(device_error());
  if (flags > cudaStreamNonBlocking) return failed(cudaErrorInvalidValue);
  *stream = new CUstream_st;
  (*stream)->flags = flags;
  streams().made.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  Guard guard(device_mutex());
  if (streams().made.count(handle) == 0) return failed(cudaErrorInvalidResourceHandle);
  run_until(tail_of(*handle));
  streams().made.erase(handle);
  delete handle;
  return failed(device_error());
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  Guard guard(device_mutex());
  CUstream_st *stream = nullptr;
  cudaError_t error = open_stream(handle, &stream);
  return failed(error == cudaSuccess ? synchronise(*stream) : error);
}

/* Makes a little progress, so that a host which asks again and again sees the end. */
cudaError_t cudaStreamQuery(cudaStream_t handle) {
  Guard guard(device_mutex());
  CUstream_st *stream = nullptr;
  cudaError_t error = open_stream(handle, &stream);
  if (error == cudaSuccess && stream->capture != nullptr) error = refuse(*stream->capture);
  if (error != cudaSuccess) return failed(error);
  Queue &queue = *stream->queue;
  if (queue.work.empty()) return cudaSuccess;
  run_until({stream->queue, queue.done + 1});
  return device_error() != cudaSuccess ? failed(device_error()) : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned int) {
  Guard guard(device_mutex());
  CUstream_st *stream = nullptr;
  cudaError_t error = open_stream(handle, &stream);
  if (error == cudaSuccess && !is_event(event)) error = cudaErrorInvalidResourceHandle;
  if (error != cudaSuccess) return failed(error);
  if (event->capture != nullptr) { /* the stream joins the capture; the graph keeps the order of the calls */
    if (stream->capture != nullptr && stream->capture != event->capture)
      return failed(cudaErrorStreamCaptureMerge);
    stream->capture = event->capture;
    return cudaSuccess;
  }
  if (stream->capture != nullptr)
    return event->ticket.passed() ? cudaSuccess : failed(cudaErrorStreamCaptureIsolation);
  push_wait(*stream, event->ticket);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags) {
  Guard guard(device_mutex());
  if (device_error() != cudaSuccess) return failed(device_error());
  *event = new CUevent_st;
  (*event)->flags = flags;
  streams().events.insert(*event);
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Guard guard(device_mutex());
  if (streams().events.erase(event) == 0) return failed(cudaErrorInvalidResourceHandle);
  delete event;
  return failed(device_error());
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  Guard guard(device_mutex());
  CUstream_st *stream = nullptr;
  cudaError_t error = open_stream(handle, &stream);
  if (error == cudaSuccess && !is_event(event)) error = cudaErrorInvalidResourceHandle;
  if (error != cudaSuccess) return failed(error);
  event->capture = stream->capture;
  if (stream->capture != nullptr) return cudaSuccess;
  auto time = std::make_shared<Time>();
  error = enqueue(handle, [time] { *time = std::chrono::steady_clock::now(); });
  event->time = time;
  event->ticket = tail_of(*stream);
  return failed(error);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Guard guard(device_mutex());
  if (!is_event(event)) return failed(cudaErrorInvalidResourceHandle);
  if (event->capture != nullptr) return failed(cudaErrorCapturedEvent);
  run_until(event->ticket);
  return failed(device_error());
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  Guard guard(device_mutex());
  if (!is_event(event)) return failed(cudaErrorInvalidResourceHandle);
  if (event->capture != nullptr) return failed(cudaErrorCapturedEvent);
  if (device_error() != cudaSuccess) return failed(device_error());
  if (event->ticket.passed()) return cudaSuccess;
  run_until({event->ticket.queue, event->ticket.queue->done + 1});
  return device_error() != cudaSuccess ? failed(device_error()) : cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
  Guard guard(device_mutex());
  if (!is_event(start) || !is_event(end)) return failed(cudaErrorInvalidResourceHandle);
  if (start->time == nullptr || end->time == nullptr ||
      ((start->flags | end->flags) & cudaEventDisableTiming) != 0)
    return failed(cudaErrorInvalidResourceHandle);
  if (!start->ticket.passed() || !end->ticket.passed()) return cudaErrorNotReady;
  *milliseconds = std::chrono::duration<float, std::milli>(*end->time - *start->time).count();
  return failed(device_error());
}
