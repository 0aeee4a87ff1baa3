/* Which programs are an LTC cell: BODY is one list of synapses on the state, the fused update and its move;
   before it nothing, after it at most a mapping of neurons to outputs. */
#include "host/ops/cell_gpu.h"

static bool is_state(const EbbCell *cell, EbbCellRef ref) {
  return ref.space == EBB_CELL_STATE && ref.at == 0 && ref.width == cell->states;
}

static bool is_half(EbbCellRef ref, EbbCellRef sums, int half) {
  return ref.space == EBB_CELL_TEMP && ref.at == sums.at + half * (sums.width / 2) &&
         ref.width == sums.width / 2;
}

static bool is_synapses(const EbbCell *cell, const EbbCellInstruction *in) {
  const EbbCellSpace added = in->operands > 1 ? in->from[1].space : EBB_CELL_ABSENT;
  return in->code == EBB_CELL_SYNAPSES && is_state(cell, in->from[0]) &&
         cell->table[in->table].targets == cell->states &&
         (added == EBB_CELL_ABSENT || added == EBB_CELL_SEQ);
}

static bool is_update(const EbbCell *cell, const EbbCellInstruction *in, EbbCellRef sums) {
  bool vectors = in->code == EBB_CELL_LTC_FUSED && is_state(cell, in->from[0]) &&
                 is_half(in->from[1], sums, 0) && is_half(in->from[2], sums, 1);
  for (int k = 3; vectors && k < 6; k++) vectors = in->from[k].space == EBB_CELL_PARAM;
  return vectors && in->from[6].space == EBB_CELL_ELAPSED && in->from[7].space == EBB_CELL_CONSTANT &&
         in->from[8].space == EBB_CELL_CONSTANT;
}

static bool is_output(const EbbCell *cell) {
  const EbbCellPart *tail = &cell->part[EBB_CELL_TAIL];
  if (tail->moves) return false;
  if (tail->count == 0) return cell->output.space == EBB_CELL_STATE;
  const EbbCellInstruction *in = &cell->instruction[tail->first];
  if (tail->count > 1 || cell->output.space != EBB_CELL_TEMP || cell->output.at != in->to.at ||
      cell->output.width != in->to.width || in->from[0].space != EBB_CELL_STATE)
    return false;
  return (in->code == EBB_CELL_MULTIPLY || in->code == EBB_CELL_AFFINE) &&
         in->from[1].space == EBB_CELL_PARAM &&
         (in->code == EBB_CELL_MULTIPLY || in->from[2].space == EBB_CELL_PARAM);
}

static bool is_ltc(const EbbCell *cell) {
  const EbbCellPart *step = &cell->part[EBB_CELL_STEP], *body = &cell->part[EBB_CELL_BODY];
  if (cell->states > EBB_CELL_LTC || cell->repeat > EBB_CELL_LTC_REPEAT || step->count || step->moves ||
      body->count != 2 || body->moves != 1 || cell->rate.space != EBB_CELL_ABSENT)
    return false;
  const EbbCellInstruction *in = &cell->instruction[body->first];
  const EbbCellMove *move = &body->move[0];
  return is_synapses(cell, in) && is_update(cell, in + 1, in->to) && is_state(cell, move->state) &&
         move->from.space == EBB_CELL_TEMP && move->from.at == in[1].to.at && is_output(cell);
}

/* Of an op's operand that is a parameter. */
static int32_t sums_at(const EbbCellOp *op, int k) {
  return op->grad[k] > EBB_CELL_ELAPSED_GRAD ? ~op->grad[k] : -1;
}

void ebb_cell_find_ltc(EbbCellWriter *writer) {
  const EbbCell *cell = writer->cell;
  EbbCellLtc *ltc = &writer->cuda->ltc;
  if (writer->status != EBB_OK || !is_ltc(cell)) return;
  const EbbCellInstruction *synapses = &cell->instruction[cell->part[EBB_CELL_BODY].first],
                           *update = synapses + 1;
  const EbbCellOp *op = writer->steps.op + writer->cuda->section[EBB_CELL_BODY].first + 1;
  const bool added = synapses->operands > 1 && synapses->from[1].space == EBB_CELL_SEQ;
  *ltc = (EbbCellLtc){.H = cell->states,
                      .sensory = added ? synapses->from[1].at : -1,
                      .cm = ~op->from[3],
                      .gleak = ~op->from[4],
                      .vleak = ~op->from[5],
                      .weight = -1,
                      .bias = -1,
                      .dcm = sums_at(op, 3),
                      .dgleak = sums_at(op, 4),
                      .dvleak = sums_at(op, 5),
                      .dweight = -1,
                      .dbias = -1,
                      .output = cell->output.at,
                      .table = synapses->table,
                      .scale = (float)update->from[7].value,
                      .epsilon = (float)update->from[8].value};
  if (cell->part[EBB_CELL_TAIL].count == 0) return;
  op = writer->steps.op + writer->cuda->section[EBB_CELL_TAIL].first;
  ltc->output = op->from[0] - writer->steps.at_state;
  ltc->weight = ~op->from[1], ltc->dweight = sums_at(op, 1);
  if (op->code == EBB_CELL_AFFINE) ltc->bias = ~op->from[2], ltc->dbias = sums_at(op, 2);
}
