/* Exchange of the last two dimensions: a block takes a tile of 32 x 32 elements through shared memory, so
   that reads and writes are both along rows. Its rows are one word longer than the tile, against bank
   conflicts. Bytes: one read and one write an element, and a read more where a gradient adds. */
#include "ebb/ops/transpose.h"

#include "kernels/launch.cuh"
#include "kernels/storage.cuh"

enum { TILE = 32, ROWS = 8 };

/* Block t of matrix blockIdx.y: tile (t / across, t % across) of x (R, C). */
template <class From, class To>
__global__ void transpose_tile(const From *x, To *y, int64_t R, int64_t C, bool add) {
  EBB_SHARED(float, tile);
  const int64_t across = (C + TILE - 1) / TILE, matrix = (int64_t)blockIdx.y * R * C;
  const int64_t r0 = blockIdx.x / across * TILE, c0 = blockIdx.x % across * TILE;
  const int column = (int)threadIdx.x % TILE, row = (int)threadIdx.x / TILE;
  for (int i = row; i < TILE; i += ROWS)
    if (r0 + i < R && c0 + column < C)
      tile[i * (TILE + 1) + column] = load(x, matrix + (r0 + i) * C + c0 + column);
  __syncthreads();
  for (int i = row; i < TILE; i += ROWS)
    if (c0 + i < C && r0 + column < R)
      store_or_add(y, matrix + (c0 + i) * R + r0 + column, tile[column * (TILE + 1) + i], add);
}

template <class From, class To>
static EbbStatus launch(const EbbRun *run, const float *x, float *y, int64_t B, int64_t R, int64_t C,
                        bool add) {
  const int64_t most = 65535; /* blocks along y */
  const dim3 tiles(ebb_blocks(R, TILE) * ebb_blocks(C, TILE));
  for (int64_t b = 0; b < B; b += most) {
    const dim3 grid(tiles.x, (unsigned)(B - b < most ? B - b : most));
    EBB_TRY(EBB_LAUNCH(run, (transpose_tile<From, To>), grid, dim3(TILE * ROWS),
                       TILE * (TILE + 1) * sizeof(float), as<From>(x) + b * R * C, as<To>(y) + b * R * C, R,
                       C, add));
  }
  return EBB_OK;
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbTransposeArgs *a = (const EbbTransposeArgs *)args;
  EBB_STORAGE_DISPATCH(a->x_type, From, {
    EBB_STORAGE_DISPATCH(a->y_type, To,
                         { return (launch<From, To>(run, a->x, a->y, a->B, a->R, a->C, false)); });
  });
  return EBB_OK;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbTransposeArgs *a = (const EbbTransposeArgs *)args;
  if (!a->dx) return EBB_OK;
  EBB_STORAGE_DISPATCH(a->y_type, From, {
    EBB_STORAGE_DISPATCH(a->x_type, To,
                         { return (launch<From, To>(run, a->dy, a->dx, a->B, a->C, a->R, a->add_dx)); });
  });
  return EBB_OK;
}

extern "C" const EbbKernels ebb_transpose_cuda = {forward, backward};
