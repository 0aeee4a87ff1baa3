/* Echo-state networks: a reservoir whose weights stay as they were drawn. */
#include "host/cell/write.h"

/* A parameter that is saved with the model and that no update changes. */
static EbbCellRef write_frozen(EbbCell *cell, const char *name, int64_t n, int64_t m, const float *values) {
  const EbbParamSpec spec = {.name = name, .shape = ebb_shape(n, m), .buffer = true};
  return ebb_cell_param(cell, &spec, EBB_CELL_AS_IS, values, NULL);
}

static void write_esn(EbbCell *cell, const EbbEsn *esn, EbbCellRef h) {
  const int64_t I = esn->I, H = esn->H;
  const EbbCellRef W_in = write_frozen(cell, "W_in", H, I, esn->W_in),
                   W = write_frozen(cell, "W", H, H, esn->W);
  const EbbCellRef drive = ebb_cell_linear(cell, ebb_cell_matrix(cell, W_in, H, I, false, 0, I),
                                           ebb_cell_x(cell), ebb_cell_absent());
  ebb_cell_begin(cell, EBB_CELL_STEP, 1);
  const EbbCellRef sum = ebb_cell_linear(cell, ebb_cell_matrix(cell, W, H, H, false, 0, H), h, drive);
  const double c[] = {esn->leak, -esn->leak};
  const EbbCellRef from[] = {ebb_write1(cell, EBB_CELL_TANH, sum), h};
  ebb_cell_move(cell, h, ebb_cell_combine(cell, h, ebb_cell_constant(1), 2, c, from));
}

EbbStatus ebb_cell_esn(const EbbEsn *esn, EbbCell **out) {
  EbbCell *cell = NULL;
  *out = NULL;
  EBB_TRY(ebb_cell_check_sizes("esn", esn->H, 1));
  if (!(esn->leak > 0 && esn->leak <= 1))
    return ebb_fail(EBB_INVALID, "cell 'esn': leak %g; above 0 and up to 1 is possible", esn->leak);
  EBB_TRY(ebb_cell_create("esn", esn->I, &cell));
  const EbbCellRef h = ebb_cell_state(cell, esn->H);
  write_esn(cell, esn, h);
  return ebb_write_end(cell, h, out);
}
