/* The steps of a cell backward, a block a tile of samples. */
#include "kernels/cell_steps_back.cuh"
#include "kernels/cell_tile_back.cuh"

namespace {

__global__ void EBB_CELL_BOUNDS tile_backward(const CellView a, const CellSpan span) {
  EBB_SHARED(float, shared);
  CellTile m = cell_tile_begin(a, shared);
  cell_run_batch_back(m, span);
}

} // namespace

EbbStatus cell_tile_backward(const EbbCellArgs &args, const EbbRun *run, int64_t first, int64_t end) {
  const CellView a = cell_tile_view(args, run, true);
  const CellSpan span = {first, end};
  return EBB_LAUNCH(run, tile_backward, dim3((unsigned)a.program.blocks), dim3((unsigned)a.program.threads),
                    a.places.bytes, a, span);
}
