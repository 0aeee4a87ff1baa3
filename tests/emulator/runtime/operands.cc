/* Operands of the libraries' calls. */
#include "operands.h"
#include "arena.h"
#include "checker.h"
#include "device.h"

namespace emulator {
namespace {

template <class Visit> bool all_runs(const Runs &runs, Visit visit) {
  for (size_t b = 0; b < runs.batch; b++)
    for (size_t i = 0; i < runs.count; i++)
      if (!visit((const char *)runs.first + b * runs.batch_stride + i * runs.stride)) return false;
  return true;
}

bool refuse(const std::string &call, const char *operand, const char *kind, const void *address) {
  device_fault(cudaErrorIllegalAddress, std::string(kind) + " in " + call + ", operand " + operand + ": " +
                                            device_place((uintptr_t)address).text);
  return false;
}

} // namespace

bool check_written(const std::string &call, const char *operand, const Runs &runs) {
  return all_runs(runs, [&](const char *run) {
    return device_allocation(run, runs.bytes) != nullptr ||
           refuse(call, operand, "out-of-bounds access of a library call", run + runs.bytes - 1);
  });
}

bool check_read(const std::string &call, const char *operand, const Runs &runs) {
  return check_written(call, operand, runs) && all_runs(runs, [&](const char *run) {
           const void *bad = checker_unwritten(run, runs.bytes);
           return bad == nullptr || refuse(call, operand, "uninitialised read of a library call", bad);
         });
}

void mark_written(const Runs &runs) {
  all_runs(runs, [&](const char *run) {
    checker_written(run, runs.bytes);
    return true;
  });
}

} // namespace emulator
