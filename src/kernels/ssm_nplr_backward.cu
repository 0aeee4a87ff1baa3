/* Gradients of ssm_nplr's kernels, from the transform of dk.

   sums_kernel: a block takes a chunk of nodes of one channel. Each thread computes a node's gradients of all
   r once and leaves them in shared memory; then a lane is a mode, whose weights and sums stay in registers,
   and a warp passes over the nodes of the chunk, which all its lanes read at one address. Warps share the
   modes (columns) and, where there are few modes, the nodes (subsets). Sums of 32 nodes are floats, all
   beyond doubles; subsets and chunks are added in their order. Near nodes count as 0 in this and are taken
   again in double by the same code. Work: H M F pairs at 20 + 8 K operations and a reciprocal. Bytes: the
   transform of dk and the factors once, and 8 H chunks (2 K + 2) M of partial sums out and in.

   chain_kernel: a block adds a channel's chunks and applies the chain rule, a thread a mode. share_kernel:
   the sum over the channels that share a copy, in their order, split over up to eight threads a value. */
#include "kernels/reduce.cuh"
#include "kernels/ssm_nplr.cuh"
#include "kernels/ssm_nplr_cauchy.cuh"

enum { THREADS = 256, WARPS = THREADS / EBB_WARP, CHUNK = EBB_NPLR_CHUNK, FLUSH = 32, NEAR_MODES = 128 };

template <int RANK, int C> struct BackwardShared {
  typedef NplrShape<RANK, C> Shape;
  /* nodes in float, or half as many in double; then sums of subsets */
  float nodes[CHUNK * Shape::NODE];
  float tile[THREADS * Shape::POLE]; /* modes in float, or NEAR_MODES in double */
  unsigned near[CHUNK / 32];
  int list[CHUNK];
};
static_assert(sizeof(double) * NEAR_MODES <= sizeof(float) * THREADS, "the tile holds the near modes");
static_assert(sizeof(double) * THREADS <= sizeof(float) * CHUNK, "the nodes' rows hold those of near nodes");

/* Where a chunk of a channel lies. */
struct Chunk {
  int64_t h, index, first;
  int nodes;
  double dt;
};

/* The gradient of khat / n at node j of kernel c, that of one node of a conjugate pair. */
__device__ __forceinline__ EbbC32 dkhat_at(const EbbSsmNplrArgs &args, int64_t h, int c, int64_t j) {
  return args.cuda.spectrum[(c * args.config.H + h) * args.cuda.S + j];
}

/* Adds to the row of a node what kernel c gives to product i. */
template <class R, class Complex>
__device__ __forceinline__ void add_product(R *row, int64_t i, Complex grad) {
  row[1 + 2 * i] += grad.re;
  row[2 + 2 * i] += grad.im;
}

/* y and the gradients of all r at node j, added to row, which is 0. Every node but the first counts twice,
   being one of a conjugate pair. */
template <int RANK, int C>
__device__ __forceinline__ void upstream(const EbbSsmNplrArgs &args, int64_t h, int64_t j, float *row) {
  const EbbC32 *factors = args.cuda.factors + h * (1 + C) * RANK * args.Fp + j;
  const int64_t bq = ebb_nplr_bq(RANK, C), pq = ebb_nplr_pq(RANK, C);
  const float twice = (float)(2 / (double)args.n), y = args.y[j];
  row[0] = y;
  EbbC32 beta[RANK], gamma[RANK];
  for (int i = 0; i < RANK; i++) beta[i] = factors[i * args.Fp];
  for (int c = 0; c < C; c++) {
    const EbbC32 dkhat = ebb_c32_scale(dkhat_at(args, h, c, j), j ? twice : 0.5f * twice);
    for (int i = 0; i < RANK; i++) gamma[i] = factors[((1 + c) * RANK + i) * args.Fp];
    if constexpr (RANK == 1) {
      const EbbWoodburyGrad grad = ebb_woodbury_grad(beta[0], gamma[0], y, dkhat);
      add_product(row, c, grad.bc);
      add_product(row, ebb_nplr_pc(C, 0, c), grad.pc);
      add_product(row, bq, grad.bq);
      add_product(row, pq, grad.pq);
    } else {
      const EbbWoodbury2Grad grad = ebb_woodbury2_grad(beta, gamma, y, dkhat);
      add_product(row, c, grad.bc);
      for (int i = 0; i < 2; i++) add_product(row, ebb_nplr_pc(C, i, c), grad.pc[i]);
      for (int i = 0; i < 2; i++) add_product(row, bq + i, grad.bq[i]);
      for (int i = 0; i < 4; i++) add_product(row, pq + i, grad.pq[i]);
    }
  }
}

/* The same in double, where r is known. */
template <int RANK, int C>
__device__ __forceinline__ void near_upstream(const EbbSsmNplrArgs &args, int64_t h, int64_t j, double y,
                                              const EbbC64 (&r)[NplrShape<RANK, C>::K], double *row) {
  const int64_t bq = ebb_nplr_bq(RANK, C), pq = ebb_nplr_pq(RANK, C);
  row[0] = y;
  for (int c = 0; c < C; c++) {
    const NearNode node = near_node<RANK, C>(r, c);
    const EbbC64 dkhat = ebb_c64_scale(ebb_c64_from(dkhat_at(args, h, c, j)), (j ? 2 : 1) / (double)args.n);
    EbbC64 beta[2], gamma[2];
    ebb_woodbury2_64_factors(node.pc, node.bq, node.pq, beta, gamma);
    const EbbWoodbury2Grad64 grad = ebb_woodbury2_64_grad(beta, gamma, y, dkhat);
    add_product(row, c, grad.bc);
    for (int i = 0; i < RANK; i++) add_product(row, ebb_nplr_pc(C, i, c), grad.pc[i]);
    for (int i = 0; i < RANK; i++) add_product(row, bq + i, grad.bq[i]);
    for (int i = 0; i < RANK; i++)
      for (int j2 = 0; j2 < RANK; j2++) add_product(row, pq + i * RANK + j2, grad.pq[2 * i + j2]);
  }
}

/* Sums over the nodes begin, begin + step, ... of `count` for one mode: alpha and beta of each product, then
   a and b. */
template <class R, int RANK, int C>
__device__ __forceinline__ void sum_nodes(const R (&pole)[NplrShape<RANK, C>::POLE], const R *nodes,
                                          int begin, int count, int step,
                                          double (&total)[NplrShape<RANK, C>::SUMS]) {
  enum { K = NplrShape<RANK, C>::K, NODE = NplrShape<RANK, C>::NODE, SUMS = NplrShape<RANK, C>::SUMS };
  for (int node = begin; node < count;) {
    R sum[SUMS] = {};
    for (int until = node + FLUSH * step; node < until && node < count; node += step) {
      R row[NODE], pq[4];
      load_row<NODE>(nodes + node * NODE, row);
      typename Cauchy<R>::Flow flow = {};
      Cauchy<R>::pair(pole[0], pole[1], row[0], &pq[0], &pq[1]);
      pq[2] = row[0] * pq[0], pq[3] = row[0] * pq[1];
      for (int i = 0; i < K; i++) {
        const typename Cauchy<R>::Weight weight = {pole[2 + 2 * i], pole[3 + 2 * i]};
        Cauchy<R>::add_grad(&flow, weight, row[1 + 2 * i], row[2 + 2 * i], pq, &sum[2 * i], &sum[2 * i + 1]);
      }
      Cauchy<R>::pair_grad(&flow, row[0], pq, &sum[2 * K], &sum[2 * K + 1]);
    }
    for (int i = 0; i < SUMS; i++) total[i] += (double)sum[i];
  }
}

/* The place of sum i of mode m in args.cuda.partial. */
__device__ __forceinline__ int64_t partial_at(const EbbSsmNplrArgs &args, int sums, int64_t h, int64_t chunk,
                                              int i, int64_t m) {
  return ((h * args.cuda.chunks + chunk) * sums + i) * args.M + m;
}

__device__ __forceinline__ void put(double *to, double value, bool add) { *to = add ? *to + value : value; }

/* Adds the subsets' totals in order, through shared memory, and stores or adds them. `columns` warps hold
   32 modes each, from `first` on. Every thread of the block comes here. */
template <int RANK, int C>
__device__ __forceinline__ void join_subsets(const EbbSsmNplrArgs &args, const Chunk &chunk, int64_t first,
                                             int columns, const double (&total)[NplrShape<RANK, C>::SUMS],
                                             double *scratch, bool add) {
  enum { SUMS = NplrShape<RANK, C>::SUMS };
  static_assert(sizeof(double) * SUMS * THREADS <= sizeof(float) * NplrShape<RANK, C>::NODE * CHUNK,
                "the nodes' rows hold the totals of all threads");
  const int modes = columns * EBB_WARP;
  __syncthreads();
  for (int i = 0; i < SUMS; i++) scratch[i * THREADS + threadIdx.x] = total[i];
  __syncthreads();
  for (int at = (int)threadIdx.x; at < SUMS * modes; at += THREADS) {
    const int i = at / modes, m = at % modes;
    if (first + m >= args.M) continue;
    double sum = 0;
    for (int of = m; of < THREADS; of += modes) sum += scratch[i * THREADS + of];
    put(&args.cuda.partial[partial_at(args, SUMS, chunk.h, chunk.index, i, first + m)], sum, add);
  }
}

/* The sums of all modes over `count` nodes. The weights come from the tile, or in double, where that is rare,
   from each thread itself. */
template <class R, int RANK, int C>
__device__ __forceinline__ void sum_modes(const EbbSsmNplrArgs &args, const Chunk &chunk, R *nodes, int count,
                                          R *tile, int columns, bool add) {
  typedef NplrShape<RANK, C> Shape;
  const int warp = (int)threadIdx.x / EBB_WARP, subsets = WARPS / columns, modes = columns * EBB_WARP;
  const int mine = warp % columns * EBB_WARP + (int)threadIdx.x % EBB_WARP;
  for (int64_t first = 0; first < args.M; first += modes) {
    if (tile && (int)threadIdx.x < modes && first + threadIdx.x < args.M)
      pole_row<R, RANK, C>(args, chunk.h, first + threadIdx.x,
                           ebb_nplr_mode(&args, chunk.h, first + threadIdx.x, chunk.dt),
                           tile + threadIdx.x * Shape::POLE, NULL);
    __syncthreads();
    const int64_t m = first + mine;
    double total[Shape::SUMS] = {};
    if (m < args.M) {
      R pole[Shape::POLE];
      if (tile)
        load_row<Shape::POLE>(tile + mine * Shape::POLE, pole);
      else
        pole_row<R, RANK, C>(args, chunk.h, m, ebb_nplr_mode(&args, chunk.h, m, chunk.dt), pole, NULL);
      sum_nodes<R, RANK, C>(pole, nodes, warp / columns, count, subsets, total);
    }
    if (subsets > 1) {
      join_subsets<RANK, C>(args, chunk, first, columns, total, reinterpret_cast<double *>(nodes), add);
    } else if (m < args.M) {
      for (int i = 0; i < Shape::SUMS; i++)
        put(&args.cuda.partial[partial_at(args, Shape::SUMS, chunk.h, chunk.index, i, m)], total[i], add);
    }
    __syncthreads();
  }
}

template <int RANK, int C>
__device__ __forceinline__ void near_nodes(const EbbSsmNplrArgs &args, const Chunk &chunk, int columns,
                                           BackwardShared<RANK, C> *shared) {
  typedef NplrShape<RANK, C> Shape;
  double *nodes = reinterpret_cast<double *>(shared->nodes), *tile = reinterpret_cast<double *>(shared->tile);
  const int near = list_bits(shared->near, CHUNK, shared->list);
  for (int base = 0; base < near; base += THREADS) {
    const int i = base + (int)threadIdx.x;
    const int64_t j = chunk.first + shared->list[i < near ? i : near - 1];
    const double y = ebb_nplr_node(j, args.n);
    EbbC64 r[Shape::K];
    near_values<RANK, C>(args, chunk.h, chunk.dt, tile, NEAR_MODES, y, r);
    double *row = nodes + threadIdx.x * Shape::NODE;
    for (int at = 0; at < Shape::NODE; at++) row[at] = 0;
    near_upstream<RANK, C>(args, chunk.h, j, y, r, row);
    sum_modes<double, RANK, C>(args, chunk, nodes, at_most(near - base, THREADS), NULL, columns, true);
  }
}

/* columns: warps with modes of their own, a power of two. */
template <int RANK, int C>
__global__ void __launch_bounds__(THREADS, RANK == 1 ? 2 : 1)
    sums_kernel(const EbbSsmNplrArgs args, int columns) {
  typedef NplrShape<RANK, C> Shape;
  typedef BackwardShared<RANK, C> Shared;
  EBB_SHARED(Shared, shared);
  Chunk chunk;
  chunk.h = blockIdx.x / args.cuda.chunks, chunk.index = blockIdx.x % args.cuda.chunks;
  chunk.first = chunk.index * args.cuda.chunk;
  chunk.nodes = at_most(args.F - chunk.first, (int)args.cuda.chunk);
  chunk.dt = ebb_nplr_dt(&args, chunk.h);
  if ((int)threadIdx.x < CHUNK / 32)
    shared->near[threadIdx.x] =
        (int)threadIdx.x * 32 < chunk.nodes
            ? args.cuda.near[chunk.h * ebb_nplr_near_words(args.F) + chunk.first / 32 + threadIdx.x]
            : 0;
  __syncthreads();
  for (int i = (int)threadIdx.x; i < chunk.nodes; i += THREADS) {
    float row[Shape::NODE] = {};
    if (!has_bit(shared->near, i)) upstream<RANK, C>(args, chunk.h, chunk.first + i, row);
    for (int at = 0; at < Shape::NODE; at += 4)
      *reinterpret_cast<float4 *>(shared->nodes + i * Shape::NODE + at) =
          make_float4(row[at], row[at + 1], row[at + 2], row[at + 3]);
  }
  sum_modes<float, RANK, C>(args, chunk, shared->nodes, chunk.nodes, shared->tile, columns, false);
  near_nodes(args, chunk, columns, shared);
}

/* The partial sums of one mode, chunk by chunk. */
template <int SUMS>
__device__ __forceinline__ void add_chunks(const EbbSsmNplrArgs &args, int64_t h, int64_t m,
                                           double (&sum)[SUMS]) {
  for (int i = 0; i < SUMS; i++) sum[i] = 0;
  for (int64_t chunk = 0; chunk < args.cuda.chunks; chunk++)
    for (int i = 0; i < SUMS; i++) sum[i] += args.cuda.partial[partial_at(args, SUMS, h, chunk, i, m)];
}

template <int RANK, int C> __global__ void chain_kernel(const EbbSsmNplrArgs args) {
  enum { K = NplrShape<RANK, C>::K, SUMS = NplrShape<RANK, C>::SUMS };
  EBB_SHARED(double, scratch);
  const int64_t h = blockIdx.x;
  const double dt = ebb_nplr_dt(&args, h);
  double infinity[C], ddt = 0;
  for (int c = 0; c < C; c++)
    infinity[c] = args.n % 2 ? 0 : (double)dkhat_at(args, h, c, args.n / 2).re / (double)args.n;
  for (int64_t m = threadIdx.x; m < args.M; m += blockDim.x) {
    double sum[SUMS];
    add_chunks(args, h, m, sum);
    const EbbNplrMode mode = ebb_nplr_mode(&args, h, m, dt);
    EbbNplrModeGrad grad = {};
    for (int c = 0; c < C; c++) {
      const int64_t at = ebb_nplr_output_at(&args, h, m, c);
      const EbbC64 dC =
          ebb_nplr_output_grad(&mode, ebb_nplr_output(&args, h, m, c), RANK, C, c, sum, infinity[c], &grad);
      if (!args.dC) continue;
      args.dC[2 * at] += (float)dC.re;
      args.dC[2 * at + 1] += (float)dC.im;
    }
    ebb_nplr_pole_grad(&mode, RANK, C, sum, sum + 2 * K, &grad);
    ebb_nplr_share(&args, h, m, ebb_c64_scale(grad.lam, dt), grad.B, grad.P, false);
    ddt += grad.dt;
  }
  ddt = block_sum(ddt, scratch);
  if (threadIdx.x == 0 && args.dlog_dt) args.dlog_dt[h] += (float)(dt * ddt);
}

EbbStatus ebb_nplr_khat_grad(const EbbSsmNplrArgs *args, const EbbRun *run) {
  const int64_t H = args->config.H;
  int columns = 1;
  while (columns < WARPS && columns * EBB_WARP < args->M) columns *= 2;
  EBB_NPLR_DISPATCH(args, {
    EBB_TRY(EBB_LAUNCH(run, (sums_kernel<RANK, C>), dim3((unsigned)(H * args->cuda.chunks)), dim3(THREADS),
                       sizeof(BackwardShared<RANK, C>), *args, columns));
    return EBB_LAUNCH(run, (chain_kernel<RANK, C>), dim3((unsigned)H), dim3(ebb_threads(args->M, THREADS)),
                      EBB_WARP * sizeof(double), *args);
  });
}

/* Adds `value` to the gradient that row `part` of shared belongs to, of mode i of all copies. */
__device__ __forceinline__ void add_share(const EbbSsmNplrArgs &args, int64_t part, int64_t i, double value) {
  const int64_t modes = ebb_ssm_copies(&args.config) * args.M;
  if (part == 0 && args.dinv_w_real)
    args.dinv_w_real[i] +=
        (float)(value * ebb_ssm_real_grad(args.config.real_type, (double)args.inv_w_real[i]));
  if (part == 1 && args.dw_imag) args.dw_imag[i] += (float)value;
  if ((part == 2 || part == 3) && args.dB) args.dB[2 * i + part - 2] += (float)value;
  if (part >= 4 && args.dP) args.dP[2 * ((part - 4) / 2 * modes + i) + part % 2] += (float)value;
}

/* Value `at` of the first copies' rows of shared recurs at every later channel of its copy. */
__global__ void share_kernel(const EbbSsmNplrArgs args, int splits) {
  EBB_SHARED(double, scratch);
  const int64_t copies = ebb_ssm_copies(&args.config), shares = ebb_nplr_shares(ebb_ssm_rank(&args.config));
  const int64_t row = shares * args.M, values = copies * row, users = args.config.H / copies;
  const int width = (int)blockDim.x / splits, split = (int)threadIdx.x / width;
  const int64_t at = (int64_t)blockIdx.x * width + threadIdx.x % width;
  double sum = 0;
  for (int64_t user = split; at < values && user < users; user += splits)
    sum += args.shared[user * values + at];
  scratch[threadIdx.x] = sum;
  __syncthreads();
  if (split || at >= values) return;
  for (int other = 1; other < splits; other++) sum += scratch[other * width + threadIdx.x];
  add_share(args, at / args.M % shares, at / row * args.M + at % args.M, sum);
}

EbbStatus ebb_nplr_share_grad(const EbbSsmNplrArgs *args, const EbbRun *run) {
  const int64_t copies = ebb_ssm_copies(&args->config), shares = ebb_nplr_shares(ebb_ssm_rank(&args->config));
  int splits = 1;
  while (splits < 8 && splits * 2 <= args->config.H / copies) splits *= 2;
  return EBB_LAUNCH(run, share_kernel, dim3(ebb_blocks(copies * shares * args->M, THREADS / splits)),
                    dim3(THREADS), THREADS * sizeof(double), *args, splits);
}
