/* The optimiser on CUDA. Everything is memory traffic over the flat buffers, 16 bytes a thread and access:
   the square sum reads 4 bytes an element, the update reads values, gradients and both moments and writes
   them (32 bytes), in one launch over all groups. Rates, the bound of the norm and the square sum are read
   from device memory, so that a recorded update serves every step; the clip scale and whether to go ahead are
   found by each block for itself, while its loads are under way. */
#include "host/learn/optim_kernels.h"
#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"
#include "kernels/storage.cuh"

namespace {

enum { THREADS = 256, FOUR = 4, ROUND = THREADS * FOUR };

EbbRun on(EbbDevice *device) { return {device, false, 0, 0}; }

/* ---- the gradients' square sum: at most EBB_SQUARE_PARTIALS blocks, then one that adds theirs ---- */

__global__ void __launch_bounds__(THREADS) square_partials(const float *x, int64_t size, double *partials) {
  EBB_SHARED(double, scratch);
  double sum = 0;
  for (int64_t i = (int64_t)blockIdx.x * ROUND + threadIdx.x * FOUR; i < size;
       i += (int64_t)gridDim.x * ROUND) {
    const float4 v = load4(x, i);
    sum += (double)(v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w);
  }
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(THREADS) add_partials(const double *partials, int count, double *sum) {
  EBB_SHARED(double, scratch);
  double some = 0;
  for (int i = (int)threadIdx.x; i < count; i += THREADS) some += partials[i];
  some = block_sum(some, scratch);
  if (threadIdx.x == 0) *sum = some;
}

EbbStatus square_sum(EbbDevice *device, const float *x, int64_t size, double *partials, double *sum) {
  const EbbRun run = on(device);
  const int64_t rounds = (size + ROUND - 1) / ROUND;
  const int blocks = rounds < EBB_SQUARE_PARTIALS ? (int)rounds : (int)EBB_SQUARE_PARTIALS;
  if (blocks > 0)
    EBB_TRY(EBB_LAUNCH(&run, square_partials, dim3((unsigned)blocks), dim3(THREADS), 32 * sizeof(double), x,
                       size, partials));
  return EBB_LAUNCH(&run, add_partials, dim3(1), dim3(THREADS), 32 * sizeof(double), partials, blocks, sum);
}

/* ---- the update ---- */

/* What all threads of a block go by. */
struct Verdict {
  float grad_scale;
  bool go;
};

/* Every block looks at the tally for itself; the first one writes down what has come of it. The failure may
   be noted while other blocks look, hence the atomic accesses; they all decide alike, before and after. */
__device__ Verdict judge(const EbbUpdate &u) {
  const int before = atomicAdd(&u.tally->failure, 0);
  EbbTally seen = {};
  seen.failure = before, seen.batches = u.tally->batches;
  const bool go = ebb_tally_update(&seen, *u.square_sum) != 0;
  if (blockIdx.x == 0 && before == EBB_TALLY_FINE) {
    u.tally->norm = seen.norm;
    if (!go) u.tally->failed_batch = seen.failed_batch, atomicExch(&u.tally->failure, seen.failure);
  }
  return {(float)ebb_grad_clip_scale(seen.norm, *u.most_norm), go};
}

__device__ __forceinline__ void step_one(const EbbUpdateGroup &group, const EbbAdamWRates &rates,
                                         float *value, float grad, float *m, float *v) {
  const float moved = ebb_adamw_update(&rates, *value, grad, m, v);
  *value = group.constraint == EBB_FREE ? moved : ebb_constrained(moved, group.low, group.high);
}

/* The group that element i belongs to, or NULL; a border never falls into four neighbours. */
__device__ const EbbUpdateGroup *group_of(const EbbUpdate &u, int64_t i) {
  for (int g = 0; g < u.n_groups; g++)
    if (i < u.groups[g].end) return i >= u.groups[g].begin ? &u.groups[g] : nullptr;
  return nullptr;
}

__global__ void __launch_bounds__(THREADS) adamw(EbbUpdate u) {
  EBB_SHARED(Verdict, verdict);
  const int64_t i = (int64_t)blockIdx.x * ROUND + threadIdx.x * FOUR;
  const EbbUpdateGroup *group = group_of(u, i);
  float4 value = {}, grad = {}, m = {}, v = {};
  if (group) value = load4(u.value, i), grad = load4(u.grad, i), m = load4(u.m, i), v = load4(u.v, i);
  if (threadIdx.x == 0) *verdict = judge(u);
  __syncthreads();
  if (!verdict->go || i >= u.size) return;
  if (group) {
    EbbAdamWRates rates = group->rates;
    rates.grad_scale = verdict->grad_scale;
    step_one(*group, rates, &value.x, grad.x, &m.x, &v.x);
    step_one(*group, rates, &value.y, grad.y, &m.y, &v.y);
    step_one(*group, rates, &value.z, grad.z, &m.z, &v.z);
    step_one(*group, rates, &value.w, grad.w, &m.w, &v.w);
    store4(u.value, i, value), store4(u.m, i, m), store4(u.v, i, v);
  }
  store4(u.grad, i, make_float4(0, 0, 0, 0));
}

EbbStatus update(EbbDevice *device, const EbbUpdate *u) {
  const EbbRun run = on(device);
  /* Without parameters there is still a norm to note. */
  const unsigned blocks = u->size > 0 ? ebb_blocks(u->size, ROUND) : 1;
  return EBB_LAUNCH(&run, adamw, dim3(blocks), dim3(THREADS), sizeof(Verdict), *u);
}

/* ---- averages ---- */

__global__ void __launch_bounds__(THREADS)
    mix_four(float *average, const float *value, int64_t size, float weight) {
  const int64_t i = (int64_t)blockIdx.x * ROUND + threadIdx.x * FOUR;
  if (i >= size) return;
  float4 a = load4(average, i);
  const float4 p = load4(value, i);
  a.x += weight * (p.x - a.x), a.y += weight * (p.y - a.y);
  a.z += weight * (p.z - a.z), a.w += weight * (p.w - a.w);
  store4(average, i, a);
}

EbbStatus mix(EbbDevice *device, float *average, const float *value, int64_t size, float weight) {
  const EbbRun run = on(device);
  if (size == 0) return EBB_OK;
  return EBB_LAUNCH(&run, mix_four, dim3(ebb_blocks(size, ROUND)), dim3(THREADS), 0, average, value, size,
                    weight);
}

__global__ void __launch_bounds__(THREADS) swap_four(float *a, float *b, int64_t size) {
  const int64_t i = (int64_t)blockIdx.x * ROUND + threadIdx.x * FOUR;
  if (i >= size) return;
  const float4 kept = load4(a, i);
  store4(a, i, load4(b, i));
  store4(b, i, kept);
}

EbbStatus swap(EbbDevice *device, float *a, float *b, int64_t size) {
  const EbbRun run = on(device);
  if (size == 0) return EBB_OK;
  return EBB_LAUNCH(&run, swap_four, dim3(ebb_blocks(size, ROUND)), dim3(THREADS), 0, a, b, size);
}

/* ---- the tally ---- */

__global__ void __launch_bounds__(THREADS)
    count_batch(EbbTally *tally, const float *loss, const float *scores, const float *weights, int64_t n) {
  EBB_SHARED(double, scratch);
  double samples = 0;
  for (int64_t b = threadIdx.x; b < n; b += THREADS) samples += (double)weights[b];
  samples = block_sum(samples, scratch);
  if (threadIdx.x == 0) ebb_tally_count(tally, *loss, scores, samples);
}

EbbStatus tally(EbbDevice *device, EbbTally *sums, const float *loss, const float *scores,
                const float *weights, int64_t n) {
  const EbbRun run = on(device);
  return EBB_LAUNCH(&run, count_batch, dim3(1), dim3(THREADS), 32 * sizeof(double), sums, loss, scores,
                    weights, n);
}

} // namespace

extern "C" const EbbOptimKernels ebb_optim_cuda = {square_sum, update, mix, swap, tally};
