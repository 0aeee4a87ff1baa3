/* Blocks and threads of a launch. Threads are fibers that run one at a time, each until it waits or ends. */
#ifndef EBB_EMULATOR_BLOCK_H
#define EBB_EMULATOR_BLOCK_H

#include "cuda_runtime_api.h"
#include "device.h"
#include "ebb_emulator.h"
#include <cstdint>
#include <string>
#include <vector>

namespace emulator {

constexpr int warp_lanes = 32;
constexpr int max_warps = (int)max_block_threads / warp_lanes;

struct Worker; /* a stack to run threads on */
struct Block;

enum class State : uint8_t { fresh, running, at_block_barrier, at_warp_operation, at_grid_barrier, ended };

struct Thread {
  uint3 index;
  Block *block;
  Worker *worker;
  const char *what; /* the operation that it waits in */
  uint64_t value;   /* given to a warp operation, then its result */
  uint32_t mask;
  int16_t rank, source; /* in the block; the lane that a shuffle reads */
  State state;
};

struct Warp {
  uint32_t waiting, ended; /* lanes */
  uint32_t clock;          /* of the checker: when its threads last met */
};

/* Shared memory: `low_guard` bytes below and above the payload belong to no one. */
struct Shared {
  char *payload;
  size_t bytes;
  uint8_t *states; /* of the checker, one for each word from payload - guard on */
  struct Cell *cells;
};

struct Block {
  uint3 index;
  uint32_t number; /* in the grid */
  uint32_t clock;  /* of the checker: when its threads last met */
  int threads, ended, arrived, held;
  Shared shared;
  Warp warps[max_warps];
  std::vector<Thread> all;
};

/* What a launch needs to know while it runs. */
struct Launch {
  std::string kernel;
  dim3 grid, block;
  size_t shared_bytes;
  EbbEmulatorKernel body;
  bool cooperative;
};

void run_launch(const Launch &launch);

/* NULL while no kernel runs. */
const Thread *running_thread();
/* The stack of the running thread, and whether an address is on any thread's. */
struct StackRange {
  uintptr_t low;
  size_t bytes;
};
StackRange stack_of(const Worker *worker);
bool on_some_stack(uintptr_t address);

/* "kernel 'k', block (0,0,0), thread (1,0,0)" */
std::string thread_text(const Thread &thread);
std::string running_kernel();

/* Ends the launch from inside a thread: never returns. `describe` makes the sentence, outside of the thread.
 */
struct Fault {
  cudaError_t error;
  std::string (*describe)(const Fault &fault);
  const Thread *thread;
  const void *address, *code;
  size_t bytes;
  int kind;
  uint32_t other_block;
  int other_thread; /* -1: none */
};
[[noreturn]] void abandon(const Fault &fault);

/* Reports host code that touches device memory, and guard zones that unchecked kernels touch. */
void watch_device_memory();

} // namespace emulator

#endif
