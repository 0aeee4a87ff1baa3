/* Bad values that only a kernel sees: it notes the first one in device memory and goes on without it; the
   host turns the note into an error at its next synchronisation. Ops on the CPU fail with the same sentences
   at once. */
#ifndef EBB_FAULT_H
#define EBB_FAULT_H

#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum EbbFaultKind {
  EBB_FAULT_NONE,
#define EBB_FAULT(name, sentence) EBB_FAULT_##name,
#include "ebb/fault.def"
#undef EBB_FAULT
  EBB_FAULTS
} EbbFaultKind;

/* The note: kind 0 where there is none. value holds the sentence's numbers in their order. */
typedef struct EbbFault {
  uint32_t kind, unused;
  double value[4];
} EbbFault;

/* INVALID, of an unstable solver NUMERIC, with the sentence of `kind`. */
EbbStatus ebb_fault_fail(EbbFaultKind kind, double a, double b, double c, double d);

#ifdef __cplusplus
}
#endif
#endif
