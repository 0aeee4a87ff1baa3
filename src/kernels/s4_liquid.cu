/* The liquid term as kernels of its own, for what the convolution's kernels do not do in passing: streams by
   shifts, rows longer than a block transforms. A thread an element; combinations backward a block a row. Four
   bytes each for x or g and what is made, and for each stream by shifts that is read or written. */
#include "kernels/s4_liquid.cuh"

#include "kernels/storage.cuh"

enum { THREADS = 256 };

__global__ void mix_weights(const S4MixRows mix) { s4_mix_weights(mix.liquid, blockIdx.x, mix.weights); }

EbbStatus ebb_s4_mix_weights(const S4MixRows *mix, const EbbRun *run) {
  return EBB_LAUNCH(run, mix_weights, dim3((unsigned)mix->liquid.H), dim3(EBB_WARP), 0, *mix);
}

/* The row of a block and its part of it: blocks cover L in steps of THREADS. */
struct MixPlace {
  int64_t row, start, t;
  int64_t valid;
  const float *weights;
};
static __device__ __forceinline__ MixPlace mix_place(const S4MixRows &mix, int64_t blocks) {
  const int64_t L = mix.liquid.L, row = blockIdx.x / blocks;
  const int64_t length = mix.lengths ? mix.lengths[row / mix.liquid.H] : L;
  return {row, row * L, blockIdx.x % blocks * THREADS + (int)threadIdx.x,
          length < 0   ? 0
          : length < L ? length
                       : L,
          mix.weights + 2 * (mix.liquid.degree - 1) * (row % mix.liquid.H)};
}
static int64_t blocks_of(const S4MixRows *mix) { return ebb_blocks(mix->liquid.L, THREADS); }
static dim3 grid_of(const S4MixRows *mix) {
  return dim3((unsigned)(mix->B * mix->liquid.H * blocks_of(mix)));
}

template <class S>
static __device__ void load_last(const S4MixRows &mix, const MixPlace &place, float *last) {
  const int64_t from = mix.liquid.L - mix.liquid.span;
  for (int64_t i = threadIdx.x; i < mix.liquid.span; i += THREADS)
    last[i] = from + i < place.valid ? load(as<S>(mix.u), place.start + from + i) : 0.0f;
  __syncthreads();
}

template <class S> __global__ void mix_subsets(const S4MixRows mix, int64_t blocks, float *x) {
  EBB_SHARED(float, last);
  const MixPlace place = mix_place(mix, blocks);
  load_last<S>(mix, place, last);
  if (place.t < mix.liquid.L) x[place.start + place.t] += s4_mix(mix.liquid, place.weights, last, place.t);
}

template <class S> __global__ void mix_subsets_back(const S4MixRows mix, const float *g, float *du) {
  EBB_SHARED(float, last);
  const MixPlace place = mix_place(mix, 1);
  const int64_t L = mix.liquid.L;
  load_last<S>(mix, place, last);
  for (int64_t t = threadIdx.x; t < L - mix.liquid.span; t += THREADS) du[place.start + t] = 0.0f;
  s4_mix_back_row<EBB_WARP>(mix.liquid, place.weights, last, g + place.start, (int)threadIdx.x, THREADS,
                            du + place.start + L - mix.liquid.span);
}

/* v_i by shifts: v_{i-1} is `before`, or u where that is NULL. */
template <class S> struct Stream {
  const S *u;
  const float *before;
  int64_t start, valid, L;
  __device__ __forceinline__ float previous(int64_t t) const {
    if (t < 0 || t >= L) return 0.0f;
    if (before) return before[start + t];
    return t < valid ? load(u, start + t) : 0.0f;
  }
  __device__ __forceinline__ float value(int64_t t) const { return previous(t) * previous(t - 1); }
};

/* x += stream i's part (x NULL: nothing), next = v_i (NULL: not kept). */
template <class S>
__global__ void shift_stream(const S4MixRows mix, int64_t blocks, int64_t i, const float *before, float *next,
                             float *x) {
  const MixPlace place = mix_place(mix, blocks);
  const int64_t L = mix.liquid.L, t = place.t;
  if (t >= L) return;
  const Stream<S> v = {as<S>(mix.u), before, place.start, place.valid, L};
  const EbbS4Contract contract = mix.liquid.contract;
  const float flipped = place.weights[2 * (i - 1)], straight = place.weights[2 * (i - 1) + 1];
  if (next) next[place.start + t] = v.value(t);
  if (!x) return;
  float sum = flipped * ebb_s4_contract(contract, v.value(L - 1 - t));
  if (mix.liquid.channels == 2) sum += straight * ebb_s4_contract(contract, v.value(t));
  x[place.start + t] += sum;
}

/* gradient of v_{i-1}[t] through v_i, whose later uses give `carried` (NULL: none). */
template <class S>
__global__ void shift_back(const S4MixRows mix, int64_t blocks, int64_t i, const float *before,
                           const float *carried, const float *g, float *out) {
  const MixPlace place = mix_place(mix, blocks);
  const int64_t L = mix.liquid.L;
  if (place.t >= L) return;
  const Stream<S> v = {as<S>(mix.u), before, place.start, place.valid, L};
  const float *row = g + place.start, *weights = place.weights + 2 * (i - 1);
  float sum = 0.0f;
  for (int64_t t = place.t; t <= place.t + 1; t++) {
    if (t == 0 || t >= L) continue; /* v_i[0] is 0 whatever u is */
    float gv = weights[0] * row[L - 1 - t] + (mix.liquid.channels == 2 ? weights[1] * row[t] : 0.0f);
    gv *= ebb_s4_contract_grad(mix.liquid.contract, v.value(t));
    if (carried) gv += carried[place.start + t];
    sum += gv * v.previous(t == place.t ? t - 1 : t);
  }
  out[place.start + place.t] = sum;
}

static float *stream_row(const S4MixRows *mix, int64_t i) {
  return mix->streams + i * mix->B * mix->liquid.H * mix->liquid.L;
}

/* Streams 1 .. last in turn in `rows` rows; the last one is kept only where there is no x. */
template <class S>
static EbbStatus shift_streams(const S4MixRows *mix, const EbbRun *run, int64_t last, int64_t rows,
                               float *x) {
  for (int64_t i = 1; i <= last; i++) {
    const float *before = i > 1 ? stream_row(mix, (i - 2) % rows) : NULL;
    float *next = !x || i < last ? stream_row(mix, (i - 1) % rows) : NULL;
    EBB_TRY(EBB_LAUNCH(run, shift_stream<S>, grid_of(mix), dim3(THREADS), 0, *mix, blocks_of(mix), i, before,
                       next, x));
  }
  return EBB_OK;
}

template <class S>
static EbbStatus shifts_back(const S4MixRows *mix, const EbbRun *run, const float *g, float *du) {
  const int64_t last = mix->liquid.degree - 1;
  const float *carried = NULL;
  EBB_TRY(shift_streams<S>(mix, run, last - 1, last, NULL));
  for (int64_t i = last; i > 0; i--) {
    const float *before = i > 1 ? stream_row(mix, i - 2) : NULL;
    float *out = i > 1 ? stream_row(mix, last - 1 + i % 2) : du;
    EBB_TRY(EBB_LAUNCH(run, shift_back<S>, grid_of(mix), dim3(THREADS), 0, *mix, blocks_of(mix), i, before,
                       carried, g, out));
    carried = out;
  }
  return EBB_OK;
}

EbbStatus ebb_s4_mix_forward(const S4MixRows *mix, const EbbRun *run, float *x) {
  const size_t shared = sizeof(float) * (size_t)mix->liquid.span;
  EBB_STORAGE_DISPATCH(mix->storage, S, {
    if (!mix->liquid.allcombs) return shift_streams<S>(mix, run, mix->liquid.degree - 1, 2, x);
    return EBB_LAUNCH(run, mix_subsets<S>, grid_of(mix), dim3(THREADS), shared, *mix, blocks_of(mix), x);
  });
}

EbbStatus ebb_s4_mix_backward(const S4MixRows *mix, const EbbRun *run, const float *g, float *du) {
  const size_t shared = sizeof(float) * (size_t)mix->liquid.span;
  EBB_STORAGE_DISPATCH(mix->storage, S, {
    if (!mix->liquid.allcombs) return shifts_back<S>(mix, run, g, du);
    return EBB_LAUNCH(run, mix_subsets_back<S>, dim3((unsigned)(mix->B * mix->liquid.H)), dim3(THREADS),
                      shared, *mix, g, du);
  });
}
