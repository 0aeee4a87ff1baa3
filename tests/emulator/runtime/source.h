/* Where code comes from. */
#ifndef EBB_EMULATOR_SOURCE_H
#define EBB_EMULATOR_SOURCE_H

#include <string>

namespace emulator {

/* " at file:line" of the code that a call returns to, with the line that inlined it; "" where addr2line finds
 * none. */
std::string source_text(const void *code);

} // namespace emulator

#endif
