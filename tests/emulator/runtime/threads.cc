/* Runs the threads of a launch: the order in which they start and go on, barriers, warp operations. */
#include "access.h"
#include "arena.h"
#include "checker.h"
#include "deadlock.h"
#include "kernel_language.h"
#include "order.h"
#include "shared.h"
#include "workers.h"
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator {
namespace {

/* Threads that may go on, first come first served; each is in it once at most. */
struct Ready {
  std::vector<Thread *> ring = std::vector<Thread *>(max_block_threads);
  size_t head = 0, count = 0;

  void clear(size_t threads) {
    head = count = 0;
    while (ring.size() < threads) ring.resize(2 * ring.size());
  }
  void push(Thread *thread) { ring[(head + count++) & (ring.size() - 1)] = thread; }
  Thread *pop() {
    count--;
    return ring[head++ & (ring.size() - 1)];
  }
};

/* Of the launch that runs. One host thread at a time is here (device_mutex). */
struct Scheduler {
  const Launch *launch = nullptr;
  std::vector<std::unique_ptr<Block>> blocks; /* alive ones first; the rest wait to be used again */
  size_t alive = 0;
  Order order;
  size_t started = 0, total = 0; /* threads of the alive blocks */
  Ready ready;
  Thread *running = nullptr;
  Block *block = nullptr;   /* of the thread that ran last */
  Worker *worker = nullptr; /* that executes now */
  int at_grid_barrier = 0;
  bool has_fault = false;
  Fault fault;
};
Scheduler now;

/* `thread` is the one that executes from here on. */
void become(Thread *thread) {
  now.running = thread;
  now.worker = thread->worker;
  threadIdx = thread->index;
  if (thread->block != now.block) {
    now.block = thread->block;
    blockIdx = now.block->index;
    checker_enters_block(*now.block);
  }
  if constexpr (checks) enter_thread(*thread);
}

void worker_main();

/* Goes on in whatever can run; returns when the worker that called is switched back to. */
void run_others() {
  Worker &self = *now.worker;
  if (now.ready.count > 0) {
    Thread *thread = now.ready.pop();
    become(thread);
    if (thread->worker != &self) switch_worker(self, *thread->worker);
    return;
  }
  checker_leaves();
  now.running = nullptr;
  now.worker = now.started < now.total ? take_worker(worker_main) : &main_worker();
  switch_worker(self, *now.worker);
}

/* Starts threads on this worker until none is left; one that waits keeps the worker until it has ended. */
void worker_main() {
  for (;;) {
    if (now.ready.count == 0 && now.started < now.total) {
      size_t at = now.started++;
      Block &block =
          *now.blocks[at / (size_t)now.launch->block.x / now.launch->block.y / now.launch->block.z];
      Thread &thread = block.all[(size_t)now.order.thread((int)(at % (size_t)block.threads))];
      thread.worker = now.worker;
      thread.stack_low = (uintptr_t)now.worker->stack;
      thread.state = State::running;
      become(&thread);
      now.launch->body.call(now.launch->body.arguments.get());
      thread.state = State::ended;
      block.ended++;
      block.warps[thread.rank / warp_lanes].ended |= 1u << (thread.rank % warp_lanes);
    } else {
      give_worker(now.worker);
      run_others();
    }
  }
}

/* The running thread waits until another makes it ready. */
void wait(State state, const char *what) {
  Thread *self = now.running;
  self->state = state;
  self->what = what;
  run_others();
}

void make_ready(Thread &thread) {
  thread.state = State::running;
  now.ready.push(&thread);
}

void release_block(Block &block) {
  checker_orders_block(block);
  uint64_t held = (uint64_t)block.held;
  block.arrived = block.held = 0;
  for (int i = 0; i < block.threads; i++) {
    Thread &thread = block.all[(size_t)now.order.thread(i)];
    thread.value = held;
    make_ready(thread);
  }
}

/* All lanes of the mask have come: each gets its result. */
void finish_warp(Block &block, int warp, uint32_t mask, bool shuffle) {
  Thread *lanes = &block.all[(size_t)warp * warp_lanes];
  uint64_t values[warp_lanes];
  uint32_t votes = 0;
  for (int lane = 0; lane < warp_lanes; lane++) {
    if ((mask >> lane & 1) == 0) continue;
    values[lane] = lanes[lane].value;
    votes |= (uint32_t)(lanes[lane].value & 1) << lane;
  }
  for (int i = 0; i < warp_lanes; i++) {
    int lane = now.order.lane(i);
    if ((mask >> lane & 1) == 0) continue;
    lanes[lane].value = shuffle ? values[lanes[lane].source] : votes;
    make_ready(lanes[lane]);
  }
  block.warps[warp].waiting &= ~mask;
  checker_orders_warp(block, warp);
}

uint64_t warp_operation(const char *what, uint32_t mask, uint64_t value, int source, bool shuffle) {
  Thread *self = now.running;
  if (self == nullptr) abort(); /* called by the host */
  Block &block = *self->block;
  int warp = self->rank / warp_lanes, lane = self->rank % warp_lanes;
  self->value = value;
  self->mask = mask;
  self->source = (int16_t)source;
  self->what = what;
  Warp &mates = block.warps[warp];
  mates.waiting |= 1u << lane;
  check_warp_mask(*self, shuffle);
  if ((mates.waiting & mask) == mask) {
    check_warp_agrees(*self, &block.all[(size_t)warp * warp_lanes]);
    finish_warp(block, warp, mask, shuffle);
    run_others();
  } else {
    wait(State::at_warp_operation, what);
  }
  return self->value;
}

void start_block(Block &block, uint32_t number) {
  block.number = number;
  block.index = block_index(number);
  block.ended = block.arrived = block.held = 0;
  memset(block.warps, 0, sizeof block.warps);
  for (Thread &thread : block.all)
    thread.state = State::fresh, thread.worker = nullptr, thread.what = nullptr;
  prepare_shared(block.shared, now.launch->shared_bytes);
  checker_block_starts(block);
}

void shape_block(Block &block) {
  const dim3 size = now.launch->block;
  block.threads = (int)(size.x * size.y * size.z);
  block.all.assign((size_t)block.threads, {});
  for (int i = 0; i < block.threads; i++) {
    Thread &thread = block.all[(size_t)i];
    thread.index = thread_index(i);
    thread.block = &block;
    thread.rank = (int16_t)i;
  }
}

/* Runs `count` blocks, alive together, from block number `first` on. */
void run_blocks(uint32_t first, size_t count) {
  while (now.blocks.size() < count) now.blocks.push_back(std::make_unique<Block>());
  now.alive = count;
  now.order.next_block((int)(now.launch->block.x * now.launch->block.y * now.launch->block.z));
  now.started = 0;
  now.total = 0;
  now.at_grid_barrier = 0;
  for (size_t i = 0; i < count; i++) {
    start_block(*now.blocks[i], first + (uint32_t)i);
    now.total += (size_t)now.blocks[i]->threads;
  }
  now.ready.clear(now.total);
  now.worker = &main_worker();
  now.block = nullptr;
  run_others();
  for (size_t i = 0; i < count && !now.has_fault; i++)
    if (now.blocks[i]->ended < now.blocks[i]->threads) {
      now.has_fault = true;
      now.fault = deadlock_of(*now.blocks[i]);
    }
}

void finish_fault() {
  reclaim_workers();
  std::string sentence = now.fault.describe(now.fault);
  now.has_fault = false;
  device_fault(now.fault.error, sentence);
}

} // namespace

void run_launch(const Launch &launch) {
  now.launch = &launch;
  gridDim = launch.grid;
  blockDim = launch.block;
  size_t blocks = (size_t)launch.grid.x * launch.grid.y * launch.grid.z;
  size_t together = launch.cooperative ? blocks : 1;
  while (now.blocks.size() < together) now.blocks.push_back(std::make_unique<Block>());
  for (size_t i = 0; i < together; i++) shape_block(*now.blocks[i]);
  checker_parameters(launch.body.arguments.get(), launch.body.bytes);
  checker_orders_launch();
  for (size_t first = 0; first < blocks && !now.has_fault; first += together)
    run_blocks((uint32_t)first, together);
  if (now.has_fault) finish_fault();
  now.launch = nullptr;
  now.running = nullptr;
  checker_parameters(nullptr, 0);
}

const Thread *running_thread() { return now.running; }

uint3 block_index(uint32_t number) {
  const dim3 &grid = now.launch->grid;
  return {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
}

uint3 thread_index(int rank) {
  const dim3 &size = now.launch->block;
  unsigned n = (unsigned)rank;
  return {n % size.x, n / size.x % size.y, n / size.x / size.y};
}

std::string running_kernel() { return now.launch != nullptr ? now.launch->kernel : std::string(); }

void abandon(const Fault &fault) {
  now.has_fault = true;
  now.fault = fault;
  now.started = now.total;
  checker_leaves();
  now.running = nullptr;
  Worker &self = *now.worker;
  now.worker = &main_worker();
  switch_worker(self, main_worker());
  abort(); /* nothing switches back: the workers are reclaimed */
}

} // namespace emulator

using namespace emulator;

int ebb_emulator_lane() { return now.running->rank % warp_lanes; }

unsigned ebb_emulator_vote(const char *what, unsigned mask, bool predicate) {
  return (unsigned)warp_operation(what, mask, predicate, 0, false);
}

uint64_t ebb_emulator_shuffle(const char *what, unsigned mask, uint64_t value, int source) {
  return warp_operation(what, mask, value, source, true);
}

unsigned ebb_emulator_activemask() {
  return ~now.running->block->warps[now.running->rank / warp_lanes].ended;
}

int ebb_emulator_barrier(const char *what, bool predicate) {
  Thread *self = now.running;
  Block &block = *self->block;
  block.held += predicate ? 1 : 0;
  if (++block.arrived == block.threads) {
    self->what = what;
    check_barrier_agrees(*self);
    release_block(block);
    run_others();
  } else {
    wait(State::at_block_barrier, what);
  }
  return (int)self->value;
}

void ebb_emulator_grid_sync(void) {
  if (!now.launch->cooperative) abandon(plain_grid_sync(*now.running));
  if (++now.at_grid_barrier < (int)now.total) {
    wait(State::at_grid_barrier, "grid_sync");
    return;
  }
  now.at_grid_barrier = 0;
  checker_orders_launch();
  for (size_t b = 0; b < now.alive; b++) {
    Block &block = *now.blocks[b];
    checker_orders_block(block);
    for (int i = 0; i < block.threads; i++) make_ready(block.all[(size_t)now.order.thread(i)]);
  }
  run_others();
}

void *ebb_emulator_shared(void) { return now.running->block->shared.payload; }

size_t ebb_emulator_shared_bytes(void) { return now.running->block->shared.bytes; }

long long ebb_emulator_clock() {
  static long long ticks;
  return ++ticks;
}
