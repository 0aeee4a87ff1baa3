/* khat of ssm_nplr at all nodes. A block takes 256 nodes of one channel, two a thread: the modes' weights are
   made once by one thread each, in double, and lie in shared memory, 128 modes at a time; every thread walks
   over them with the sums of all products in registers, then combines (Woodbury) and writes the spectrum that
   the inverse transform reads. Nodes near a pole are listed and taken again in double by as many threads.

   Work bounds it: H M F pairs of a pole and a node at 8 + 4 K operations and a reciprocal. Bytes: the
   spectrum, 8 C H F, and for backward the factors of Woodbury's formula, 8 (1 + C) rank H F. Keeping these
   costs a third of the time that computing r again would take at M = 32, less at larger M, and they are half
   of what the r would be. */
#include "kernels/reduce.cuh"
#include "kernels/ssm_nplr.cuh"
#include "kernels/ssm_nplr_cauchy.cuh"

enum { GROUP = EBB_NPLR_GROUP, NODES = 2, THREADS = GROUP / NODES, NEAR_MODES = THREADS / 2 };

template <int RANK, int C> struct ForwardShared {
  /* THREADS modes in float, or NEAR_MODES in double */
  float tile[THREADS * NplrShape<RANK, C>::POLE];
  double sums[EBB_WARP];
  unsigned near[GROUP / 32];
  int list[GROUP];
};

/* Marks the nodes first .. first + GROUP - 1 that are near the pole. */
__device__ __forceinline__ void mark_near(const EbbSsmNplrArgs &args, const EbbNplrMode &mode, int64_t first,
                                          unsigned *near) {
  int64_t begin, end;
  ebb_nplr_near(&args, mode.lam, mode.dt, &begin, &end);
  const int from = (int)(begin > first ? begin - first : 0);
  const int to = at_most(end - first, GROUP);
  for (int w = from / 32; w * 32 < to; w++) {
    const int low = from > w * 32 ? from - w * 32 : 0, high = to - w * 32;
    const unsigned below = high < 32 ? (1u << high) - 1 : 0xffffffffu;
    atomicOr(&near[w], below & ~((1u << low) - 1));
  }
}

/* khat and Woodbury's factors from all r. */
template <int RANK, int C> struct Node { EbbC32 khat[C], beta[RANK], gamma[C][RANK]; };
template <int RANK, int C>
__device__ __forceinline__ Node<RANK, C> combine(const EbbC32 (&r)[NplrShape<RANK, C>::K], float y) {
  Node<RANK, C> node;
  const int64_t bq = ebb_nplr_bq(RANK, C), pq = ebb_nplr_pq(RANK, C);
  for (int c = 0; c < C; c++) {
    if constexpr (RANK == 1) {
      const EbbC32 pc = r[ebb_nplr_pc(C, 0, c)];
      node.khat[c] = ebb_woodbury(r[c], pc, r[bq], r[pq], y);
      ebb_woodbury_factors(pc, r[bq], r[pq], &node.beta[0], &node.gamma[c][0]);
    } else {
      const EbbC32 pc[2] = {r[ebb_nplr_pc(C, 0, c)], r[ebb_nplr_pc(C, 1, c)]};
      node.khat[c] = ebb_woodbury2(r[c], pc, &r[bq], &r[pq], y);
      ebb_woodbury2_factors(pc, &r[bq], &r[pq], node.beta, node.gamma[c]);
    }
  }
  return node;
}

template <int RANK, int C>
__device__ __forceinline__ void save(const EbbSsmNplrArgs &args, int64_t h, int64_t j,
                                     const Node<RANK, C> &node) {
  EbbC32 *to = args.cuda.factors + h * (1 + C) * RANK * args.Fp + j;
  for (int i = 0; i < RANK; i++) {
    to[i * args.Fp] = node.beta[i];
    for (int c = 0; c < C; c++) to[((1 + c) * RANK + i) * args.Fp] = node.gamma[c][i];
  }
}

/* The near nodes of the group, in double. */
template <int RANK, int C>
__device__ __forceinline__ void near_nodes(const EbbSsmNplrArgs &args, int64_t h, double dt, int64_t first,
                                           ForwardShared<RANK, C> *shared) {
  const int count = list_bits(shared->near, GROUP, shared->list);
  for (int base = 0; base < count; base += THREADS) {
    const int i = base + (int)threadIdx.x;
    const int64_t j = first + shared->list[i < count ? i : count - 1];
    const double y = ebb_nplr_node(j, args.n);
    EbbC64 r[NplrShape<RANK, C>::K];
    near_values<RANK, C>(args, h, dt, reinterpret_cast<double *>(shared->tile), NEAR_MODES, y, r);
    for (int c = 0; i < count && c < C; c++) {
      const NearNode node = near_node<RANK, C>(r, c);
      const EbbC64 khat = ebb_woodbury2_64(r[c], node.pc, node.bq, node.pq, y);
      args.cuda.spectrum[(c * args.config.H + h) * args.cuda.S + j] =
          ebb_c32_from(ebb_c64_scale(khat, 1 / (double)args.n));
    }
  }
}

/* The node at infinity of even n: the limit (z/2) dt sum_m 2 Re(B C~) / z. The weights beta hold it. */
template <int C>
__device__ __forceinline__ void close_spectrum(const EbbSsmNplrArgs &args, int64_t h, const double *infinity,
                                               double *scratch) {
  for (int c = 0; c < C; c++) {
    const double sum = block_sum(infinity[c], scratch);
    if (threadIdx.x == 0)
      args.cuda.spectrum[(c * args.config.H + h) * args.cuda.S + args.n / 2] =
          ebb_c32_make((float)(0.5 * sum / (double)args.n), 0);
  }
}

template <int RANK, int C>
__global__ void __launch_bounds__(THREADS, RANK == 1 ? 4 : 2)
    khat_kernel(const EbbSsmNplrArgs args, int64_t groups) {
  typedef NplrShape<RANK, C> Shape;
  typedef ForwardShared<RANK, C> Shared;
  EBB_SHARED(Shared, shared);
  const int64_t h = blockIdx.x / groups, first = blockIdx.x % groups * GROUP;
  const int thread = (int)threadIdx.x;
  const double dt = ebb_nplr_dt(&args, h);
  EbbCauchySum sum[NODES][Shape::K] = {};
  double infinity[C] = {};
  float y[NODES];
  for (int node = 0; node < NODES; node++) {
    const int64_t j = first + node * THREADS + thread;
    y[node] = j < args.F ? args.y[j] : 0;
  }
  if (thread < GROUP / 32) shared->near[thread] = 0;
  for (int64_t mode0 = 0; mode0 < args.M; mode0 += THREADS) {
    const int64_t m = mode0 + thread;
    __syncthreads();
    if (m < args.M) {
      const EbbNplrMode mode = ebb_nplr_mode(&args, h, m, dt);
      pole_row<float, RANK, C>(args, h, m, mode, shared->tile + thread * Shape::POLE, infinity);
      mark_near(args, mode, first, shared->near);
    }
    __syncthreads();
    const int modes = at_most(args.M - mode0, THREADS);
    add_poles<float, RANK, C, NODES>(shared->tile, modes, y, sum);
  }
  for (int node = 0; node < NODES; node++) {
    const int at = node * THREADS + thread;
    const int64_t j = first + at;
    if (j >= args.F) continue;
    EbbC32 r[Shape::K];
    for (int i = 0; i < Shape::K; i++) Cauchy<float>::value(&sum[node][i], y[node], &r[i]);
    const Node<RANK, C> out = combine<RANK, C>(r, y[node]);
    if (args.cuda.factors) save(args, h, j, out);
    for (int c = 0; !has_bit(shared->near, at) && c < C; c++)
      args.cuda.spectrum[(c * args.config.H + h) * args.cuda.S + j] =
          ebb_c32_scale(out.khat[c], (float)(1 / (double)args.n));
  }
  if (args.cuda.near && thread < GROUP / 32)
    args.cuda.near[h * ebb_nplr_near_words(args.F) + first / 32 + thread] = shared->near[thread];
  near_nodes(args, h, dt, first, shared);
  if (first == 0 && args.n % 2 == 0) close_spectrum<C>(args, h, infinity, shared->sums);
}

EbbStatus ebb_nplr_khat(const EbbSsmNplrArgs *args, const EbbRun *run) {
  const int64_t groups = (args->F + GROUP - 1) / GROUP;
  EBB_NPLR_DISPATCH(args, {
    return EBB_LAUNCH(run, (khat_kernel<RANK, C>), dim3((unsigned)(args->config.H * groups)), dim3(THREADS),
                      sizeof(ForwardShared<RANK, C>), *args, groups);
  });
}
