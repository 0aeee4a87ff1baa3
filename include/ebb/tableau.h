/* Explicit Runge-Kutta methods as data. With k_i = f(t + c_i dt, x + dt sum_{j<i} a_ij k_j), a step is
   x' = x + dt sum_i b_i k_i and, where there is an embedded solution, dt sum_i b_error_i k_i estimates its
   error. The methods are the rows of solvers.def. */
#ifndef EBB_TABLEAU_H
#define EBB_TABLEAU_H

#include <stdbool.h>

#include "ebb/scalar.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EBB_STAGES = 7 }; /* most stages of a method */

typedef struct EbbTableau {
  const char *name;
  int order, stages;
  double a[EBB_STAGES][EBB_STAGES];
  double b[EBB_STAGES], b_error[EBB_STAGES], c[EBB_STAGES]; /* b_error = b - b_hat */
  bool adaptive;                                            /* has an embedded solution */
  double real_limit; /* largest z with |R(-z)| <= 1: dt |lambda| of a decaying mode must stay below it */
} EbbTableau;

/* The method of that name, or NULL. Lifetime: the program's, here and below. */
const EbbTableau *ebb_tableau_find(const char *name);
int ebb_tableau_count(void);
/* NULL past the last one. */
const EbbTableau *ebb_tableau_at(int index);

/* For dx/dt = lambda x and z = dt lambda a step multiplies x by R(z) = 1 + sum_{k=1..stages} r_k z^k, with
   r_k = b A^(k-1) 1, and its error estimate is x E(z), E with b_error for b and no 1. Both arrays have stages
   + 1 coefficients from k = 0; `error` may be NULL. Source: Hairer and Wanner, "Solving Ordinary Differential
   Equations II", section IV.2. */
void ebb_tableau_polynomials(const EbbTableau *tableau, double *step, double *error);

/* What the step size is multiplied by after a trial step whose error is `error` tolerances: within [0.2, 5]
   where it is accepted (error <= 1), at least 0.2 otherwise, also where it is not finite. Source: the
   published Edifice solver. */
EBB_INLINE double ebb_tableau_growth(double error) {
  const bool accepted = error <= 1;
  const double factor = error > 0 ? 0.9 * pow(error, accepted ? -0.2 : -0.25) : accepted ? 5 : 0.2;
  return factor > 5 ? 5 : factor > 0.2 ? factor : 0.2;
}

#ifdef __cplusplus
}
#endif
#endif
