/* Dropout factors of a run of consecutive elements. */
#ifndef EBB_HOST_DROPOUT_H
#define EBB_HOST_DROPOUT_H

#include "ebb/op.h"
#include "ebb/ops/dropout.h"

/* factor[i] = what element first + i of `node` is multiplied by, i < n: the same draws as ebb_random one by
 * one. */
static inline void ebb_dropout_row(const EbbRun *run, uint32_t node, float p, uint64_t first, int64_t n,
                                   float *factor) {
  enum { BLOCKS = 16 };
  int64_t done = -(int64_t)(first & 3);
  for (uint64_t block = first >> 2; done < n; block += BLOCKS, done += 4 * BLOCKS) {
    uint32_t word[4][BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
      EbbRandom4 r = ebb_random4(run->seed, run->step, node, block + (uint64_t)i);
      for (int j = 0; j < 4; j++) word[j][i] = r.word[j];
    }
    for (int i = 0; i < 4 * BLOCKS; i++) {
      int64_t at = done + i;
      if (at >= 0 && at < n) factor[at] = ebb_dropout_factor(word[i & 3][i >> 2], p);
    }
  }
}

#endif
