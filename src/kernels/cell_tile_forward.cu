/* The steps of a cell forward, a block a tile of samples and all their time. */
#include "kernels/cell_steps.cuh"
#include "kernels/cell_tile.cuh"

namespace {

__global__ void EBB_CELL_BOUNDS tile_forward(const CellView a, EbbFault *fault) {
  EBB_SHARED(float, shared);
  CellTile m = cell_tile_begin(a, shared);
  cell_run_batch(m, fault);
}

} // namespace

EbbStatus cell_tile_forward(const EbbCellArgs &args, const EbbRun *run) {
  const CellView a = cell_tile_view(args, run, false);
  return EBB_LAUNCH(run, tile_forward, dim3((unsigned)a.program.blocks), dim3((unsigned)a.program.threads),
                    a.places.bytes, a, ebb_fault_of(run));
}
