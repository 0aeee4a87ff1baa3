/* Stacks and the switches between them. */
#ifndef EBB_EMULATOR_WORKERS_H
#define EBB_EMULATOR_WORKERS_H

#include "block.h"
#include <boost/context/detail/fcontext.hpp>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulator {

/* A place that execution can be switched to. */
struct Worker {
  boost::context::detail::fcontext_t context = nullptr;
  char *stack = nullptr; /* lowest byte */
  size_t bytes = 0;
  size_t colour =
      0; /* bytes left free at the top: stacks at equal offsets in their pages would share cache sets */
  void *fake_stack = nullptr; /* AddressSanitizer's */
};

/* A worker whose next switch starts `entry`. */
Worker *take_worker(void (*entry)());
void give_worker(Worker *worker);
/* All workers are free again, whatever they were doing. */
void reclaim_workers();

/* Leaves `from` as it is and goes on in `to`. */
void switch_worker(Worker &from, Worker &to);
/* The worker that the thread which called run_launch has. */
Worker &main_worker();

} // namespace emulator

#endif
