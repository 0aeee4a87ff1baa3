/* The steps of a cell forward, a block a tile of samples and all their time; and the weights for it. */
#include "kernels/cell_steps.cuh"
#include "kernels/cell_tile.cuh"

namespace {

enum { PACK_THREADS = 256, PACK_BLOCKS = 16 };

/* The matrix of op blockIdx.y, zeros around it. */
template <class F> __global__ void pack_weights(const EbbCellOp *ops, const float *arena, uint32_t *to) {
  const EbbCellOp &op = ops[blockIdx.y];
  const EbbCellMatrix w = op.matrix;
  if (!(op.flags & EBB_CELL_FILLS)) return;
  const int across = cell_blocks_of(w.inputs), words = cell_blocks_of(w.outputs) * across * F::WORDS;
  for (int i = (int)(blockIdx.x * PACK_THREADS + threadIdx.x); i < words; i += PACK_BLOCKS * PACK_THREADS) {
    const int block = i / F::WORDS, top = block / across * CELL_BLOCK, left = block % across * CELL_BLOCK;
    to[(int64_t)op.block * F::WORDS + i] = F::word(i % F::WORDS, [&](int row, int column) {
      const int o = top + row, x = left + column;
      const bool here = o < w.outputs && x < w.inputs;
      return here ? arena[w.at + (int64_t)o * w.out_stride + (int64_t)x * w.in_stride] : 0.0f;
    });
  }
}

__global__ void EBB_CELL_BOUNDS tile_forward(const CellView a, EbbFault *fault) {
  EBB_SHARED(float, shared);
  CellTile m = cell_tile_begin(a, shared);
  cell_run_batch(m, fault);
}

} // namespace

EbbStatus cell_tile_pack(const EbbCellArgs &args, const EbbRun *run) {
  typedef void (*Pack)(const EbbCellOp *, const float *, uint32_t *);
  static const Pack packs[] = {pack_weights<CellFloat32>, pack_weights<CellTf32>, pack_weights<CellBf16>};
  const Pack pack = packs[ebb_cuda_precision(run->device)];
  return EBB_LAUNCH(run, pack, dim3(PACK_BLOCKS, (unsigned)args.cuda.steps.n_ops), dim3(PACK_THREADS), 0,
                    args.cuda.steps.ops, (const float *)args.arena, args.cuda.weights);
}

EbbStatus cell_tile_forward(const EbbCellArgs &args, const EbbRun *run) {
  const CellView a = cell_tile_view(args, run, false);
  return EBB_LAUNCH(run, tile_forward, dim3((unsigned)a.program.blocks), dim3((unsigned)a.program.threads),
                    a.places.bytes, a, ebb_fault_of(run));
}
