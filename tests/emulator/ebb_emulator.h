/* What the emulated device adds to the CUDA runtime: launching, shared memory, reports.

   Threads run one at a time until they wait or end: a thread that spins on another's write never returns.
   Only barriers order threads for the checker: blocks that hand data to each other by atomics and fences are
   reported.

   Environment, read when the device is first used:
     EBB_EMULATOR_MEMORY_MIB   memory of the device (default 8192)
     EBB_EMULATOR_DEVICES      0: no device is found (default 1)
     EBB_EMULATOR_ORDER        in which order the threads of a block run: forward (default), reverse,
   random:SEED */
#ifndef EBB_EMULATOR_H
#define EBB_EMULATOR_H

#include "cuda_runtime_api.h"
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first fault that the device found since the last reset, as one sentence; "" without one. */
const char *ebb_emulator_report(void);
/* Forgets the report and the error that goes with it; queued work is dropped. */
void ebb_emulator_reset(void);
/* Whether accesses of kernels are checked: bounds, initialisation, races. */
int ebb_emulator_checks(void);

/* Calls so far, for tests of what a program leaves to replayed graphs: device memory taken, kernels and
   graphs launched (a captured launch is none). */
typedef struct EbbEmulatorCalls {
  uint64_t allocations, kernels, graphs;
} EbbEmulatorCalls;
EbbEmulatorCalls ebb_emulator_calls(void);

/* Of the running block: its dynamic shared memory, exactly as large as the launch asked for. */
void *ebb_emulator_shared(void);
size_t ebb_emulator_shared_bytes(void);
/* Waits for all threads of a cooperative launch. */
void ebb_emulator_grid_sync(void);

#ifdef __cplusplus
}
#include <memory>
#include <utility>

/* One thread of a kernel with its arguments, made from a callable that captures them by value. */
struct EbbEmulatorKernel {
  template <class F>
  EbbEmulatorKernel(F body)
      : arguments(std::make_shared<F>(std::move(body))), bytes(sizeof(F)),
        call([](void *held) { (*static_cast<F *>(held))(); }) {}

  std::shared_ptr<void> arguments;
  size_t bytes;
  void (*call)(void *held);
};

/* Queues a launch of `body`, once for every thread of the grid. `kernel` names it in reports. */
cudaError_t ebb_emulator_launch(const char *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                                cudaStream_t stream, const EbbEmulatorKernel &body);
/* The same with all blocks alive at once, so that they may meet in ebb_emulator_grid_sync. */
cudaError_t ebb_emulator_launch_cooperative(const char *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                                            cudaStream_t stream, const EbbEmulatorKernel &body);
#endif

#endif
