/* Discrete diagonal plus rank-1 systems in double: x' = a x - r s + x0 u with s = 2 Re sum q x, over the M
   stored modes of a conjugate-closed state. */
#ifndef EBB_OPS_SSM_STEP_H
#define EBB_OPS_SSM_STEP_H

#include "ebb/ops/ssm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One mode of the bilinear discretisation of A = diag(w) - P P*, with d = 1 / (1 - dt w / 2),
   g = 2 Re sum |P|^2 d, kappa = dt / (1 + dt g / 2):
   a = 2 d - 1, r = kappa d P, q = conj(P) d, Bbar = dt d B - (dt / 2) s_B r with s_B = 2 Re sum q B.
   In place of a 2M x 2M matrix: Woodbury on (I - dt/2 A)^-1 = (Abar + I) / 2. */
EBB_INLINE EbbC64 ebb_dplr_inverse(EbbC64 w, double dt) {
  return ebb_c64_inv(ebb_c64_make(1 - 0.5 * dt * w.re, -0.5 * dt * w.im));
}
EBB_INLINE double ebb_dplr_kappa(double dt, double g) { return dt / (1 + 0.5 * dt * g); }

#ifdef __cplusplus
}
#endif
#endif
