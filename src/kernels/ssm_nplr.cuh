/* The launchers of op ssm_nplr, one a file. */
#ifndef EBB_KERNELS_SSM_NPLR_CUH
#define EBB_KERNELS_SSM_NPLR_CUH

#include "ebb/ops/ssm_nplr.h"

/* args->cuda.spectrum := khat / n. */
EbbStatus ebb_nplr_khat(const EbbSsmNplrArgs *args, const EbbRun *run) EBB_MUST_CHECK;
/* From the transform of dk in args->cuda.spectrum: adds to dC and dlog_dt, and writes args->shared. */
EbbStatus ebb_nplr_khat_grad(const EbbSsmNplrArgs *args, const EbbRun *run) EBB_MUST_CHECK;
/* Adds args->shared, summed over the channels of each copy, to the gradients of w, B and P. */
EbbStatus ebb_nplr_share_grad(const EbbSsmNplrArgs *args, const EbbRun *run) EBB_MUST_CHECK;
/* ke, and from its gradient: adds to de and dlog_dt, and to args->shared. */
EbbStatus ebb_nplr_readout(const EbbSsmNplrArgs *args, const EbbRun *run) EBB_MUST_CHECK;
EbbStatus ebb_nplr_readout_grad(const EbbSsmNplrArgs *args, const EbbRun *run) EBB_MUST_CHECK;

#endif
