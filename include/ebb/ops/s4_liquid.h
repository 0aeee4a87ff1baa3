/* The liquid terms of the published Liquid-S4 code: products of inputs, scaled by constants that are drawn
   with the layer and never trained. Source: Hasani et al. 2022, "Liquid Structural State-Space Models", arXiv
   2209.12951, and the code published with it, whose index and exponent rules these are.

   Streams v_1 .. v_{p-1}, p the degree. All combinations: v_i[t] is the product of the t-th of the last L
   (i+1)-subsets, in lexicographic order, of the last m inputs, m the smallest number below L with binomial(m,
   i+1) >= L. Otherwise v_0 = u, v_i[t] = v_{i-1}[t] v_{i-1}[t-1] with v[-1] = 0. phi contracts the streams
   where they are used. Constants of channel h: bbar = dt B / (1 - dt w / 2), s = 2 Re sum bbar, c_a = 2 Re
   sum C_a bbar. POLYB: y[t] += sum_i s^(2^i - 1) (c_0 phi(v_i)[L-1-t] + c_1 phi(v_i)[t] if bidirectional).
   KB: with n = Lk + L, m' = n/2 + 1 and x = sum_i s^i flip(phi(v_i)), bins j of the real transform of x of
   length n are multiplied with bins j of the complex transform of length m' of the kernel cut to m' taps. */
#ifndef EBB_OPS_S4_LIQUID_H
#define EBB_OPS_S4_LIQUID_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/complex.h"
#include "ebb/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum EbbS4LiquidKind { EBB_S4_PLAIN, EBB_S4_POLYB, EBB_S4_KB, EBB_S4_LIQUID_KINDS } EbbS4LiquidKind;
typedef enum EbbS4Contract { EBB_S4_NO_CONTRACT, EBB_S4_TANH, EBB_S4_LECUN, EBB_S4_CONTRACTS } EbbS4Contract;

typedef struct EbbS4LiquidConfig {
  EbbS4LiquidKind kind; /* EBB_S4_PLAIN: nothing below is read */
  int64_t degree;       /* p >= 2 */
  bool allcombs;
  EbbS4Contract contract;
  int64_t n_ssm; /* copies of B and w: 1 or H; 0: H */
  int64_t M;     /* stored modes, d_state / 2 */
} EbbS4LiquidConfig;

/* The part of an op's args that the liquid term reads. */
typedef struct EbbS4Liquid {
  EbbS4LiquidKind kind;
  EbbS4Contract contract;
  bool allcombs;
  int64_t degree, n_ssm, M, H, L, Lk;
  int channels;                    /* 2 if bidirectional */
  const float *B, *C, *w, *log_dt; /* buffers liquid.B (n_ssm,M,2), liquid.C (channels,H,M,2), liquid.w
                                      (n_ssm,M,2), liquid.log_dt (H) */
  const int32_t *runs;             /* CPU, all combinations: for each q = 2 .. p the pair (offset, runs), then
                                      the runs (t, first, count, prefix (q-1)) of q-subsets */
  int64_t span;                    /* all combinations are of the last `span` inputs */
  const char *subsets;             /* CUDA, all combinations: for each q = 2 .. p an EbbS4Subsets */
  const EbbFft *rows_fft, *taps_fft; /* KB: lengths Lk + L and (Lk + L)/2 + 1 */
} EbbS4Liquid;

/* Declares the buffers and the table; call it from the op's setup. The buffers are written by the state-space
   op of the same scope. Errors: INVALID (degree, contract; L too short for all combinations; n_ssm between 1
   and H), those of setup. */
EbbStatus ebb_s4_liquid_setup(EbbSetup *setup, const EbbS4LiquidConfig *config, int64_t H, int64_t L,
                              int64_t Lk, bool bidirectional, EbbS4Liquid *liquid) EBB_MUST_CHECK;

/* phi and its derivative. */
EBB_INLINE float ebb_s4_contract(EbbS4Contract contract, float x) {
  if (contract == EBB_S4_TANH) return ebb_tanhf(x);
  if (contract == EBB_S4_LECUN) return 1.7159f * ebb_tanhf(0.666f * x);
  return x;
}
EBB_INLINE float ebb_s4_contract_grad(EbbS4Contract contract, float x) {
  float tanh_tanh = ebb_tanhf(x), tanh_lecun = ebb_tanhf(0.666f * x);
  if (contract == EBB_S4_TANH) return 1.0f - tanh_tanh * tanh_tanh;
  if (contract == EBB_S4_LECUN) return 1.7159f * 0.666f * (1.0f - tanh_lecun * tanh_lecun);
  return 1.0f;
}

/* s, c_0 and c_1 (0 if there is one kernel) of channel h, as sums over the modes. */
typedef struct EbbS4Constants {
  double s, c[2];
} EbbS4Constants;
EBB_INLINE void ebb_s4_add_mode(const EbbS4Liquid *liquid, int64_t h, int64_t m, EbbS4Constants *sum) {
  const int64_t M = liquid->M, copy = h % liquid->n_ssm;
  const double dt = exp((double)liquid->log_dt[h]);
  const float *b = liquid->B + 2 * (copy * M + m), *w = liquid->w + 2 * (copy * M + m);
  EbbC64 below = ebb_c64_make(1.0 - 0.5 * dt * (double)w[0], -0.5 * dt * (double)w[1]);
  EbbC64 bbar = ebb_c64_div(ebb_c64_make(dt * (double)b[0], dt * (double)b[1]), below);
  sum->s += 2.0 * bbar.re;
  for (int a = 0; a < 2 && a < liquid->channels; a++) {
    const float *c = liquid->C + 2 * ((a * liquid->H + h) * M + m);
    sum->c[a] += 2.0 * (bbar.re * (double)c[0] - bbar.im * (double)c[1]);
  }
}

/* The power of s at stream i + 1 from that at stream i (1 at i = 0): s^(2^i - 1) in POLYB, s^i in KB. */
EBB_INLINE double ebb_s4_next_power(EbbS4LiquidKind kind, double s, double power) {
  return kind == EBB_S4_KB ? power * s : power * power * s;
}

/* The q-subsets as CUDA kernels read them, inputs counted from 0 .. span - 1: the members of subset t as
   member[j L + t], j < q; and all places where input i is a member, e = start[i] .. start[i+1] - 1: in subset
   use[e], beside other[j q L + e], j < q - 1. */
typedef struct EbbS4Subsets {
  const int32_t *start, *use;
  const uint16_t *member, *other;
} EbbS4Subsets;
EBB_INLINE int64_t ebb_s4_subsets_bytes(int64_t L, int64_t span, int64_t q) {
  return 4 * (span + 1 + q * L) + (2 * (q * L + (q - 1) * q * L) + 3) / 4 * 4;
}
EBB_INLINE EbbS4Subsets ebb_s4_subsets(const char *table, int64_t L, int64_t span, int64_t q) {
  EbbS4Subsets subsets;
  subsets.start = (const int32_t *)(const void *)table;
  subsets.use = subsets.start + span + 1;
  subsets.member = (const uint16_t *)(const void *)(subsets.use + q * L);
  subsets.other = subsets.member + q * L;
  return subsets;
}

/* Rows (B, H, L) of scratch that CUDA kernels need for streams by shifts: two in turn, or, for a backward
   pass, v_1 .. v_{p-2} and two for gradients. */
EBB_INLINE int64_t ebb_s4_shift_rows(const EbbS4Liquid *liquid, bool backward) {
  return backward ? liquid->degree : 2;
}

/* The smallest m in 2 .. L-1 with binomial(m, q) >= L; 0 where there is none, which is where L < q + 3. */
int64_t ebb_s4_combination_base(int64_t L, int64_t q);

#ifdef __cplusplus
}
#endif
#endif
