/* Memory plan: which values live when, and where each goes. */
#include <stdlib.h>

#include "host/graph/graph_internal.h"

static int by_size(const void *a, const void *b) {
  const Block *x = *(Block *const *)a, *y = *(Block *const *)b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
  return x->birth < y->birth ? -1 : x->birth > y->birth;
}

static bool alive_together(const Block *a, const Block *b) {
  return a->birth <= b->death && b->birth <= a->death;
}

/* The lowest offset where `block` meets none of the `placed` blocks (sorted by offset) that live when it
 * does. */
static int64_t lowest_gap(Block *const *placed, int count, const Block *block) {
  int64_t offset = 0;
  for (int i = 0; i < count; i++) {
    if (!alive_together(placed[i], block)) continue;
    if (placed[i]->offset >= offset + block->bytes) break;
    if (placed[i]->offset + placed[i]->bytes > offset) offset = placed[i]->offset + placed[i]->bytes;
  }
  return offset;
}

/* Greedy by size: large blocks first, each at the lowest free offset. blocks[0 .. i-1] are kept sorted by
 * offset. */
int64_t ebb_plan_blocks(Block **blocks, int count) {
  qsort(blocks, (size_t)count, sizeof(Block *), by_size);
  int64_t total = 0;
  for (int i = 0; i < count; i++) {
    Block *block = blocks[i];
    block->offset = lowest_gap(blocks, i, block);
    if (block->offset + block->bytes > total) total = block->offset + block->bytes;
    int at = i;
    for (; at > 0 && blocks[at - 1]->offset > block->offset; at--) blocks[at] = blocks[at - 1];
    blocks[at] = block;
  }
  return total;
}
