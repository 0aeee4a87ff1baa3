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

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t stack_bytes = 256 * 1024;
#else
constexpr size_t stack_bytes = 128 * 1024;
#endif

struct Worker; /* a stack to run threads on */
struct Block;

enum class State : uint8_t { fresh, running, at_block_barrier, at_warp_operation, at_grid_barrier, ended };

/* One line of the cache: warp operations go through 32 of them. */
struct alignas(64) Thread {
  uint3 index;
  uint32_t mask; /* of the warp operation that it waits in */
  Block *block;
  Worker *worker;
  uintptr_t stack_low;
  const char *what;     /* the operation that it waits in */
  uint64_t value;       /* given to a warp operation, then its result */
  int16_t rank, source; /* in the block; the lane that a shuffle reads */
  State state;
};
static_assert(sizeof(Thread) == 64, "one line of the cache");

struct Warp {
  uint32_t waiting, ended; /* lanes */
  uint32_t clock;          /* of the checker: when its threads last met */
};

struct Words; /* what the checker knows of some memory */

struct Shared {
  char *payload;
  size_t bytes;
  Words *words;
};

struct Block {
  uint3 index;
  uint32_t number; /* in the grid */
  uint32_t clock;  /* of the checker: when its threads last met */
  uint32_t start;  /* and when it started */
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
/* Whether an address is on any thread's stack. */
bool on_some_stack(uintptr_t address);

/* "kernel 'k', block (0,0,0), thread (1,0,0)" */
std::string thread_text(const Thread &thread);
std::string running_kernel();
std::string index_text(const uint3 &index);
/* The indices of the block with that number in the grid, of the thread with that rank in its block. */
uint3 block_index(uint32_t number);
uint3 thread_index(int rank);

/* What ended a launch. `kind`, `bytes` and the rest are for `describe`, which makes the sentence after the
   threads have been stopped. */
struct Fault {
  cudaError_t error;
  std::string (*describe)(const Fault &fault);
  const Thread *thread;
  int kind;
  size_t bytes;
  bool write, other_write;
  const void *address, *code; /* of an access */
  uint32_t other_block;
  int other_thread; /* rank; -1: none */
};
/* Ends the launch from inside a thread: never returns. */
[[noreturn]] void abandon(const Fault &fault);

/* Reports host code that touches device memory, and guard zones that unchecked kernels touch. */
void watch_device_memory();

} // namespace emulator

#endif
