/* A cell forward: SEQUENCE, a block a row of (B, T); then the steps, a block a sample and all its time.
   Bytes of the steps: SEQ, x where a step reads it, y and the states, once each. */
#include "kernels/cell_ops.cuh"

namespace {

__global__ void EBB_CELL_BOUNDS rows_forward(const CellView a, const EbbCellRun run) {
  EBB_SHARED(float, shared);
  CellMachine m = cell_begin(a, shared);
  for (int64_t row = blockIdx.x; row < a.B * a.T; row += gridDim.x) {
    const bool padding = row % a.T >= cell_length(a, row / a.T);
    if (!padding) {
      if (m.t == 0) m.v[a.program.at_scalars] = cell_elapsed(a, row);
      cell_load(m, run.in, run.ins, row);
    }
    __syncthreads();
    if (!padding) cell_run_forward(m, run, false, true);
    __syncthreads();
    for (int i = m.t; i < run.outs; i += m.n) {
      const EbbCellLoad out = a.program.load[run.out + i];
      a.seq[row * a.seqs + out.row] = padding ? 0.0f : m.v[out.at];
    }
    __syncthreads();
  }
}

/* The step's row of SEQ and x, and its elapsed time. */
__device__ __forceinline__ void begin_step(const CellMachine &m, int64_t b, int64_t step, EbbFault *fault) {
  const CellView &a = m.a;
  const EbbCellRun &loads = a.section[EBB_CELL_SEQUENCE];
  const int64_t row = b * a.T + step;
  cell_load(m, loads.in, loads.ins, row);
  if (m.t != 0) return;
  const float elapsed = cell_elapsed(a, row);
  m.v[a.program.at_scalars] = elapsed;
  cell_check_elapsed(elapsed, b, step, fault);
}

/* The largest rate * step that the thread's neurons have met. */
__device__ __forceinline__ float met_rate(const CellMachine &m, float most) {
  const CellView &a = m.a;
  const float step = m.v[a.program.at_scalars] * a.rate_step;
  for (int i = m.t; i < a.rate_width; i += m.n) most = fmaxf(most, m.v[a.rate + i] * step);
  return most;
}

__device__ __forceinline__ float run_sections(const CellMachine &m, float most) {
  const CellView &a = m.a;
  for (int phase = 0; phase < a.repeat + 2; phase++) {
    const EbbCellSection section = cell_section(a, phase);
    const EbbCellRun &run = a.section[section];
    if (run.count == 0) continue;
    cell_run_forward(m, run, false, true);
    __syncthreads();
    if (a.rate < 0 || section != a.rate_section) continue;
    most = met_rate(m, most);
    __syncthreads();
  }
  return most;
}

/* What step `row` gives; at padding 0, and the state as it is. */
__device__ __forceinline__ void store_step(const CellMachine &m, int64_t row, bool padding) {
  const CellView &a = m.a;
  for (int64_t i = m.t; i < a.O; i += m.n) a.y[row * a.O + i] = padding ? 0.0f : m.v[a.output + i];
  for (int64_t i = m.t; i < a.S; i += m.n) a.states[row * a.S + i] = m.v[i];
}

/* Every thread calls it. */
__device__ __forceinline__ void store_rate(const CellMachine &m, int64_t b, float most, EbbFault *fault) {
  const CellView &a = m.a;
  m.scratch[m.t] = most;
  __syncthreads();
  if (m.t == 0) {
    for (int i = 1; i < m.n; i++) most = fmaxf(most, m.scratch[i]);
    a.rates[b] = most;
    if (a.unstable_fails && most > a.rate_limit)
      ebb_fault(fault, EBB_FAULT_CELL_UNSTABLE, (double)b, (double)most, (double)a.rate_limit, 0);
  }
  __syncthreads();
}

__device__ __forceinline__ void run_sample(const CellMachine &m, int64_t b, EbbFault *fault) {
  const CellView &a = m.a;
  const int64_t length = cell_length(a, b);
  float most = 0;
  if (m.t == 0) cell_check_length(a, b, fault);
  for (int64_t i = m.t; i < a.S; i += m.n) m.v[i] = a.state ? a.state[b * a.S + i] : 0.0f;
  for (int64_t step = 0; step < a.T; step++) {
    const bool padding = step >= length;
    if (!padding) {
      begin_step(m, b, step, fault);
      __syncthreads();
      most = run_sections(m, most);
    }
    store_step(m, b * a.T + step, padding);
    __syncthreads();
  }
  if (a.rates) store_rate(m, b, most, fault);
}

__global__ void EBB_CELL_BOUNDS steps_forward(const CellView a, EbbFault *fault) {
  EBB_SHARED(float, shared);
  const CellMachine m = cell_begin(a, shared);
  for (int64_t b = blockIdx.x; b < a.B; b += gridDim.x) run_sample(m, b, fault);
}

} // namespace

EbbStatus cell_rows_forward(const EbbCellArgs &args, const EbbRun *run, const EbbCellRun &part) {
  if (part.count == 0) return EBB_OK;
  const CellView a = cell_view(args, run, CELL_ROWS, false);
  return EBB_LAUNCH(run, rows_forward, dim3((unsigned)a.program.blocks), dim3((unsigned)a.program.threads),
                    a.places.bytes, a, part);
}

EbbStatus cell_steps_forward(const EbbCellArgs &args, const EbbRun *run) {
  const CellView a = cell_view(args, run, CELL_STEPS, false);
  return EBB_LAUNCH(run, steps_forward, dim3((unsigned)a.program.blocks), dim3((unsigned)a.program.threads),
                    a.places.bytes, a, ebb_fault_of(run));
}
