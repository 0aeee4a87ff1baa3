/* The elementwise formulas of recurrent cells in float32, each once for host and device: ebb_cell_<name>(in)
   and ebb_cell_<name>_grad(in, out, g, d), see cell_formulas.def. */
#ifndef EBB_CELL_FORMULAS_H
#define EBB_CELL_FORMULAS_H

#include "ebb/scalar.h"

/* log(1 + e^x), relative error below 4e-7, without overflow, branches or library calls:
   log(1 + u) = 2 artanh(z) with z = u / (2 + u) <= 1/3 for u = e^-|x|. NaN stays NaN. */
EBB_INLINE float ebb_softplusf(float x) {
  const float u = ebb_expf(-fabsf(x)), z = u / (2.0f + u), s = z * z;
  float p = 1.0f / 15;
  p = p * s + 1.0f / 13;
  p = p * s + 1.0f / 11;
  p = p * s + 1.0f / 9;
  p = p * s + 1.0f / 7;
  p = p * s + 1.0f / 5;
  p = p * s + 1.0f / 3;
  return (x > 0 ? x : 0) + 2.0f * (z + z * s * p);
}

#define EBB_REAL              float
#define EBB_FORMULA(name)     ebb_cell_##name
#define EBB_REAL_EXP(x)       ebb_expf(x)
#define EBB_REAL_TANH(x)      ebb_tanhf(x)
#define EBB_REAL_SIGMOID(x)   ebb_sigmoidf(x)
#define EBB_REAL_SOFTPLUS(x)  ebb_softplusf(x)
#define EBB_REAL_GELU(x)      ebb_gelu(x)
#define EBB_REAL_GELU_GRAD(x) ebb_gelu_grad(x)
#define EBB_REAL_ABS(x)       fabsf(x)
#define EBB_REAL_SIGN(x)      ((x) > 0 ? 1.0f : (x) < 0 ? -1.0f : 0.0f)
#define EBB_REAL_LECUN_SCALE  1.7159f
#define EBB_REAL_LECUN_RATE   0.666f
#include "ebb/cell_formulas.def"
#include "ebb/cell_reals.def"

/* One conductance synapse: s = sigmoid(sigma (v - mu)). It adds w s erev to the numerator N and w s to the
   denominator D. Backward, with gN = dL/dN and gD = dL/dD: dw = s (gN erev + gD), derev = w s gN, and with
   d = w s (1 - s) (gN erev + gD): dv = sigma d, dsigma = (v - mu) d, dmu = -sigma d. */
EBB_INLINE float ebb_cell_synapse(float v, float sigma, float mu) { return ebb_sigmoidf(sigma * (v - mu)); }

#endif
