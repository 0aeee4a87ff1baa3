/* From the keys model.layer.* to the liquid networks of Edifice. */
#include <string.h>

#include "host/models/cell_config.h"

/* In the order of the choices of model.layer.solver; NULL: not one of theirs. */
static const char *const solvers[] = {"exact", NULL, "euler", "rk4", "midpoint", "heun", "dopri5", "exact"};
static const EbbLnnGuard guards[] = {[EBB_UNSTABLE_ERROR] = EBB_LNN_ERROR,
                                     [EBB_UNSTABLE_IGNORE] = EBB_LNN_NONE,
                                     [EBB_UNSTABLE_FALL_BACK] = EBB_LNN_EXACT,
                                     [EBB_UNSTABLE_WARN] = EBB_LNN_WARN};

bool ebb_config_names_lnn(const EbbConfig *config) {
  enum { LNN = 13 };
  return ebb_config_choice(config, "model.layer._name_") == LNN;
}

EbbStatus ebb_lnn_from_config(const EbbConfig *config, EbbLnn *out) {
  const char *solver = solvers[ebb_config_choice(config, "model.layer.solver")];
  if (!solver)
    return ebb_fail(EBB_INVALID,
                    "model.layer.solver (%s): lnn has no solver fused; its exact one is the default",
                    ebb_config_origin(config, "model.layer.solver"));
  *out = (EbbLnn){.layers = ebb_config_integer(config, "model.n_layers"),
                  .dropout = ebb_config_number(config, "model.dropout"),
                  .ffn = ebb_config_flag(config, "model.layer.ffn"),
                  .unit_norm = ebb_config_flag(config, "model.layer.unit_norm")};
  EBB_TRY(ebb_lnn_solver(solver, ebb_config_integer_or(config, "model.layer.unfolds", 1), &out->solver));
  out->solver.atol = ebb_config_number(config, "model.layer.atol");
  out->solver.rtol = ebb_config_number(config, "model.layer.rtol");
  out->solver.first_step = ebb_config_number(config, "model.layer.first_step");
  out->solver.attempts = ebb_config_integer(config, "model.layer.attempts");
  out->solver.per_sample = ebb_config_flag(config, "model.layer.per_sample");
  /* Adaptive and exact steps are stable of themselves. */
  const bool fixed = out->solver.tableau && !out->solver.adaptive;
  EbbUnstable unstable;
  EBB_TRY(ebb_unstable_from_config(config, &unstable));
  out->solver.guard = fixed ? guards[unstable] : EBB_LNN_NONE;
  return EBB_OK;
}
