/* LINEAR: to = W from[0] + from[1]. Sums run over the inputs in their order, so that an element's bits do not
   depend on how many columns are worked on at once. Gradients of W wait in a history until they make a matrix
   product of some depth. */
#include <string.h>

#include "host/cpu.h"
#include "host/ops/cell_madd.h"
#include "host/ops/cell_tile.h"
#include "host/rows.h"

enum { ROWS = 8, VECTORS = EBB_CELL_PACKED / EBB_LANES };

/* y (outputs, columns) = start + W x; start NULL: 0. x, y and start have `stride` floats a row. */
typedef struct Product {
  const float *w;
  int64_t outputs, inputs, out_stride, in_stride, stride, columns;
  const float *x, *start;
  float *y;
  bool packed; /* see ebb_cell_pack */
} Product;

/* A product is given out by blocks of EBB_CELL_PACKED outputs. */
EBB_INLINE int64_t last_output(const Product *p, int64_t end) {
  return ebb_min64(end * EBB_CELL_PACKED, p->outputs);
}

/* `rows` outputs from o on, LANES columns from c on; `rows` is a constant where this is expanded. */
#define DEFINE_PRODUCT(LANES)                                                                                \
  EBB_INLINE void rows_##LANES(const Product *p, int rows, int64_t o, int64_t c) {                           \
    EbbVector##LANES sum[ROWS], zero = {0};                                                                  \
    for (int i = 0; i < rows; i++)                                                                           \
      sum[i] =                                                                                               \
          p->start ? *(const EbbVector##LANES *)(const void *)(p->start + (o + i) * p->stride + c) : zero;   \
    const float *w = p->w + o * p->out_stride;                                                               \
    for (int64_t k = 0; k < p->inputs; k++, w += p->in_stride) {                                             \
      const EbbVector##LANES x = *(const EbbVector##LANES *)(const void *)(p->x + k * p->stride + c);        \
      _Pragma("GCC unroll 8") for (int i = 0; i < rows; i++) sum[i] =                                        \
          ebb_madd_##LANES(ebb_splat_##LANES(w[i * p->out_stride]), x, sum[i]);                              \
    }                                                                                                        \
    for (int i = 0; i < rows; i++) *(EbbVector##LANES *)(void *)(p->y + (o + i) * p->stride + c) = sum[i];   \
  }                                                                                                          \
  static void product_##LANES(const void *product, int64_t begin, int64_t end) {                             \
    const Product *p = product;                                                                              \
    const int64_t last = last_output(p, end);                                                                \
    for (int64_t c = 0; c < p->columns; c += (LANES)) {                                                      \
      int64_t o = begin * EBB_CELL_PACKED;                                                                   \
      for (; o + ROWS <= last; o += ROWS) rows_##LANES(p, ROWS, o, c);                                       \
      for (; o < last; o++) rows_##LANES(p, 1, o, c);                                                        \
    }                                                                                                        \
  }
DEFINE_PRODUCT(16)
DEFINE_PRODUCT(8)
DEFINE_PRODUCT(4)
DEFINE_PRODUCT(2)

/* Outputs that were packed together with output o, and where o's weights begin. */
EBB_INLINE int64_t packed_lanes(const Product *p, int64_t o) {
  return ebb_min64(EBB_CELL_PACKED, p->outputs - o / EBB_CELL_PACKED * EBB_CELL_PACKED);
}
EBB_INLINE const float *packed_at(const Product *p, int64_t o) {
  return p->w + o / EBB_CELL_PACKED * EBB_CELL_PACKED * p->inputs + o % EBB_CELL_PACKED;
}

/* One column, of a matrix whose outputs stand beside each other: vectors of outputs from o on, `last` lanes
   of the last one; `vectors` is a constant where this is expanded. What is read behind them is not used. */
EBB_INLINE void outputs(const Product *p, int vectors, int64_t o, size_t last) {
  EbbVector16 sum[VECTORS] = {{0}};
  const size_t bytes = (size_t)(vectors - 1) * sizeof *sum + last * sizeof(float);
  if (p->start) memcpy(sum, p->start + o, bytes);
  const float *from = p->packed ? packed_at(p, o) : p->w + o;
  const int64_t stride = p->packed ? packed_lanes(p, o) : p->in_stride;
  for (int64_t k = 0; k < p->inputs; k++) {
    const EbbVector16 *w = (const EbbVector16 *)(const void *)(from + k * stride);
    _Pragma("GCC unroll 4") for (int i = 0; i < vectors; i++) sum[i] =
        ebb_madd_16(w[i], ebb_splat_16(p->x[k]), sum[i]);
  }
  memcpy(p->y + o, sum, bytes);
}

static void product_1(const void *product, int64_t begin, int64_t end) {
  const Product *p = product;
  const int64_t last = last_output(p, end);
  int64_t o = begin * EBB_CELL_PACKED;
  for (; o + VECTORS * EBB_LANES <= last; o += VECTORS * EBB_LANES) outputs(p, VECTORS, o, EBB_LANES);
  for (; o + EBB_LANES <= last; o += EBB_LANES) outputs(p, 1, o, EBB_LANES);
  if (o < last) outputs(p, 1, o, (size_t)(last - o));
}

static void multiply(const EbbCellTile *tile, const Product *p) {
  static void (*const by_columns[EBB_LANES + 1])(const void *, int64_t, int64_t) = {
      [1] = product_1, [2] = product_2, [4] = product_4, [8] = product_8, [16] = product_16};
  ebb_cell_share(tile->team,
                 &(EbbCellWork){.run = by_columns[ebb_min64(p->columns, EBB_LANES)],
                                .data = p,
                                .n = ebb_cell_output_blocks(p->outputs),
                                .cost = ebb_cell_product_cost(p->outputs, p->inputs, p->columns)});
}

/* W, or its transpose; on one column such that outputs stand beside each other. */
static Product product_of(const EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line,
                          bool transposed) {
  const EbbCellMatrix *m = &line->in.matrix;
  Product p = {.w = tile->shared.arena + m->at,
               .outputs = transposed ? m->inputs : m->outputs,
               .inputs = transposed ? m->outputs : m->inputs,
               .out_stride = transposed ? m->in_stride : m->out_stride,
               .in_stride = transposed ? m->out_stride : m->in_stride,
               .stride = frame->columns,
               .columns = frame->columns};
  if (p.columns == 1 && p.out_stride != 1) p.w = tile->shared.pack + line->packed, p.packed = true;
  return p;
}

static void forward(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {
  const bool starts = line->in.operands > 1 && line->in.from[1].space != EBB_CELL_ABSENT;
  Product p = product_of(tile, frame, line, false);
  p.x = ebb_cell_value(frame, line->in.from[0]), p.y = ebb_cell_value(frame, line->in.to);
  p.start = starts ? ebb_cell_value(frame, line->in.from[1]) : NULL;
  multiply(tile, &p);
}

/* ---- backward ---- */

/* dW += G X^T over `columns` columns whose rows are `stride` apart. */
typedef struct Gradient {
  const EbbCellMatrix *matrix;
  const float *g, *x;
  int64_t stride, columns;
  float *product; /* (outputs, inputs) */
  double *to;
} Gradient;

/* Rows that are multiplied at once, in any case: how a product is rounded may depend on its size. */
enum { GRADIENT_ROWS = 128 };

static void add_rows(const Gradient *d, int64_t first, int64_t rows) {
  const EbbCellMatrix *m = d->matrix;
  float *product = d->product + first * m->inputs;
  ebb_cpu_gemm(&(EbbGemm){.transpose_b = true,
                          .m = rows,
                          .n = m->inputs,
                          .k = d->columns,
                          .alpha = 1,
                          .a = d->g + first * d->stride,
                          .lda = d->stride,
                          .b = d->x,
                          .ldb = d->stride,
                          .c = product,
                          .ldc = m->inputs});
  for (int64_t o = 0; o < rows; o++)
    for (int64_t i = 0; i < m->inputs; i++)
      d->to[(first + o) * m->out_stride + i * m->in_stride] += (double)product[o * m->inputs + i];
}

static void add_blocks(const void *data, int64_t begin, int64_t end) {
  const Gradient *d = data;
  for (int64_t first = begin * GRADIENT_ROWS; first < end * GRADIENT_ROWS; first += GRADIENT_ROWS)
    if (first < d->matrix->outputs) add_rows(d, first, ebb_min64(GRADIENT_ROWS, d->matrix->outputs - first));
}

static void add_product(const EbbCellTile *tile, const EbbCellMatrix *m, const float *g, const float *x,
                        int64_t stride, int64_t columns) {
  const Gradient gradient = {m, g, x, stride, columns, tile->product, tile->partial + m->at};
  ebb_cell_share(tile->team, &(EbbCellWork){.run = add_blocks,
                                            .data = &gradient,
                                            .n = (m->outputs + GRADIENT_ROWS - 1) / GRADIENT_ROWS,
                                            .cost = ebb_cell_product_cost(m->outputs, m->inputs, columns)});
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
  if (dx) {
    Product p = product_of(tile, frame, line, true);
    p.x = g, p.start = dx, p.y = dx;
    multiply(tile, &p);
  }
  if (tile->partial && line->trained)
    note_weight_gradient(tile, frame, line, g, ebb_cell_value(frame, line->in.from[0]));
  memset(g, 0, sizeof(float) * (size_t)n);
}

const EbbCellRunner ebb_cell_run_linear = {forward, backward};
