/* The machine that runs a cell's program: a block works on one sample, or on a tile of them, its vectors and
   their gradients in shared memory where they fit, else in memory of the block. All threads decode the same
   op; element i of an elementwise op belongs to thread i modulo those of the sample, so that most ops need no
   barrier between them: the flags of an op say where one is needed (host/ops/cell_gpu_waits.c). Programs
   start and end at a barrier. */
#ifndef EBB_KERNELS_CELL_MACHINE_CUH
#define EBB_KERNELS_CELL_MACHINE_CUH

#include "kernels/cell.cuh"

/* A block's work on R samples side by side: element k of a plane of vectors stands at place(k) for the sample
   of a thread. */
template <int R> struct CellMachine {
  enum { SAMPLES = R };
  const CellView &a;
  float *const shared;
  const EbbCellOp *ops;
  float *v, *g;            /* vectors and gradients, planes */
  const float *p;          /* parameters */
  const uint32_t *weights; /* in shared memory, cell_tile.cuh */
  float *sums;             /* of the parameters' gradients, a plane */
  float *scratch;
  float *kept;       /* states before each section and repetition, planes */
  float *delta;      /* what LINEAR keeps of this section */
  const int s, t, n; /* sample, thread and threads of the sample */
  int64_t b, length; /* row of the batch, its steps */
  int64_t longest;   /* steps of the samples here */
  bool active;       /* the sample has not ended */
  float elapsed_grad;

  __device__ __forceinline__ int64_t place(int64_t k) const { return R == 1 ? k : k * R + s; }
  __device__ __forceinline__ int place(int k) const { return R == 1 ? k : k * R + s; }
  /* Where sample `of` has the vector or parameter at an address, and from one element to the next. */
  __device__ __forceinline__ const float *at(int32_t address, int of) const {
    return address >= 0 ? v + (R == 1 ? address : address * R + of) : p + ~address;
  }
  __device__ __forceinline__ static int step(int32_t address) { return address >= 0 ? R : 1; }
  /* The gradient at an address of EbbCellOp.grad, of its element i; never of elapsed time. */
  __device__ __forceinline__ float &grad(int32_t address, int i) const {
    return address >= 0 ? g[place(address + i)] : sums[place(~address + i)];
  }
  /* Elements of a vector that are to be worked on: none of a sample that has ended. */
  __device__ __forceinline__ int own(int width) const { return R == 1 || active ? width : 0; }
  __device__ __forceinline__ bool here() const { return R == 1 || b < a.B; }
  /* Of a list, wherever they lie. */
  __device__ __forceinline__ const float4 *by_target(int32_t table) const {
    const int32_t place = a.places.by_target[table];
    return reinterpret_cast<const float4 *>(place >= 0 ? shared + place : a.table[table].by_target);
  }
  __device__ __forceinline__ const float4 *by_source(int32_t table) const {
    const int32_t place = a.places.by_source[table];
    return reinterpret_cast<const float4 *>(place >= 0 ? shared + place : a.table[table].by_source);
  }
};

/* An operand of an elementwise op, of one sample. */
struct CellOperand {
  const float *from;
  int step;
  template <int R>
  __device__ __forceinline__ CellOperand(const CellMachine<R> &m, const EbbCellOp &op, int k, int sample)
      : from(m.at(op.from[k], sample)), step(op.scalars >> k & 1 ? 0 : m.step(op.from[k])) {}
  template <int R>
  __device__ __forceinline__ CellOperand(const CellMachine<R> &m, const EbbCellOp &op, int k)
      : CellOperand(m, op, k, m.s) {}
  __device__ __forceinline__ float operator[](int i) const { return from[step * i]; }
};

static __device__ __forceinline__ void cell_fill(void *to, const void *from, int64_t words) {
  for (int64_t i = threadIdx.x; i < words; i += blockDim.x)
    static_cast<int32_t *>(to)[i] = static_cast<const int32_t *>(from)[i];
}

/* Puts what shared memory has room for there; of a tile all planes. Ends with a barrier. */
template <int R>
static __device__ __forceinline__ CellMachine<R> cell_begin(const CellView &a, float *shared) {
  const CellPlaces &at = a.places;
  const int64_t block = blockIdx.x;
  float *vectors = a.vectors ? a.vectors + block * 2 * a.program.vectors : nullptr;
  CellMachine<R> m = {a,
                      shared,
                      a.program.ops,
                      R > 1 || at.vectors >= 0 ? shared + at.vectors : vectors,
                      R > 1 || at.gradients >= 0 ? shared + at.gradients : vectors + a.program.vectors,
                      a.arena,
                      reinterpret_cast<const uint32_t *>(shared + at.weights),
                      R > 1 || at.sums >= 0 ? shared + at.sums : a.program.part + block * a.program.sums,
                      shared + at.scratch,
                      R > 1 || at.kept >= 0 ? shared + at.kept : a.kept + block * (a.repeat + 2) * a.S,
                      nullptr,
                      (int)threadIdx.x % R,
                      (int)threadIdx.x / R,
                      (int)blockDim.x / R,
                      0,
                      0,
                      0,
                      false,
                      0.0f};
  if (at.ops >= 0) {
    cell_fill(shared + at.ops, m.ops, a.program.n_ops * (int64_t)(sizeof(EbbCellOp) / sizeof(int32_t)));
    m.ops = reinterpret_cast<const EbbCellOp *>(shared + at.ops);
  }
  if (at.parameters >= 0) {
    cell_fill(shared + at.parameters, a.arena, a.program.parameters);
    m.p = shared + at.parameters;
  }
  for (int k = 0; k < a.n_tables; k++) {
    const int64_t words = (int64_t)4 * a.table[k].count;
    if (at.by_target[k] >= 0) cell_fill(shared + at.by_target[k], a.table[k].by_target, words);
    if (at.by_source[k] >= 0) cell_fill(shared + at.by_source[k], a.table[k].by_source, words);
  }
  for (int i = m.t; i < a.program.n_scalars; i += m.n)
    m.v[m.place(a.program.at_scalars + i)] = a.program.scalars[i];
  __syncthreads();
  return m;
}

/* The samples of the batch from `first` on are to be worked on. */
template <int R> static __device__ __forceinline__ void cell_take(CellMachine<R> &m, int64_t first) {
  m.b = first + m.s, m.length = m.here() ? cell_length(m.a, m.b) : 0, m.longest = R == 1 ? m.length : 0;
  for (int k = 0; R > 1 && k < R && first + k < m.a.B; k++)
    m.longest = max(m.longest, cell_length(m.a, first + k));
}

/* What `run` reads of a row of SEQ and X, or (count from `out` on) has written there. */
template <int R>
static __device__ __forceinline__ void cell_load(const CellMachine<R> &m, int32_t first, int32_t count,
                                                 int64_t row) {
  const CellView &a = m.a;
  for (int i = m.t; i < count; i += m.n) {
    const EbbCellLoad load = a.program.load[first + i];
    m.v[m.place(load.at)] = load.row >= 0 ? a.seq[row * a.seqs + load.row] : a.x[row * a.I + ~load.row];
  }
}

/* The sum over the threads of each sample; every thread calls it, the sample's first one gets it. */
static __device__ __forceinline__ float cell_sum(const CellMachine<1> &m, float value) {
  return block_sum(value, m.scratch);
}
template <int R> static __device__ __forceinline__ float cell_sum(const CellMachine<R> &m, float value) {
  for (int offset = EBB_WARP / 2; offset >= R; offset /= 2)
    value += __shfl_xor_sync(EBB_FULL_WARP, value, offset);
  const int warp = (int)threadIdx.x / EBB_WARP, warps = (int)blockDim.x / EBB_WARP;
  if ((int)threadIdx.x % EBB_WARP < R) m.scratch[m.place(warp)] = value;
  __syncthreads();
  for (int k = 1; m.t == 0 && k < warps; k++) value += m.scratch[m.place(k)];
  __syncthreads();
  return value;
}

#endif
