/* Ops of a cell's program, forward. */
#ifndef EBB_KERNELS_CELL_OPS_CUH
#define EBB_KERNELS_CELL_OPS_CUH

#include "kernels/cell_reduce.cuh"

template <int N, int R, class Formula>
static __device__ __forceinline__ void cell_apply(const CellMachine<R> &m, const EbbCellOp &op,
                                                  Formula formula) {
  const int width = m.own(op.width);
  float *to = m.v + m.place(op.to);
  for (int i = m.t; i < width; i += m.n) {
    float in[N];
#pragma unroll
    for (int k = 0; k < N; k++) in[k] = CellOperand(m, op, k)[i];
    to[R * i] = formula(in);
  }
}

template <int R>
static __device__ __forceinline__ void cell_copy(const CellMachine<R> &m, const EbbCellOp &op) {
  const CellOperand from(m, op, 0);
  for (int i = m.t; i < m.own(op.width); i += m.n) m.v[m.place(op.to + i)] = from[i];
}

template <int R>
static __device__ __forceinline__ void cell_combine(const CellMachine<R> &m, const EbbCellOp &op) {
  const CellOperand start(m, op, 0), scale(m, op, 1);
  for (int i = m.t; i < m.own(op.width); i += m.n) {
    float sum = 0;
    for (int k = 2; k < op.operands; k++) sum += op.c[k - 2] * CellOperand(m, op, k)[i];
    m.v[m.place(op.to + i)] = start[i] + scale[i] * sum;
  }
}

static __device__ __forceinline__ void cell_linear(const CellMachine<1> &m, const EbbCellOp &op) {
  const EbbCellMatrix w = op.matrix;
  const CellOperand add(m, op, 1);
  float *to = m.v + op.to;
  cell_products(m, m.p + w.at, m.at(op.from[0], 0), w.outputs, w.inputs, w.out_stride, w.in_stride,
                [=](int o, float sum) { to[o] = sum + add[o]; });
}

static __device__ __forceinline__ void cell_synapses(const CellMachine<1> &m, const EbbCellOp &op) {
  const EbbCellTable &table = m.a.table[op.table];
  const float4 *synapse = m.by_target(op.table);
  const float *v = m.at(op.from[0], 0);
  const CellOperand add(m, op, 1);
  float *to = m.v + op.to;
  const int targets = table.targets;
  const int lanes = cell_lanes(m.n, targets, (table.count + targets - 1) / targets, 1), lane = m.t % lanes;
  for (int base = 0; base < targets; base += m.n / lanes) {
    const int j = base + m.t / lanes;
    const int end = j < targets ? table.target_start[j + 1] : 0;
    float numerator = 0, denominator = 0;
    for (int i = j < targets ? table.target_start[j] + lane : 0; i < end; i += lanes) {
      const float4 s = synapse[i];
      const float open = cell_sigmoid(s.x * (v[table.source[i]] - s.y));
      numerator += s.w * open, denominator += s.z * open;
    }
    numerator = cell_lane_sum(numerator, lanes), denominator = cell_lane_sum(denominator, lanes);
    if (lane > 0 || j >= targets) continue;
    to[j] = numerator + add[j];
    to[targets + j] = denominator + add[targets + j];
  }
}

template <int R>
static __device__ __forceinline__ void cell_repeat(const CellMachine<R> &m, const EbbCellOp &op) {
  const CellOperand from(m, op, 0);
  for (int i = m.t; i < m.own(op.width); i += m.n) m.v[m.place(op.to + i)] = from[i / op.group];
}

template <int R>
static __device__ __forceinline__ void cell_group_sum(const CellMachine<R> &m, const EbbCellOp &op) {
  const CellOperand from(m, op, 0);
  for (int i = m.t; i < m.own(op.width); i += m.n) {
    float sum = 0;
    for (int k = 0; k < op.group; k++) sum += from[i * op.group + k];
    m.v[m.place(op.to + i)] = sum;
  }
}

template <int R>
static __device__ __forceinline__ void cell_group_softmax(const CellMachine<R> &m, const EbbCellOp &op) {
  const int group = op.group;
  const CellOperand all(m, op, 0);
  for (int i = m.t; i < m.own(op.width / group); i += m.n) {
    const int first = i * group;
    float *to = m.v + m.place(op.to + first), most = all[first], sum = 0;
    for (int k = 1; k < group; k++) most = all[first + k] > most ? all[first + k] : most;
    for (int k = 0; k < group; k++) sum += to[R * k] = ebb_expf(all[first + k] - most);
    const float scale = 1 / sum;
    for (int k = 0; k < group; k++) to[R * k] *= scale;
  }
}

template <int R>
static __device__ __forceinline__ void cell_op(const CellMachine<R> &m, const EbbCellOp &op) {
  switch (op.code) {
#define EBB_CELL_FORMULA(CODE, name, operands)                                                               \
  case EBB_CELL_##CODE:                                                                                      \
    return cell_apply<operands>(m, op, [](const float *in) { return ebb_cell_##name(in); });
#define EBB_CELL_MOTION(CODE, name)                                                                          \
  case EBB_CELL_##CODE:                                                                                      \
    return cell_##name(m, op);
#include "ebb/cell_codes.def"
#undef EBB_CELL_FORMULA
#undef EBB_CELL_MOTION
  default:
    return cell_copy(m, op);
  }
}

/* The ops of a run; `again`: for backward, which wants neither moves nor what no gradient reaches. */
template <int R>
static __device__ __forceinline__ void cell_run_forward(const CellMachine<R> &m, const EbbCellRun &run,
                                                        bool again, bool moves) {
  for (int i = run.first; i < run.first + run.count; i++) {
    const EbbCellOp &op = m.ops[i];
    if (op.flags & EBB_CELL_WAITS) __syncthreads();
    if ((again && !(op.flags & EBB_CELL_LIVE)) || (!moves && op.code == EBB_CELL_MOVE)) continue;
    cell_op(m, op);
  }
}

#endif
