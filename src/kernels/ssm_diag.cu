/* Kernels of a diagonal system. Powers are split, lambda^l = lambda^(64 i) lambda^j, both factors taken in
   double and rounded once, so that no error builds up along l and a channel's kernels are one small product:
   k[r, i, j] = sum_m left[r i, m] power[m, j], two multiplications and additions a mode and value.
   Forward: a block makes tiles of 32 rows (r, i) times 64 values j of one channel, 4 by 4 a thread, from both
   factors in shared memory, 32 modes at a time. Backward: a block takes 32 modes of one channel, one a lane;
   each of its four warps sums g lambda^j and j g lambda^j over the 64 values of 4 rows i at once in float32
   and joins rows in double; g goes through shared memory, once for all 32 modes. Bytes: k once, dk once for
   every 32 modes; both are bound by arithmetic. */
#include "ebb/ops/ssm_diag.h"
#include "kernels/ssm_modes.cuh"
#include "kernels/storage.cuh"

namespace {

enum {
  WIDTH = EBB_SSM_DIAG_WIDTH,
  THREADS = 128,
  WARPS = THREADS / EBB_WARP,
  TILE_ROWS = 32,             /* of forward */
  LEFT_PITCH = TILE_ROWS + 4, /* 16-byte stores of 8 modes fall into distinct banks */
  POWER_PITCH = WIDTH + 4,    /* likewise */
  ROWS_EACH = 4,              /* rows i of a warp in backward */
  TILE_BLOCKS = WARPS * ROWS_EACH,
  MOST_ROWS = 3, /* R: two kernels and ke */
  BLOCKS_WANTED = 1024
};

__device__ EbbC64 power(EbbC64 z, int64_t n) {
  EbbC64 result = ebb_c64_make(1, 0);
  for (; n > 0; n >>= 1, z = ebb_c64_mul(z, z))
    if (n & 1) result = ebb_c64_mul(result, z);
  return result;
}

/* One mode of the block's channel; step = lambda^WIDTH. */
struct Mode {
  EbbC64 lambda, step, weight[MOST_ROWS]; /* 2 C bbar of every row */
};

__device__ void load_mode(const EbbSsmDiagArgs &args, int64_t h, int64_t m, Mode *to) {
  *to = Mode{};
  if (m >= args.M) return;
  const EbbSsmMode mode = ebb_ssm_mode(&args.diagonal, h, m);
  const EbbC64 bbar = ebb_ssm_bbar(&mode);
  to->lambda = mode.discrete.lambda, to->step = power(to->lambda, WIDTH);
  for (int64_t r = 0; r < args.R; r++)
    to->weight[r] = ebb_c64_scale(ebb_c64_mul(ebb_ssm_diag_output(&args, r, h, m), bbar), 2);
}

/* Shared memory of forward. A factor has a plane of real and one of imaginary parts. */
struct ForwardShared {
  Mode mode[EBB_WARP];
  float power[2][EBB_WARP * POWER_PITCH]; /* lambda^j */
  float left[2][EBB_WARP * LEFT_PITCH];   /* Re, -Im of 2 C bbar lambda^(64 i) */
};

__device__ void make_powers(ForwardShared *shared, int lane, int warp) {
  const Mode &mode = shared->mode[lane];
  for (int first = warp * (WIDTH / WARPS); first < (warp + 1) * (WIDTH / WARPS); first += 8) {
    EbbC64 p = power(mode.lambda, first);
    for (int j = 0; j < 8; j += 4) {
      float re[4], im[4];
      for (int i = 0; i < 4; i++, p = ebb_c64_mul(p, mode.lambda)) re[i] = (float)p.re, im[i] = (float)p.im;
      const int at = lane * POWER_PITCH + first + j;
      store4(shared->power[0], at, make_float4(re[0], re[1], re[2], re[3]));
      store4(shared->power[1], at, make_float4(im[0], im[1], im[2], im[3]));
    }
  }
}

/* Rows `first` .. of all R blocks rows (r, i), 8 a warp; 0 past the last. */
__device__ void make_left(const EbbSsmDiagArgs &args, ForwardShared *shared, int64_t first, int lane,
                          int warp) {
  const Mode &mode = shared->mode[lane];
  const int begin = warp * (TILE_ROWS / WARPS);
  int64_t r = (first + begin) / args.blocks, i = (first + begin) % args.blocks;
  EbbC64 p = power(mode.step, i);
  for (int row = begin; row < begin + TILE_ROWS / WARPS; row += 4) {
    float re[4], im[4];
    for (int k = 0; k < 4; k++) {
      const EbbC64 value = r < args.R ? ebb_c64_mul(mode.weight[r], p) : ebb_c64_make(0, 0);
      re[k] = (float)value.re, im[k] = (float)-value.im;
      p = ebb_c64_mul(p, mode.step);
      if (++i == args.blocks) i = 0, r++, p = ebb_c64_make(1, 0);
    }
    store4(shared->left[0], lane * LEFT_PITCH + row, make_float4(re[0], re[1], re[2], re[3]));
    store4(shared->left[1], lane * LEFT_PITCH + row, make_float4(im[0], im[1], im[2], im[3]));
  }
}

__device__ __forceinline__ void add_product(float4 left, float4 right, float sum[4][4]) {
  const float a[4] = {left.x, left.y, left.z, left.w}, b[4] = {right.x, right.y, right.z, right.w};
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) sum[i][j] += a[i] * b[j];
}

/* Rows `row` .. + 3 (counted over (r, i)) at values `j` .. + 3. */
__device__ void store_values(const EbbSsmDiagArgs &args, int64_t h, int64_t row, int64_t j,
                             const float value[4][4]) {
  const int64_t channels = args.diagonal.config.channels, H = args.diagonal.config.H;
  for (int k = 0; k < 4; k++) {
    const int64_t r = (row + k) / args.blocks, l = (row + k) % args.blocks * WIDTH + j;
    if (r >= args.R) continue;
    float *to = r < channels ? args.k + (r * H + h) * args.Lk : args.ke + h * args.Lk;
    for (int i = 0; i < 4; i++)
      if (l + i < args.Lk) to[l + i] = value[k][i];
  }
}

/* Block: channel blockIdx.x % H, every `stride`-th of its tiles. */
__global__ void __launch_bounds__(THREADS)
    diag_forward(const EbbSsmDiagArgs args, const int64_t tiles, const int64_t stride) {
  EBB_SHARED(ForwardShared, shared);
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
  const int column = (int)threadIdx.x % 16 * 4, row = (int)threadIdx.x / 16 * 4;
  const int64_t h = blockIdx.x % args.diagonal.config.H, start = blockIdx.x / args.diagonal.config.H;
  for (int64_t tile = start; tile < tiles; tile += stride) {
    float sum[4][4] = {};
    for (int64_t first = 0; first < args.M; first += EBB_WARP) {
      /* With up to 32 modes, all tiles share the first one's powers. */
      if (tile == start || args.M > EBB_WARP) {
        if (warp == 0) load_mode(args, h, first + lane, &shared->mode[lane]);
        __syncthreads();
        make_powers(shared, lane, warp);
      }
      make_left(args, shared, tile * TILE_ROWS, lane, warp);
      __syncthreads();
      const int64_t rest = args.M - first;
      const int modes = rest < EBB_WARP ? (int)rest : (int)EBB_WARP;
      for (int m = 0; m < modes; m++)
        for (int part = 0; part < 2; part++)
          add_product(load4(shared->left[part], m * LEFT_PITCH + row),
                      load4(shared->power[part], m * POWER_PITCH + column), sum);
      __syncthreads();
    }
    store_values(args, h, tile * TILE_ROWS + row, column, sum);
  }
}

EbbStatus forward(const void *args_, const EbbRun *run) {
  const EbbSsmDiagArgs *args = static_cast<const EbbSsmDiagArgs *>(args_);
  const int64_t H = args->diagonal.config.H, tiles = (args->R * args->blocks + TILE_ROWS - 1) / TILE_ROWS;
  int64_t stride = (BLOCKS_WANTED + H - 1) / H;
  if (stride > tiles) stride = tiles;
  return EBB_LAUNCH(run, diag_forward, dim3((unsigned)(H * stride)), dim3(THREADS), sizeof(ForwardShared),
                    *args, tiles, stride);
}

/* Of a warp's rows, or joined over rows: sum of g lambda^l and of l g lambda^l. */
struct PowerSums {
  EbbC64 plain, weighted;
};

struct BackwardShared {
  Mode mode[EBB_WARP];
  PowerSums sums[WARPS][EBB_WARP];
  float2 power[WIDTH * EBB_WARP];
  float g[TILE_BLOCKS * WIDTH];
};

__device__ void make_power_table(BackwardShared *shared, int lane, int warp) {
  const EbbC64 lambda = shared->mode[lane].lambda;
  const int first = warp * (WIDTH / WARPS);
  EbbC64 p = power(lambda, first);
  for (int j = first; j < first + WIDTH / WARPS; j++, p = ebb_c64_mul(p, lambda))
    shared->power[j * EBB_WARP + lane] = make_float2((float)p.re, (float)p.im);
}

/* The warp's rows of the tile at g, for the lane's mode. */
__device__ __forceinline__ void sum_rows(const float *g, const float2 *powers, EbbC32 plain[ROWS_EACH],
                                         EbbC32 weighted[ROWS_EACH]) {
  for (int i = 0; i < ROWS_EACH; i++) plain[i] = weighted[i] = ebb_c32_make(0.0f, 0.0f);
  for (int first = 0; first < WIDTH; first += 4) {
    float values[ROWS_EACH][4];
#pragma unroll
    for (int i = 0; i < ROWS_EACH; i++) {
      const float4 four = load4(g, i * WIDTH + first);
      values[i][0] = four.x, values[i][1] = four.y, values[i][2] = four.z, values[i][3] = four.w;
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const float2 p = powers[(first + j) * EBB_WARP];
      const float at = (float)(first + j), re = at * p.x, im = at * p.y;
#pragma unroll
      for (int i = 0; i < ROWS_EACH; i++) {
        plain[i].re += values[i][j] * p.x, plain[i].im += values[i][j] * p.y;
        weighted[i].re += values[i][j] * re, weighted[i].im += values[i][j] * im;
      }
    }
  }
}

/* Sums of the lane's mode over all g (Lk) that the warp's share of the rows holds. */
__device__ PowerSums warp_sums(const EbbSsmDiagArgs &args, BackwardShared *shared, const float *g, int lane,
                               int warp) {
  const EbbC64 step = shared->mode[lane].step, jump = power(step, TILE_BLOCKS - ROWS_EACH);
  EbbC64 coarse = power(step, warp * ROWS_EACH);
  PowerSums sums = {};
  for (int64_t first = 0; first < args.blocks; first += TILE_BLOCKS) {
    __syncthreads();
    for (int i = (int)threadIdx.x; i < TILE_BLOCKS * WIDTH; i += THREADS) {
      const int64_t l = first * WIDTH + i;
      shared->g[i] = l < args.Lk ? g[l] : 0.0f;
    }
    __syncthreads();
    EbbC32 plain[ROWS_EACH], weighted[ROWS_EACH];
    sum_rows(shared->g + warp * ROWS_EACH * WIDTH, shared->power + lane, plain, weighted);
    for (int k = 0; k < ROWS_EACH; k++, coarse = ebb_c64_mul(coarse, step)) {
      const int64_t i = first + warp * ROWS_EACH + k;
      if (i >= args.blocks) continue;
      const EbbC64 U = ebb_c64_from(plain[k]);
      const EbbC64 W = ebb_c64_add(ebb_c64_from(weighted[k]), ebb_c64_scale(U, (double)(i * WIDTH)));
      sums.plain = ebb_c64_add(sums.plain, ebb_c64_mul(coarse, U));
      sums.weighted = ebb_c64_add(sums.weighted, ebb_c64_mul(coarse, W));
    }
    coarse = ebb_c64_mul(coarse, jump);
  }
  return sums;
}

__device__ PowerSums join_warps(const BackwardShared *shared, int lane) {
  PowerSums total = shared->sums[0][lane];
  for (int warp = 1; warp < WARPS; warp++) {
    total.plain = ebb_c64_add(total.plain, shared->sums[warp][lane].plain);
    total.weighted = ebb_c64_add(total.weighted, shared->sums[warp][lane].weighted);
  }
  return total;
}

/* Block: 32 modes of a channel. The first warp takes the sums on to the parameters. */
__global__ void __launch_bounds__(THREADS) diag_backward(const EbbSsmDiagArgs args) {
  EBB_SHARED(BackwardShared, shared);
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
  const int64_t H = args.diagonal.config.H, channels = args.diagonal.config.channels;
  const int64_t h = blockIdx.x % H, m = blockIdx.x / H * EBB_WARP + lane;
  EbbC64 dbbar = ebb_c64_make(0, 0), dlog = dbbar;
  if (warp == 0) load_mode(args, h, m, &shared->mode[lane]);
  __syncthreads();
  make_power_table(shared, lane, warp);
  for (int64_t r = 0; r < args.R; r++) {
    const float *all = r < channels ? args.dk : args.dke;
    if (!all) continue;
    shared->sums[warp][lane] =
        warp_sums(args, shared, all + (r < channels ? r * H + h : h) * args.Lk, lane, warp);
    __syncthreads();
    if (warp > 0 || m >= args.M) continue;
    const PowerSums total = join_warps(shared, lane);
    const EbbSsmMode mode = ebb_ssm_mode(&args.diagonal, h, m);
    ebb_ssm_diag_row_grad(total.plain, total.weighted, ebb_ssm_diag_output(&args, r, h, m),
                          ebb_ssm_bbar(&mode), ebb_ssm_diag_output_grad(&args, r, h, m), &dbbar, &dlog);
  }
  if (warp > 0 || m >= args.M) return;
  const EbbSsmMode mode = ebb_ssm_mode(&args.diagonal, h, m);
  ssm_keep_grad(args.shared, H * args.M, h * args.M + m, ebb_ssm_mode_grad(&mode, dlog, dbbar));
}

EbbStatus backward(const void *args_, const EbbRun *run) {
  const EbbSsmDiagArgs *args = static_cast<const EbbSsmDiagArgs *>(args_);
  const int64_t chunks = (args->M + EBB_WARP - 1) / EBB_WARP;
  EBB_TRY(EBB_LAUNCH(run, diag_backward, dim3((unsigned)(args->diagonal.config.H * chunks)), dim3(THREADS),
                     sizeof(BackwardShared), *args));
  return ebb_ssm_add_modes(&args->diagonal, args->shared, run);
}

} // namespace

extern "C" const EbbKernels ebb_ssm_diag_cuda = {forward, backward};
