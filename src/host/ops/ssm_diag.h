/* Parts of op ssm_diag on the CPU that stand in files of their own. */
#ifndef EBB_HOST_OPS_SSM_DIAG_H
#define EBB_HOST_OPS_SSM_DIAG_H

#include "ebb/ops/ssm_diag.h"

/* A thread's scratch. Rows of powers are M real parts, then M imaginary parts. */
typedef struct EbbDiagScratch {
  EbbSsmMode *mode;      /* (M) */
  double *fine, *coarse; /* (width, 2M) lambda^j; (blocks, 2M) lambda^(i width) */
  float *table;          /* (width, 4M) lambda^j, then j lambda^j */
  float *left;           /* (R blocks, 4M): weights of the powers, or sums of gradients */
  float *rows;           /* (R, blocks width) kernels or their gradients, padded */
} EbbDiagScratch;

size_t ebb_diag_scratch_bytes(const EbbSsmDiagArgs *args);
EbbDiagScratch ebb_diag_scratch(const EbbSsmDiagArgs *args, int thread);

/* Modes and powers of channel h into the scratch. */
void ebb_diag_powers(const EbbSsmDiagArgs *args, int64_t h, const EbbDiagScratch *scratch);

EbbStatus ebb_diag_forward(const void *args, const EbbRun *run);
EbbStatus ebb_diag_backward(const void *args, const EbbRun *run);

#endif
