/* Diagonal plus low-rank discrete systems in double, eight channels at a time, one a vector lane: powers of
   Abar applied to vectors, which is cheaper than forming them, and kernels that are not truncated. */
#ifndef EBB_HOST_OPS_SSM_DPLR_H
#define EBB_HOST_OPS_SSM_DPLR_H

#include "ebb/ops/ssm_dplr.h"

enum { EBB_F64X8 = 8 };
typedef double EbbF64x8 __attribute__((vector_size(64)));

/* Complex lanes. */
typedef struct EbbC64x8 {
  EbbF64x8 re, im;
} EbbC64x8;

/* One system a lane, modes in order; a, r, q as in ebb/ops/ssm_dplr.h. */
typedef struct EbbDplrLanes {
  int64_t M, rank;
  EbbC64x8 *a, *x0; /* (M); x0 = Bbar */
  EbbC64x8 *r, *q;  /* (rank, M) */
} EbbDplrLanes;

/* Vectors of M that the lanes take, and the lanes in a row of them. */
EBB_INLINE int64_t ebb_dplr_vectors(int64_t rank) { return 2 + 2 * rank; }
EBB_INLINE EbbDplrLanes ebb_dplr_place(const EbbSsmNplrArgs *args, EbbC64x8 *at) {
  int64_t M = args->M, rank = ebb_ssm_rank(&args->config);
  EbbDplrLanes lanes = {M, rank, at, at + M, at + 2 * M, at + (2 + rank) * M};
  return lanes;
}

/* Makes the systems of channels h0 .. h0 + 7; lanes beyond H are zero. */
void ebb_dplr_lanes(const EbbSsmNplrArgs *args, int64_t h0, const EbbDplrLanes *lanes);

/* *out = 2 Re sum a x. */
void ebb_dplr_dot(int64_t M, const EbbC64x8 *a, const EbbC64x8 *x, EbbF64x8 *out);
/* s[j] = 2 Re sum q_j x. */
void ebb_dplr_dots(const EbbDplrLanes *lanes, const EbbC64x8 *q, const EbbC64x8 *x, EbbF64x8 *s);

/* to = a x - sum_j r_j s_j, where s[j] = 2 Re sum q_j x comes in and 2 Re sum q_j to goes out; to may be x.
   With r = lanes->r and q = lanes->q it is Abar x; exchanged it is the row vector's x Abar. */
void ebb_dplr_step(const EbbDplrLanes *lanes, const EbbC64x8 *r, const EbbC64x8 *q, const EbbC64x8 *x,
                   EbbC64x8 *to, EbbF64x8 *s);

/* C := C (I + sign Abar^length) for every channel, C (C,H,M,2). Reads of args: config, M, log_dt, B, P,
   inv_w_real, w_imag. Errors: MEMORY. */
EbbStatus ebb_dplr_transform(const EbbSsmNplrArgs *args, int64_t length, double sign,
                             float *C) EBB_MUST_CHECK;

/* The inverse for one kernel a channel: C := C (I - Abar^n)^-1, C (H,M). Reads of args as above. Errors:
   NUMERIC (I - Abar^n is singular, with the channel), MEMORY. */
EbbStatus ebb_dplr_untransform(const EbbSsmNplrArgs *args, int64_t n, EbbC64 *C) EBB_MUST_CHECK;

/* Bytes of scratch a thread for the readout kernel and its gradient; 64-byte aligned. */
size_t ebb_dplr_readout_bytes(const EbbSsmNplrArgs *args);

/* Readout kernel ke of the eight channels from h0 on (or fewer at the end). */
void ebb_dplr_readout(const EbbSsmNplrArgs *args, int64_t h0, void *scratch);
/* Its gradients: adds to args->shared (w, B, P), dlog_dt and de. */
void ebb_dplr_readout_grad(const EbbSsmNplrArgs *args, int64_t h0, void *scratch);

#endif
