/* The liquid terms on one row of the CPU. */
#ifndef EBB_HOST_OPS_S4_LIQUID_H
#define EBB_HOST_OPS_S4_LIQUID_H

#include "ebb/ops/s4_liquid.h"

/* Weights of the streams: out[t] += sum_i flipped[i] phi(v_i)[L-1-t] + straight[i] phi(v_i)[t], i from 1. */
typedef struct EbbS4Mix {
  const EbbS4Liquid *liquid;
  double s, flipped, straight; /* flipped[i] = flipped power_i, straight[i] = straight power_i */
} EbbS4Mix;

/* Scratch floats a thread needs: the streams, and what KB keeps of a channel. */
int64_t ebb_s4_streams_floats(const EbbS4Liquid *liquid);
int64_t ebb_s4_kb_floats(const EbbS4Liquid *liquid);

/* out (L) += the mix of the streams of u (L). work: ebb_s4_streams_floats. */
void ebb_s4_mix(const EbbS4Mix *mix, const float *restrict u, float *restrict out, float *restrict work);
/* du (L) += the gradient through the mix, from g (L) = dL/d out. */
void ebb_s4_mix_back(const EbbS4Mix *mix, const float *restrict u, const float *restrict g,
                     float *restrict du, float *restrict work);

/* KB of one channel: begin reads the taps k (channels kernels, `stride` floats apart), forward and back treat
   rows, end adds the taps' gradient, summed over the rows, to dk, laid out as k. */
typedef struct EbbS4Kb {
  EbbS4Mix mix;
  EbbC32 *taps, *taps_grad; /* (m') complex transform of the taps, and the sum of its gradients */
  float *row;               /* (n) */
  EbbC32 *spectrum, *kept;  /* (n/2 + 1) */
  float *work;
} EbbS4Kb;
void ebb_s4_kb_begin(EbbS4Kb *kb, const EbbS4Liquid *liquid, int64_t h, const float *k, int64_t stride,
                     float *work);
void ebb_s4_kb_forward(EbbS4Kb *kb, const float *u, float *restrict out);
/* du += ..., and the row's part of the taps' gradient is summed up. */
void ebb_s4_kb_back(EbbS4Kb *kb, const float *u, const float *g, float *restrict du);
void ebb_s4_kb_end(EbbS4Kb *kb, float *dk, int64_t stride);

/* The mix that POLYB and KB apply to channel h. */
EbbS4Mix ebb_s4_mix_of(const EbbS4Liquid *liquid, int64_t h);

#endif
