/* Op ssm_diag: the convolution kernel of a diagonal state-space model,
   k_l = 2 Re sum_m B_m C_m f_m lambda_m^l for l < Lk, with x = w dt, f = dt phi(x) and lambda(x) by the
   discretisation, see ssm_mode.h. Source: Gu et al. 2022, arXiv 2206.11893, section 3. */
#ifndef EBB_OPS_SSM_DIAG_H
#define EBB_OPS_SSM_DIAG_H

#include "ebb/ops/ssm_mode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Config: EbbSsmConfig. No inputs. Outputs k (C,H,Lk) and, with a readout, ke (H,Lk): the same with e for C.
   Rows of a channel: its C kernels, then ke, R in all. Powers are split as l = i width + j, i < blocks. */
enum { EBB_SSM_DIAG_WIDTH = 64 }; /* CUDA's width */
typedef struct EbbSsmDiagArgs {
  EbbSsmDiagonal diagonal;
  int64_t M, Lk, R, blocks, width;
  const float *C;        /* (C,H,M,2) */
  const float *e;        /* (H,M,2), NULL unless learned */
  float *dC, *de;        /* the same, or NULL; added to */
  float *k, *ke;         /* outputs; ke NULL without a readout */
  const float *dk, *dke; /* their gradients, or NULL */
  double *shared;        /* scratch: gradients of the modes of every channel, before the copies' sum;
                            CPU (H,M,4), CUDA (5,H,M), see EbbSsmModeGrad */
  char *scratch;         /* CPU: scratch_row bytes a thread */
  size_t scratch_row;
} EbbSsmDiagArgs;

/* C or e of row r at mode m of channel h. */
EBB_INLINE EbbC64 ebb_ssm_diag_output(const EbbSsmDiagArgs *args, int64_t r, int64_t h, int64_t m) {
  const int64_t channels = args->diagonal.config.channels;
  if (r == channels && !args->e) return ebb_c64_make(1, 0);
  const float *at = r == channels ? args->e + 2 * (h * args->M + m)
                                  : args->C + 2 * ((r * args->diagonal.config.H + h) * args->M + m);
  return ebb_c64_make((double)at[0], (double)at[1]);
}

/* A row's gradients from plain = sum_l g_l lambda^l and weighted = sum_l l g_l lambda^l, g = dL/dk: that of
   its C is added to `to` (NULL: nowhere), those of bbar and log lambda to *dbbar and *dlog. */
EBB_INLINE void ebb_ssm_diag_row_grad(EbbC64 plain, EbbC64 weighted, EbbC64 C, EbbC64 bbar, float *to,
                                      EbbC64 *dbbar, EbbC64 *dlog) {
  const EbbC64 dE = ebb_c64_scale(ebb_c64_conj(plain), 2);
  const EbbC64 dC = ebb_c64_mul_conj(dE, bbar);
  *dbbar = ebb_c64_add(*dbbar, ebb_c64_mul_conj(dE, C));
  *dlog =
      ebb_c64_add(*dlog, ebb_c64_mul_conj(ebb_c64_scale(ebb_c64_conj(weighted), 2), ebb_c64_mul(C, bbar)));
  if (!to) return;
  to[0] += (float)dC.re;
  to[1] += (float)dC.im;
}
/* Where that of row r goes: dC or de at mode m of channel h; NULL where it is not wanted. */
EBB_INLINE float *ebb_ssm_diag_output_grad(const EbbSsmDiagArgs *args, int64_t r, int64_t h, int64_t m) {
  const int64_t channels = args->diagonal.config.channels;
  if (r == channels) return args->de ? args->de + 2 * (h * args->M + m) : NULL;
  return args->dC ? args->dC + 2 * ((r * args->diagonal.config.H + h) * args->M + m) : NULL;
}

#ifdef __cplusplus
}
#endif
#endif
