/* A cell forward: SEQUENCE, a block a row of (B, T); then the steps, a block a sample and all its time. */
#include "kernels/cell_steps.cuh"

namespace {

__global__ void EBB_CELL_BOUNDS rows_forward(const CellView a, const EbbCellRun run) {
  EBB_SHARED(float, shared);
  CellMachine<1> m = cell_begin<1>(a, shared);
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

__global__ void EBB_CELL_BOUNDS steps_forward(const CellView a, EbbFault *fault) {
  EBB_SHARED(float, shared);
  CellMachine<1> m = cell_begin<1>(a, shared);
  cell_run_batch(m, fault);
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
