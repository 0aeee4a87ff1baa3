/* memcpy and memset of kernels. The compiler announces single accesses to the checker but not these, so in
   checked kernel files they go through functions that do; copies of at most 16 bytes become single accesses
   again. */
#ifndef EBB_EMULATOR_KERNEL_MEMORY_H
#define EBB_EMULATOR_KERNEL_MEMORY_H

#include <string.h>

#if EBB_EMULATOR_CHECKED

extern "C" void *ebb_emulator_copy(void *to, const void *from, size_t bytes);
extern "C" void *ebb_emulator_fill(void *to, int value, size_t bytes);

__attribute__((always_inline)) inline void *ebb_emulator_memcpy(void *to, const void *from, size_t bytes) {
  if (__builtin_constant_p(bytes) && (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8 || bytes == 16))
    return __builtin_memcpy(to, from, bytes);
  return ebb_emulator_copy(to, from, bytes);
}

#define memcpy(to, from, bytes)  ebb_emulator_memcpy(to, from, bytes)
#define memmove(to, from, bytes) ebb_emulator_copy(to, from, bytes)
#define memset(to, value, bytes) ebb_emulator_fill(to, value, bytes)

#endif
#endif
