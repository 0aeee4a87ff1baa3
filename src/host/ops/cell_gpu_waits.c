/* Liveness and barriers of a cell's program. A thread works on the same elements of every elementwise op, so
   that such ops need no barrier between them unless a slice puts an element elsewhere. */
#include <string.h>

#include "host/ops/cell_gpu.h"

static bool overlap(EbbCellRef a, EbbCellRef b) {
  return a.space == b.space && a.at < b.at + b.width && b.at < a.at + a.width;
}

static bool moved(const EbbCell *cell, EbbCellRef vector) {
  for (int s = EBB_CELL_STEP; s < EBB_CELL_SECTIONS; s++)
    for (int m = 0; m < cell->part[s].moves; m++)
      if (overlap(cell->part[s].move[m].from, vector)) return true;
  return false;
}

static bool read_by_live(const EbbCell *cell, const bool *live, int32_t after, EbbCellRef vector) {
  for (int32_t j = after + 1; j < cell->n_instructions; j++)
    for (int k = 0; live[j] && k < cell->instruction[j].operands; k++)
      if (overlap(cell->instruction[j].from[k], vector)) return true;
  return false;
}

void ebb_cell_find_live(const EbbCell *cell, bool *live) {
  for (int32_t i = cell->n_instructions - 1; i >= 0; i--) {
    const EbbCellRef to = cell->instruction[i].to;
    live[i] = overlap(cell->output, to) || moved(cell, to) || read_by_live(cell, live, i, to);
  }
}

/* What an op touches. Spaces lie apart: vectors, parameters' sums, LINEAR's scratch. */
typedef struct Access {
  int64_t at, width;
  bool write, whole; /* whole: not element i by the thread of i */
} Access;

enum { OP_ACCESSES = EBB_CELL_OPERANDS + 3 };
static const int64_t sums_space = (int64_t)1 << 40, scratch_space = (int64_t)2 << 40;

static bool elementwise(const EbbCellOp *op) {
  return op->code < EBB_CELL_LINEAR || op->code == EBB_CELL_COMBINE || op->code >= EBB_CELL_COPY;
}

static bool clash(const Access *a, const Access *b) {
  return (a->write || b->write) && a->at < b->at + b->width && b->at < a->at + a->width &&
         (a->whole || b->whole || a->at != b->at);
}

static int32_t width_of(const EbbCellOp *op, int k) {
  if (k > 0 || elementwise(op)) return op->width;
  if (op->code == EBB_CELL_LINEAR || op->code == EBB_CELL_SYNAPSES) return op->matrix.inputs;
  return op->code == EBB_CELL_REPEAT      ? op->width / op->group
         : op->code == EBB_CELL_GROUP_SUM ? op->width * op->group
                                          : op->width;
}

static int list_forward(const EbbCellOp *op, Access *list) {
  const bool whole = !elementwise(op);
  int n = 0;
  for (int k = 0; k < op->operands; k++)
    if (op->from[k] >= 0 && !(op->scalars >> k & 1))
      list[n++] = (Access){op->from[k], width_of(op, k), false, whole};
  list[n++] = (Access){op->to, op->width, true, whole};
  if (op->code == EBB_CELL_LINEAR && op->matrix.in_stride != 1)
    list[n++] = (Access){scratch_space, 1, true, true};
  return n;
}

static int list_backward(const EbbCellOp *op, Access *list) {
  const bool whole = !elementwise(op);
  int n = 0;
  for (int k = 0; k < op->operands; k++) {
    const bool own = k > 0 && (op->code == EBB_CELL_LINEAR || op->code == EBB_CELL_SYNAPSES);
    if (op->grad[k] > EBB_CELL_ELAPSED_GRAD)
      list[n++] = (Access){op->grad[k] >= 0 ? op->grad[k] : sums_space + ~op->grad[k], width_of(op, k), true,
                           whole && !own};
  }
  list[n++] = (Access){op->to, op->width, op->code == EBB_CELL_MOVE, whole};
  if (op->code == EBB_CELL_LINEAR && op->matrix.out_stride != 1)
    list[n++] = (Access){scratch_space, 1, true, true};
  return n;
}

typedef int (*Lister)(const EbbCellOp *op, Access *list);

static bool clashes(const EbbCellOp *a, const EbbCellOp *b, Lister lister) {
  Access one[OP_ACCESSES], other[OP_ACCESSES];
  const int n = lister(a, one), m = lister(b, other);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < m; j++)
      if (clash(&one[i], &other[j])) return true;
  return false;
}

static bool overlaps_itself(const EbbCellOp *op) {
  Access list[OP_ACCESSES];
  const int n = list_backward(op, list);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++)
      if (clash(&list[i], &list[j])) return true;
  return false;
}

/* In the order in which they run, from `first` by `step`. */
static void find(EbbCellOp *op, int32_t first, int32_t count, int32_t step, uint16_t flag, Lister lister) {
  int32_t since = 0;
  for (int32_t i = 0; i < count; i++)
    for (int32_t j = since; j < i; j++) {
      if (!clashes(&op[first + step * j], &op[first + step * i], lister)) continue;
      op[first + step * i].flags |= flag;
      since = i;
      break;
    }
}

void ebb_cell_find_waits(EbbCellOp *op, int32_t count) {
  find(op, 0, count, 1, EBB_CELL_WAITS, list_forward);
  find(op, count - 1, count, -1, EBB_CELL_WAITS_BACK, list_backward);
  for (int32_t i = 0; i < count; i++)
    if (overlaps_itself(&op[i])) op[i].flags |= EBB_CELL_OVERLAPS;
}
