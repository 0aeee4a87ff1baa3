/* Dropout factors of a run of consecutive elements. */
#ifndef EBB_HOST_DROPOUT_H
#define EBB_HOST_DROPOUT_H

#include <string.h>

#include "ebb/op.h"
#include "ebb/ops/dropout.h"

enum { EBB_DROPOUT_BLOCKS = 16 };

/* Factors of the elements 4 block .. 4 block + 63, in loops that vectorise. */
static inline void ebb_dropout_blocks(const EbbRun *run, uint32_t node, float p, uint64_t block,
                                      float factor[4 * EBB_DROPOUT_BLOCKS]) {
  float lane[4][EBB_DROPOUT_BLOCKS];
  for (int i = 0; i < EBB_DROPOUT_BLOCKS; i++) {
    EbbRandom4 r = ebb_random4(run->seed, run->step, node, block + (uint64_t)i);
    for (int j = 0; j < 4; j++) lane[j][i] = ebb_dropout_factor(r.word[j], p);
  }
  for (int i = 0; i < EBB_DROPOUT_BLOCKS; i++)
    for (int j = 0; j < 4; j++) factor[4 * i + j] = lane[j][i];
}

/* factor[i] = what element first + i of `node` is multiplied by, i < n: the same draws as ebb_random one by
   one. */
static inline void ebb_dropout_row(const EbbRun *run, uint32_t node, float p, uint64_t first, int64_t n,
                                   float *factor) {
  float part[4 * EBB_DROPOUT_BLOCKS];
  int64_t done = 0, skip = (int64_t)(first & 3);
  for (uint64_t block = first >> 2; done < n; block += EBB_DROPOUT_BLOCKS, skip = 0) {
    int64_t count = 4 * EBB_DROPOUT_BLOCKS - skip;
    if (count > n - done) count = n - done;
    ebb_dropout_blocks(run, node, p, block, part);
    memcpy(factor + done, part + skip, (size_t)count * sizeof *factor);
    done += count;
  }
}

#endif
