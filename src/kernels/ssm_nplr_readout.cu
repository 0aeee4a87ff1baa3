/* The readout ke of ssm_nplr and its gradient: the time recurrence of ssm_nplr_readout.cuh, a block of up to
   four warps a channel. Latency bounds it: by count of dependent instructions (not measured) 1500 cycles for
   32 steps forward and four times as many backward, which runs forward again and keeps the states of every
   32nd step and all s: 16 Mp / 32 + 8 rank bytes a step. Inside 32 steps the states are recomputed into
   shared memory. */
#include "kernels/ssm_nplr.cuh"
#include "kernels/ssm_nplr_readout.cuh"

/* A warp's scratch in doubles. */
enum { FORWARD_SCRATCH = STEPS * TERM_ROW, BACKWARD_SCRATCH = 2 * STEPS * EBB_WARP };

/* Where a channel's modes, its warp's scratch and the rest lie. */
template <int RANK> struct Channel {
  ReadoutShared<RANK> *shared;
  double *scratch;
  Modes<RANK> modes;
};
template <int RANK>
__device__ __forceinline__ Channel<RANK> place_channel(const EbbSsmNplrArgs &args, unsigned char *memory,
                                                       int scratch, bool backward) {
  Channel<RANK> channel;
  channel.shared = reinterpret_cast<ReadoutShared<RANK> *>(memory);
  double *at = reinterpret_cast<double *>(memory + sizeof(ReadoutShared<RANK>));
  channel.scratch = at + warp_of() * scratch;
  EbbC64 *state = reinterpret_cast<EbbC64 *>(at + (int)blockDim.x / EBB_WARP * scratch);
  const int64_t vectors = ebb_nplr_readout_bytes(&args, backward) / (int64_t)sizeof(EbbC64);
  channel.modes = place_modes<RANK>(args.M, args.cuda.state ? args.cuda.state + blockIdx.x * vectors : state);
  return channel;
}

/* The steps first .. first + 31: ke, and x moves on. */
template <int RANK>
__device__ __forceinline__ void read_steps(const EbbSsmNplrArgs &args, int64_t h, int64_t first,
                                           const Channel<RANK> &channel, const double (&s)[RANK]) {
  const Modes<RANK> &modes = channel.modes;
  clear_terms(channel.scratch);
  for (int64_t m = threadIdx.x; m < modes.Mp; m += blockDim.x) {
    const EbbC64 a = modes.a[m], e = modes.e[m];
    EbbC64 x = modes.x[m], r[RANK];
    load_column(modes.r, modes.Mp, m, r);
    for (int t = 0; t < STEPS; t++) {
      add_term(channel.scratch, t, twice_dot(e, x));
      x = step(a, x, r, s, t);
    }
    modes.x[m] = x;
  }
  channel.shared->part[1][warp_of()][0][lane_of()] = sum_terms(channel.scratch);
  __syncthreads();
  if (warp_of() == 0 && first + lane_of() < args.Lk)
    args.ke[h * args.Lk + first + lane_of()] = (float)join_warps<RANK>(channel.shared->part[1], 0);
}

template <int RANK>
__global__ void __launch_bounds__(READOUT_WARPS *EBB_WARP) readout_kernel(const EbbSsmNplrArgs args) {
  EBB_SHARED(unsigned char, memory);
  const int64_t h = blockIdx.x;
  const Channel<RANK> channel = place_channel<RANK>(args, memory, FORWARD_SCRATCH, false);
  start_modes(args, h, start_chain<RANK>(args, h, channel.shared->reduce), channel.modes);
  make_response(channel.modes, channel.scratch, channel.shared);
  for (int64_t first = 0; first < args.Lk; first += STEPS) {
    double s[RANK];
    feedback(channel.modes, channel.scratch, channel.shared, s);
    read_steps(args, h, first, channel, s);
  }
}

/* What the gradient keeps of one block of 32 steps. */
template <int RANK> struct Kept {
  EbbC64 *x;
  double *s;
};
template <int RANK>
__device__ __forceinline__ Kept<RANK> kept_of(const EbbSsmNplrArgs &args, int64_t h, int64_t block) {
  const int64_t at = h * ((args.Lk + STEPS - 1) / STEPS) + block;
  Kept<RANK> kept;
  kept.x = args.cuda.kept + at * ebb_nplr_readout_modes(args.M);
  kept.s = args.cuda.feedback + at * RANK * STEPS;
  return kept;
}

template <int RANK>
__device__ __forceinline__ void keep_steps(const Channel<RANK> &channel, const Kept<RANK> &kept) {
  const Modes<RANK> &modes = channel.modes;
  double s[RANK];
  feedback(modes, channel.scratch, channel.shared, s);
  for (int64_t m = threadIdx.x; m < modes.Mp; m += blockDim.x) {
    const EbbC64 a = modes.a[m];
    EbbC64 x = modes.x[m], r[RANK];
    kept.x[m] = x;
    load_column(modes.r, modes.Mp, m, r);
    for (int t = 0; t < STEPS; t++) x = step(a, x, r, s, t);
    modes.x[m] = x;
  }
  for (int j = 0; warp_of() == 0 && j < RANK; j++) kept.s[j * STEPS + lane_of()] = s[j];
  __syncthreads();
}

/* x of the 32 steps into the warp's scratch; a lane reads only what it wrote. */
template <int RANK>
__device__ __forceinline__ void recompute(const Modes<RANK> &modes, int64_t m, EbbC64 x,
                                          const double (&s)[RANK], EbbC64 *states) {
  EbbC64 r[RANK];
  load_column(modes.r, modes.Mp, m, r);
  for (int t = 0; t < STEPS; t++) {
    states[t * EBB_WARP + lane_of()] = x;
    x = step(modes.a[m], x, r, s, t);
  }
}

/* With lambda the gradient of x_{l+1}, and those of x_l and s_l = 2 Re sum q x_l:
   lambda' = conj(a) lambda + 2 conj(e) dke_l + 2 sum_j conj(q_j) ds_lj,  ds_lj = -Re sum conj(r_j) lambda. */
__device__ __forceinline__ EbbC64 step_back(EbbC64 a, EbbC64 e, EbbC64 lambda, double dke) {
  return ebb_c64_add(ebb_c64_mul_conj(lambda, a), ebb_c64_scale(ebb_c64_conj(e), 2 * dke));
}

/* The gradients of s, last step in lane 0, from lambda behind the block and dke in the same order: without
   feedback first, then the loop closed. */
template <int RANK>
__device__ __forceinline__ void feedback_grad(const Channel<RANK> &channel, double dke, double (&ds)[RANK]) {
  const Modes<RANK> &modes = channel.modes;
  double u[RANK];
  for (int j = 0; j < RANK; j++) {
    clear_terms(channel.scratch);
    for (int64_t m = threadIdx.x; m < modes.Mp; m += blockDim.x) {
      const EbbC64 a = modes.a[m], e = modes.e[m], r = modes.r[j * modes.Mp + m];
      EbbC64 lambda = modes.lambda[m];
      for (int i = 0; i < STEPS; i++) {
        add_term(channel.scratch, i, -(r.re * lambda.re + r.im * lambda.im));
        lambda = step_back(a, e, lambda, lane_value(dke, i));
      }
    }
    channel.shared->part[1][warp_of()][j][lane_of()] = sum_terms(channel.scratch);
  }
  __syncthreads();
  for (int j = 0; j < RANK; j++) u[j] = join_warps<RANK>(channel.shared->part[1], j);
  close_loop<RANK, true>(channel.shared, u, ds);
  __syncthreads();
}

/* One mode through the block: adds to the gradients of a, e, r and q. */
template <int RANK>
__device__ __forceinline__ void mode_back(const Modes<RANK> &modes, int64_t m, const EbbC64 *states,
                                          const double (&s)[RANK], const double (&ds)[RANK], double dke) {
  const EbbC64 a = modes.a[m], e = modes.e[m];
  EbbC64 lambda = modes.lambda[m], da = modes.da[m], de = modes.de[m], q[RANK], dr[RANK], dq[RANK];
  load_column(modes.q, modes.Mp, m, q);
  load_column(modes.dr, modes.Mp, m, dr);
  load_column(modes.dq, modes.Mp, m, dq);
  for (int i = 0; i < STEPS; i++) {
    const int t = STEPS - 1 - i;
    const EbbC64 x = states[t * EBB_WARP + lane_of()], mirrored = ebb_c64_conj(x);
    const double dke_now = lane_value(dke, i);
    da = ebb_c64_add(da, ebb_c64_mul(lambda, mirrored));
    de = ebb_c64_add(de, ebb_c64_scale(mirrored, 2 * dke_now));
    EbbC64 before = step_back(a, e, lambda, dke_now);
    for (int j = 0; j < RANK; j++) {
      const double twice = 2 * lane_value(ds[j], i);
      dr[j] = ebb_c64_sub(dr[j], ebb_c64_scale(lambda, lane_value(s[j], t)));
      dq[j] = ebb_c64_add(dq[j], ebb_c64_scale(mirrored, twice));
      before = ebb_c64_add(before, ebb_c64_scale(ebb_c64_conj(q[j]), twice));
    }
    lambda = before;
  }
  modes.lambda[m] = lambda, modes.da[m] = da, modes.de[m] = de;
  for (int j = 0; j < RANK; j++) modes.dr[j * modes.Mp + m] = dr[j], modes.dq[j * modes.Mp + m] = dq[j];
}

/* The block's steps, last first. Steps beyond Lk have dke = 0 and, coming first, lambda = 0. */
template <int RANK>
__device__ __forceinline__ void steps_back(const EbbSsmNplrArgs &args, int64_t h, int64_t block,
                                           const Channel<RANK> &channel) {
  const Kept<RANK> kept = kept_of<RANK>(args, h, block);
  const Modes<RANK> &modes = channel.modes;
  const int64_t l = block * STEPS + STEPS - 1 - lane_of();
  const double dke = l < args.Lk ? (double)args.dke[h * args.Lk + l] : 0;
  double s[RANK], ds[RANK];
  for (int j = 0; j < RANK; j++) s[j] = kept.s[j * STEPS + lane_of()];
  feedback_grad(channel, dke, ds);
  EbbC64 *states = reinterpret_cast<EbbC64 *>(channel.scratch);
  for (int64_t m = threadIdx.x; m < modes.Mp; m += blockDim.x) {
    recompute(modes, m, kept.x[m], s, states);
    mode_back(modes, m, states, s, ds, dke);
  }
}

template <int RANK>
__device__ __forceinline__ EbbDplrPart part_of(EbbC64 a, EbbC64 x0, const EbbC64 *r, const EbbC64 *q,
                                               int64_t Mp) {
  EbbDplrPart part = {};
  part.a = a, part.x0 = x0;
  for (int j = 0; j < RANK; j++) part.r[j] = r[j * Mp], part.q[j] = q[j * Mp];
  return part;
}
template <int RANK> __device__ __forceinline__ EbbDplrPart value_of(const Modes<RANK> &modes, int64_t m) {
  return part_of<RANK>(modes.a[m], EbbC64{0, 0}, modes.r + m, modes.q + m, modes.Mp);
}
template <int RANK>
__device__ __forceinline__ EbbDplrPart grad_of(const Modes<RANK> &modes, int64_t m,
                                               const EbbDplrChain &chain) {
  EbbDplrPart grad = part_of<RANK>(modes.da[m], modes.lambda[m], modes.dr + m, modes.dq + m, modes.Mp);
  ebb_dplr_through_input(&chain, &grad);
  return grad;
}

/* From the gradients of the discrete system to those of the parameters. */
template <int RANK>
__device__ __forceinline__ void chain_back(const EbbSsmNplrArgs &args, int64_t h, EbbDplrChain chain,
                                           const Channel<RANK> &channel) {
  const Modes<RANK> &modes = channel.modes;
  double *reduce = channel.shared->reduce, ddt = 0;
  for (int64_t m = threadIdx.x; m < modes.M; m += blockDim.x) {
    const EbbDplrMode mode = ebb_dplr_mode(&args, h, m, chain.dt);
    const EbbDplrPart grad = grad_of(modes, m, chain);
    for (int j = 0; j < RANK; j++) {
      chain.dsB[j] += ebb_dplr_input_grad_term(chain.dt, grad.x0, modes.r[j * modes.Mp + m]);
      for (int i = 0; i < RANK; i++)
        chain.dkappa[i * RANK + j] += ebb_dplr_kappa_grad_term(&mode, i, grad.r[j]);
    }
  }
  for (int j = 0; j < RANK; j++) chain.dsB[j] = block_sum(chain.dsB[j], reduce);
  for (int i = 0; i < RANK * RANK; i++) chain.dkappa[i] = block_sum(chain.dkappa[i], reduce);
  ebb_dplr_kappa_grad(&chain);
  for (int64_t m = threadIdx.x; m < modes.M; m += blockDim.x) {
    const EbbDplrMode mode = ebb_dplr_mode(&args, h, m, chain.dt);
    const EbbDplrPart part = value_of(modes, m), grad = grad_of(modes, m, chain);
    ddt += ebb_dplr_mode_grad(&args, h, m, &chain, &mode, &part, &grad);
    if (!args.de) continue;
    args.de[2 * (h * modes.M + m)] += (float)modes.de[m].re;
    args.de[2 * (h * modes.M + m) + 1] += (float)modes.de[m].im;
  }
  ddt = block_sum(ddt, reduce) + ebb_dplr_kappa_share(&chain);
  if (threadIdx.x == 0 && args.dlog_dt) args.dlog_dt[h] += (float)(chain.dt * ddt);
}

template <int RANK>
__global__ void __launch_bounds__(READOUT_WARPS *EBB_WARP) readout_grad_kernel(const EbbSsmNplrArgs args) {
  EBB_SHARED(unsigned char, memory);
  const int64_t h = blockIdx.x, blocks = (args.Lk + STEPS - 1) / STEPS;
  const Channel<RANK> channel = place_channel<RANK>(args, memory, BACKWARD_SCRATCH, true);
  const Modes<RANK> &modes = channel.modes;
  const EbbDplrChain chain = start_chain<RANK>(args, h, channel.shared->reduce);
  start_modes(args, h, chain, modes);
  make_response(modes, channel.scratch, channel.shared);
  for (int64_t block = 0; block < blocks; block++) keep_steps(channel, kept_of<RANK>(args, h, block));
  for (int64_t m = threadIdx.x; m < modes.Mp; m += blockDim.x)
    for (int64_t row = 0; row < 3 + 2 * RANK; row++) modes.lambda[row * modes.Mp + m] = EbbC64{0, 0};
  for (int64_t block = blocks - 1; block >= 0; block--) steps_back(args, h, block, channel);
  chain_back(args, h, chain, channel);
}

/* Threads a channel and the bytes of shared memory that they take. */
static unsigned readout_threads(const EbbSsmNplrArgs *args) {
  return ebb_threads(args->M, READOUT_WARPS * EBB_WARP);
}
template <int RANK> static size_t readout_shared(const EbbSsmNplrArgs *args, int scratch, bool backward) {
  const size_t state = args->cuda.state ? 0 : (size_t)ebb_nplr_readout_bytes(args, backward);
  return sizeof(ReadoutShared<RANK>) + readout_threads(args) / EBB_WARP * (size_t)scratch * sizeof(double) +
         state;
}

template <int RANK> static EbbStatus launch(const EbbSsmNplrArgs *args, const EbbRun *run) {
  return EBB_LAUNCH(run, readout_kernel<RANK>, dim3((unsigned)args->config.H), dim3(readout_threads(args)),
                    readout_shared<RANK>(args, FORWARD_SCRATCH, false), *args);
}
template <int RANK> static EbbStatus launch_grad(const EbbSsmNplrArgs *args, const EbbRun *run) {
  return EBB_LAUNCH(run, readout_grad_kernel<RANK>, dim3((unsigned)args->config.H),
                    dim3(readout_threads(args)), readout_shared<RANK>(args, BACKWARD_SCRATCH, true), *args);
}

EbbStatus ebb_nplr_readout(const EbbSsmNplrArgs *args, const EbbRun *run) {
  return ebb_ssm_rank(&args->config) == 1 ? launch<1>(args, run) : launch<2>(args, run);
}
EbbStatus ebb_nplr_readout_grad(const EbbSsmNplrArgs *args, const EbbRun *run) {
  return ebb_ssm_rank(&args->config) == 1 ? launch_grad<1>(args, run) : launch_grad<2>(args, run);
}
