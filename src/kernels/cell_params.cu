/* A cell's parameters: what its ops read of those declared, and the way back for their gradients. Bytes: the
   parameters, a few times; the blocks' sums, once. And x without what stands in its padding. */
#include "kernels/cell.cuh"

namespace {

enum { THREADS = 128, SUM_WARPS = 8 };

/* Of all parameters, by index. */
struct Params {
  const float *value[EBB_CELL_PARAMS];
  float *grad[EBB_CELL_PARAMS];
  int32_t at[EBB_CELL_PARAMS], size[EBB_CELL_PARAMS];
  bool softplus[EBB_CELL_PARAMS], constant[EBB_CELL_PARAMS];
};

Params params_of(const EbbCellArgs &args) {
  Params params = {};
  for (int p = 0; p < args.cell->n_params; p++) {
    const EbbCellParam &param = args.cell->param[p];
    params.value[p] = args.value[p], params.grad[p] = args.grad[p];
    params.at[p] = args.cuda.at[p], params.size[p] = param.size;
    params.softplus[p] = param.map == EBB_CELL_SOFTPLUS_OF, params.constant[p] = param.constant;
  }
  return params;
}

/* Blocks (x, parameters) for all elements and what lies between two parameters. */
dim3 grid_of(const EbbCellArgs &args) {
  int32_t most = 1;
  for (int p = 0; p < args.cell->n_params; p++)
    if (args.cell->param[p].size > most) most = args.cell->param[p].size;
  return dim3(ebb_blocks(most + EBB_CELL_ALIGN, THREADS), (unsigned)args.cell->n_params);
}

__global__ void map_params(const Params params, const float *constant, const float *mask, float *arena) {
  const int p = (int)blockIdx.y;
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, at = params.at[p] + i;
  const int64_t size = params.size[p], end = (size + EBB_CELL_ALIGN - 1) / EBB_CELL_ALIGN * EBB_CELL_ALIGN;
  if (i >= end) return;
  const float value = i >= size ? 0.0f : params.constant[p] ? constant[at] : params.value[p][i];
  arena[at] = (params.softplus[p] ? ebb_softplusf(value) : value) * mask[at];
}

__global__ void map_back(const Params params, const float *mask, const float *darena) {
  const int p = (int)blockIdx.y;
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, at = params.at[p] + i;
  if (i >= params.size[p] || !params.grad[p]) return;
  const float slope = params.softplus[p] ? ebb_sigmoidf(params.value[p][i]) : 1.0f;
  params.grad[p][i] += darena[at] * mask[at] * slope;
}

/* Of every synapse the numbers that a sum reads, side by side: block row 0 by target, 1 by source. */
__global__ void pack_synapses(const EbbCellTable table, const float *arena) {
  const int i = (int)(blockIdx.x * THREADS + threadIdx.x);
  if (i >= table.count) return;
  const int element = table.element[blockIdx.y * (unsigned)table.count + (unsigned)i];
  const float w = arena[table.w + element];
  float4 *to = reinterpret_cast<float4 *>(blockIdx.y ? table.by_source : table.by_target);
  to[i] = make_float4(arena[table.sigma + element], arena[table.mu + element], w,
                      w * arena[table.erev + element]);
}

__global__ void mask_x(const CellView a, float *to) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i >= a.B * a.T * a.I) return;
  const int64_t row = i / a.I;
  to[i] = row % a.T < cell_length(a, row / a.T) ? a.x[i] : 0.0f;
}

/* The sum over blocks of float `i` of their sums, in shared memory as add_parts does it; complete in the
   first warp. */
__device__ __forceinline__ float sum_parts(const EbbCellProgram &program, int64_t i, bool here,
                                           double *shared) {
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
  double sum = 0;
  if (here)
    for (int64_t block = warp; block < program.blocks; block += SUM_WARPS)
      sum += (double)program.part[block * program.sums + i];
  shared[threadIdx.x] = sum;
  __syncthreads();
  for (int w = 1; w < SUM_WARPS && warp == 0; w++) sum += shared[w * EBB_WARP + lane];
  return (float)sum;
}

/* Sums of elementwise ops: each has its own float of the parameters. */
__global__ void add_sums(const EbbCellProgram program, float *darena) {
  EBB_SHARED(double, shared);
  const int64_t i = (int64_t)blockIdx.x * EBB_WARP + threadIdx.x % EBB_WARP;
  const int32_t home = i < program.elementwise ? program.home[i] : -1;
  const float sum = sum_parts(program, i, home >= 0, shared);
  if (threadIdx.x < EBB_WARP && home >= 0) darena[home] += sum;
}

/* Sums of synapses by source, four lanes a synapse; the first of them makes the gradients. */
__global__ void add_synapses(const EbbCellProgram program, const EbbCellTable table, int32_t sums,
                             const float *arena, float *darena) {
  EBB_SHARED(double, shared);
  const int64_t i = (int64_t)blockIdx.x * EBB_WARP + threadIdx.x % EBB_WARP;
  const bool here = i < 4 * (int64_t)table.count;
  const float sum = sum_parts(program, sums + i, here, shared);
  if (threadIdx.x >= EBB_WARP) return;
  const float gd = __shfl_down_sync(EBB_FULL_WARP, sum, 1), d = __shfl_down_sync(EBB_FULL_WARP, sum, 2),
              vd = __shfl_down_sync(EBB_FULL_WARP, sum, 3);
  if (!here || i % 4 != 0) return;
  const int element = table.element[table.count + i / 4];
  const float4 s = reinterpret_cast<const float4 *>(table.by_source)[i / 4];
  const float erev = arena[table.erev + element];
  darena[table.w + element] += erev * sum + gd;
  darena[table.erev + element] += s.z * sum;
  darena[table.mu + element] += -s.x * d;
  darena[table.sigma + element] += vd;
}

EbbStatus add_program(const EbbCellArgs &args, const EbbRun *run, const EbbCellProgram &program) {
  const dim3 threads(SUM_WARPS * EBB_WARP);
  const size_t bytes = SUM_WARPS * EBB_WARP * sizeof(double);
  if (program.elementwise)
    EBB_TRY(EBB_LAUNCH(run, add_sums, dim3(ebb_blocks(program.elementwise, EBB_WARP)), threads, bytes,
                       program, args.cuda.darena));
  for (int k = 0; k < args.cuda.n_tables; k++) {
    const EbbCellTable &table = args.cuda.table[k];
    if (program.sums_of[k] < 0 || table.count == 0) continue;
    EBB_TRY(EBB_LAUNCH(run, add_synapses, dim3(ebb_blocks((int64_t)4 * table.count, EBB_WARP)), threads,
                       bytes, program, table, program.sums_of[k], (const float *)args.arena,
                       args.cuda.darena));
  }
  return EBB_OK;
}

} // namespace

EbbStatus cell_params_forward(const EbbCellArgs &args, const EbbRun *run) {
  if (args.cell->n_params > 0)
    EBB_TRY(EBB_LAUNCH(run, map_params, grid_of(args), dim3(THREADS), 0, params_of(args), args.cuda.constant,
                       args.cuda.mask, args.arena));
  for (int k = 0; k < args.cuda.n_tables; k++) {
    const EbbCellTable &table = args.cuda.table[k];
    if (table.count == 0) continue;
    EBB_TRY(EBB_LAUNCH(run, pack_synapses, dim3(ebb_blocks(table.count, THREADS), 2), dim3(THREADS), 0, table,
                       (const float *)args.arena));
  }
  return EBB_OK;
}

EbbStatus cell_mask_x(const EbbCellArgs &args, const EbbRun *run) {
  if (!args.cuda.masked_x) return EBB_OK;
  CellView a = {};
  a.B = args.B, a.T = args.T, a.I = args.I, a.lengths = args.lengths, a.x = args.x;
  return EBB_LAUNCH(run, mask_x, dim3(ebb_blocks(a.B * a.T * a.I, THREADS)), dim3(THREADS), 0, a,
                    args.cuda.masked_x);
}

EbbStatus cell_params_backward(const EbbCellArgs &args, const EbbRun *run) {
  if (args.cell->n_params == 0) return EBB_OK;
  EBB_TRY(add_program(args, run, args.cuda.rows));
  EBB_TRY(add_program(args, run, args.cuda.steps));
  return EBB_LAUNCH(run, map_back, grid_of(args), dim3(THREADS), 0, params_of(args), args.cuda.mask,
                    (const float *)args.cuda.darena);
}
