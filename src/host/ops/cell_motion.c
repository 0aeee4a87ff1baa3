/* COMBINE and the instructions on groups of elements. */
#include <string.h>

#include "ebb/scalar.h"
#include "host/ops/cell_tile.h"
#include "host/rows.h"

enum { BLOCK = 128 };

/* ---- COMBINE: to = from[0] + from[1] sum_j c[j] from[2 + j] ---- */

static void weighted_sum(const EbbCellFrame *frame, const EbbCellInstruction *in, int64_t at, int64_t n,
                         float *restrict sum) {
  for (int64_t i = 0; i < n; i++) sum[i] = 0;
  for (int k = 2; k < in->operands; k++) {
    const float *restrict from = ebb_cell_value(frame, in->from[k]) + at;
    const float c = in->c[k - 2];
    for (int64_t i = 0; i < n; i++) sum[i] += c * from[i];
  }
}

static void combine_forward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  (void)tile;
  const EbbCellInstruction *in = &line->in;
  const bool starts = in->from[0].space != EBB_CELL_ABSENT;
  const int64_t n = ebb_cell_whole(in->to.width * frame->columns);
  for (int64_t at = 0; at < n; at += BLOCK) {
    const int64_t count = ebb_min64(BLOCK, n - at);
    float sum[BLOCK];
    weighted_sum(frame, in, at, count, sum);
    const float *restrict scale = ebb_cell_value(frame, in->from[1]) + at;
    float *restrict to = ebb_cell_value(frame, in->to) + at;
    if (starts) {
      const float *restrict start = ebb_cell_value(frame, in->from[0]) + at;
      for (int64_t i = 0; i < count; i++) to[i] = start[i] + scale[i] * sum[i];
    } else {
      for (int64_t i = 0; i < count; i++) to[i] = scale[i] * sum[i];
    }
  }
}

static void combine_backward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  (void)tile;
  const EbbCellInstruction *in = &line->in;
  const int64_t n = in->to.width * frame->columns;
  float *grad = ebb_cell_grad(frame, in->to), *dscale = ebb_cell_grad(frame, in->from[1]);
  const float *scale = ebb_cell_value(frame, in->from[1]);
  float *start = ebb_cell_grad(frame, in->from[0]);
  if (start) ebb_cell_add_to(start, grad, n);
  for (int64_t at = 0; dscale && at < n; at += BLOCK) {
    const int64_t count = ebb_min64(BLOCK, n - at);
    float sum[BLOCK];
    weighted_sum(frame, in, at, count, sum);
    for (int64_t i = 0; i < count; i++) dscale[at + i] += grad[at + i] * sum[i];
  }
  for (int k = 2; k < in->operands; k++) {
    float *restrict to = ebb_cell_grad(frame, in->from[k]);
    const float c = in->c[k - 2];
    for (int64_t i = 0; to && i < n; i++) to[i] += c * scale[i] * grad[i];
  }
  memset(grad, 0, sizeof(float) * (size_t)n);
}

/* ---- groups: the sum of an element's group stands `group` rows of columns from the next one's ---- */

static void repeat_forward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  (void)tile;
  const int64_t columns = frame->columns, group = line->in.group;
  const float *from = ebb_cell_value(frame, line->in.from[0]);
  float *to = ebb_cell_value(frame, line->in.to);
  for (int64_t u = 0; u < line->in.to.width; u++)
    memcpy(to + u * columns, from + u / group * columns, sizeof(float) * (size_t)columns);
}

static void repeat_backward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  (void)tile;
  const int64_t columns = frame->columns, group = line->in.group, width = line->in.to.width;
  float *from = ebb_cell_grad(frame, line->in.from[0]), *to = ebb_cell_grad(frame, line->in.to);
  for (int64_t u = 0; from && u < width; u++)
    ebb_cell_add_to(from + u / group * columns, to + u * columns, columns);
  memset(to, 0, sizeof(float) * (size_t)(width * columns));
}

static void group_sum_forward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  (void)tile;
  const int64_t columns = frame->columns, group = line->in.group, width = line->in.to.width;
  const float *from = ebb_cell_value(frame, line->in.from[0]);
  float *to = ebb_cell_value(frame, line->in.to);
  memset(to, 0, sizeof(float) * (size_t)(width * columns));
  for (int64_t u = 0; u < width * group; u++)
    ebb_cell_add_to(to + u / group * columns, from + u * columns, columns);
}

static void group_sum_backward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  (void)tile;
  const int64_t columns = frame->columns, group = line->in.group, width = line->in.to.width;
  float *from = ebb_cell_grad(frame, line->in.from[0]), *to = ebb_cell_grad(frame, line->in.to);
  for (int64_t u = 0; from && u < width * group; u++)
    ebb_cell_add_to(from + u * columns, to + u / group * columns, columns);
  memset(to, 0, sizeof(float) * (size_t)(width * columns));
}

/* Column by column: a NaN in a group makes all of it NaN. */
static void group_softmax_forward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  (void)tile;
  const int64_t columns = frame->columns, group = line->in.group;
  for (int64_t u = 0; u < line->in.to.width; u += group) {
    const float *restrict from = ebb_cell_value(frame, line->in.from[0]) + u * columns;
    float *restrict to = ebb_cell_value(frame, line->in.to) + u * columns;
    for (int64_t c = 0; c < columns; c++) {
      float most = from[c], sum = 0;
      for (int64_t j = 1; j < group; j++) most = from[j * columns + c] > most ? from[j * columns + c] : most;
      for (int64_t j = 0; j < group; j++) sum += to[j * columns + c] = ebb_expf(from[j * columns + c] - most);
      for (int64_t j = 0; j < group; j++) to[j * columns + c] /= sum;
    }
  }
}

static void group_softmax_backward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  (void)tile;
  const int64_t columns = frame->columns, group = line->in.group, width = line->in.to.width;
  const float *to = ebb_cell_value(frame, line->in.to);
  float *from = ebb_cell_grad(frame, line->in.from[0]), *grad = ebb_cell_grad(frame, line->in.to);
  for (int64_t u = 0; from && u < width; u += group)
    for (int64_t c = 0; c < columns; c++) {
      float mean = 0;
      for (int64_t at = u * columns + c; at < (u + group) * columns; at += columns) mean += to[at] * grad[at];
      for (int64_t at = u * columns + c; at < (u + group) * columns; at += columns)
        from[at] += to[at] * (grad[at] - mean);
    }
  memset(grad, 0, sizeof(float) * (size_t)(width * columns));
}

const EbbCellRunner ebb_cell_run_combine = {combine_forward, combine_backward};
const EbbCellRunner ebb_cell_run_repeat = {repeat_forward, repeat_backward};
const EbbCellRunner ebb_cell_run_group_sum = {group_sum_forward, group_sum_backward};
const EbbCellRunner ebb_cell_run_group_softmax = {group_softmax_forward, group_softmax_backward};
