/* The signal handler that names host code touching device memory, and unchecked kernels leaving theirs. */
#include "arena.h"
#include "block.h"
#include "device.h"
#include <csignal>
#include <cstdio>
#include <unistd.h>

namespace emulator {
namespace {

struct sigaction previous;

void say(const std::string &text) {
  std::string line = "emulated device: " + text + "\n";
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

/* The process is lost: allocation in a handler can do no more harm. */
void on_fault(int, siginfo_t *info, void *) {
  uintptr_t address = (uintptr_t)info->si_addr;
  ArenaRange range = arena_range();
  const Thread *thread = running_thread();
  if (address - range.base < range.bytes) {
    std::string place = device_place(address).text;
    say(thread == nullptr ? "host code touched device memory: " + place + "; copy it with cudaMemcpy"
                          : "illegal access in " + thread_text(*thread) + ": " + place);
  } else if (thread != nullptr) {
    bool overflow = address - (thread->stack_low - page_bytes) < page_bytes;
    say((overflow ? "local memory overflowed in " : "illegal access in ") + thread_text(*thread));
  }
  sigaction(SIGSEGV, &previous, nullptr); /* the access is repeated when this returns */
}

} // namespace

void watch_device_memory() {
  static char stack[64 * 1024];
  stack_t old;
  if (sigaltstack(nullptr, &old) == 0 && (old.ss_flags & SS_DISABLE) != 0) {
    stack_t own = {};
    own.ss_sp = stack;
    own.ss_size = sizeof stack;
    sigaltstack(&own, nullptr);
  }
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGSEGV, &action, &previous);
}

} // namespace emulator
