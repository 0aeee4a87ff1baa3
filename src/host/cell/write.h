/* What the programs of src/host/cell have in common. */
#ifndef EBB_HOST_CELL_WRITE_H
#define EBB_HOST_CELL_WRITE_H

#include <math.h>

#include "ebb/cells.h"
#include "ebb/tableau.h"

/* Half the width of Glorot and Bengio's uniform distribution for a matrix of these sides. */
static inline double glorot(int64_t a, int64_t b) { return sqrt(6.0 / (double)(a + b)); }

/* A vector (n) or matrix (n, m), m > 0, drawn from U(low, high); low == high: constant. */
EbbCellRef ebb_write_param(EbbCell *cell, const char *name, int64_t n, int64_t m, double low, double high);
/* The same with a softplus, or kept at or above 0. */
EbbCellRef ebb_write_positive(EbbCell *cell, const char *name, int64_t n, int64_t m, double low, double high,
                              bool implicit);

/* Formulas by their number of operands, on vectors of the first one's width. */
EbbCellRef ebb_write1(EbbCell *cell, EbbCellCode code, EbbCellRef a);
EbbCellRef ebb_write2(EbbCell *cell, EbbCellCode code, EbbCellRef a, EbbCellRef b);
EbbCellRef ebb_write3(EbbCell *cell, EbbCellCode code, EbbCellRef a, EbbCellRef b, EbbCellRef c);

/* start + scale c from */
EbbCellRef ebb_write_step(EbbCell *cell, EbbCellRef start, EbbCellRef scale, double c, EbbCellRef from);

/* One step of dh/dt = slope(h) over `scale` * dt by an explicit method: the new h. */
typedef EbbCellRef (*EbbCellSlope)(EbbCell *cell, const void *context, EbbCellRef h);
EbbCellRef ebb_write_runge_kutta(EbbCell *cell, const EbbTableau *tableau, EbbCellRef h, EbbCellRef scale,
                                 double dt, EbbCellSlope slope, const void *context);
/* The same as the increment scale dt sum b_i k_i alone. */
EbbCellRef ebb_write_increment(EbbCell *cell, const EbbTableau *tableau, EbbCellRef h, EbbCellRef scale,
                               double dt, EbbCellSlope slope, const void *context);

/* The memory cell of ncps: the part that looks at x alone (4 H), and the step h, c -> h', c', which moves the
   states at the end of the section. x: X or a slice of it. Parameters `prefix`input_map and recurrent_map. */
EbbCellRef ebb_write_lstm_input(EbbCell *cell, const char *prefix, EbbCellRef x, int64_t H);
void ebb_write_lstm(EbbCell *cell, const char *prefix, EbbCellRef input, EbbCellRef h, EbbCellRef c);

/* Ends the program, or destroys it and leaves *out NULL. */
EbbStatus ebb_write_end(EbbCell *cell, EbbCellRef output, EbbCell **out);

/* Options within their range. */
EbbStatus ebb_cell_check_sizes(const char *cell, int64_t H, int64_t unfolds);

#endif
