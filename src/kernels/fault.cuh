/* Notes of kernels about values that they cannot work on; see ebb/fault.h. */
#ifndef EBB_KERNELS_FAULT_CUH
#define EBB_KERNELS_FAULT_CUH

#include <cuda_runtime.h>

#include "ebb/fault.h"

/* Keeps the first fault of all threads; later ones are dropped. The host reads it after the kernel. */
__device__ __forceinline__ void ebb_fault(EbbFault *fault, EbbFaultKind kind, double a, double b, double c,
                                          double d) {
  if (atomicCAS(&fault->kind, 0u, (unsigned)kind) != 0u) return;
  fault->value[0] = a, fault->value[1] = b, fault->value[2] = c, fault->value[3] = d;
}

#endif
