/* What the kernels of a cell's program share: their view of it, and the launches. */
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
  int32_t ops, scratch, vectors, gradients, kept, sums, parameters, weights, by_target[EBB_CELL_TABLES],
      by_source[EBB_CELL_TABLES];
  int32_t resident; /* blocks at `weights` */
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
  EbbPrecision precision;  /* of a tile's products */
  const uint32_t *weights; /* for them, in its format: cell_blocks.cuh */
} CellView;

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

/* One thread of a sample calls these. */
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
/* The steps by tiles of samples (host/ops/cell_gpu_tile.c): cell_tile_forward.cu, cell_tile_backward.cu;
   before them the weights are packed into blocks of their format. */
CellView cell_tile_view(const EbbCellArgs &args, const EbbRun *run, bool back);
EbbStatus cell_tile_pack(const EbbCellArgs &args, const EbbRun *run) EBB_MUST_CHECK;
EbbStatus cell_tile_forward(const EbbCellArgs &args, const EbbRun *run) EBB_MUST_CHECK;
EbbStatus cell_tile_backward(const EbbCellArgs &args, const EbbRun *run, int64_t first,
                             int64_t end) EBB_MUST_CHECK;
EbbStatus cell_steps_forward(const EbbCellArgs &args, const EbbRun *run) EBB_MUST_CHECK;
/* Steps first .. end - 1, after those behind them. */
EbbStatus cell_steps_backward(const EbbCellArgs &args, const EbbRun *run, int64_t first,
                              int64_t end) EBB_MUST_CHECK;
/* x with zeros at padding, for products of all rows. */
EbbStatus cell_mask_x(const EbbCellArgs &args, const EbbRun *run) EBB_MUST_CHECK;
EbbStatus cell_params_forward(const EbbCellArgs &args, const EbbRun *run) EBB_MUST_CHECK;
EbbStatus cell_params_backward(const EbbCellArgs &args, const EbbRun *run) EBB_MUST_CHECK;

#endif
