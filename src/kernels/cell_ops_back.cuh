/* Ops of a cell's program, backward: from the gradient of `to` to those of the operands. */
#ifndef EBB_KERNELS_CELL_OPS_BACK_CUH
#define EBB_KERNELS_CELL_OPS_BACK_CUH

#include "kernels/cell_reduce.cuh"

/* Adds d to the gradient of element i of operand k, where it has one. */
template <int R>
static __device__ __forceinline__ void cell_add(CellMachine<R> &m, const EbbCellOp &op, int k, int i,
                                                float d) {
  const int32_t address = op.grad[k];
  if (address > EBB_CELL_ELAPSED_GRAD)
    m.grad(address, i) += d;
  else if (address == EBB_CELL_ELAPSED_GRAD)
    m.elapsed_grad += d;
}

/* give(i, add) calls add(k, d) for every operand of element i. Where operands overlap, each waits. */
template <int R, class Give>
static __device__ __forceinline__ void cell_back(CellMachine<R> &m, const EbbCellOp &op, int operands,
                                                 Give give) {
  float d[EBB_CELL_OPERANDS];
  const bool overlaps = op.flags & EBB_CELL_OVERLAPS;
  const int width = op.width, own = m.own(width);
  for (int base = 0; base < width; base += m.n) {
    const int i = base + m.t;
    if (i < own) give(i, d);
#pragma unroll
    for (int k = 0; k < EBB_CELL_OPERANDS; k++) {
      if (k >= operands) break;
      if (overlaps) __syncthreads();
      if (i < own) cell_add(m, op, k, i, d[k]);
    }
  }
}

template <int N, int R, class Gradient>
static __device__ __forceinline__ void cell_apply_back(CellMachine<R> &m, const EbbCellOp &op,
                                                       Gradient gradient) {
  cell_back(m, op, N, [&](int i, float *d) {
    float in[N];
#pragma unroll
    for (int k = 0; k < N; k++) in[k] = CellOperand(m, op, k)[i];
    gradient(in, m.v[m.place(op.to + i)], m.g[m.place(op.to + i)], d);
  });
}

template <int R>
static __device__ __forceinline__ void cell_copy_back(CellMachine<R> &m, const EbbCellOp &op) {
  const bool takes = op.code == EBB_CELL_MOVE;
  for (int i = m.t; i < m.own(op.width); i += m.n) {
    cell_add(m, op, 0, i, m.g[m.place(op.to + i)]);
    if (takes) m.g[m.place(op.to + i)] = 0;
  }
}

template <int R>
static __device__ __forceinline__ void cell_combine_back(CellMachine<R> &m, const EbbCellOp &op) {
  cell_back(m, op, op.operands, [&](int i, float *d) {
    const float g = m.g[m.place(op.to + i)], scale = CellOperand(m, op, 1)[i];
    float sum = 0;
#pragma unroll
    for (int k = 2; k < EBB_CELL_OPERANDS; k++)
      if (k < op.operands) {
        sum += op.c[k - 2] * CellOperand(m, op, k)[i];
        d[k] = g * scale * op.c[k - 2];
      }
    d[0] = g, d[1] = g * sum;
  });
}

/* Operand 1, which is added, gets the gradient as it is. */
template <int R>
static __device__ __forceinline__ void cell_added_back(CellMachine<R> &m, const EbbCellOp &op) {
  if (op.grad[1] != EBB_CELL_NO_GRAD)
    for (int i = m.t; i < m.own(op.width); i += m.n) cell_add(m, op, 1, i, m.g[m.place(op.to + i)]);
  if (op.flags & EBB_CELL_OVERLAPS) __syncthreads();
}

/* The gradient of `to` and the input, for the product that gives the weights' gradient. */
template <int R>
static __device__ __forceinline__ void cell_keep_linear(const CellMachine<R> &m, const EbbCellOp &op) {
  const CellOperand x(m, op, 0);
  if (op.delta >= 0)
    for (int o = m.t; o < m.own(op.matrix.outputs); o += m.n) m.delta[op.delta + o] = m.g[m.place(op.to + o)];
  if (op.delta_x >= 0)
    for (int i = m.t; i < m.own(op.matrix.inputs); i += m.n) m.delta[op.delta_x + i] = x[i];
}

static __device__ __forceinline__ void cell_linear_back(CellMachine<1> &m, const EbbCellOp &op) {
  const EbbCellMatrix w = op.matrix;
  cell_keep_linear(m, op);
  cell_added_back(m, op);
  if (op.grad[0] <= EBB_CELL_ELAPSED_GRAD) return;
  float *dx = &m.grad(op.grad[0], 0);
  cell_products(m, m.p + w.at, m.g + op.to, w.inputs, w.outputs, w.in_stride, w.out_stride,
                [=](int i, float sum) { dx[i] += sum; });
}

/* The sums of a synapse are s gN, s gD, d and (v - mu) d of cell_formulas.h: the parameters' gradients are
   made of them at the end. */
static __device__ __forceinline__ void cell_synapses_back(CellMachine<1> &m, const EbbCellOp &op) {
  const EbbCellTable &table = m.a.table[op.table];
  const float4 *synapse = m.by_source(op.table);
  const float *v = m.at(op.from[0], 0), *g = m.g + op.to;
  float4 *sums = reinterpret_cast<float4 *>(m.sums + op.sums);
  const bool wanted = op.grad[0] > EBB_CELL_ELAPSED_GRAD;
  float *dv = wanted ? &m.grad(op.grad[0], 0) : nullptr;
  const int sources = table.sources, targets = table.targets;
  cell_added_back(m, op);
  const int lanes = cell_lanes(m.n, sources, (table.count + sources - 1) / sources, 1), lane = m.t % lanes;
  for (int base = 0; base < sources; base += m.n / lanes) {
    const int source = base + m.t / lanes;
    const int end = source < sources ? table.source_start[source + 1] : 0;
    const float x = source < sources ? v[source] : 0.0f;
    float dx = 0;
    for (int i = source < sources ? table.source_start[source] + lane : 0; i < end; i += lanes) {
      const float4 s = synapse[i];
      const int j = table.target[i];
      const float open = cell_sigmoid(s.x * (x - s.y)), gn = open * g[j], gd = open * g[targets + j];
      const float d = (1.0f - open) * (gn * s.w + gd * s.z);
      float4 sum = sums[i];
      sum.x += gn, sum.y += gd, sum.z += d, sum.w += (x - s.y) * d;
      sums[i] = sum;
      dx += s.x * d;
    }
    dx = cell_lane_sum(dx, lanes);
    if (lane == 0 && source < sources && wanted) dv[source] += dx;
  }
}

template <int R>
static __device__ __forceinline__ void cell_repeat_back(CellMachine<R> &m, const EbbCellOp &op) {
  const int group = op.group;
  for (int i = m.t; i < m.own(op.width / group); i += m.n) {
    float sum = 0;
    for (int k = 0; k < group; k++) sum += m.g[m.place(op.to + i * group + k)];
    cell_add(m, op, 0, i, sum);
  }
}

template <int R>
static __device__ __forceinline__ void cell_group_sum_back(CellMachine<R> &m, const EbbCellOp &op) {
  for (int i = m.t; i < m.own(op.width * op.group); i += m.n)
    cell_add(m, op, 0, i, m.g[m.place(op.to + i / op.group)]);
}

template <int R>
static __device__ __forceinline__ void cell_group_softmax_back(CellMachine<R> &m, const EbbCellOp &op) {
  const int group = op.group;
  for (int i = m.t; i < m.own(op.width / group); i += m.n) {
    const int first = m.place(op.to + i * group);
    const float *y = m.v + first, *g = m.g + first;
    float dot = 0;
    for (int k = 0; k < group; k++) dot += y[R * k] * g[R * k];
    for (int k = 0; k < group; k++) cell_add(m, op, 0, i * group + k, y[R * k] * (g[R * k] - dot));
  }
}

template <int R> static __device__ __forceinline__ void cell_op_back(CellMachine<R> &m, const EbbCellOp &op) {
  switch (op.code) {
#define EBB_CELL_FORMULA(CODE, name, operands)                                                               \
  case EBB_CELL_##CODE:                                                                                      \
    return cell_apply_back<operands>(m, op, [](const float *in, float out, float g, float *d) {              \
      ebb_cell_##name##_grad(in, out, g, d);                                                                 \
    });
#define EBB_CELL_MOTION(CODE, name)                                                                          \
  case EBB_CELL_##CODE:                                                                                      \
    return cell_##name##_back(m, op);
#include "ebb/cell_codes.def"
#undef EBB_CELL_FORMULA
#undef EBB_CELL_MOTION
  default:
    return cell_copy_back(m, op);
  }
}

template <int R>
static __device__ __forceinline__ void cell_run_backward(CellMachine<R> &m, const EbbCellRun &run) {
  for (int i = run.first + run.count - 1; i >= run.first; i--) {
    const EbbCellOp &op = m.ops[i];
    if (op.flags & EBB_CELL_WAITS_BACK) __syncthreads();
    if (op.flags & EBB_CELL_LIVE) cell_op_back(m, op);
  }
}

#endif
