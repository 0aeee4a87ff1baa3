/* Gradients of a block's samples: sums of the parameters' over time, what a row of SEQ and x gets. */
#ifndef EBB_KERNELS_CELL_BACK_CUH
#define EBB_KERNELS_CELL_BACK_CUH

#include "kernels/cell_machine.cuh"

/* Sums in shared memory are added to the block's part in device memory now and then, which keeps what is lost
   in rounding far below that of one long sum. */
enum { CELL_FLUSH = 64 };

template <int R> static __device__ __forceinline__ void cell_begin_sums(const CellMachine<R> &m) {
  for (int i = m.t; i < m.a.program.sums && m.a.places.sums >= 0; i += m.n) m.sums[m.place(i)] = 0.0f;
  __syncthreads();
}

template <int R> static __device__ __forceinline__ void cell_flush_sums(const CellMachine<R> &m) {
  const CellView &a = m.a;
  if (a.places.sums < 0) return;
  float *part = a.program.part + (int64_t)blockIdx.x * a.program.sums;
  __syncthreads();
  for (int i = (int)threadIdx.x; i < a.program.sums; i += (int)blockDim.x) {
    float sum = 0, *of = m.sums + R * i;
    for (int s = 0; s < R; s++) sum += of[s], of[s] = 0.0f;
    part[i] += sum;
  }
  __syncthreads();
}

template <int R>
static __device__ __forceinline__ void cell_clear(const CellMachine<R> &m, int32_t first, int32_t end) {
  for (int i = first + m.t; i < end; i += m.n) m.g[m.place(i)] = 0.0f;
}

/* Adds the gradient of the row's elapsed time, of all threads. */
template <int R>
static __device__ __forceinline__ void cell_store_elapsed(CellMachine<R> &m, int64_t row, bool active) {
  if (m.a.delapsed) {
    const float sum = cell_sum(m, m.elapsed_grad);
    if (m.t == 0 && active) m.a.delapsed[row] += sum;
  }
  m.elapsed_grad = 0;
}

/* Adds what a row of SEQ and x gets. */
template <int R>
static __device__ __forceinline__ void cell_store_loads(const CellMachine<R> &m, int32_t first, int32_t count,
                                                        int64_t row) {
  const CellView &a = m.a;
  for (int i = m.t; i < count; i += m.n) {
    const EbbCellLoad load = a.program.load[first + i];
    if (load.row >= 0)
      a.dseq[row * a.seqs + load.row] += m.g[m.place(load.at)];
    else if (a.dx)
      a.dx[row * a.I + ~load.row] += m.g[m.place(load.at)];
  }
}

#endif
