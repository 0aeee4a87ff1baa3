/* A cell's steps forward, for the samples of a block and all their time. Bytes: SEQ, x where a step reads it,
   y and the states, once each. */
#ifndef EBB_KERNELS_CELL_STEPS_CUH
#define EBB_KERNELS_CELL_STEPS_CUH

#include "kernels/cell_ops.cuh"

/* The step's row of SEQ and x, and its elapsed time. */
template <int R>
static __device__ __forceinline__ void cell_begin_step(const CellMachine<R> &m, int64_t step,
                                                       EbbFault *fault) {
  const CellView &a = m.a;
  const EbbCellRun &loads = a.section[EBB_CELL_SEQUENCE];
  const int64_t row = m.b * a.T + step;
  cell_load(m, loads.in, loads.ins, row);
  if (m.t != 0) return;
  const float elapsed = cell_elapsed(a, row);
  m.v[m.place(a.program.at_scalars)] = elapsed;
  cell_check_elapsed(elapsed, m.b, step, fault);
}

/* The largest rate * step that the thread's neurons have met. */
template <int R> static __device__ __forceinline__ float cell_met_rate(const CellMachine<R> &m, float most) {
  const CellView &a = m.a;
  const float step = m.v[m.place(a.program.at_scalars)] * a.rate_step;
  for (int i = m.t; i < m.own(a.rate_width); i += m.n) most = fmaxf(most, m.v[m.place(a.rate + i)] * step);
  return most;
}

template <int R>
static __device__ __forceinline__ float cell_run_sections(const CellMachine<R> &m, float most) {
  const CellView &a = m.a;
  for (int phase = 0; phase < a.repeat + 2; phase++) {
    const EbbCellSection section = cell_section(a, phase);
    const EbbCellRun &run = a.section[section];
    if (run.count == 0) continue;
    cell_run_forward(m, run, false, true);
    __syncthreads();
    if (a.rate < 0 || section != a.rate_section) continue;
    most = cell_met_rate(m, most);
    __syncthreads();
  }
  return most;
}

/* What the step gives; at padding 0, and the state as it is. */
template <int R>
static __device__ __forceinline__ void cell_store_step(const CellMachine<R> &m, int64_t step) {
  const CellView &a = m.a;
  const int64_t row = m.b * a.T + step;
  for (int64_t i = m.t; i < a.O; i += m.n) a.y[row * a.O + i] = m.active ? m.v[m.place(a.output + i)] : 0.0f;
  for (int64_t i = m.t; i < a.S; i += m.n) a.states[row * a.S + i] = m.v[m.place(i)];
}

/* Every thread calls it. */
template <int R>
static __device__ __forceinline__ void cell_store_rate(const CellMachine<R> &m, float most, EbbFault *fault) {
  const CellView &a = m.a;
  m.scratch[m.place(m.t)] = most;
  __syncthreads();
  if (m.t == 0 && m.here()) {
    for (int i = 1; i < m.n; i++) most = fmaxf(most, m.scratch[m.place(i)]);
    a.rates[m.b] = most;
    if (a.unstable_fails && most > a.rate_limit)
      ebb_fault(fault, EBB_FAULT_CELL_UNSTABLE, (double)m.b, (double)most, (double)a.rate_limit, 0);
  }
  __syncthreads();
}

/* The samples that cell_take took. */
template <int R> static __device__ __forceinline__ void cell_run_samples(CellMachine<R> &m, EbbFault *fault) {
  const CellView &a = m.a;
  float most = 0;
  if (m.t == 0 && m.here()) cell_check_length(a, m.b, fault);
  for (int64_t i = m.t; i < a.S && m.here(); i += m.n)
    m.v[m.place(i)] = a.state ? a.state[m.b * a.S + i] : 0.0f;
  for (int64_t step = 0; step < a.T; step++) {
    m.active = step < m.length;
    if (step < m.longest) {
      if (m.active) cell_begin_step(m, step, fault);
      __syncthreads();
      most = cell_run_sections(m, most);
    }
    if (m.here()) cell_store_step(m, step);
    __syncthreads();
  }
  if (a.rates) cell_store_rate(m, most, fault);
}

template <int R> static __device__ __forceinline__ void cell_run_batch(CellMachine<R> &m, EbbFault *fault) {
  for (int64_t first = (int64_t)blockIdx.x * R; first < m.a.B; first += (int64_t)gridDim.x * R) {
    cell_take(m, first);
    cell_run_samples(m, fault);
  }
}

#endif
