/* The LSTM cell: in front of others as their memory, and as a baseline. */
#include <stdio.h>

#include "host/cell/write.h"

enum { NAME_BYTES = 64 };
static const double bias_range = 0.1;

static EbbCellRef named(EbbCell *cell, const char *prefix, const char *name, int64_t n, int64_t m,
                        double range) {
  char full[NAME_BYTES];
  snprintf(full, sizeof full, "%s%s", prefix, name);
  return ebb_write_param(cell, full, n, m, -range, range);
}

EbbCellRef ebb_write_lstm_input(EbbCell *cell, const char *prefix, EbbCellRef x, int64_t H) {
  const int64_t I = x.width;
  const EbbCellRef weight = named(cell, prefix, "input_map.weight", 4 * H, I, glorot(4 * H, I)),
                   bias = named(cell, prefix, "input_map.bias", 4 * H, 0, bias_range);
  return ebb_cell_linear(cell, ebb_cell_matrix(cell, weight, 4 * H, I, false, 0, I), x, bias);
}

void ebb_write_lstm(EbbCell *cell, const char *prefix, EbbCellRef input, EbbCellRef h, EbbCellRef c) {
  const int64_t H = h.width;
  const EbbCellRef weight = named(cell, prefix, "recurrent_map.weight", 4 * H, H, glorot(4 * H, H));
  if (cell->status == EBB_OK) cell->param[cell->n_params - 1].orthogonal = true;
  const EbbCellRef z = ebb_cell_linear(cell, ebb_cell_matrix(cell, weight, 4 * H, H, false, 0, H), h, input);
  const EbbCellRef from[] = {ebb_cell_slice(cell, z, 0, H), ebb_cell_slice(cell, z, H, H),
                             ebb_cell_slice(cell, z, 2 * H, H), c};
  const EbbCellRef next = ebb_cell_apply(cell, EBB_CELL_LSTM_CELL, H, 4, from);
  ebb_cell_move(cell, c, next);
  ebb_cell_move(cell, h, ebb_write2(cell, EBB_CELL_LSTM_OUT, next, ebb_cell_slice(cell, z, 3 * H, H)));
}

EbbStatus ebb_cell_lstm(int64_t I, int64_t H, EbbCell **out) {
  EbbCell *cell = NULL;
  *out = NULL;
  EBB_TRY(ebb_cell_check_sizes("lstm", H, 1));
  EBB_TRY(ebb_cell_create("lstm", I, &cell));
  const EbbCellRef h = ebb_cell_state(cell, H), c = ebb_cell_state(cell, H);
  const EbbCellRef input = ebb_write_lstm_input(cell, "", ebb_cell_x(cell), H);
  ebb_cell_begin(cell, EBB_CELL_STEP, 1);
  ebb_write_lstm(cell, "", input, h, c);
  return ebb_write_end(cell, h, out);
}
