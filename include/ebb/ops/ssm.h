/* What the state-space ops share: one configuration, the parameters by name and shape, their initial values,
   and the map from stored to used eigenvalues. The ops are ssm_nplr and ssm_diag (convolution kernels) and
   s4_scan (time-varying recurrence). Source: Gu et al. 2022, "Efficiently Modeling Long Sequences with
   Structured State Spaces"; "On the Parameterization and Initialization of Diagonal State Space Models".

   One channel is x' = A x + B u, y = 2 Re(C x) over the M stored modes; the other M are their conjugates.
   A = diag(w) - P P*, with one or two columns P, (ssm_nplr) or diag(w) (ssm_diag). Channel h uses copy h mod
   n_ssm of w, B and P. */
#ifndef EBB_OPS_SSM_H
#define EBB_OPS_SSM_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "ebb/complex.h"
#include "ebb/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where w, B and P start. HIPPO: first half of the copies LEGS, rest FOURIER. DIAG: first half DIAG_INV, rest
   DIAG_LIN. FOURIER is also called fout. */
typedef enum EbbSsmMeasure {
  EBB_SSM_LEGS,
  EBB_SSM_LEGT,
  EBB_SSM_LAGT,
  EBB_SSM_FOURIER,
  EBB_SSM_HIPPO,
  EBB_SSM_DIAG_LIN,
  EBB_SSM_DIAG_INV,
  EBB_SSM_DIAG_LEGS,
  EBB_SSM_DIAG,
  EBB_SSM_MEASURES
} EbbSsmMeasure;

/* How Re w < 0 follows from the stored kernel.inv_w_real, x: -e^x, -x, -max(x, 0), -sigmoid(x),
 * -log(1 + e^x). */
typedef enum EbbSsmReal {
  EBB_SSM_EXP,
  EBB_SSM_NONE,
  EBB_SSM_RELU,
  EBB_SSM_SIGMOID,
  EBB_SSM_SOFTPLUS,
  EBB_SSM_REALS
} EbbSsmReal;

/* Discretisation; ssm_nplr knows BILINEAR only. */
typedef enum EbbSsmDisc { EBB_SSM_BILINEAR, EBB_SSM_ZOH, EBB_SSM_DSS, EBB_SSM_DISCS } EbbSsmDisc;

/* Second output ke of the kernel ops: none, e = 1, or e = parameter kernel.e. */
typedef enum EbbSsmReadout {
  EBB_SSM_NO_READOUT,
  EBB_SSM_ONES,
  EBB_SSM_LEARNED,
  EBB_SSM_READOUTS
} EbbSsmReadout;

/* Config of ssm_nplr, ssm_diag and, inside its own config, s4_scan. */
typedef struct EbbSsmConfig {
  int64_t H;        /* channels of the model */
  int64_t N;        /* state size d_state >= 2; M = N / 2 modes are stored */
  int64_t n_ssm;    /* copies of w, B, P; divides H; 0: H */
  int64_t rank;     /* columns of P: 1 or 2 (measure legt needs 2); 0: 1 */
  int64_t channels; /* kernels a channel: 1, or 2 if bidirectional */
  int64_t length;   /* L of this graph's sequences */
  int64_t l_max;    /* longest kernel; 0: null, as long as the sequences */
  double rate;      /* time step multiplier, 1 at the resolution of training */
  EbbSsmMeasure measure;
  EbbSsmReal real_type;
  EbbSsmDisc disc;
  EbbSsmReadout readout;
  double dt_min, dt_max;    /* seconds of model time: log dt ~ U(log dt_min, log dt_max) */
  bool deterministic;       /* log dt equally spaced over the channels instead of drawn */
  double lr_dt, lr_A, lr_B; /* own learning rates; NAN: the optimiser's */
  double weight_decay;      /* of these three; published: 0 */
  bool liquid_buffers; /* init also writes liquid.B, liquid.C, liquid.w, liquid.log_dt, declared elsewhere */
} EbbSsmConfig;

EBB_INLINE int64_t ebb_ssm_modes(const EbbSsmConfig *config) { return config->N / 2; }
EBB_INLINE int64_t ebb_ssm_copies(const EbbSsmConfig *config) {
  return config->n_ssm ? config->n_ssm : config->H;
}
EBB_INLINE int64_t ebb_ssm_rank(const EbbSsmConfig *config) { return config->rank == 2 ? 2 : 1; }
/* Lk = min(L, round(l_max / rate)). */
EBB_INLINE int64_t ebb_ssm_kernel_length(const EbbSsmConfig *config) {
  if (!config->l_max) return config->length;
  int64_t longest = (int64_t)nearbyint((double)config->l_max / config->rate);
  return config->length < longest ? config->length : longest;
}

/* The parameters and buffers, local names without the leading "kernel." as in the enumeration.
   C (channels,H,M,2), log_dt (H), B (1,n_ssm,M,2; in the diagonal ops (n_ssm,M,2)), P (rank,n_ssm,M,2),
   inv_w_real and w_imag (n_ssm,M), e (H,M,2), buffer L (1): the internal kernel length, 0 until the first
   layout. Buffers liquid.B (n_ssm,M,2), liquid.C (channels,H,M,2), liquid.w (n_ssm,M,2), liquid.log_dt (H).
 */
typedef enum EbbSsmParam {
  EBB_SSM_P_C,
  EBB_SSM_P_LOG_DT,
  EBB_SSM_P_B,
  EBB_SSM_P_P,
  EBB_SSM_P_INV_W_REAL,
  EBB_SSM_P_W_IMAG,
  EBB_SSM_P_E,
  EBB_SSM_P_L,
  EBB_SSM_P_LIQUID_B,
  EBB_SSM_P_LIQUID_C,
  EBB_SSM_P_LIQUID_W,
  EBB_SSM_P_LIQUID_LOG_DT,
  EBB_SSM_PARAMS
} EbbSsmParam;

/* The spec (full local name "kernel.C", shape, learning-rate group) of one of them. diagonal: as ssm_diag has
   it. Initial values are written by ebb_ssm_init. */
EbbParamSpec ebb_ssm_spec(const EbbSsmConfig *config, bool diagonal, EbbSsmParam which);

/* Errors: INVALID for sizes, rates, dt ranges and enumerations out of range, naming the node `where`, the key
   and the value; UNSUPPORTED for a measure or discretisation that the kind (diagonal or not) does not have.
 */
EbbStatus ebb_ssm_check(const EbbSsmConfig *config, bool diagonal, const char *where) EBB_MUST_CHECK;

/* For an op's setup: one of the parameters, and the outputs k (channels,H,Lk) and, with a readout, ke (H,Lk).
   Errors: those of setup. */
EbbStatus ebb_ssm_setup_param(EbbSetup *setup, const EbbSsmConfig *config, bool diagonal, EbbSsmParam which,
                              const float **value, float **grad) EBB_MUST_CHECK;
EbbStatus ebb_ssm_setup_outputs(EbbSetup *setup, const EbbSsmConfig *config, float **k, const float **dk,
                                float **ke, const float **dke) EBB_MUST_CHECK;

/* An op's init: draws and writes all parameters that ebb_ssm_spec lists for the kind (e only if learned; P
   and L only if not diagonal), and the liquid buffers if the config says so: B, w, log_dt as written, and
   liquid.C = C_raw (diagonal: C_raw B), whose conjugate is kernel.C. Errors: as ebb_ssm_check; those of
   prepare. */
EbbStatus ebb_ssm_init(EbbPrepare *prepare, const EbbSsmConfig *config, bool diagonal) EBB_MUST_CHECK;

/* Re w of a stored x, and d Re w / dx. floor: 1e-4 for diagonal ops, 0 for ssm_nplr (RELU only). */
EBB_INLINE double ebb_ssm_real(EbbSsmReal type, double floor, double x) {
  double e = exp(-fabs(x));
  if (type == EBB_SSM_EXP) return -exp(x);
  if (type == EBB_SSM_NONE) return -x;
  if (type == EBB_SSM_RELU) return -(x > 0 ? x : 0) - floor;
  if (type == EBB_SSM_SIGMOID) return -(x > 0 ? 1 : e) / (1 + e);
  return -((x > 0 ? x : 0) + log1p(e));
}
EBB_INLINE double ebb_ssm_real_grad(EbbSsmReal type, double x) {
  double e = exp(-fabs(x)), sigmoid = (x > 0 ? 1 : e) / (1 + e);
  if (type == EBB_SSM_EXP) return -exp(x);
  if (type == EBB_SSM_NONE) return -1;
  if (type == EBB_SSM_RELU) return x > 0 ? -1 : 0;
  if (type == EBB_SSM_SIGMOID) return -sigmoid * (1 - sigmoid);
  return -sigmoid;
}
/* The stored x of a real part re < 0, the inverse of ebb_ssm_real. */
EBB_INLINE double ebb_ssm_real_inverse(EbbSsmReal type, double re) {
  if (type == EBB_SSM_EXP) return log(-re);
  if (type == EBB_SSM_SIGMOID) return log(-re / (1 + re));
  if (type == EBB_SSM_SOFTPLUS) return log(expm1(-re));
  return -re;
}

#ifdef __cplusplus
}
#endif
#endif
