/* Parts of op ssm_nplr on the CPU that stand in files of their own. */
#ifndef EBB_HOST_OPS_SSM_NPLR_H
#define EBB_HOST_OPS_SSM_NPLR_H

#include "ebb/ops/ssm_nplr.h"
#include "host/ops/ssm_dplr.h"

/* Nodes are taken sixteen at a time; explicit vectors, because compilers do not keep the sums over poles in
   registers otherwise. */
enum { EBB_NODES = 16, EBB_NPLR_BLOCK = 256 };
typedef float EbbNodes __attribute__((vector_size(64)));
EBB_CAUCHY_FORMULAS(EbbNodes, EbbNodesSum, EbbNodesFlow, ebb_nodes)

/* A thread's scratch. Rows start 64-byte aligned. */
typedef struct EbbNplrScratch {
  float *lam_re, *lam_im;  /* (M) w dt */
  EbbCauchyWeight *weight; /* (M,K) */
  EbbLanes *sum;           /* (M, 2K + 2) gradients of weights and denominators, to be added over the lanes */
  float *upstream;         /* (2K, Fp) gradients of r: K real rows, K imaginary rows */
  EbbC32 *spectrum;        /* (n/2 + 1) */
  float *row;              /* (n) */
} EbbNplrScratch;

/* Bytes of one thread's scratch, and its parts. */
size_t ebb_nplr_scratch_bytes(const EbbSsmNplrArgs *args);
EbbNplrScratch ebb_nplr_scratch(const EbbSsmNplrArgs *args, int thread);

/* Poles and weights of channel h into the scratch. */
void ebb_nplr_poles(const EbbSsmNplrArgs *args, int64_t h, const EbbNplrScratch *scratch);

EbbStatus ebb_nplr_forward(const void *args, const EbbRun *run);
EbbStatus ebb_nplr_backward(const void *args, const EbbRun *run);

#endif
