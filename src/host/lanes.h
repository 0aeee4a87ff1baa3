/* Sixteen floats as one value: GCC and clang lower it to whatever vectors the machine has. */
#ifndef EBB_HOST_LANES_H
#define EBB_HOST_LANES_H

#include "ebb/scalar.h"

enum { EBB_LANES = 16 };

typedef float EbbLanes __attribute__((vector_size(64), may_alias));

/* 16 x 16, in place: four perfect shuffles of the rows are a transposition. */
EBB_INLINE void ebb_lanes_transpose(EbbLanes *x) {
  for (int stage = 0; stage < 4; stage++) {
    EbbLanes y[EBB_LANES];
    for (int r = 0; r < EBB_LANES / 2; r++) {
      EbbLanes a = x[r], b = x[r + EBB_LANES / 2];
      y[2 * r] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      y[2 * r + 1] =
          __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    for (int r = 0; r < EBB_LANES; r++) x[r] = y[r];
  }
}

#endif
