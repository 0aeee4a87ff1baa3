/* Atomic operations of kernels. Threads of the emulated device run one at a time, so a plain operation is
   atomic; it stands in a function that the instrumentation passes over and is announced to the checker as
   atomic. */
#ifndef EBB_EMULATOR_KERNEL_ATOMICS_H
#define EBB_EMULATOR_KERNEL_ATOMICS_H

#include <stddef.h>

/* Checks an atomic access of the running thread at `pointer`, made by the code that returns to `code`. */
extern "C" void ebb_emulator_atomic_access(const void *pointer, size_t bytes, const void *code);

#define EBB_EMULATOR_UNSEEN __attribute__((noinline, no_sanitize_thread, unused))

#define EBB_EMULATOR_ATOMIC(name, type, operand, expression)                                                 \
  EBB_EMULATOR_UNSEEN static type name(type *address, operand value) {                                       \
    ebb_emulator_atomic_access(address, sizeof *address, __builtin_return_address(0));                       \
    type old = *address;                                                                                     \
    *address = (expression);                                                                                 \
    return old;                                                                                              \
  }
#define EBB_EMULATOR_ATOMIC_SUM(type)                                                                        \
  EBB_EMULATOR_ATOMIC(atomicAdd, type, type, (type)(old + value))                                            \
  EBB_EMULATOR_ATOMIC(atomicExch, type, type, value)
#define EBB_EMULATOR_ATOMIC_ORDER(type)                                                                      \
  EBB_EMULATOR_ATOMIC(atomicMin, type, type, old < value ? old : value)                                      \
  EBB_EMULATOR_ATOMIC(atomicMax, type, type, old > value ? old : value)                                      \
  EBB_EMULATOR_ATOMIC(atomicOr, type, type, old | value)                                                     \
  EBB_EMULATOR_ATOMIC(atomicAnd, type, type, old &value)                                                     \
  EBB_EMULATOR_ATOMIC(atomicXor, type, type, old ^ value)                                                    \
  EBB_EMULATOR_UNSEEN static type atomicCAS(type *address, type compare, type value) {                       \
    ebb_emulator_atomic_access(address, sizeof *address, __builtin_return_address(0));                       \
    type old = *address;                                                                                     \
    *address = old == compare ? value : old;                                                                 \
    return old;                                                                                              \
  }

EBB_EMULATOR_ATOMIC_SUM(int)
EBB_EMULATOR_ATOMIC_SUM(unsigned)
EBB_EMULATOR_ATOMIC_SUM(unsigned long long)
EBB_EMULATOR_ATOMIC_SUM(float)
EBB_EMULATOR_ATOMIC(atomicAdd, double, double, old + value)
EBB_EMULATOR_ATOMIC(atomicSub, int, int, old - value)
EBB_EMULATOR_ATOMIC(atomicSub, unsigned, unsigned, old - value)
EBB_EMULATOR_ATOMIC_ORDER(int)
EBB_EMULATOR_ATOMIC_ORDER(unsigned)
EBB_EMULATOR_ATOMIC_ORDER(long long)
EBB_EMULATOR_ATOMIC_ORDER(unsigned long long)

#undef EBB_EMULATOR_ATOMIC
#undef EBB_EMULATOR_ATOMIC_SUM
#undef EBB_EMULATOR_ATOMIC_ORDER

#endif
