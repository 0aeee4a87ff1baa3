/* The machine that runs a cell's program: a block works on one sample, its vectors and their gradients in
   shared memory where they fit, else in memory of the block. All threads decode the same op; element i of an
   elementwise op belongs to thread i modulo the block, so that most ops need no barrier between them: the
   flags of an op say where one is needed (host/ops/cell_gpu_waits.c). Programs start and end at a barrier. */
#ifndef EBB_KERNELS_CELL_CUH
#define EBB_KERNELS_CELL_CUH

#include "ebb/cell_formulas.h"
#include "ebb/ops/cell.h"

#include "kernels/fault.cuh"
#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"

#define EBB_CELL_BOUNDS __launch_bounds__(EBB_CELL_THREADS, 1)

/* First float of each piece in shared memory; -1: it lies in device memory. */
typedef struct CellPlaces {
  int32_t ops, scratch, vectors, gradients, kept, sums, parameters, by_target[EBB_CELL_TABLES],
      by_source[EBB_CELL_TABLES];
  size_t bytes;
} CellPlaces;

/* What kernels read; a program and the tensors of the op. */
typedef struct CellView {
  EbbCellProgram program;
  EbbCellRun section[EBB_CELL_SECTIONS];
  EbbCellTable table[EBB_CELL_TABLES];
  CellPlaces places;
  const float *arena, *x, *state, *elapsed, *dy, *dstates;
  const int32_t *lengths;
  float *seq, *y, *states, *rates, *dseq, *dx, *dstate, *delapsed;
  float *vectors, *kept, *carry, *once, *body;
  int64_t B, T, I, S, O, seqs, truncate;
  int32_t n_tables, repeat, output, rate, rate_width, once_floats, body_floats;
  EbbCellSection rate_section;
  float rate_limit, rate_step;
  bool add_dstate, unstable_fails;
} CellView;

struct CellMachine {
  const CellView &a;
  float *const shared;
  const EbbCellOp *ops;
  float *v, *g;   /* vectors and gradients */
  const float *p; /* parameters */
  float *sums;    /* of the parameters' gradients */
  float *scratch;
  float *kept;    /* states before each section and repetition */
  float *delta;   /* what LINEAR keeps of this section */
  const int t, n; /* thread, threads */
  float elapsed_grad;

  __device__ __forceinline__ const float *at(int32_t address) const {
    return address >= 0 ? v + address : p + ~address;
  }
  /* The gradient at an address of EbbCellOp.grad; never of elapsed time. */
  __device__ __forceinline__ float *grad(int32_t address) const {
    return address >= 0 ? g + address : sums + ~address;
  }
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

/* An operand of an elementwise op. */
struct CellOperand {
  const float *from;
  int step;
  __device__ __forceinline__ CellOperand(const CellMachine &m, const EbbCellOp &op, int k)
      : from(m.at(op.from[k])), step(op.scalars >> k & 1 ? 0 : 1) {}
  __device__ __forceinline__ float operator[](int i) const { return from[step * i]; }
};

static __device__ __forceinline__ void cell_fill(const CellMachine &m, void *to, const void *from,
                                                 int64_t words) {
  for (int64_t i = m.t; i < words; i += m.n)
    static_cast<int32_t *>(to)[i] = static_cast<const int32_t *>(from)[i];
}

/* Puts what shared memory has room for there. Ends with a barrier. */
static __device__ __forceinline__ CellMachine cell_begin(const CellView &a, float *shared) {
  const CellPlaces &at = a.places;
  const int64_t block = blockIdx.x;
  float *vectors = a.vectors ? a.vectors + block * 2 * a.program.vectors : nullptr;
  CellMachine m = {a,
                   shared,
                   a.program.ops,
                   at.vectors >= 0 ? shared + at.vectors : vectors,
                   at.gradients >= 0 ? shared + at.gradients : vectors + a.program.vectors,
                   a.arena,
                   at.sums >= 0 ? shared + at.sums : a.program.part + block * a.program.sums,
                   shared + at.scratch,
                   at.kept >= 0 ? shared + at.kept : a.kept + block * (a.repeat + 2) * a.S,
                   nullptr,
                   (int)threadIdx.x,
                   (int)blockDim.x,
                   0.0f};
  if (at.ops >= 0) {
    cell_fill(m, shared + at.ops, m.ops, a.program.n_ops * (int64_t)(sizeof(EbbCellOp) / sizeof(int32_t)));
    m.ops = reinterpret_cast<const EbbCellOp *>(shared + at.ops);
  }
  if (at.parameters >= 0) {
    cell_fill(m, shared + at.parameters, a.arena, a.program.parameters);
    m.p = shared + at.parameters;
  }
  for (int k = 0; k < a.n_tables; k++) {
    const int64_t words = (int64_t)4 * a.table[k].count;
    if (at.by_target[k] >= 0) cell_fill(m, shared + at.by_target[k], a.table[k].by_target, words);
    if (at.by_source[k] >= 0) cell_fill(m, shared + at.by_source[k], a.table[k].by_source, words);
  }
  cell_fill(m, m.v + a.program.at_scalars, a.program.scalars, a.program.n_scalars);
  __syncthreads();
  return m;
}

/* Steps of row b; of a length outside the sequence, none. */
static __device__ __forceinline__ int64_t cell_length(const CellView &a, int64_t b) {
  const int64_t length = a.lengths ? a.lengths[b] : a.T;
  return length < 0 || length > a.T ? 0 : length;
}

/* Phases of a step: STEP, the repetitions of BODY, TAIL. */
static __device__ __forceinline__ EbbCellSection cell_section(const CellView &a, int phase) {
  return phase == 0 ? EBB_CELL_STEP : phase <= a.repeat ? EBB_CELL_BODY : EBB_CELL_TAIL;
}

static __device__ __forceinline__ float cell_elapsed(const CellView &a, int64_t row) {
  return a.elapsed ? a.elapsed[row] : 1.0f;
}

/* One thread of a block calls these. */
static __device__ __forceinline__ void cell_check_length(const CellView &a, int64_t b, EbbFault *fault) {
  const int64_t length = a.lengths ? a.lengths[b] : a.T;
  if (length < 0 || length > a.T)
    ebb_fault(fault, EBB_FAULT_CELL_LENGTH, (double)length, (double)b, (double)a.T, 0);
}
static __device__ __forceinline__ void cell_check_elapsed(float elapsed, int64_t b, int64_t step,
                                                          EbbFault *fault) {
  if (!(elapsed >= 0 && elapsed <= 3.402823466e38f))
    ebb_fault(fault, EBB_FAULT_CELL_ELAPSED, (double)elapsed, (double)b, (double)step, 0);
}

/* What `run` reads of a row of SEQ and X, or (count from `out` on) has written there. */
static __device__ __forceinline__ void cell_load(const CellMachine &m, int32_t first, int32_t count,
                                                 int64_t row) {
  const CellView &a = m.a;
  for (int i = m.t; i < count; i += m.n) {
    const EbbCellLoad load = a.program.load[first + i];
    m.v[load.at] = load.row >= 0 ? a.seq[row * a.seqs + load.row] : a.x[row * a.I + ~load.row];
  }
}

/* What the host's launchers share (cell.cu). `back`: with gradients, sums and the states kept. */
enum CellProgramKind { CELL_ROWS, CELL_STEPS };
CellView cell_view(const EbbCellArgs &args, const EbbRun *run, CellProgramKind kind, bool back);
/* cell_forward.cu, cell_backward.cu, cell_params.cu */
EbbStatus cell_rows_forward(const EbbCellArgs &args, const EbbRun *run,
                            const EbbCellRun &part) EBB_MUST_CHECK;
EbbStatus cell_rows_backward(const EbbCellArgs &args, const EbbRun *run,
                             const EbbCellRun &part) EBB_MUST_CHECK;
/* The same for an LTC cell (args.cuda.ltc): ltc_forward.cu, ltc_backward.cu. */
EbbStatus cell_ltc_forward(const EbbCellArgs &args, const EbbRun *run) EBB_MUST_CHECK;
EbbStatus cell_ltc_backward(const EbbCellArgs &args, const EbbRun *run) EBB_MUST_CHECK;
EbbStatus cell_steps_forward(const EbbCellArgs &args, const EbbRun *run) EBB_MUST_CHECK;
/* Steps first .. end - 1, after those behind them. */
EbbStatus cell_steps_backward(const EbbCellArgs &args, const EbbRun *run, int64_t first,
                              int64_t end) EBB_MUST_CHECK;
/* x with zeros at padding, for products of all rows. */
EbbStatus cell_mask_x(const EbbCellArgs &args, const EbbRun *run) EBB_MUST_CHECK;
EbbStatus cell_params_forward(const EbbCellArgs &args, const EbbRun *run) EBB_MUST_CHECK;
EbbStatus cell_params_backward(const EbbCellArgs &args, const EbbRun *run) EBB_MUST_CHECK;

#endif
