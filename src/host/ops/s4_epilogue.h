/* The S4 epilogue on one row of the CPU. */
#ifndef EBB_HOST_OPS_S4_EPILOGUE_H
#define EBB_HOST_OPS_S4_EPILOGUE_H

#include "ebb/ops/s4_epilogue.h"

/* Position of a row (b, h) and how much of it there is. */
typedef struct EbbS4Row {
  int64_t b, h, H, L;
  int64_t valid; /* steps t < valid are real, the others padding: u is 0 there */
} EbbS4Row;

/* x += D u. u (L), masked. */
void ebb_s4_skip(const EbbS4Epilogue *epilogue, const EbbS4Row *row, const float *restrict u,
                 float *restrict x);
/* y = drop(act(x)), keeping x where backward wants it. x, y (L) of this row. */
void ebb_s4_finish(const EbbS4Epilogue *epilogue, const EbbRun *run, const EbbS4Row *row,
                   const float *restrict x, float *restrict y);
/* g = dL/dx from dy, both (L). */
void ebb_s4_finish_back(const EbbS4Epilogue *epilogue, const EbbRun *run, const EbbS4Row *row,
                        const float *restrict dy, float *restrict g);
/* sum of g u over a row, for dD. */
double ebb_s4_dot(int64_t n, const float *restrict g, const float *restrict u);
/* du (add ? += : =) x + factor extra where t < valid; the padding gets nothing (add) or 0. extra NULL: 0. x,
   extra, du (L). */
void ebb_s4_store_grad(const EbbS4Row *row, const float *restrict x, float factor,
                       const float *restrict extra, bool add, float *restrict du);

#endif
