/* Sums that blocks made apart, added up in an order that never changes. */
#ifndef EBB_KERNELS_PARTS_CUH
#define EBB_KERNELS_PARTS_CUH

#include "ebb/op.h"

/* to[i] += sum over g < count of part[g size + i], i < size. to NULL: nothing to do. */
typedef struct EbbParts {
  float *to;
  const float *part;
  int64_t size, count;
} EbbParts;

/* Two such sums in one launch. */
EbbStatus ebb_add_parts(const EbbRun *run, const EbbParts &first, const EbbParts &second) EBB_MUST_CHECK;

#endif
