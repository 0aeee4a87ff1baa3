/* Elementwise instructions: one loop forward and one backward for each formula. */
#include <string.h>

#include "ebb/cell_formulas.h"
#include "host/ops/cell_tile.h"
#include "host/rows.h"

enum { BLOCK = 128 };

/* An instruction's vectors; operands beyond the last repeat the first. */
typedef struct Vectors {
  const float *from[EBB_CELL_OPERANDS];
  float *to, *grad;                    /* grad: of `to` */
  float *from_grad[EBB_CELL_OPERANDS]; /* NULL: none wanted */
  int64_t n;
} Vectors;

EBB_INLINE Vectors vectors_of(const EbbCellFrame *frame, const EbbCellInstruction *in) {
  Vectors v = {.to = ebb_cell_value(frame, in->to), .n = in->to.width * frame->columns};
  for (int k = 0; k < EBB_CELL_OPERANDS; k++)
    v.from[k] = ebb_cell_value(frame, in->from[k < in->operands ? k : 0]);
  return v;
}

EBB_INLINE void add_gradients(const EbbCellFrame *frame, const EbbCellInstruction *in, Vectors *v) {
  v->grad = ebb_cell_grad(frame, in->to);
  for (int k = 0; k < in->operands; k++) v->from_grad[k] = ebb_cell_grad(frame, in->from[k]);
}

#define OPERANDS_AT(i)                                                                                       \
  { p0[i], p1[i], p2[i], p3[i], p4[i], p5[i], p6[i], p7[i], p8[i] }
#define OPERAND_POINTERS(at)                                                                                 \
  const float *p0 = v.from[0] + (at), *p1 = v.from[1] + (at), *p2 = v.from[2] + (at),                        \
              *p3 = v.from[3] + (at);                                                                        \
  const float *p4 = v.from[4] + (at), *p5 = v.from[5] + (at), *p6 = v.from[6] + (at),                        \
              *p7 = v.from[7] + (at);                                                                        \
  const float *p8 = v.from[8] + (at)

/* Gradients of a block first go to memory of their own: operands may overlap. */
#define EBB_CELL_FORMULA(CODE, name, operands)                                                               \
  static void forward_##name(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {        \
    (void)tile;                                                                                              \
    const Vectors v = vectors_of(frame, &line->in);                                                          \
    const int64_t whole = ebb_cell_whole(v.n);                                                               \
    float *restrict to = v.to;                                                                               \
    OPERAND_POINTERS(0);                                                                                     \
    for (int64_t i = 0; i < whole; i++) {                                                                    \
      const float in[EBB_CELL_OPERANDS] = OPERANDS_AT(i);                                                    \
      to[i] = ebb_cell_##name(in);                                                                           \
    }                                                                                                        \
  }                                                                                                          \
  static void backward_##name(EbbCellTile *tile, const EbbCellFrame *frame, const EbbCellLine *line) {       \
    (void)tile;                                                                                              \
    Vectors v = vectors_of(frame, &line->in);                                                                \
    add_gradients(frame, &line->in, &v);                                                                     \
    float d[operands][BLOCK];                                                                                \
    for (int64_t at = 0; at < v.n; at += BLOCK) {                                                            \
      const int64_t n = ebb_min64(BLOCK, v.n - at), whole = ebb_cell_whole(n);                               \
      const float *out = v.to + at, *g = v.grad + at;                                                        \
      OPERAND_POINTERS(at);                                                                                  \
      for (int64_t i = 0; i < whole; i++) {                                                                  \
        const float in[EBB_CELL_OPERANDS] = OPERANDS_AT(i);                                                  \
        float di[EBB_CELL_OPERANDS] = {0};                                                                   \
        ebb_cell_##name##_grad(in, out[i], g[i], di);                                                        \
        STORE_ALL_##operands                                                                                 \
      }                                                                                                      \
      for (int k = 0; k < (operands); k++)                                                                   \
        if (v.from_grad[k]) ebb_cell_add_to(v.from_grad[k] + at, d[k], n);                                   \
    }                                                                                                        \
    memset(v.grad, 0, sizeof(float) * (size_t)v.n);                                                          \
  }
#define EBB_CELL_MOTION(CODE, name)
#define STORE_ALL_1 d[0][i] = di[0];
#define STORE_ALL_2 STORE_ALL_1 d[1][i] = di[1];
#define STORE_ALL_3 STORE_ALL_2 d[2][i] = di[2];
#define STORE_ALL_4 STORE_ALL_3 d[3][i] = di[3];
#define STORE_ALL_5 STORE_ALL_4 d[4][i] = di[4];
#define STORE_ALL_6 STORE_ALL_5 d[5][i] = di[5];
#define STORE_ALL_9 STORE_ALL_6 d[6][i] = di[6], d[7][i] = di[7], d[8][i] = di[8];
#include "ebb/cell_codes.def"
#undef EBB_CELL_FORMULA
#undef EBB_CELL_MOTION

const EbbCellRunner ebb_cell_formulas[EBB_CELL_CODES] = {
#define EBB_CELL_FORMULA(CODE, name, operands) [EBB_CELL_##CODE] = {forward_##name, backward_##name},
#define EBB_CELL_MOTION(CODE, name)
#include "ebb/cell_codes.def"
};
