/* What the compiler calls, under -fsanitize=thread, before each access; and the checked memcpy and memset. */
#include "access.h"
#include <cstring>

#if EBB_EMULATOR_CHECKS

using emulator::check_access;
using emulator::Use;
using emulator::view;
using emulator::Wrong;
using emulator::wrong_access;

#define EBB_HERE __builtin_return_address(0)

namespace {

/* Device and shared memory fault where an access is not aligned to its size. */
template <Use use, size_t bytes> inline void aligned_access(const void *pointer, const void *code) {
  if (((uintptr_t)pointer & (bytes - 1)) != 0 && view.active &&
      (uintptr_t)pointer - view.stack_low >= view.stack_bytes)
    wrong_access(Wrong::alignment, use, pointer, bytes, code, nullptr, false);
  check_access<use>(pointer, bytes, code);
}

} // namespace

extern "C" {

void __tsan_init(void) {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit(void) {}
void __tsan_vptr_update(void **, void *) {}
void __tsan_vptr_read(void **) {}

#define EBB_ACCESS(bytes)                                                                                    \
  void __tsan_read##bytes(void *p) { aligned_access<Use::read, bytes>(p, EBB_HERE); }                        \
  void __tsan_write##bytes(void *p) { aligned_access<Use::write, bytes>(p, EBB_HERE); }                      \
  void __tsan_volatile_read##bytes(void *p) { aligned_access<Use::read, bytes>(p, EBB_HERE); }               \
  void __tsan_volatile_write##bytes(void *p) { aligned_access<Use::write, bytes>(p, EBB_HERE); }             \
  void __tsan_unaligned_read##bytes(void *p) { check_access<Use::read>(p, bytes, EBB_HERE); }                \
  void __tsan_unaligned_write##bytes(void *p) { check_access<Use::write>(p, bytes, EBB_HERE); }
EBB_ACCESS(1)
EBB_ACCESS(2)
EBB_ACCESS(4)
EBB_ACCESS(8)
EBB_ACCESS(16)
#undef EBB_ACCESS

void __tsan_read_range(void *p, size_t bytes) { check_access<Use::read>(p, bytes, EBB_HERE); }
void __tsan_write_range(void *p, size_t bytes) { check_access<Use::write>(p, bytes, EBB_HERE); }

#define EBB_ATOMIC_READ_MODIFY(bits, type, name, operation)                                                  \
  type __tsan_atomic##bits##_##name(type *p, type value, int) {                                              \
    check_access<Use::atomic>(p, sizeof *p, EBB_HERE);                                                       \
    return __atomic_##operation(p, value, __ATOMIC_SEQ_CST);                                                 \
  }
#define EBB_ATOMIC(bits, type)                                                                               \
  type __tsan_atomic##bits##_load(type *p, int) {                                                            \
    check_access<Use::atomic>(p, sizeof *p, EBB_HERE);                                                       \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                             \
  }                                                                                                          \
  void __tsan_atomic##bits##_store(type *p, type value, int) {                                               \
    check_access<Use::write>(p, sizeof *p, EBB_HERE);                                                        \
    __atomic_store_n(p, value, __ATOMIC_SEQ_CST);                                                            \
  }                                                                                                          \
  int __tsan_atomic##bits##_compare_exchange_strong(type *p, type *expected, type value, int, int) {         \
    check_access<Use::atomic>(p, sizeof *p, EBB_HERE);                                                       \
    return __atomic_compare_exchange_n(p, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);       \
  }                                                                                                          \
  int __tsan_atomic##bits##_compare_exchange_weak(type *p, type *expected, type value, int, int) {           \
    check_access<Use::atomic>(p, sizeof *p, EBB_HERE);                                                       \
    return __atomic_compare_exchange_n(p, expected, value, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);        \
  }                                                                                                          \
  EBB_ATOMIC_READ_MODIFY(bits, type, exchange, exchange_n)                                                   \
  EBB_ATOMIC_READ_MODIFY(bits, type, fetch_add, fetch_add)                                                   \
  EBB_ATOMIC_READ_MODIFY(bits, type, fetch_sub, fetch_sub)                                                   \
  EBB_ATOMIC_READ_MODIFY(bits, type, fetch_and, fetch_and)                                                   \
  EBB_ATOMIC_READ_MODIFY(bits, type, fetch_or, fetch_or)                                                     \
  EBB_ATOMIC_READ_MODIFY(bits, type, fetch_xor, fetch_xor)
EBB_ATOMIC(8, uint8_t)
EBB_ATOMIC(16, uint16_t)
EBB_ATOMIC(32, uint32_t)
EBB_ATOMIC(64, uint64_t)
#undef EBB_ATOMIC
#undef EBB_ATOMIC_READ_MODIFY

void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}

void ebb_emulator_atomic_access(const void *pointer, size_t bytes, const void *code) {
  check_access<Use::atomic>(pointer, bytes, code);
}

void *ebb_emulator_copy(void *to, const void *from, size_t bytes) {
  if (bytes > 0) check_access<Use::read>(from, bytes, EBB_HERE);
  if (bytes > 0) check_access<Use::write>(to, bytes, EBB_HERE);
  return memmove(to, from, bytes);
}

void *ebb_emulator_fill(void *to, int value, size_t bytes) {
  if (bytes > 0) check_access<Use::write>(to, bytes, EBB_HERE);
  return memset(to, value, bytes);
}
}
#endif
