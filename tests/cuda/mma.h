// Device memory of a check of a warp's products, see test_mma.cc.
#ifndef EBB_TESTS_CUDA_MMA_H
#define EBB_TESTS_CUDA_MMA_H

#include "ebb/op.h"

// d (16, 8) += a (16, K) b (K, 8), row-major; K 8 in tf32, 16 in bf16.
struct MmaCheck {
  bool bf16, rounded; // rounded: a and b by mma_tf32 first, else their bits as they are (tf32)
  const float *a, *b;
  float *d;
};

extern "C" EbbStatus mma_check(const EbbRun *run, const MmaCheck *check);

#endif
