/* What the forward and the backward kernels of ssm_nplr share: the Cauchy formulas by precision, a channel's
   weights in shared memory, nodes near a pole. */
#ifndef EBB_KERNELS_SSM_NPLR_CAUCHY_CUH
#define EBB_KERNELS_SSM_NPLR_CAUCHY_CUH

#include "ebb/ops/ssm_nplr_grad.h"
#include "kernels/launch.cuh"

EBB_CAUCHY_FORMULAS(double, EbbCauchyWeight64, double, EBB_CAUCHY_INVERSE, DBL_MIN, EbbCauchySum64,
                    EbbCauchyFlow64, ebb_cauchy64)

/* The formulas for float nodes, or for double ones. */
template <class R> struct Cauchy;
template <> struct Cauchy<float> {
  typedef EbbCauchyWeight Weight;
  typedef EbbCauchySum Sum;
  typedef EbbCauchyFlow Flow;
  static __device__ __forceinline__ void pair(float re, float im, float y, float *p, float *q) {
    ebb_cauchy_pair(re, im, &y, p, q);
  }
  static __device__ __forceinline__ void add(Sum *sum, Weight weight, float p, float q) {
    ebb_cauchy_add(sum, weight, &p, &q);
  }
  static __device__ __forceinline__ void value(const Sum *sum, float y, EbbC32 *r) {
    ebb_cauchy_value(sum, &y, &r->re, &r->im);
  }
  static __device__ __forceinline__ void add_grad(Flow *flow, Weight weight, float re, float im,
                                                  const float pq[4], float *alpha, float *beta) {
    ebb_cauchy_add_grad(flow, weight, &re, &im, &pq[0], &pq[1], &pq[2], &pq[3], alpha, beta);
  }
  static __device__ __forceinline__ void pair_grad(const Flow *flow, float y, const float pq[4], float *a,
                                                   float *b) {
    ebb_cauchy_pair_grad(flow, &y, &pq[0], &pq[1], a, b);
  }
};
template <> struct Cauchy<double> {
  typedef EbbCauchyWeight64 Weight;
  typedef EbbCauchySum64 Sum;
  typedef EbbCauchyFlow64 Flow;
  static __device__ __forceinline__ void pair(double re, double im, double y, double *p, double *q) {
    ebb_cauchy64_pair(re, im, &y, p, q);
  }
  static __device__ __forceinline__ void add(Sum *sum, Weight weight, double p, double q) {
    ebb_cauchy64_add(sum, weight, &p, &q);
  }
  static __device__ __forceinline__ void value(const Sum *sum, double y, EbbC64 *r) {
    ebb_cauchy64_value(sum, &y, &r->re, &r->im);
  }
  static __device__ __forceinline__ void add_grad(Flow *flow, Weight weight, double re, double im,
                                                  const double pq[4], double *alpha, double *beta) {
    ebb_cauchy64_add_grad(flow, weight, &re, &im, &pq[0], &pq[1], &pq[2], &pq[3], alpha, beta);
  }
  static __device__ __forceinline__ void pair_grad(const Flow *flow, double y, const double pq[4], double *a,
                                                   double *b) {
    ebb_cauchy64_pair_grad(flow, &y, &pq[0], &pq[1], a, b);
  }
};

/* How many of `left` are taken at once. */
__device__ __forceinline__ int at_most(int64_t left, int most) { return left < most ? (int)left : most; }

/* Sizes that follow from the rank and the number of kernels a channel. POLE: numbers of a mode's row in
   shared memory: lam, then alpha and beta of each product, padded for loads of 16 bytes. NODE: those of a
   node's row: y, then the gradients of each r; an odd number of 16 bytes, so that rows of neighbouring nodes
   lie in different banks. SUMS: what is summed over the nodes for each mode. */
template <int RANK, int C> struct NplrShape {
  enum {
    K = (1 + RANK) * (C + RANK),
    POLE = (2 + 2 * K + 3) / 4 * 4,
    NODE = ((2 * K + 1 + 3) / 4 | 1) * 4,
    SUMS = 2 * K + 2
  };
};

/* Mode m's row. */
template <class R, int RANK, int C>
__device__ __forceinline__ void pole_row(const EbbSsmNplrArgs &args, int64_t h, int64_t m,
                                         const EbbNplrMode &mode, R *row, double *infinity) {
  enum { K = NplrShape<RANK, C>::K };
  EbbCauchyWeight64 weight[K];
  ebb_nplr_weights(&args, h, m, &mode, RANK, C, weight);
  row[0] = (R)mode.lam.re, row[1] = (R)mode.lam.im;
  for (int i = 0; i < K; i++) row[2 + 2 * i] = (R)weight[i].alpha, row[3 + 2 * i] = (R)weight[i].beta;
  for (int i = 2 + 2 * K; i < NplrShape<RANK, C>::POLE; i++) row[i] = 0; /* loaded with the others */
  if (infinity)
    for (int c = 0; c < C; c++) infinity[c] += weight[c].beta;
}

/* Copies `count` numbers, a multiple of 4, that lie aligned to 16 bytes. */
template <int COUNT> __device__ __forceinline__ void load_row(const float *from, float *to) {
  for (int i = 0; i < COUNT; i += 4) {
    const float4 four = *reinterpret_cast<const float4 *>(from + i);
    to[i] = four.x, to[i + 1] = four.y, to[i + 2] = four.z, to[i + 3] = four.w;
  }
}
template <int COUNT> __device__ __forceinline__ void load_row(const double *from, double *to) {
  for (int i = 0; i < COUNT; i += 2) {
    const double2 two = *reinterpret_cast<const double2 *>(from + i);
    to[i] = two.x, to[i + 1] = two.y;
  }
}

/* Adds the shares of `modes` poles, whose rows are in `tile`, to the sums of NODES nodes. One reciprocal
   serves a pair of poles and all products; the row is loaded once for all nodes. */
template <class R, int RANK, int C, int NODES>
__device__ __forceinline__ void add_poles(const R *tile, int modes, const R (&y)[NODES],
                                          typename Cauchy<R>::Sum (&sum)[NODES][NplrShape<RANK, C>::K]) {
  enum { K = NplrShape<RANK, C>::K, POLE = NplrShape<RANK, C>::POLE };
  for (int m = 0; m < modes; m++) {
    R row[POLE];
    load_row<POLE>(tile + m * POLE, row);
    for (int node = 0; node < NODES; node++) {
      R p, q;
      Cauchy<R>::pair(row[0], row[1], y[node], &p, &q);
      for (int i = 0; i < K; i++) {
        const typename Cauchy<R>::Weight weight = {row[2 + 2 * i], row[3 + 2 * i]};
        Cauchy<R>::add(&sum[node][i], weight, p, q);
      }
    }
  }
}

/* All r of one node in double, summed over all modes, `modes` of which fit the tile at a time. Every thread
   of the block comes here. */
template <int RANK, int C>
__device__ __forceinline__ void near_values(const EbbSsmNplrArgs &args, int64_t h, double dt, double *tile,
                                            int modes, double y, EbbC64 (&r)[NplrShape<RANK, C>::K]) {
  typedef NplrShape<RANK, C> Shape;
  EbbCauchySum64 sum[1][Shape::K] = {};
  const double node[1] = {y};
  for (int64_t first = 0; first < args.M; first += modes) {
    const int count = at_most(args.M - first, modes);
    __syncthreads();
    if ((int)threadIdx.x < count)
      pole_row<double, RANK, C>(args, h, first + threadIdx.x,
                                ebb_nplr_mode(&args, h, first + threadIdx.x, dt),
                                tile + threadIdx.x * Shape::POLE, NULL);
    __syncthreads();
    add_poles<double, RANK, C, 1>(tile, count, node, sum);
  }
  for (int i = 0; i < Shape::K; i++) Cauchy<double>::value(&sum[0][i], y, &r[i]);
}

/* One node's r by role for kernel c; rank 1 is rank 2 with a second column of 0. */
struct NearNode {
  EbbC64 pc[2], bq[2], pq[4];
};
template <int RANK, int C>
__device__ __forceinline__ NearNode near_node(const EbbC64 (&r)[NplrShape<RANK, C>::K], int c) {
  NearNode node = {};
  for (int i = 0; i < RANK; i++) {
    node.pc[i] = r[ebb_nplr_pc(C, i, c)];
    node.bq[i] = r[ebb_nplr_bq(RANK, C) + i];
  }
  for (int i = 0; i < RANK * RANK; i++) node.pq[i] = r[ebb_nplr_pq(RANK, C) + i];
  return node;
}

/* Where bit i stands among the set bits of words of 32. */
__device__ __forceinline__ int rank_of_bit(const unsigned *word, int i) {
  int before = __popc(word[i / 32] & ((1u << (i % 32)) - 1));
  for (int w = 0; w < i / 32; w++) before += __popc(word[w]);
  return before;
}
__device__ __forceinline__ bool has_bit(const unsigned *word, int i) { return word[i / 32] >> (i % 32) & 1; }

/* Lists the set bits of `nodes` bits in their order; returns how many, the same for every thread. */
__device__ __forceinline__ int list_bits(const unsigned *word, int nodes, int *list) {
  int count = 0;
  for (int w = 0; w < nodes / 32; w++) count += __popc(word[w]);
  if (count == 0) return 0;
  for (int i = (int)threadIdx.x; i < nodes; i += (int)blockDim.x)
    if (has_bit(word, i)) list[rank_of_bit(word, i)] = i;
  __syncthreads();
  return count;
}

/* Runs `body` with RANK and C standing for the rank and the number of kernels of `args`. */
#define EBB_NPLR_DISPATCH(args, ...)                                                                         \
  do {                                                                                                       \
    const int64_t rank_ = ebb_ssm_rank(&(args)->config), channels_ = (args)->config.channels;                \
    if (rank_ == 1 && channels_ == 1) {                                                                      \
      enum { RANK = 1, C = 1 };                                                                              \
      __VA_ARGS__                                                                                            \
    } else if (rank_ == 1) {                                                                                 \
      enum { RANK = 1, C = 2 };                                                                              \
      __VA_ARGS__                                                                                            \
    } else if (channels_ == 1) {                                                                             \
      enum { RANK = 2, C = 1 };                                                                              \
      __VA_ARGS__                                                                                            \
    } else {                                                                                                 \
      enum { RANK = 2, C = 2 };                                                                              \
      __VA_ARGS__                                                                                            \
    }                                                                                                        \
  } while (0)

#endif
