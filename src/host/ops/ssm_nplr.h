/* Parts of op ssm_nplr on the CPU that stand in files of their own. */
#ifndef EBB_HOST_OPS_SSM_NPLR_H
#define EBB_HOST_OPS_SSM_NPLR_H

#include "ebb/ops/ssm_nplr_grad.h"
#include "host/ops/ssm_dplr.h"

/* Nodes are taken sixteen at a time; explicit vectors, because compilers do not keep the sums over poles in
   registers otherwise. */
enum { EBB_NODES = 16, EBB_NPLR_BLOCK = 256, EBB_NPLR_PRODUCTS = 12 };
typedef float EbbNodes __attribute__((vector_size(64)));
EBB_CAUCHY_FORMULAS(float, EbbCauchyWeight, EbbNodes, EBB_CAUCHY_INVERSE, FLT_MIN, EbbNodesSum, EbbNodesFlow,
                    ebb_nodes)

/* A thread's scratch. Rows start 64-byte aligned. */
typedef struct EbbNplrScratch {
  float *lam_re, *lam_im;  /* (M) w dt */
  EbbCauchyWeight *weight; /* (M,K) */
  EbbF64x8 *sum;           /* (M, 2K + 2) gradients of weights and denominators, to be added over the lanes */
  float *upstream;         /* (2K, Fp) gradients of r: K real rows, K imaginary rows */
  EbbC32 *spectrum;        /* (n/2 + 1) */
  float *row;              /* (n) */
  EbbC64 *lam;             /* (M) w dt, and the weights (M,K), before rounding */
  EbbCauchyWeight64 *exact;
  int32_t *near;     /* (Fp) the near nodes */
  EbbC32 *near_khat; /* (C,Fp) khat there, or its gradient; as many of Fp as there are near nodes */
} EbbNplrScratch;

/* Bytes of one thread's scratch, and its parts. */
size_t ebb_nplr_scratch_bytes(const EbbSsmNplrArgs *args);
EbbNplrScratch ebb_nplr_scratch(const EbbSsmNplrArgs *args, int thread);

/* Poles and weights of channel h into the scratch. */
void ebb_nplr_poles(const EbbSsmNplrArgs *args, int64_t h, const EbbNplrScratch *scratch);

/* The products are taken in groups of 6 and 4, whose sums fit the registers: K = 4, 6, 6 + 4 or 6 + 6. */
EBB_INLINE int64_t ebb_nplr_padded_products(const EbbSsmNplrArgs *args) {
  int64_t K = ebb_nplr_products(ebb_ssm_rank(&args->config), args->config.channels);
  return K == 9 ? 10 : K;
}
EBB_INLINE int64_t ebb_nplr_group(int64_t K, int64_t first) { return K - first == 4 ? 4 : 6; }

/* The near nodes of the channel whose poles are in the scratch, ascending; returns how many. */
int64_t ebb_nplr_find_near(const EbbSsmNplrArgs *args, int64_t h, const EbbNplrScratch *scratch);
/* near_khat := khat / n at them. */
void ebb_nplr_near_forward(const EbbSsmNplrArgs *args, int64_t count, const EbbNplrScratch *scratch);
/* From the gradients of khat in near_khat, adds to sum. */
void ebb_nplr_near_backward(const EbbSsmNplrArgs *args, int64_t count, const EbbNplrScratch *scratch);

EbbStatus ebb_nplr_forward(const void *args, const EbbRun *run);
EbbStatus ebb_nplr_backward(const void *args, const EbbRun *run);

#endif
