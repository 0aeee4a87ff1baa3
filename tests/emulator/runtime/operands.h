/* Operands of the libraries' calls: device memory that holds what the call reads. */
#ifndef EBB_EMULATOR_OPERANDS_H
#define EBB_EMULATOR_OPERANDS_H

#include <cstddef>
#include <string>

namespace emulator {

/* Equally long runs of bytes, `stride` apart, `batch` such groups `batch_stride` apart. */
struct Runs {
  const void *first;
  size_t bytes, count, stride, batch, batch_stride;
};

/* Whether device memory holds all of it, and all was written; otherwise a fault of the device that names
   `call` and the operand. */
bool check_read(const std::string &call, const char *operand, const Runs &runs);
bool check_written(const std::string &call, const char *operand, const Runs &runs);
/* Notes that the call has written it. */
void mark_written(const Runs &runs);

} // namespace emulator

#endif
