/* N neighbours of a row at once: 4 where rows start on multiples of 4 elements, else 1. */
#ifndef EBB_KERNELS_PACK_CUH
#define EBB_KERNELS_PACK_CUH

#include "kernels/storage.cuh"

template <int N> struct Pack { float at[N]; };

template <int N, class S> __device__ __forceinline__ Pack<N> load_pack(const S *x, int64_t i) {
  if constexpr (N == 4) {
    const float4 four = load4(x, i);
    return {{four.x, four.y, four.z, four.w}};
  } else {
    return {{load(x, i)}};
  }
}

template <int N, class S> __device__ __forceinline__ void store_pack(S *x, int64_t i, const Pack<N> &pack) {
  if constexpr (N == 4)
    store4(x, i, make_float4(pack.at[0], pack.at[1], pack.at[2], pack.at[3]));
  else
    store(x, i, pack.at[0]);
}

/* x[i ..] = pack, or += where add is set. */
template <int N, class S>
__device__ __forceinline__ void store_or_add_pack(S *x, int64_t i, Pack<N> pack, bool add) {
  if (add) {
    const Pack<N> there = load_pack<N>(x, i);
    for (int k = 0; k < N; k++) pack.at[k] += there.at[k];
  }
  store_pack(x, i, pack);
}

/* Runs `body` with the constant N that rows of `length` elements allow. */
#define EBB_PACK_DISPATCH(length, N, ...)                                                                    \
  do {                                                                                                       \
    if ((length) % 4 == 0) {                                                                                 \
      constexpr int N = 4;                                                                                   \
      __VA_ARGS__                                                                                            \
    } else {                                                                                                 \
      constexpr int N = 1;                                                                                   \
      __VA_ARGS__                                                                                            \
    }                                                                                                        \
  } while (0)

#endif
