#include "ebb/op.h"

#define EBB_PENDING(name) extern "C" const EbbKernels ebb_##name##_cuda = {NULL, NULL};
#include "kernels/pending.def"
