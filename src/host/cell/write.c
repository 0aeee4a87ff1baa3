#include "host/cell/write.h"

#include <stdio.h>
#include <string.h>

static EbbParamSpec spec_of(const char *name, int64_t n, int64_t m, double low, double high) {
  EbbParamSpec spec = {.name = name,
                       .shape = m > 0 ? ebb_shape(n, m) : ebb_shape(n),
                       .draw = low < high ? EBB_DRAW_RANGE : EBB_DRAW_CONSTANT,
                       .a = low,
                       .b = high};
  return spec;
}

EbbCellRef ebb_write_param(EbbCell *cell, const char *name, int64_t n, int64_t m, double low, double high) {
  const EbbParamSpec spec = spec_of(name, n, m, low, high);
  return ebb_cell_param(cell, &spec, EBB_CELL_AS_IS, NULL, NULL);
}

EbbCellRef ebb_write_positive(EbbCell *cell, const char *name, int64_t n, int64_t m, double low, double high,
                              bool implicit) {
  EbbParamSpec spec = spec_of(name, n, m, low, high);
  spec.constraint = implicit ? EBB_FREE : EBB_NONNEGATIVE;
  return ebb_cell_param(cell, &spec, implicit ? EBB_CELL_SOFTPLUS_OF : EBB_CELL_AS_IS, NULL, NULL);
}

EbbCellRef ebb_write1(EbbCell *cell, EbbCellCode code, EbbCellRef a) {
  return ebb_cell_apply(cell, code, a.width, 1, &a);
}

EbbCellRef ebb_write2(EbbCell *cell, EbbCellCode code, EbbCellRef a, EbbCellRef b) {
  const EbbCellRef from[] = {a, b};
  return ebb_cell_apply(cell, code, a.width, 2, from);
}

EbbCellRef ebb_write3(EbbCell *cell, EbbCellCode code, EbbCellRef a, EbbCellRef b, EbbCellRef c) {
  const EbbCellRef from[] = {a, b, c};
  return ebb_cell_apply(cell, code, a.width, 3, from);
}

EbbCellRef ebb_write_step(EbbCell *cell, EbbCellRef start, EbbCellRef scale, double c, EbbCellRef from) {
  return ebb_cell_combine(cell, start, scale, 1, &c, &from);
}

/* start + scale dt sum_j weight[j] k_j, without the terms that are 0; `start` where all are. */
static EbbCellRef combine(EbbCell *cell, EbbCellRef start, EbbCellRef scale, double dt, int stages,
                          const double *weight, const EbbCellRef *k) {
  double c[EBB_STAGES];
  EbbCellRef from[EBB_STAGES];
  int n = 0;
  for (int j = 0; j < stages; j++)
    if (weight[j] != 0) c[n] = dt * weight[j], from[n++] = k[j];
  return n ? ebb_cell_combine(cell, start, scale, n, c, from) : start;
}

static void stages_of(EbbCell *cell, const EbbTableau *tableau, EbbCellRef h, EbbCellRef scale, double dt,
                      EbbCellSlope slope, const void *context, EbbCellRef *k) {
  for (int s = 0; s < tableau->stages; s++)
    k[s] = slope(cell, context, combine(cell, h, scale, dt, s, tableau->a[s], k));
}

EbbCellRef ebb_write_runge_kutta(EbbCell *cell, const EbbTableau *tableau, EbbCellRef h, EbbCellRef scale,
                                 double dt, EbbCellSlope slope, const void *context) {
  EbbCellRef k[EBB_STAGES] = {0};
  stages_of(cell, tableau, h, scale, dt, slope, context, k);
  return combine(cell, h, scale, dt, tableau->stages, tableau->b, k);
}

EbbCellRef ebb_write_increment(EbbCell *cell, const EbbTableau *tableau, EbbCellRef h, EbbCellRef scale,
                               double dt, EbbCellSlope slope, const void *context) {
  EbbCellRef k[EBB_STAGES] = {0};
  stages_of(cell, tableau, h, scale, dt, slope, context, k);
  return combine(cell, ebb_cell_absent(), scale, dt, tableau->stages, tableau->b, k);
}

EbbStatus ebb_write_end(EbbCell *cell, EbbCellRef output, EbbCell **out) {
  const EbbStatus status = ebb_cell_finish(cell, output);
  if (status == EBB_OK)
    *out = cell;
  else
    ebb_cell_destroy(cell);
  return status;
}

EbbStatus ebb_cell_check_sizes(const char *cell, int64_t H, int64_t unfolds) {
  enum { MOST_UNITS = 65536, MOST_UNFOLDS = 10000 };
  if (H < 1 || H > MOST_UNITS)
    return ebb_fail(EBB_INVALID, "cell '%s': %lld units; from 1 to %d are possible", cell, (long long)H,
                    MOST_UNITS);
  if (unfolds < 1 || unfolds > MOST_UNFOLDS)
    return ebb_fail(EBB_INVALID, "cell '%s': %lld sub-steps (unfolds); from 1 to %d are possible", cell,
                    (long long)unfolds, MOST_UNFOLDS);
  return EBB_OK;
}
