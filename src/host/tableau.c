#include "ebb/tableau.h"

#include <stddef.h>
#include <string.h>

#define EBB_ROW(...)                                                                                         \
  { __VA_ARGS__ }
#define EBB_SOLVER(solver, order_, stages_, limit, adaptive_, a_, b_, b_error_, c_)                          \
  {.name = #solver,                                                                                          \
   .order = (order_),                                                                                        \
   .stages = (stages_),                                                                                      \
   .a = a_,                                                                                                  \
   .b = b_,                                                                                                  \
   .b_error = b_error_,                                                                                      \
   .c = c_,                                                                                                  \
   .adaptive = (adaptive_),                                                                                  \
   .real_limit = (limit)},
static const EbbTableau tableaux[] = {
#include "ebb/solvers.def"
};
#undef EBB_SOLVER
#undef EBB_ROW

enum { TABLEAUX = sizeof tableaux / sizeof *tableaux };

int ebb_tableau_count(void) { return TABLEAUX; }

const EbbTableau *ebb_tableau_at(int index) {
  return index >= 0 && index < TABLEAUX ? &tableaux[index] : NULL;
}

const EbbTableau *ebb_tableau_find(const char *name) {
  for (int i = 0; i < TABLEAUX; i++)
    if (!strcmp(tableaux[i].name, name)) return &tableaux[i];
  return NULL;
}

static double dot(int n, const double *x, const double *y) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += x[i] * y[i];
  return sum;
}

void ebb_tableau_polynomials(const EbbTableau *tableau, double *step, double *error) {
  const int n = tableau->stages;
  double power[EBB_STAGES], next[EBB_STAGES]; /* A^(k-1) 1 */
  for (int i = 0; i < n; i++) power[i] = 1;
  step[0] = 1;
  if (error) error[0] = 0;
  for (int k = 1; k <= n; k++) {
    step[k] = dot(n, tableau->b, power);
    if (error) error[k] = dot(n, tableau->b_error, power);
    for (int i = 0; i < n; i++) next[i] = dot(n, tableau->a[i], power);
    memcpy(power, next, sizeof power);
  }
}
