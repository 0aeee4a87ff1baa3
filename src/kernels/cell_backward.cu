/* A cell backward through time: SEQUENCE, a block a row; and the steps, a block a sample. */
#include "kernels/cell_steps_back.cuh"

namespace {

__global__ void EBB_CELL_BOUNDS rows_backward(const CellView a, const EbbCellRun run) {
  EBB_SHARED(float, shared);
  CellMachine<1> m = cell_begin<1>(a, shared);
  cell_begin_sums(m);
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
    cell_store_loads(m, run.in, run.ins, row);
    cell_store_elapsed(m, row, true);
    __syncthreads();
    if (++rows % CELL_FLUSH == 0) cell_flush_sums(m);
  }
  cell_flush_sums(m);
}

__global__ void EBB_CELL_BOUNDS steps_backward(const CellView a, const CellSpan span) {
  EBB_SHARED(float, shared);
  CellMachine<1> m = cell_begin<1>(a, shared);
  cell_run_batch_back(m, span);
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
  const CellSpan span = {first, end};
  return EBB_LAUNCH(run, steps_backward, dim3((unsigned)a.program.blocks), dim3((unsigned)a.program.threads),
                    a.places.bytes, a, span);
}
