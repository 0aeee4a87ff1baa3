#include "host/ops/cell_step.h"

#include <stdlib.h>

#include "host/ops/cell_pack.h"
#include "host/ops/cell_pass.h"
#include "host/params/names.h"

struct EbbCellStepper {
  EbbCellArgs args;
  EbbCellPlan *plan;
  EbbCellTile tile;
  char *memory; /* of the tile, the arena and the pack */
};

void ebb_cell_stepper_destroy(EbbCellStepper *stepper) {
  if (!stepper) return;
  free(stepper->plan);
  free(stepper->memory);
  free(stepper);
}

static EbbStatus read_param(const EbbParams *params, const char *scope, const EbbCellParam *param,
                            float *to) {
  char *name = ebb_full_name(scope, param->name);
  if (!name) return ebb_fail(EBB_MEMORY, "no memory for the name of parameter '%s'", param->name);
  const EbbStatus status = ebb_params_read(params, name, to, param->size);
  free(name);
  return status;
}

/* Parameters as they are declared go to `raw`, and through map and mask into the arena. */
static EbbStatus read_params(EbbCellArgs *a, const EbbParams *params, const char *scope, float *raw) {
  for (int p = 0; p < a->cell->n_params; p++) {
    const EbbCellParam *param = &a->cell->param[p];
    if (param->constant) continue;
    EBB_TRY(read_param(params, scope, param, raw + param->at));
    a->value[p] = raw + param->at;
  }
  ebb_cell_fill_arena(a, NULL);
  return EBB_OK;
}

static EbbStatus prepare(EbbCellStepper *s, const EbbParams *params, const char *scope) {
  const EbbCell *cell = s->args.cell;
  EBB_TRY(ebb_cell_plan_create(cell, s->args.B, 1, &s->plan));
  EbbCellShared shared = {.cell = cell, .plan = s->plan};
  const size_t work = ebb_cell_tile_place(&s->tile, &shared, NULL);
  const size_t arena = (size_t)ebb_cell_whole(cell->arena), pack = (size_t)(s->plan->packed + EBB_LANES);
  s->memory = aligned_alloc(64, work + sizeof(float) * (size_t)ebb_cell_whole((int64_t)(arena + pack)));
  float *raw = malloc(sizeof(float) * (arena + 1));
  EbbStatus status = EBB_OK;
  if (!s->memory || !raw) status = ebb_fail(EBB_MEMORY, "cell '%s': no memory for steps of it", cell->name);
  if (status == EBB_OK) {
    s->args.arena = (float *)(void *)(s->memory + work), s->args.pack = s->args.arena + arena;
    status = read_params(&s->args, params, scope, raw);
  }
  free(raw);
  EBB_TRY(status);
  ebb_cell_pack(&s->args, s->plan, NULL);
  shared.arena = s->args.arena, shared.pack = s->args.pack;
  ebb_cell_tile_place(&s->tile, &shared, s->memory);
  ebb_cell_tile_start(&s->tile);
  return EBB_OK;
}

EbbStatus ebb_cell_stepper_create(const EbbCell *cell, const EbbParams *params, const char *scope, int64_t B,
                                  EbbCellStepper **out) {
  *out = NULL;
  if (B < 1)
    return ebb_fail(EBB_INVALID, "cell '%s': %lld sequences; at least 1 is needed", cell->name, (long long)B);
  EbbCellStepper *s = calloc(1, sizeof *s);
  if (!s) return ebb_fail(EBB_MEMORY, "cell '%s': no memory for steps of it", cell->name);
  const int64_t R = ebb_cell_samples(B);
  s->args = (EbbCellArgs){.cell = cell,
                          .B = B,
                          .T = 1,
                          .I = cell->inputs,
                          .S = cell->states,
                          .O = cell->output.width,
                          .R = R,
                          .tiles = (B + R - 1) / R};
  const EbbStatus status = prepare(s, params, scope);
  if (status != EBB_OK) {
    ebb_cell_stepper_destroy(s);
    return status;
  }
  *out = s;
  return EBB_OK;
}

/* The rates of the tile's samples, which still stand in its memory. */
static void read_rates(const EbbCellStepper *s, float *rate) {
  const EbbCellRef ref = s->args.cell->rate;
  const float *from = ebb_cell_value(&s->tile.frame[EBB_CELL_ONE], ref);
  for (int64_t r = 0; r < s->args.R && ebb_cell_lane_exists(&s->tile, &s->args, r); r++)
    for (int64_t u = 0; u < ref.width; u++)
      rate[(s->tile.first + r) * ref.width + u] = from[u * s->args.R + r];
}

EbbStatus ebb_cell_stepper_step(EbbCellStepper *stepper, const float *x, const float *elapsed, float *state,
                                float *y, float *rate) {
  EbbCellArgs *a = &stepper->args;
  a->x = x, a->elapsed = elapsed, a->state = state, a->states = state, a->y = y;
  EBB_TRY(ebb_cell_check_values(a));
  for (int64_t i = 0; i < a->tiles; i++) {
    ebb_cell_forward_tile(&stepper->tile, a, i);
    if (rate && a->cell->rate.width) read_rates(stepper, rate);
  }
  return EBB_OK;
}
