/* The emulated device's state that all parts share: its lock, its error, its limits. */
#ifndef EBB_EMULATOR_DEVICE_H
#define EBB_EMULATOR_DEVICE_H

#include "cuda_runtime_api.h"
#include "ebb_emulator.h"
#include <mutex>
#include <string>

namespace emulator {

constexpr size_t max_shared_bytes = 227 * 1024;
constexpr unsigned max_block_threads = 1024;
constexpr int multiprocessors = 8;
constexpr int threads_per_multiprocessor = 2048;

/* One host thread at a time is inside the runtime; kernels run on it. */
std::recursive_mutex &device_mutex();
using Guard = std::lock_guard<std::recursive_mutex>;

/* What ebb_emulator_calls tells; under device_mutex. */
EbbEmulatorCalls &calls();

/* Remembers an error for cudaGetLastError; returns it. */
cudaError_t failed(cudaError_t error);

/* The error of a fault on the device: as on a GPU, every later call returns it. cudaSuccess without one. */
cudaError_t device_error();
/* Records a fault and its sentence, the first one only, and prints it. */
void device_fault(cudaError_t error, const std::string &sentence);

} // namespace emulator

#endif
