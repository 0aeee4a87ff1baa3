#include "ebb/ops/cell.h"

#include <stdlib.h>
#include <string.h>

#include "host/ops/cell_gpu.h"
#include "host/ops/cell_init.h"
#include "host/ops/cell_pass.h"
#include "host/rows.h"

enum { MOST_GROUPS = 16 }; /* sets of parameter gradients that are summed up at last */

/* ---- setup ---- */

static EbbStatus check_inputs(const EbbSetup *setup, const EbbCellConfig *c) {
  const int expected = 1 + c->has_state + c->has_elapsed + c->has_lengths, given = ebb_setup_inputs(setup);
  if (given != expected)
    return ebb_fail(EBB_SHAPE, "%s: %d inputs; x%s%s%s are needed", ebb_setup_where(setup), given,
                    c->has_state ? ", state" : "", c->has_elapsed ? ", elapsed" : "",
                    c->has_lengths ? ", lengths" : "");
  if (c->truncate < 0)
    return ebb_fail(EBB_INVALID, "%s: gradients through %lld steps; 0 stands for all", ebb_setup_where(setup),
                    (long long)c->truncate);
  if (c->unstable_fails && c->cell->rate.space == EBB_CELL_ABSENT)
    return ebb_fail(EBB_INVALID,
                    "%s: cell '%s' does not know its rate, so that it cannot fail where it is unstable",
                    ebb_setup_where(setup), c->cell->name);
  return EBB_OK;
}

static EbbStatus setup_x(EbbSetup *setup, EbbCellArgs *a) {
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, 3, true, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  const EbbShape shape = ebb_setup_shape(setup, 0);
  a->B = shape.dim[0], a->T = shape.dim[1], a->I = shape.dim[2];
  a->S = a->cell->states, a->O = a->cell->output.width;
  if (a->I == a->cell->inputs) return EBB_OK;
  return ebb_fail(EBB_SHAPE, "%s: x has %lld features; cell '%s' was made for %d", ebb_setup_where(setup),
                  (long long)a->I, a->cell->name, (int)a->cell->inputs);
}

/* Input i must have this shape. */
static EbbStatus check_shape(const EbbSetup *setup, int i, const char *what, EbbShape expected) {
  const EbbShape shape = ebb_setup_shape(setup, i);
  char is[128], should[128];
  if (ebb_shape_equal(&shape, &expected)) return EBB_OK;
  return ebb_fail(EBB_SHAPE, "%s: %s has shape %s, expected %s", ebb_setup_where(setup), what,
                  ebb_shape_text(&shape, is, sizeof is), ebb_shape_text(&expected, should, sizeof should));
}

static EbbStatus setup_inputs(EbbSetup *setup, const EbbCellConfig *c, EbbCellArgs *a) {
  EBB_TRY(check_inputs(setup, c));
  EBB_TRY(setup_x(setup, a));
  int i = 1;
  if (c->has_state) {
    EBB_TRY(ebb_setup_input(setup, i, EBB_F32, 2, true, &a->state));
    EBB_TRY(check_shape(setup, i, "state", ebb_shape(a->B, a->S)));
    EBB_TRY(ebb_setup_input_grad(setup, i++, &a->dstate, &a->add_dstate));
  }
  if (c->has_elapsed) {
    EBB_TRY(ebb_setup_input(setup, i, EBB_F32, 2, true, &a->elapsed));
    EBB_TRY(check_shape(setup, i, "elapsed", ebb_shape(a->B, a->T)));
    EBB_TRY(ebb_setup_input_grad(setup, i++, &a->delapsed, &a->add_delapsed));
  }
  if (c->has_lengths) {
    EBB_TRY(ebb_setup_input(setup, i, EBB_I32, 1, true, (void *)&a->lengths));
    EBB_TRY(check_shape(setup, i, "lengths", ebb_shape(a->B)));
  }
  return EBB_OK;
}

static EbbStatus setup_outputs(EbbSetup *setup, EbbCellArgs *a) {
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, ebb_shape(a->B, a->T, a->O), false, &a->y));
  EBB_TRY(ebb_setup_output_grad(setup, 0, &a->dy));
  EBB_TRY(ebb_setup_output(setup, 1, EBB_F32, ebb_shape(a->B, a->T, a->S), true, &a->states));
  EBB_TRY(ebb_setup_output_grad(setup, 1, &a->dstates));
  if (a->cell->rate.space == EBB_CELL_ABSENT) return EBB_OK;
  return ebb_setup_output(setup, 2, EBB_F32, ebb_shape(a->B), false, &a->rates);
}

static EbbStatus setup_params(EbbSetup *setup, EbbCellArgs *a) {
  for (int p = 0; p < a->cell->n_params; p++) {
    const EbbCellParam *param = &a->cell->param[p];
    if (param->constant) continue;
    EbbParamSpec spec = param->spec;
    spec.name = param->name;
    if (spec.buffer) {
      float *value;
      EBB_TRY(ebb_setup_buffer(setup, &spec, &value));
      a->value[p] = value;
    } else {
      EBB_TRY(ebb_setup_param(setup, &spec, &a->value[p], &a->grad[p]));
    }
  }
  return EBB_OK;
}

static void copy_plan(const void *context, void *host) {
  memcpy(host, context, ((const EbbCellPlan *)context)->bytes);
}

/* Memory of the CPU's engine, by a plan of this batch. */
static EbbStatus setup_memory(EbbSetup *setup, EbbCellArgs *a, const EbbCellPlan *plan) {
  a->R = plan->R, a->tiles = (a->B + plan->R - 1) / plan->R;
  a->groups = ebb_min64(a->tiles, MOST_GROUPS);
  EBB_TRY(ebb_setup_table(setup, plan->bytes, copy_plan, plan, (void *)&a->plan));
  EBB_TRY(ebb_setup_scratch(setup, sizeof(float) * (size_t)(plan->packed + EBB_LANES), &a->pack));
  const EbbCellShared shared = {a->cell, plan, NULL, NULL, ebb_setup_training(setup)};
  EbbCellTile tile;
  a->work_bytes = ebb_cell_tile_place(&tile, &shared, NULL);
  EBB_TRY(ebb_setup_scratch(setup, (size_t)ebb_setup_threads(setup) * a->work_bytes, &a->work));
  EBB_TRY(ebb_setup_scratch(setup, ebb_cell_crew_bytes(ebb_setup_threads(setup)), &a->teams));
  const size_t partial =
      ebb_setup_training(setup) ? sizeof(double) * (size_t)(a->groups * a->cell->arena) : 0;
  return ebb_setup_scratch(setup, partial, &a->partial);
}

static EbbStatus set_up(EbbSetup *setup, const void *config, void *args) {
  const EbbCellConfig *c = config;
  EbbCellArgs *a = args;
  a->cell = c->cell, a->unstable_fails = c->unstable_fails, a->approximate = c->approximate,
  a->truncate = c->truncate, a->engine = c->engine;
  EBB_TRY(setup_inputs(setup, c, a));
  EBB_TRY(setup_outputs(setup, a));
  EBB_TRY(setup_params(setup, a));
  if (ebb_setup_backend(setup) == EBB_CUDA) return ebb_cell_setup_gpu(setup, a, c->has_lengths);
  EbbCellPlan *plan;
  /* Matrices are read sixteen floats at a time, also behind the last one. */
  EBB_TRY(ebb_setup_saved(setup, sizeof(float) * (size_t)(a->cell->arena + EBB_LANES), &a->arena));
  EBB_TRY(ebb_cell_plan_create(c->cell, a->B, a->T, &plan));
  const EbbStatus status = setup_memory(setup, a, plan);
  free(plan);
  return status;
}

/* ---- initial values ---- */

static EbbStatus write_orthogonal(EbbPrepare *prepare, const EbbCellParam *param, uint32_t stream) {
  float *host = malloc(sizeof(float) * (size_t)param->size);
  if (!host)
    return ebb_fail(EBB_MEMORY, "%s: no memory for initial values of '%s'", ebb_prepare_where(prepare),
                    param->name);
  EbbStatus status = ebb_cell_orthogonal(ebb_prepare_seed(prepare), stream, param->spec.shape.dim[0],
                                         param->spec.shape.dim[1], host);
  if (status == EBB_OK) status = ebb_prepare_write(prepare, param->name, host, param->size);
  free(host);
  return status;
}

static EbbStatus init(EbbPrepare *prepare, const void *config) {
  const EbbCell *cell = ((const EbbCellConfig *)config)->cell;
  for (int p = 0; p < cell->n_params; p++) {
    const EbbCellParam *param = &cell->param[p];
    if (param->constant) continue;
    if (param->values)
      EBB_TRY(ebb_prepare_write(prepare, param->name, param->values, param->size));
    else if (param->orthogonal)
      EBB_TRY(write_orthogonal(prepare, param, (uint32_t)p));
  }
  return EBB_OK;
}

const EbbOp ebb_cell_op = {"cell", sizeof(EbbCellArgs), set_up, init, NULL};
const EbbKernels ebb_cell_cpu = {ebb_cell_forward, ebb_cell_backward};
