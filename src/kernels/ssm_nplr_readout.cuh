/* The time recurrence of ssm_nplr's readout, 32 steps at a time, for its forward and its backward kernel.

   x_{l+1} = a x_l - sum_j r_j s_lj, s_lj = 2 Re sum q_j x_l needs a sum over the modes at every step, which
   would wait for five shuffles 32 times. Without feedback the sums u_t = 2 Re sum q a^t x of 32 steps are
   independent of each other, and s follows from them by s_t = u_t - sum_{i<t} g_{t-1-i} s_i with the response
   g_t = 2 Re sum q a^t r, that is by s_t = sum_{i<=t} f_{t-i} u_i with the response f of the closed loop. f
   is made once; lane t of every warp has step t.

   A block is a channel; its warps share the modes, padded to whole warps with modes that are 0. All in
   double, for the recurrence runs over the whole sequence. */
#ifndef EBB_KERNELS_SSM_NPLR_READOUT_CUH
#define EBB_KERNELS_SSM_NPLR_READOUT_CUH

#include "ebb/ops/ssm_dplr_grad.h"
#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"

enum { STEPS = EBB_NPLR_STEPS, READOUT_WARPS = 4, TERM_ROW = STEPS + 1 };
static_assert((int)STEPS == (int)EBB_WARP, "lane t has step t");

/* Shared memory: `scratch` is a warp's terms of 32 steps and lanes, rows padded against bank conflicts, or in
   backward its states of 32 steps. */
template <int RANK> struct ReadoutShared {
  double reduce[EBB_WARP];
  double response[2 * STEPS][RANK][RANK];     /* f_t at STEPS + t, before it zeros */
  double part[2][READOUT_WARPS][RANK][STEPS]; /* the warps' sums, for two sets of 32 steps */
};

/* Vectors over the modes of a channel; index m of warp and lane. */
template <int RANK> struct Modes {
  int64_t M, Mp;
  EbbC64 *a, *x, *e, *r, *q;          /* r, q: RANK of them, Mp apart */
  EbbC64 *lambda, *da, *de, *dr, *dq; /* gradients, in backward */
};
template <int RANK> __device__ __forceinline__ Modes<RANK> place_modes(int64_t M, EbbC64 *at) {
  const int64_t Mp = ebb_nplr_readout_modes(M);
  Modes<RANK> modes;
  modes.M = M, modes.Mp = Mp;
  modes.a = at, modes.x = at + Mp, modes.e = at + 2 * Mp, modes.r = at + 3 * Mp,
  modes.q = modes.r + RANK * Mp;
  at += (3 + 2 * RANK) * Mp;
  modes.lambda = at, modes.da = at + Mp, modes.de = at + 2 * Mp, modes.dr = at + 3 * Mp;
  modes.dq = modes.dr + RANK * Mp;
  return modes;
}

__device__ __forceinline__ int lane_of() { return (int)threadIdx.x % EBB_WARP; }
__device__ __forceinline__ int warp_of() { return (int)threadIdx.x / EBB_WARP; }

__device__ __forceinline__ double twice_dot(EbbC64 a, EbbC64 b) { return 2 * (a.re * b.re - a.im * b.im); }
__device__ __forceinline__ double lane_value(double value, int lane) {
  return __shfl_sync(EBB_FULL_WARP, value, lane);
}

/* s_B and kappa of the channel, for every thread. */
template <int RANK>
__device__ __forceinline__ EbbDplrChain start_chain(const EbbSsmNplrArgs &args, int64_t h, double *reduce) {
  EbbDplrChain chain = {};
  chain.rank = RANK, chain.dt = ebb_nplr_dt(&args, h);
  double G[RANK * RANK] = {};
  for (int64_t m = threadIdx.x; m < args.M; m += blockDim.x) {
    const EbbDplrMode mode = ebb_dplr_mode(&args, h, m, chain.dt);
    for (int i = 0; i < RANK; i++) {
      chain.sB[i] += ebb_dplr_input_term(&mode, i);
      for (int j = 0; j < RANK; j++) G[i * RANK + j] += ebb_dplr_low_rank_term(&mode, i, j);
    }
  }
  for (int i = 0; i < RANK; i++) chain.sB[i] = block_sum(chain.sB[i], reduce);
  for (int i = 0; i < RANK * RANK; i++) G[i] = block_sum(G[i], reduce);
  ebb_dplr_kappa(RANK, chain.dt, G, chain.kappa);
  return chain;
}

/* The discrete system and x = Bbar. A thread only ever touches the modes thread, thread + threads, ... */
template <int RANK>
__device__ __forceinline__ void start_modes(const EbbSsmNplrArgs &args, int64_t h, const EbbDplrChain &chain,
                                            const Modes<RANK> &modes) {
  const EbbC64 zero = {0, 0};
  for (int64_t m = threadIdx.x; m < modes.Mp; m += blockDim.x) {
    EbbDplrPart part = {};
    EbbC64 e = zero;
    if (m < modes.M) {
      const EbbDplrMode mode = ebb_dplr_mode(&args, h, m, chain.dt);
      const float *learned = args.e ? args.e + 2 * (h * modes.M + m) : NULL;
      part = ebb_dplr_part(&mode, RANK, chain.dt, chain.kappa, chain.sB);
      e = learned ? ebb_c64_make((double)learned[0], (double)learned[1]) : ebb_c64_make(1, 0);
    }
    modes.a[m] = part.a, modes.x[m] = part.x0, modes.e[m] = e;
    for (int j = 0; j < RANK; j++)
      modes.r[j * modes.Mp + m] = part.r[j], modes.q[j * modes.Mp + m] = part.q[j];
  }
}

/* A warp's terms of 32 steps: zero, add, and the sums over its lanes, step t in lane t. */
__device__ __forceinline__ void clear_terms(double *terms) {
  __syncwarp();
  for (int t = 0; t < STEPS; t++) terms[t * TERM_ROW + lane_of()] = 0;
}
__device__ __forceinline__ void add_term(double *terms, int t, double value) {
  terms[t * TERM_ROW + lane_of()] += value;
}
__device__ __forceinline__ double sum_terms(const double *terms) {
  double even = 0, odd = 0;
  __syncwarp();
  for (int lane = 0; lane < EBB_WARP; lane += 2) {
    even += terms[lane_of() * TERM_ROW + lane];
    odd += terms[lane_of() * TERM_ROW + lane + 1];
  }
  return even + odd;
}

/* Adds weight * a^t * start, t = 0 .. 31, to the terms; even and odd steps as two chains. */
__device__ __forceinline__ void add_powers(double *terms, EbbC64 weight, EbbC64 a, EbbC64 start) {
  const EbbC64 square = ebb_c64_mul(a, a);
  EbbC64 even = start, odd = ebb_c64_mul(a, start);
  for (int t = 0; t < STEPS; t += 2) {
    add_term(terms, t, twice_dot(weight, even));
    add_term(terms, t + 1, twice_dot(weight, odd));
    even = ebb_c64_mul(even, square), odd = ebb_c64_mul(odd, square);
  }
}

/* The warps' sums of every step, in their order. The block has passed a barrier since they were written. */
template <int RANK> __device__ __forceinline__ double join_warps(const double (*part)[RANK][STEPS], int j) {
  double sum = 0;
  for (int warp = 0; warp < (int)blockDim.x / EBB_WARP; warp++) sum += part[warp][j][lane_of()];
  return sum;
}

/* f from g. g_t arrives column by column; then f_t = -sum_{i<t} g_{t-1-i} f_i: once f_i is known, every later
   lane takes its share. */
template <int RANK>
__device__ __forceinline__ void make_response(const Modes<RANK> &modes, double *terms,
                                              ReadoutShared<RANK> *shared) {
  const int t = lane_of();
  double g[RANK][RANK], f[RANK][RANK] = {};
  for (int j = 0; j < RANK; j++) {
    for (int i = 0; i < RANK; i++) {
      clear_terms(terms);
      for (int64_t m = threadIdx.x; m < modes.Mp; m += blockDim.x)
        add_powers(terms, modes.q[i * modes.Mp + m], modes.a[m], modes.r[j * modes.Mp + m]);
      shared->part[0][warp_of()][i][t] = sum_terms(terms);
    }
    __syncthreads();
    for (int i = 0; i < RANK; i++) g[i][j] = join_warps<RANK>(shared->part[0], i);
    __syncthreads();
  }
  for (int i = 0; i < RANK; i++) f[i][i] = t == 0;
  for (int known = 0; known < STEPS; known++)
    for (int i = 0; i < RANK; i++)
      for (int l = 0; l < RANK; l++) {
        const double weight = __shfl_sync(EBB_FULL_WARP, g[i][l], t > known ? t - 1 - known : 0);
        for (int j = 0; j < RANK; j++) {
          const double settled = lane_value(f[l][j], known);
          if (t > known) f[i][j] -= weight * settled;
        }
      }
  if (warp_of() == 0)
    for (int i = 0; i < RANK; i++)
      for (int j = 0; j < RANK; j++)
        shared->response[t][i][j] = 0, shared->response[STEPS + t][i][j] = f[i][j];
  __syncthreads();
}

/* s of 32 steps from u, or with the responses transposed: the gradients of s from theirs. */
template <int RANK, bool TRANSPOSED>
__device__ __forceinline__ void close_loop(const ReadoutShared<RANK> *shared, const double (&u)[RANK],
                                           double (&s)[RANK]) {
  for (int i = 0; i < RANK; i++) s[i] = 0;
  for (int t = 0; t < STEPS; t++)
    for (int j = 0; j < RANK; j++) {
      const double input = lane_value(u[j], t);
      for (int i = 0; i < RANK; i++) {
        const double(*f)[RANK] = shared->response[STEPS + lane_of() - t];
        s[i] += (TRANSPOSED ? f[j][i] : f[i][j]) * input;
      }
    }
}

/* s of the 32 steps from x on. */
template <int RANK>
__device__ __forceinline__ void feedback(const Modes<RANK> &modes, double *terms, ReadoutShared<RANK> *shared,
                                         double (&s)[RANK]) {
  double u[RANK];
  for (int j = 0; j < RANK; j++) {
    clear_terms(terms);
    for (int64_t m = threadIdx.x; m < modes.Mp; m += blockDim.x)
      add_powers(terms, modes.q[j * modes.Mp + m], modes.a[m], modes.x[m]);
    shared->part[0][warp_of()][j][lane_of()] = sum_terms(terms);
  }
  __syncthreads();
  for (int j = 0; j < RANK; j++) u[j] = join_warps<RANK>(shared->part[0], j);
  close_loop<RANK, false>(shared, u, s);
}

/* a x - sum_j r_j s_j, s of lane t. */
template <int RANK>
__device__ __forceinline__ EbbC64 step(EbbC64 a, EbbC64 x, const EbbC64 (&r)[RANK], const double (&s)[RANK],
                                       int t) {
  EbbC64 next = {0, 0};
  for (int j = 0; j < RANK; j++) next = ebb_c64_sub(next, ebb_c64_scale(r[j], lane_value(s[j], t)));
  return ebb_c64_add(ebb_c64_mul(a, x), next);
}

template <int RANK>
__device__ __forceinline__ void load_column(const EbbC64 *from, int64_t Mp, int64_t m, EbbC64 (&to)[RANK]) {
  for (int j = 0; j < RANK; j++) to[j] = from[j * Mp + m];
}

#endif
