/* Instructions of a cell as ops of the CUDA engine: every operand becomes an address. */
#include <stdlib.h>
#include <string.h>

#include "host/ops/cell_gpu.h"

static void fail_memory(EbbCellWriter *writer) {
  if (writer->status == EBB_OK)
    writer->status = ebb_fail(EBB_MEMORY, "no memory for the program of cell '%s'", writer->cell->name);
}

/* Equal bits, for 0 is not -0 and a NaN is itself. */
static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static int32_t scalar_at(EbbCellList *list, float value) {
  for (int32_t i = 1; i < list->n_scalars; i++)
    if (bits_of(list->scalar[i]) == bits_of(value)) return list->at_scalars + i;
  list->scalar[list->n_scalars] = value;
  return list->at_scalars + list->n_scalars++;
}

static int32_t param_of(const EbbCell *cell, int32_t at) {
  int32_t p = 0;
  while (p + 1 < cell->n_params && cell->param[p + 1].at <= at) p++;
  return p;
}

static int32_t param_address(const EbbCellWriter *writer, int32_t at) {
  const int32_t p = param_of(writer->cell, at);
  return writer->cuda->at[p] + at - writer->cell->param[p].at;
}

int32_t ebb_cell_address(const EbbCellWriter *writer, EbbCellList *list, EbbCellRef ref) {
  switch (ref.space) {
  case EBB_CELL_STATE:
    return list->at_state + ref.at;
  case EBB_CELL_TEMP:
    return list->at_temp + ref.at;
  case EBB_CELL_SEQ:
    return list->at_seq + ref.at;
  case EBB_CELL_X:
    return list->at_x + ref.at;
  case EBB_CELL_PARAM:
    return ~param_address(writer, ref.at);
  case EBB_CELL_ELAPSED:
    return list->at_scalars;
  case EBB_CELL_CONSTANT:
  case EBB_CELL_ABSENT:
    break;
  }
  return scalar_at(list, ref.space == EBB_CELL_CONSTANT ? (float)ref.value : 0);
}

/* Room for a parameter's sums; its floats of the arena go to `home`. */
static int32_t sums_of(EbbCellWriter *writer, EbbCellList *list, int32_t p) {
  const EbbCellParam *param = &writer->cell->param[p];
  if (list->sums_of[p] >= 0) return list->sums_of[p];
  const int32_t room = list->n_home + (param->size + EBB_CELL_ALIGN - 1) / EBB_CELL_ALIGN * EBB_CELL_ALIGN;
  int32_t *home = realloc(list->home, (size_t)room * sizeof *home);
  if (!home) {
    fail_memory(writer);
    return 0;
  }
  for (int32_t i = list->n_home; i < room; i++) {
    const int32_t element = i - list->n_home;
    home[i] = element < param->size ? writer->cuda->at[p] + element : -1;
  }
  list->home = home, list->sums_of[p] = list->n_home, list->n_home = room;
  return list->sums_of[p];
}

static int32_t grad_address(EbbCellWriter *writer, EbbCellList *list, EbbCellRef ref) {
  if (ref.space == EBB_CELL_ELAPSED) return EBB_CELL_ELAPSED_GRAD;
  if (ref.space == EBB_CELL_CONSTANT || ref.space == EBB_CELL_ABSENT) return EBB_CELL_NO_GRAD;
  if (ref.space != EBB_CELL_PARAM) return ebb_cell_address(writer, list, ref);
  const int32_t p = param_of(writer->cell, ref.at);
  if (writer->cell->param[p].constant) return EBB_CELL_NO_GRAD;
  return ~(sums_of(writer, list, p) + ref.at - writer->cell->param[p].at);
}

static void write_operand(EbbCellWriter *writer, EbbCellList *list, EbbCellOp *op, int k, EbbCellRef ref) {
  const bool scalar =
      ref.space == EBB_CELL_ELAPSED || ref.space == EBB_CELL_CONSTANT || ref.space == EBB_CELL_ABSENT;
  op->from[k] = ebb_cell_address(writer, list, ref);
  op->grad[k] = grad_address(writer, list, ref);
  if (scalar) op->scalars |= (uint16_t)(1u << k);
}

EbbCellOp *ebb_cell_write_copy(EbbCellWriter *writer, EbbCellList *list, int code, EbbCellRef to,
                               EbbCellRef from) {
  EbbCellOp *op = &list->op[list->n_ops++];
  *op = (EbbCellOp){.code = (int16_t)code, .operands = 1, .flags = EBB_CELL_LIVE, .width = to.width};
  op->to = ebb_cell_address(writer, list, to);
  write_operand(writer, list, op, 0, from);
  return op;
}

EbbCellOp *ebb_cell_write_op(EbbCellWriter *writer, EbbCellList *list, const EbbCellInstruction *from) {
  EbbCellOp *op = &list->op[list->n_ops++];
  const EbbCell *cell = writer->cell;
  const bool live = writer->live[from - cell->instruction];
  const int may_add = from->code == EBB_CELL_LINEAR || from->code == EBB_CELL_SYNAPSES ? 2 : from->operands;
  *op = (EbbCellOp){.code = (int16_t)from->code,
                    .operands = (int16_t)may_add,
                    .flags = live ? EBB_CELL_LIVE : 0,
                    .width = from->to.width,
                    .matrix = from->matrix,
                    .table = from->table,
                    .group = from->group,
                    .delta = -1,
                    .delta_x = -1};
  op->to = ebb_cell_address(writer, list, from->to);
  for (int k = 0; k < may_add; k++)
    write_operand(writer, list, op, k, k < from->operands ? from->from[k] : (EbbCellRef){0});
  for (int k = 0; k < EBB_CELL_OPERANDS; k++) op->c[k] = (float)from->c[k];
  if (from->code == EBB_CELL_LINEAR) op->matrix.at = param_address(writer, from->matrix.at);
  if (from->code == EBB_CELL_SYNAPSES) op->matrix.inputs = cell->table[from->table].sources;
  return op;
}

/* ---- what a run reads and writes of its row ---- */

bool ebb_cell_marks_begin(EbbCellWriter *writer, EbbCellMarks *marks) {
  marks->seq = calloc((size_t)writer->cell->seqs + 1, 1);
  marks->x = calloc((size_t)writer->cell->inputs, 1);
  if (!marks->seq || !marks->x) fail_memory(writer);
  return writer->status == EBB_OK;
}

void ebb_cell_marks_end(EbbCellMarks *marks) {
  free(marks->seq);
  free(marks->x);
}

void ebb_cell_mark(EbbCellMarks *marks, EbbCellRef ref, uint8_t bit) {
  uint8_t *of = ref.space == EBB_CELL_SEQ ? marks->seq : ref.space == EBB_CELL_X ? marks->x : NULL;
  for (int32_t i = 0; of && i < ref.width; i++) of[ref.at + i] |= bit;
}

static int32_t add_loads(EbbCellWriter *writer, EbbCellList *list, const uint8_t *marks, int32_t n,
                         uint8_t wanted, bool x) {
  if (list->n_loads + n > list->load_room) {
    const int32_t room = 2 * (list->n_loads + n);
    EbbCellLoad *load = realloc(list->load, (size_t)room * sizeof *load);
    if (!load) {
      fail_memory(writer);
      return 0;
    }
    list->load = load, list->load_room = room;
  }
  const int32_t before = list->n_loads;
  for (int32_t i = 0; i < n; i++)
    if (marks[i] == wanted || (wanted == EBB_CELL_WRITTEN && marks[i] & EBB_CELL_WRITTEN))
      list->load[list->n_loads++] = (EbbCellLoad){x ? ~i : i, (x ? list->at_x : list->at_seq) + i};
  return list->n_loads - before;
}

void ebb_cell_write_loads(EbbCellWriter *writer, EbbCellList *list, EbbCellMarks *marks, EbbCellRun *run) {
  const EbbCell *cell = writer->cell;
  run->in = list->n_loads;
  run->ins = add_loads(writer, list, marks->seq, cell->seqs, EBB_CELL_READ, false);
  run->ins += add_loads(writer, list, marks->x, cell->inputs, EBB_CELL_READ, true);
  run->out = list->n_loads;
  run->outs = add_loads(writer, list, marks->seq, cell->seqs, EBB_CELL_WRITTEN, false);
  memset(marks->seq, 0, (size_t)cell->seqs);
  memset(marks->x, 0, (size_t)cell->inputs);
}
