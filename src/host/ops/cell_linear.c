/* LINEAR: to = W from[0] + from[1]. Sums run over the inputs in their order, so that an element's bits do not
   depend on how many columns are worked on at once. Gradients of W wait in a history until they make a matrix
   product of some depth. */
#include <string.h>

#include "host/cpu.h"
#include "host/ops/cell_tile.h"

enum { ROWS = 8 };

/* y (outputs, columns) = start + W x; start NULL: 0. x, y and start have `stride` floats a row. */
typedef struct Product {
  const float *w;
  int64_t outputs, inputs, out_stride, in_stride, stride, columns;
  const float *x, *start;
  float *y;
} Product;

/* `rows` outputs from o on, LANES columns from c on; `rows` is a constant where this is expanded. */
#define DEFINE_PRODUCT(LANES)                                                                                \
  typedef float Vector##LANES __attribute__((vector_size(4 * (LANES)), may_alias, aligned(4)));              \
  EBB_INLINE void rows_##LANES(const Product *p, int rows, int64_t o, int64_t c) {                           \
    Vector##LANES sum[ROWS];                                                                                 \
    for (int i = 0; i < rows; i++)                                                                           \
      sum[i] = p->start ? *(const Vector##LANES *)(const void *)(p->start + (o + i) * p->stride + c)         \
                        : (Vector##LANES){0};                                                                \
    const float *w = p->w + o * p->out_stride;                                                               \
    for (int64_t k = 0; k < p->inputs; k++, w += p->in_stride) {                                             \
      const Vector##LANES x = *(const Vector##LANES *)(const void *)(p->x + k * p->stride + c);              \
      _Pragma("GCC unroll 8") for (int i = 0; i < rows; i++) sum[i] += w[i * p->out_stride] * x;             \
    }                                                                                                        \
    for (int i = 0; i < rows; i++) *(Vector##LANES *)(void *)(p->y + (o + i) * p->stride + c) = sum[i];      \
  }                                                                                                          \
  static void product_##LANES(const Product *p) {                                                            \
    for (int64_t c = 0; c < p->columns; c += (LANES)) {                                                      \
      int64_t o = 0;                                                                                         \
      for (; o + ROWS <= p->outputs; o += ROWS) rows_##LANES(p, ROWS, o, c);                                 \
      for (; o < p->outputs; o++) rows_##LANES(p, 1, o, c);                                                  \
    }                                                                                                        \
  }
DEFINE_PRODUCT(16)
DEFINE_PRODUCT(8)
DEFINE_PRODUCT(4)
DEFINE_PRODUCT(2)
DEFINE_PRODUCT(1)

static void multiply(const Product *p) {
  static void (*const by_columns[EBB_LANES + 1])(const Product *) = {
      [1] = product_1, [2] = product_2, [4] = product_4, [8] = product_8, [16] = product_16};
  by_columns[p->columns < EBB_LANES ? p->columns : EBB_LANES](p);
}

static void forward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  const EbbCellMatrix *m = &line->in.matrix;
  const bool starts = line->in.operands > 1 && line->in.from[1].space != EBB_CELL_ABSENT;
  multiply(&(Product){.w = tile->shared.arena + m->at,
                      .outputs = m->outputs,
                      .inputs = m->inputs,
                      .out_stride = m->out_stride,
                      .in_stride = m->in_stride,
                      .stride = frame->columns,
                      .columns = frame->columns,
                      .x = ebb_cell_value(frame, line->in.from[0]),
                      .start = starts ? ebb_cell_value(frame, line->in.from[1]) : NULL,
                      .y = ebb_cell_value(frame, line->in.to)});
}

/* ---- backward ---- */

/* dW += G X^T over `columns` columns whose rows are `stride` apart. */
static void add_product(EbbCellTile *tile, const EbbCellMatrix *m, const float *g, const float *x,
                        int64_t stride, int64_t columns) {
  ebb_cpu_gemm(&(EbbGemm){.transpose_b = true,
                          .m = m->outputs,
                          .n = m->inputs,
                          .k = columns,
                          .alpha = 1,
                          .a = g,
                          .lda = stride,
                          .b = x,
                          .ldb = stride,
                          .c = tile->product,
                          .ldc = m->inputs});
  double *to = tile->partial + m->at;
  for (int64_t o = 0; o < m->outputs; o++)
    for (int64_t i = 0; i < m->inputs; i++)
      to[o * m->out_stride + i * m->in_stride] += (double)tile->product[o * m->inputs + i];
}

static void flush_history(EbbCellTile *tile, const EbbCellLine *line) {
  const EbbCellMatrix *m = &line->in.matrix;
  int32_t *waiting = &tile->in_history[line - ebb_cell_lines(tile->shared.plan)];
  const float *g = tile->history + line->history, *x = g + (int64_t)m->outputs * EBB_CELL_HISTORY;
  if (*waiting) add_product(tile, m, g, x, EBB_CELL_HISTORY, *waiting);
  *waiting = 0;
}

void ebb_cell_flush_linear(EbbCellTile *tile) {
  const EbbCellLine *line = ebb_cell_lines(tile->shared.plan);
  for (int i = 0; i < tile->shared.cell->n_instructions; i++)
    if (line[i].in.code == EBB_CELL_LINEAR) flush_history(tile, &line[i]);
}

static void append_rows(float *to, const float *from, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; r++)
    memcpy(to + r * EBB_CELL_HISTORY, from + r * columns, sizeof(float) * (size_t)columns);
}

static void note_weight_gradient(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line,
                                 const float *g, const float *x) {
  const EbbCellMatrix *m = &line->in.matrix;
  if (frame == &tile->frame[EBB_CELL_CHUNK]) {
    add_product(tile, m, g, x, frame->columns, frame->columns);
    return;
  }
  int32_t *waiting = &tile->in_history[line - ebb_cell_lines(tile->shared.plan)];
  float *history = tile->history + line->history + *waiting;
  append_rows(history, g, m->outputs, frame->columns);
  append_rows(history + (int64_t)m->outputs * EBB_CELL_HISTORY, x, m->inputs, frame->columns);
  *waiting += (int32_t)frame->columns;
  if (*waiting == EBB_CELL_HISTORY) flush_history(tile, line);
}

static void backward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  const EbbCellMatrix *m = &line->in.matrix;
  const int64_t n = m->outputs * frame->columns;
  float *g = ebb_cell_grad(frame, line->in.to), *dx = ebb_cell_grad(frame, line->in.from[0]);
  float *dstart = line->in.operands > 1 ? ebb_cell_grad(frame, line->in.from[1]) : NULL;
  if (dstart) ebb_cell_add_to(dstart, g, n);
  if (dx)
    multiply(&(Product){.w = tile->shared.arena + m->at,
                        .outputs = m->inputs,
                        .inputs = m->outputs,
                        .out_stride = m->in_stride,
                        .in_stride = m->out_stride,
                        .stride = frame->columns,
                        .columns = frame->columns,
                        .x = g,
                        .start = dx,
                        .y = dx});
  if (tile->partial && line->trained)
    note_weight_gradient(tile, frame, line, g, ebb_cell_value(frame, line->in.from[0]));
  memset(g, 0, sizeof(float) * (size_t)n);
}

const EbbCellRunner ebb_cell_run_linear = {forward, backward};
