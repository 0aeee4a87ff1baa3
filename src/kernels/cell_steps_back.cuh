/* A cell's steps backward, for the samples of a block: from the last step to the first; the step is run again
   from the state before it, keeping the state before each section and repetition, then backwards. Gradients
   of parameters are summed by a block over all of its time; those of LINEAR weights are one matrix product
   over all steps, of what the blocks keep here. */
#ifndef EBB_KERNELS_CELL_STEPS_BACK_CUH
#define EBB_KERNELS_CELL_STEPS_BACK_CUH

#include "kernels/cell_back.cuh"
#include "kernels/cell_ops.cuh"
#include "kernels/cell_ops_back.cuh"

/* The steps of one launch. */
struct CellSpan {
  int64_t first, end;
};

/* Where a step of a sample stands in what LINEAR keeps. */
static __device__ __forceinline__ int64_t cell_kept_row(const CellSpan &span, int64_t b, int64_t step) {
  return b * (span.end - span.first) + step - span.first;
}

/* Padding adds nothing to the products. */
template <int R>
static __device__ __forceinline__ void cell_keep_nothing(const CellMachine<R> &m, int64_t kept_row) {
  const CellView &a = m.a;
  const int64_t body_floats = (int64_t)a.repeat * a.body_floats;
  float *once = a.once + kept_row * a.once_floats, *body = a.body + kept_row * body_floats;
  for (int i = m.t; i < a.once_floats; i += m.n) once[i] = 0.0f;
  for (int64_t i = m.t; i < body_floats; i += m.n) body[i] = 0.0f;
}

/* The state before the step, and what it reads. */
template <int R>
static __device__ __forceinline__ void cell_load_before(const CellMachine<R> &m, int64_t step) {
  const CellView &a = m.a;
  const int64_t row = m.b * a.T + step;
  const EbbCellRun &loads = a.section[EBB_CELL_SEQUENCE];
  const float *state = step > 0 ? a.states + (row - 1) * a.S : a.state ? a.state + m.b * a.S : nullptr;
  for (int64_t i = m.t; i < a.S; i += m.n) m.v[m.place(i)] = state ? state[i] : 0.0f;
  cell_load(m, loads.in, loads.ins, row);
  if (m.t == 0) m.v[m.place(a.program.at_scalars)] = cell_elapsed(a, row);
}

/* Gradients are zero but for the state's and what y gives. */
template <int R>
static __device__ __forceinline__ void cell_begin_back(const CellMachine<R> &m, int64_t step) {
  const CellView &a = m.a;
  if (m.active) cell_load_before(m, step);
  cell_clear(m, a.program.at_temp, a.program.vectors);
  __syncthreads();
  const float *dy = a.dy ? a.dy + (m.b * a.T + step) * a.O : nullptr;
  for (int64_t i = m.t; i < a.O && dy && m.active; i += m.n) m.g[m.place(a.output + i)] += dy[i];
  __syncthreads();
}

/* The sections forward, then backward: phase 0 is STEP, the repetitions of BODY follow, then TAIL. */
template <int R>
static __device__ __forceinline__ void cell_run_sections_back(CellMachine<R> &m, int64_t kept_row) {
  const CellView &a = m.a;
  const int phases = a.repeat + 2;
  int kept_states = 0;
  for (int i = 0; i < 2 * phases; i++) {
    const bool back = i >= phases;
    const int phase = back ? 2 * phases - 1 - i : i;
    const EbbCellSection section = cell_section(a, phase);
    const EbbCellRun &run = a.section[section];
    if (run.count == 0) continue;
    const bool body = section == EBB_CELL_BODY, again = body && phase < a.repeat;
    const int64_t slot = (back ? --kept_states : kept_states++) * a.S;
    for (int64_t k = m.t; k < a.S; k += m.n) {
      float &kept = m.kept[m.place(slot + k)], &state = m.v[m.place(k)];
      (back ? state : kept) = back ? kept : state;
    }
    if (back && again) cell_clear(m, a.program.at_body, a.program.at_body + a.program.body);
    __syncthreads();
    if (!back || again) {
      cell_run_forward(m, run, true, !back);
      __syncthreads();
    }
    if (!back) continue;
    m.delta =
        body ? a.body + (kept_row * a.repeat + phase - 1) * a.body_floats : a.once + kept_row * a.once_floats;
    cell_run_backward(m, run);
    __syncthreads();
  }
}

/* Where backward is cut, the state before the step counts as given. */
template <int R>
static __device__ __forceinline__ void cell_forget_state(const CellMachine<R> &m, int64_t step) {
  const bool cut = m.a.truncate > 0 && step > 0 && step % m.a.truncate == 0;
  for (int64_t i = m.t; i < m.a.S && cut; i += m.n) m.g[m.place(i)] = 0.0f;
}

template <int R>
static __device__ __forceinline__ void cell_step_back(CellMachine<R> &m, const CellSpan &span, int64_t step) {
  const CellView &a = m.a;
  const int64_t row = m.b * a.T + step, kept_row = cell_kept_row(span, m.b, step);
  const EbbCellRun &loads = a.section[EBB_CELL_SEQUENCE];
  m.active = step < m.length;
  for (int64_t i = m.t; i < a.S && a.dstates && m.here(); i += m.n)
    m.g[m.place(i)] += a.dstates[row * a.S + i];
  if (!m.active && m.here()) cell_keep_nothing(m, kept_row);
  if (step < m.longest) {
    cell_begin_back(m, step);
    cell_run_sections_back(m, kept_row);
    if (m.active) cell_store_loads(m, loads.in, loads.ins, row);
    cell_store_elapsed(m, row, m.active);
    __syncthreads();
  }
  cell_forget_state(m, step);
  if (step % CELL_FLUSH == 0) cell_flush_sums(m);
}

template <int R>
static __device__ __forceinline__ void cell_begin_state_back(const CellMachine<R> &m, const CellSpan &span) {
  const CellView &a = m.a;
  const bool carried = m.here() && span.end < a.T;
  for (int64_t i = m.t; i < a.S; i += m.n) m.g[m.place(i)] = carried ? a.carry[m.b * a.S + i] : 0.0f;
}

template <int R>
static __device__ __forceinline__ void cell_end_state_back(const CellMachine<R> &m, const CellSpan &span) {
  const CellView &a = m.a;
  for (int64_t i = m.t; i < a.S && m.here(); i += m.n) {
    const int64_t at = m.b * a.S + i;
    if (span.first > 0)
      a.carry[at] = m.g[m.place(i)];
    else if (a.dstate)
      a.dstate[at] = (a.add_dstate ? a.dstate[at] : 0.0f) + m.g[m.place(i)];
  }
}

template <int R>
static __device__ __forceinline__ void cell_run_batch_back(CellMachine<R> &m, const CellSpan &span) {
  cell_begin_sums(m);
  for (int64_t first = (int64_t)blockIdx.x * R; first < m.a.B; first += (int64_t)gridDim.x * R) {
    cell_take(m, first);
    cell_begin_state_back(m, span);
    for (int64_t step = span.end - 1; step >= span.first; step--) cell_step_back(m, span, step);
    cell_end_state_back(m, span);
    __syncthreads();
  }
  cell_flush_sums(m);
}

#endif
