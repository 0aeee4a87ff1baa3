#include "host/learn/optim_kernels.h"

extern "C" const EbbOptimKernels ebb_optim_cuda = {NULL, NULL, NULL, NULL, NULL};
