/* Stacks and the switches between them. */
#include "workers.h"
#include "arena.h"
#include <cstdlib>
#include <memory>
#include <sys/mman.h>

namespace emulator {
namespace {

using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

std::vector<std::unique_ptr<Worker>> workers;
std::vector<Worker *> free_workers;
void (*entry_of_all)();

void before_switch([[maybe_unused]] Worker &from, [[maybe_unused]] Worker &to) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack, to.bytes);
#endif
}

/* `came_from` gets the bounds of its stack, which are unknown for the thread's own. */
void after_switch([[maybe_unused]] Worker *here, [[maybe_unused]] Worker &came_from) {
#if defined(__SANITIZE_ADDRESS__)
  const void *bottom;
  size_t size;
  __sanitizer_finish_switch_fiber(here != nullptr ? here->fake_stack : nullptr, &bottom, &size);
  came_from.stack = static_cast<char *>(const_cast<void *>(bottom));
  came_from.bytes = size;
#endif
}

void enter(transfer_t transfer) {
  Worker &came_from = *static_cast<Worker *>(transfer.data);
  came_from.context = transfer.fctx;
  after_switch(nullptr, came_from);
  entry_of_all();
  abort(); /* an entry switches away for good */
}

Worker *new_worker() {
  void *memory = mmap(nullptr, stack_bytes + page_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, page_bytes, PROT_NONE) != 0) abort();
  workers.push_back(std::make_unique<Worker>());
  workers.back()->stack = static_cast<char *>(memory) + page_bytes;
  workers.back()->bytes = stack_bytes;
  workers.back()->colour = workers.size() * 192 % page_bytes / 64 * 64;
  return workers.back().get();
}

} // namespace

Worker &main_worker() {
  static Worker worker;
  return worker;
}

Worker *take_worker(void (*entry)()) {
  entry_of_all = entry;
  Worker *worker;
  if (free_workers.empty()) {
    worker = new_worker();
  } else {
    worker = free_workers.back();
    free_workers.pop_back();
  }
  if (worker->context == nullptr)
    worker->context = make_fcontext(worker->stack + worker->bytes, worker->bytes, enter);
  return worker;
}

void give_worker(Worker *worker) { free_workers.push_back(worker); }

void reclaim_workers() {
  free_workers.clear();
  for (auto &worker : workers) {
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(worker->stack, worker->bytes);
#endif
    worker->context = nullptr;
    worker->fake_stack = nullptr;
    free_workers.push_back(worker.get());
  }
}

void switch_worker(Worker &from, Worker &to) {
  before_switch(from, to);
  transfer_t transfer = jump_fcontext(to.context, &from);
  Worker &came_from = *static_cast<Worker *>(transfer.data);
  came_from.context = transfer.fctx;
  after_switch(&from, came_from);
}

bool on_some_stack(uintptr_t address) {
  for (const auto &worker : workers)
    if (address - (uintptr_t)worker->stack < worker->bytes) return true;
  return false;
}

} // namespace emulator
