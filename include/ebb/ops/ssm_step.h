/* A state-space layer sample by sample: the recurrence whose convolution ssm_nplr, ssm_diag, s4_series and
   s4_scan compute, O(N) a channel and step, on the host in double. Equal to the convolution as long as that
   one's kernel is not cut off (t < Lk).
     plain   x_t = Abar x_{t-1} + Bbar u_t,  y_t = C x_t
     series  P such states, fed with v_1 = u and v_{q+1}[t] = u_t e x^(q)_{t-1}; y_t = C sum_q x^(q)_t
     scan    x_t = (Abar + diag(Bbar) u_t) x_{t-1} + Bbar u_t, Abar diagonal, the factor bounded by s4_scan's
   r
*/
#ifndef EBB_OPS_SSM_STEP_H
#define EBB_OPS_SSM_STEP_H

#include "ebb/ops/ssm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum EbbSsmStepKind { EBB_STEP_PLAIN, EBB_STEP_SERIES, EBB_STEP_SCAN, EBB_STEP_KINDS } EbbSsmStepKind;

typedef struct EbbSsmStepConfig {
  EbbSsmConfig ssm;
  bool diagonal; /* ssm_diag's parameters and discretisation, else ssm_nplr's */
  EbbSsmStepKind kind;
  int64_t degree; /* SERIES: P >= 1 */
  double bound;   /* SCAN: r, 0 for none */
} EbbSsmStepConfig;

/* The layer's parameters in host memory, shapes as in ebb/ops/ssm.h; read by create only. */
typedef struct EbbSsmStepParams {
  const float *C, *log_dt, *B, *inv_w_real, *w_imag;
  const float *P; /* not diagonal */
  const float *e; /* SERIES: NULL for e = 1 */
  double L;       /* kernel.L, not diagonal: C is transformed for this length; 0: not yet */
} EbbSsmStepParams;

typedef struct EbbSsmStep EbbSsmStep;

/* Discretises every channel and undoes the transform of C: C = C~ (I - Abar^n)^-1, in double.
   Errors: UNSUPPORTED (bidirectional layers look ahead; SCAN needs diagonal), INVALID, NUMERIC (I - Abar^n is
   singular, with the channel), MEMORY. */
EbbStatus ebb_ssm_step_create(const EbbSsmStepConfig *config, const EbbSsmStepParams *params,
                              EbbSsmStep **out) EBB_MUST_CHECK;
void ebb_ssm_step_destroy(EbbSsmStep *step);

/* Doubles of one sequence's state, all 0 at its start. */
int64_t ebb_ssm_step_state(const EbbSsmStep *step);
/* One time step of one sequence: u (H) -> y (H), before D u and the activation; y may be u. */
void ebb_ssm_step_run(const EbbSsmStep *step, const float *u, double *state, float *y);

#ifdef __cplusplus
}
#endif
#endif
