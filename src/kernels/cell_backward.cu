/* A cell backward through time. A block takes a sample and goes from the last step to the first: the step is
   run again from the state before it, keeping the state before each section and repetition, then backwards.
   Gradients of parameters are summed by a block over all of its time; those of LINEAR weights are one matrix
   product over all steps, of what the blocks keep here. */
#include "kernels/cell_ops.cuh"
#include "kernels/cell_ops_back.cuh"

namespace {

/* Sums in shared memory are added to the block's part in device memory now and then, which keeps what is lost
   in rounding far below that of one long sum. */
enum { FLUSH = 64 };

__device__ __forceinline__ void begin_sums(const CellMachine &m) {
  for (int i = m.t; i < m.a.program.sums && m.a.places.sums >= 0; i += m.n) m.sums[i] = 0.0f;
  __syncthreads();
}

__device__ __forceinline__ void flush_sums(const CellMachine &m) {
  const CellView &a = m.a;
  if (a.places.sums < 0) return;
  float *part = a.program.part + (int64_t)blockIdx.x * a.program.sums;
  __syncthreads();
  for (int i = m.t; i < a.program.sums; i += m.n) {
    part[i] += m.sums[i];
    m.sums[i] = 0.0f;
  }
  __syncthreads();
}

__device__ __forceinline__ void clear(const CellMachine &m, int32_t first, int32_t end) {
  for (int i = first + m.t; i < end; i += m.n) m.g[i] = 0.0f;
}

/* Adds the gradient of the row's elapsed time, of all threads. */
__device__ __forceinline__ void store_elapsed(CellMachine &m, int64_t row) {
  if (m.a.delapsed) {
    const float sum = block_sum(m.elapsed_grad, m.scratch);
    if (m.t == 0) m.a.delapsed[row] += sum;
  }
  m.elapsed_grad = 0;
}

/* Adds what a row of SEQ and x gets. */
__device__ __forceinline__ void store_loads(const CellMachine &m, int32_t first, int32_t count, int64_t row) {
  const CellView &a = m.a;
  for (int i = m.t; i < count; i += m.n) {
    const EbbCellLoad load = a.program.load[first + i];
    if (load.row >= 0)
      a.dseq[row * a.seqs + load.row] += m.g[load.at];
    else if (a.dx)
      a.dx[row * a.I + ~load.row] += m.g[load.at];
  }
}

__global__ void EBB_CELL_BOUNDS rows_backward(const CellView a, const EbbCellRun run) {
  EBB_SHARED(float, shared);
  CellMachine m = cell_begin(a, shared);
  begin_sums(m);
  int64_t rows = 0;
  for (int64_t row = blockIdx.x; row < a.B * a.T; row += gridDim.x) {
    if (row % a.T >= cell_length(a, row / a.T)) continue;
    if (m.t == 0) m.v[a.program.at_scalars] = cell_elapsed(a, row);
    cell_load(m, run.in, run.ins, row);
    cell_load(m, run.out, run.outs, row);
    for (int i = m.t; i < run.ins; i += m.n) m.g[a.program.load[run.in + i].at] = 0.0f;
    for (int i = m.t; i < run.outs; i += m.n) {
      const EbbCellLoad out = a.program.load[run.out + i];
      m.g[out.at] = a.dseq[row * a.seqs + out.row];
    }
    __syncthreads();
    cell_run_backward(m, run);
    __syncthreads();
    store_loads(m, run.in, run.ins, row);
    store_elapsed(m, row);
    __syncthreads();
    if (++rows % FLUSH == 0) flush_sums(m);
  }
  flush_sums(m);
}

/* The steps of one launch, and which of them a block is at. */
struct Span {
  int64_t first, end;
};

__device__ __forceinline__ float *once_of(const CellView &a, const Span &span, int64_t b, int64_t step) {
  return a.once + (b * (span.end - span.first) + step - span.first) * a.once_floats;
}
__device__ __forceinline__ float *body_of(const CellView &a, const Span &span, int64_t b, int64_t step) {
  return a.body + (b * (span.end - span.first) + step - span.first) * a.repeat * a.body_floats;
}

/* Padding adds nothing to the products. */
__device__ __forceinline__ void keep_nothing(const CellMachine &m, const Span &span, int64_t b,
                                             int64_t step) {
  const CellView &a = m.a;
  float *once = once_of(a, span, b, step), *body = body_of(a, span, b, step);
  for (int i = m.t; i < a.once_floats; i += m.n) once[i] = 0.0f;
  for (int i = m.t; i < a.repeat * a.body_floats; i += m.n) body[i] = 0.0f;
}

/* The state before the step, what it reads, and gradients of zero but for the state. */
__device__ __forceinline__ void begin_step(const CellMachine &m, int64_t b, int64_t step) {
  const CellView &a = m.a;
  const int64_t row = b * a.T + step;
  const EbbCellRun &loads = a.section[EBB_CELL_SEQUENCE];
  const float *state = step > 0 ? a.states + (row - 1) * a.S : a.state ? a.state + b * a.S : nullptr;
  for (int64_t i = m.t; i < a.S; i += m.n) m.v[i] = state ? state[i] : 0.0f;
  cell_load(m, loads.in, loads.ins, row);
  if (m.t == 0) m.v[a.program.at_scalars] = cell_elapsed(a, row);
  clear(m, a.program.at_temp, a.program.vectors);
  __syncthreads();
  for (int64_t i = m.t; i < a.O && a.dy; i += m.n) m.g[a.output + i] += a.dy[row * a.O + i];
  __syncthreads();
}

/* The sections forward, then backward: phase 0 is STEP, the repetitions of BODY follow, then TAIL. */
__device__ __forceinline__ void run_sections(CellMachine &m, const Span &span, int64_t b, int64_t step) {
  const CellView &a = m.a;
  const int phases = a.repeat + 2;
  for (int i = 0; i < 2 * phases; i++) {
    const bool back = i >= phases;
    const int phase = back ? 2 * phases - 1 - i : i;
    const EbbCellSection section = cell_section(a, phase);
    const EbbCellRun &run = a.section[section];
    if (run.count == 0) continue;
    float *kept = m.kept + phase * a.S;
    for (int64_t k = m.t; k < a.S; k += m.n) (back ? m.v : kept)[k] = (back ? kept : m.v)[k];
    const bool body = section == EBB_CELL_BODY, again = body && phase < a.repeat;
    if (back && again) clear(m, a.program.at_body, a.program.at_body + a.program.body);
    __syncthreads();
    if (!back || again) {
      cell_run_forward(m, run, true, !back);
      __syncthreads();
    }
    if (!back) continue;
    m.delta = body ? body_of(a, span, b, step) + (phase - 1) * a.body_floats : once_of(a, span, b, step);
    cell_run_backward(m, run);
    __syncthreads();
  }
}

__device__ __forceinline__ void store_state(const CellMachine &m, int64_t b, bool last) {
  const CellView &a = m.a;
  for (int64_t i = m.t; i < a.S; i += m.n) {
    const int64_t at = b * a.S + i;
    if (!last)
      a.carry[at] = m.g[i];
    else if (a.dstate)
      a.dstate[at] = (a.add_dstate ? a.dstate[at] : 0.0f) + m.g[i];
  }
}

/* Where backward is cut, the state before the step counts as given. */
__device__ __forceinline__ void forget_state(const CellMachine &m, int64_t step) {
  const bool cut = m.a.truncate > 0 && step > 0 && step % m.a.truncate == 0;
  for (int64_t i = m.t; i < m.a.S && cut; i += m.n) m.g[i] = 0.0f;
}

__device__ __forceinline__ void run_sample(CellMachine &m, const Span &span, int64_t b) {
  const CellView &a = m.a;
  const int64_t length = cell_length(a, b);
  const EbbCellRun &loads = a.section[EBB_CELL_SEQUENCE];
  for (int64_t i = m.t; i < a.S; i += m.n) m.g[i] = span.end < a.T ? a.carry[b * a.S + i] : 0.0f;
  for (int64_t step = span.end - 1; step >= span.first; step--) {
    const int64_t row = b * a.T + step;
    for (int64_t i = m.t; i < a.S && a.dstates; i += m.n) m.g[i] += a.dstates[row * a.S + i];
    if (step >= length) {
      keep_nothing(m, span, b, step);
      forget_state(m, step);
      continue;
    }
    begin_step(m, b, step);
    run_sections(m, span, b, step);
    store_loads(m, loads.in, loads.ins, row);
    store_elapsed(m, row);
    __syncthreads();
    forget_state(m, step);
    if (step % FLUSH == 0) flush_sums(m);
  }
  store_state(m, b, span.first == 0);
}

__global__ void EBB_CELL_BOUNDS steps_backward(const CellView a, const Span span) {
  EBB_SHARED(float, shared);
  CellMachine m = cell_begin(a, shared);
  begin_sums(m);
  for (int64_t b = blockIdx.x; b < a.B; b += gridDim.x) {
    run_sample(m, span, b);
    __syncthreads();
  }
  flush_sums(m);
}

} // namespace

EbbStatus cell_rows_backward(const EbbCellArgs &args, const EbbRun *run, const EbbCellRun &part) {
  if (part.count == 0) return EBB_OK;
  const CellView a = cell_view(args, run, CELL_ROWS, true);
  return EBB_LAUNCH(run, rows_backward, dim3((unsigned)a.program.blocks), dim3((unsigned)a.program.threads),
                    a.places.bytes, a, part);
}

EbbStatus cell_steps_backward(const EbbCellArgs &args, const EbbRun *run, int64_t first, int64_t end) {
  const CellView a = cell_view(args, run, CELL_STEPS, true);
  const Span span = {first, end};
  return EBB_LAUNCH(run, steps_backward, dim3((unsigned)a.program.blocks), dim3((unsigned)a.program.threads),
                    a.places.bytes, a, span);
}
