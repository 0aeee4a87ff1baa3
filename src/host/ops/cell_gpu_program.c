/* A cell's sections as lists of ops. SEQUENCE is cut at its LINEAR, which are matrix products of all rows. */
#include <stdlib.h>
#include <string.h>

#include "host/ops/cell_gpu.h"

enum { OPS = 2 * EBB_CELL_INSTRUCTIONS, SCALARS = EBB_CELL_INSTRUCTIONS * EBB_CELL_OPERANDS };

static int32_t aligned(int32_t floats) {
  return (floats + EBB_CELL_ALIGN - 1) / EBB_CELL_ALIGN * EBB_CELL_ALIGN;
}

static bool reads(const EbbCellInstruction *instruction, const EbbCellParam *param) {
  const EbbCellMatrix *m = &instruction->matrix;
  if (instruction->code == EBB_CELL_LINEAR && m->at >= param->at && m->at < param->at + param->size)
    return true;
  for (int k = 0; k < instruction->operands; k++) {
    const EbbCellRef *from = &instruction->from[k];
    if (from->space == EBB_CELL_PARAM && from->at >= param->at && from->at < param->at + param->size)
      return true;
  }
  return false;
}

static bool read_in_steps(const EbbCell *cell, const EbbCellParam *param) {
  for (int32_t i = cell->part[EBB_CELL_SEQUENCE].count; i < cell->n_instructions; i++)
    if (reads(&cell->instruction[i], param)) return true;
  return false;
}

/* First the parameters that the ops of a step read: they may stand in shared memory as one piece. */
static void place_params(EbbCellWriter *writer) {
  int32_t used = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int32_t p = 0; p < writer->cell->n_params; p++) {
      const EbbCellParam *param = &writer->cell->param[p];
      if (read_in_steps(writer->cell, param) != (pass == 0)) continue;
      writer->cuda->at[p] = used;
      used += aligned(param->size);
    }
    if (pass == 0) writer->cuda->steps.parameters = used;
  }
  writer->cuda->arena = used;
}

static bool begin_list(EbbCellList *list) {
  list->op = calloc(OPS, sizeof *list->op);
  list->scalar = malloc((SCALARS + 2) * sizeof *list->scalar);
  for (int p = 0; p < EBB_CELL_PARAMS; p++) list->sums_of[p] = -1;
  if (list->scalar) list->scalar[0] = 1;
  list->n_scalars = 1; /* elapsed time */
  return list->op && list->scalar;
}

static void end_list(EbbCellList *list) {
  free(list->op);
  free(list->load);
  free(list->scalar);
  free(list->home);
}

static void mark_instruction(EbbCellMarks *marks, const EbbCellInstruction *instruction) {
  for (int k = 0; k < instruction->operands; k++) ebb_cell_mark(marks, instruction->from[k], EBB_CELL_READ);
  ebb_cell_mark(marks, instruction->to, EBB_CELL_WRITTEN);
}

/* ---- SEQUENCE ---- */

static void end_run(EbbCellWriter *writer, EbbCellMarks *marks, int32_t linear) {
  EbbCellCuda *cuda = writer->cuda;
  EbbCellRun *run = &cuda->run[cuda->n_runs];
  if (writer->status == EBB_OK && cuda->n_runs == EBB_CELL_RUNS)
    writer->status = ebb_fail(EBB_INVALID, "cell '%s': the sequence section has more than %d matrix products",
                              writer->cell->name, EBB_CELL_RUNS - 1);
  if (writer->status != EBB_OK) return;
  run->count = writer->rows.n_ops - run->first;
  run->linear = linear;
  ebb_cell_write_loads(writer, &writer->rows, marks, run);
  ebb_cell_find_waits(writer->rows.op + run->first, run->count);
  if (++cuda->n_runs < EBB_CELL_RUNS) cuda->run[cuda->n_runs].first = writer->rows.n_ops;
}

static void write_product(EbbCellWriter *writer, EbbCellMarks *marks, const EbbCellInstruction *linear) {
  const EbbCellRef from = linear->from[0];
  if (writer->status == EBB_OK && from.space != EBB_CELL_X && from.space != EBB_CELL_SEQ)
    writer->status = ebb_fail(EBB_INVALID, "cell '%s': the sequence section multiplies a parameter's vector",
                              writer->cell->name);
  if (linear->operands > 1 && linear->from[1].space != EBB_CELL_ABSENT) {
    EbbCellOp *op = ebb_cell_write_copy(writer, &writer->rows, EBB_CELL_COPY, linear->to, linear->from[1]);
    if (!writer->live[linear - writer->cell->instruction]) op->flags = 0;
    ebb_cell_mark(marks, linear->from[1], EBB_CELL_READ);
    ebb_cell_mark(marks, linear->to, EBB_CELL_WRITTEN);
  }
  end_run(writer, marks, (int32_t)(linear - writer->cell->instruction));
}

void ebb_cell_write_rows(EbbCellWriter *writer) {
  const EbbCell *cell = writer->cell;
  EbbCellProgram *program = &writer->cuda->rows;
  EbbCellList *list = &writer->rows;
  EbbCellMarks marks;
  list->at_x = aligned(cell->seqs);
  list->at_scalars = program->at_scalars = list->at_x + aligned(cell->inputs);
  const bool ready = ebb_cell_marks_begin(writer, &marks);
  for (int32_t i = 0; ready && i < cell->part[EBB_CELL_SEQUENCE].count; i++) {
    const EbbCellInstruction *instruction = &cell->instruction[i];
    if (instruction->code == EBB_CELL_LINEAR) {
      write_product(writer, &marks, instruction);
      continue;
    }
    ebb_cell_write_op(writer, list, instruction);
    mark_instruction(&marks, instruction);
  }
  if (ready) end_run(writer, &marks, -1);
  ebb_cell_marks_end(&marks);
}

/* ---- STEP, BODY, TAIL ---- */

/* Columns of the op's gradient and input in what a step (a repetition) keeps. */
static void add_product(EbbCellWriter *writer, EbbCellOp *op, EbbCellSection section, int32_t first_op) {
  EbbCellCuda *cuda = writer->cuda;
  int32_t *floats = section == EBB_CELL_BODY ? &cuda->body_floats : &cuda->once_floats;
  if (!(op->flags & EBB_CELL_LIVE) || writer->status != EBB_OK) return;
  if (cuda->n_products == EBB_CELL_PRODUCTS) {
    writer->status = ebb_fail(EBB_INVALID, "cell '%s': a step has more than %d matrix products",
                              writer->cell->name, EBB_CELL_PRODUCTS);
    return;
  }
  EbbCellProduct *product = &cuda->product[cuda->n_products++];
  *product = (EbbCellProduct){op->matrix, *floats, -1, section == EBB_CELL_BODY};
  *floats += aligned(op->matrix.outputs);
  op->delta = product->delta;
  for (const EbbCellOp *other = writer->steps.op + first_op; other < op; other++)
    if (other->delta >= 0 && other->from[0] == op->from[0] && other->matrix.inputs == op->matrix.inputs)
      product->delta_x = other->delta_x >= 0 ? other->delta_x : product->delta_x;
  if (product->delta_x >= 0) return;
  op->delta_x = product->delta_x = *floats;
  *floats += aligned(op->matrix.inputs);
}

static bool constant_matrix(const EbbCell *cell, const EbbCellMatrix *matrix) {
  for (int32_t p = 0; p < cell->n_params; p++)
    if (matrix->at >= cell->param[p].at && matrix->at < cell->param[p].at + cell->param[p].size)
      return cell->param[p].constant;
  return false;
}

static void write_section(EbbCellWriter *writer, EbbCellSection section, EbbCellMarks *marks) {
  const EbbCell *cell = writer->cell;
  const EbbCellPart *part = &cell->part[section];
  EbbCellRun *run = &writer->cuda->section[section];
  EbbCellList *list = &writer->steps;
  *run = (EbbCellRun){.first = list->n_ops, .linear = -1};
  for (int32_t i = part->first; i < part->first + part->count; i++) {
    const EbbCellInstruction *instruction = &cell->instruction[i];
    EbbCellOp *op = ebb_cell_write_op(writer, list, instruction);
    mark_instruction(marks, instruction);
    if (instruction->code == EBB_CELL_LINEAR && !constant_matrix(cell, &instruction->matrix))
      add_product(writer, op, section, run->first);
  }
  for (int m = 0; m < part->moves; m++) {
    ebb_cell_write_copy(writer, list, EBB_CELL_MOVE, part->move[m].state, part->move[m].from);
    ebb_cell_mark(marks, part->move[m].from, EBB_CELL_READ);
  }
  run->count = list->n_ops - run->first;
  ebb_cell_find_waits(list->op + run->first, run->count);
}

/* The floats of TEMP that BODY writes: its gradients start anew at every repetition. */
static void find_body_temps(EbbCellWriter *writer) {
  const EbbCellPart *part = &writer->cell->part[EBB_CELL_BODY];
  EbbCellProgram *program = &writer->cuda->steps;
  int32_t low = writer->cell->temps, high = 0;
  for (int32_t i = part->first; i < part->first + part->count; i++) {
    const EbbCellRef to = writer->cell->instruction[i].to;
    if (to.at < low) low = to.at;
    if (to.at + to.width > high) high = to.at + to.width;
  }
  program->at_temp = writer->steps.at_temp, program->temps = writer->cell->temps;
  program->at_body = program->at_temp + low, program->body = high > low ? high - low : 0;
}

static EbbCellSection rate_section(const EbbCell *cell) {
  for (int s = EBB_CELL_STEP; s < EBB_CELL_SECTIONS; s++)
    for (int32_t i = cell->part[s].first; i < cell->part[s].first + cell->part[s].count; i++) {
      const EbbCellRef to = cell->instruction[i].to;
      if (cell->rate.at >= to.at && cell->rate.at < to.at + to.width) return (EbbCellSection)s;
    }
  return EBB_CELL_SEQUENCE;
}

static bool steps_read_x(const EbbCell *cell) {
  bool read = false;
  for (int32_t i = cell->part[EBB_CELL_SEQUENCE].count; i < cell->n_instructions; i++)
    for (int k = 0; k < cell->instruction[i].operands; k++)
      read |= cell->instruction[i].from[k].space == EBB_CELL_X;
  for (int s = EBB_CELL_STEP; s < EBB_CELL_SECTIONS; s++)
    for (int m = 0; m < cell->part[s].moves; m++) read |= cell->part[s].move[m].from.space == EBB_CELL_X;
  return read;
}

void ebb_cell_write_steps(EbbCellWriter *writer) {
  const EbbCell *cell = writer->cell;
  EbbCellCuda *cuda = writer->cuda;
  EbbCellList *list = &writer->steps;
  EbbCellMarks marks;
  list->at_temp = aligned(cell->states);
  list->at_seq = list->at_temp + aligned(cell->temps);
  list->at_x = list->at_seq + aligned(cell->seqs);
  list->at_scalars = cuda->steps.at_scalars = list->at_x + (steps_read_x(cell) ? aligned(cell->inputs) : 0);
  if (ebb_cell_marks_begin(writer, &marks)) {
    for (int s = EBB_CELL_STEP; s < EBB_CELL_SECTIONS; s++) write_section(writer, (EbbCellSection)s, &marks);
    ebb_cell_mark(&marks, cell->output, EBB_CELL_READ);
    ebb_cell_write_loads(writer, list, &marks, &cuda->section[EBB_CELL_SEQUENCE]);
  }
  ebb_cell_marks_end(&marks);
  find_body_temps(writer);
  cuda->output = ebb_cell_address(writer, list, cell->output);
  cuda->rate = cell->rate.space == EBB_CELL_ABSENT ? -1 : ebb_cell_address(writer, list, cell->rate);
  cuda->rate_section = rate_section(cell);
}

/* ---- both ---- */

static void finish(EbbCellWriter *writer, EbbCellProgram *program, EbbCellList *list) {
  program->n_ops = list->n_ops, program->n_scalars = list->n_scalars, program->n_loads = list->n_loads;
  program->vectors = list->at_scalars + aligned(list->n_scalars);
  program->elementwise = program->sums = list->n_home;
  int32_t sums_of[EBB_CELL_TABLES];
  for (int t = 0; t < EBB_CELL_TABLES; t++) sums_of[t] = -1;
  for (int32_t i = 0; i < list->n_ops; i++) {
    EbbCellOp *op = &list->op[i];
    if (op->code != EBB_CELL_SYNAPSES) continue;
    if (sums_of[op->table] < 0) {
      sums_of[op->table] = program->sums;
      program->sums += aligned(4 * writer->cell->table[op->table].count);
    }
    op->sums = sums_of[op->table];
  }
  memcpy(program->sums_of, sums_of, sizeof sums_of);
}

EbbStatus ebb_cell_writer_begin(EbbCellWriter *writer, const EbbCell *cell, EbbCellCuda *cuda) {
  memset(writer, 0, sizeof *writer);
  memset(cuda, 0, sizeof *cuda);
  writer->cell = cell, writer->cuda = cuda;
  const bool rows = begin_list(&writer->rows), steps = begin_list(&writer->steps);
  if (!rows || !steps) return ebb_fail(EBB_MEMORY, "no memory for the program of cell '%s'", cell->name);
  ebb_cell_find_live(cell, writer->live);
  place_params(writer);
  ebb_cell_write_rows(writer);
  ebb_cell_write_steps(writer);
  finish(writer, &cuda->rows, &writer->rows);
  finish(writer, &cuda->steps, &writer->steps);
  ebb_cell_find_ltc(writer);
  ebb_cell_find_tiling(writer);
  return writer->status;
}

void ebb_cell_writer_end(EbbCellWriter *writer) {
  end_list(&writer->rows);
  end_list(&writer->steps);
}
