/* Weights as blocks of 16 x 16 for tensor cores, each in the order in which the lanes of a warp hold it: with
   g = lane / 4 and t = lane % 4, a lane has rows g and g + 8 and columns t + 4 j, j < 4. Backward takes the
   same block for its transpose: there the lane's k, the rows of the block, are 8 (t / 2) + t % 2 + 2 j, so
   that the lanes of a load meet different banks. */
#ifndef EBB_KERNELS_CELL_BLOCKS_CUH
#define EBB_KERNELS_CELL_BLOCKS_CUH

#include "kernels/mma.cuh"
#include "kernels/reduce.cuh"

enum { CELL_BLOCK = 16 };

/* Number j of those of k, of a block's 16, for which the lane brings x. */
template <bool BACK> static __device__ __forceinline__ int cell_block_k(int t, int j) {
  return BACK ? 8 * (t / 2) + t % 2 + 2 * j : 4 * j + t;
}

/* The lane's word of the transpose for j = 0; 32 words on for the next j. */
static __device__ __forceinline__ int cell_block_back(int lane) {
  const int g = lane / 4, t = lane % 4;
  return 16 * (t % 2) + t / 2 + 4 * (g % 4) + 2 * (g / 4);
}

/* Blocks of 32-bit words: (j / 2, lane, j % 2, row half). */
struct CellWords {
  static constexpr int WORDS = CELL_BLOCK * CELL_BLOCK;
  /* Of the products' rows 0 .. 7 and 8 .. 15, the row of the matrix. */
  template <bool BACK> static __device__ __forceinline__ int row(int g, int upper) { return g + 8 * upper; }
  /* at(row, column): the element that a word is of. */
  template <class At> static __device__ __forceinline__ float element(int i, At at) {
    const int lane = i / 4 % EBB_WARP, j = i / 128 * 2 + i % 4 / 2;
    return at(lane / 4 + i % 2 * 8, lane % 4 + 4 * j);
  }
  /* What the lane has of two operands with K = 8. */
  struct Left {
    uint32_t a[2][4];
  };
  template <bool BACK>
  static __device__ __forceinline__ void load(const uint32_t *block, int lane, Left &left) {
#pragma unroll
    for (int e = 0; BACK && e < 8; e++)
      left.a[e / 4][e % 4] = block[cell_block_back(lane) + 128 * (e % 2) + 32 * (e / 2)];
#pragma unroll
    for (int h = 0; !BACK && h < 2; h++) {
      const uint4 four = reinterpret_cast<const uint4 *>(block)[EBB_WARP * h + lane];
      left.a[h][0] = four.x, left.a[h][1] = four.y, left.a[h][2] = four.z, left.a[h][3] = four.w;
    }
  }
};

/* Formats: `word` makes a block, `add` adds the product of what is loaded with x[j], 16 x 8, to the lane's
   part of a sum. */
struct CellTf32 : CellWords {
  struct Sum {
    float d[4];
    __device__ __forceinline__ Sum() : d{0, 0, 0, 0} {}
    __device__ __forceinline__ float of(int i) const { return d[i]; }
  };
  template <class At> static __device__ __forceinline__ uint32_t word(int i, At at) {
    return mma_tf32(element(i, at));
  }
  static __device__ __forceinline__ void add(Sum &sum, const Left &left, const float *x) {
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const uint32_t b[2] = {mma_tf32(x[2 * h]), mma_tf32(x[2 * h + 1])};
      mma_tf32_16x8x8(sum.d, left.a[h], b);
    }
  }
};

/* Near float32: each operand as high + low, high the nearest number in tf32; low has 12 bits, of which tf32
   takes
   11. Of their products all but low times low, which is 2^-22 of the whole. */
struct CellFloat32 : CellWords {
  struct Sum {
    float d[4], rest[4];
    __device__ __forceinline__ Sum() : d{0, 0, 0, 0}, rest{0, 0, 0, 0} {}
    __device__ __forceinline__ float of(int i) const { return d[i] + rest[i]; }
  };
  template <int N> struct Split {
    uint32_t high[N], low[N];
    __device__ __forceinline__ void set(int i, float x) {
      high[i] = mma_tf32(x);
      low[i] = __float_as_uint(x - __uint_as_float(high[i]));
    }
  };
  template <class At> static __device__ __forceinline__ uint32_t word(int i, At at) {
    return __float_as_uint(element(i, at));
  }
  static __device__ __forceinline__ void add(Sum &sum, const Left &left, const float *x) {
#pragma unroll
    for (int h = 0; h < 2; h++) {
      Split<4> a;
      Split<2> b;
#pragma unroll
      for (int i = 0; i < 4; i++) a.set(i, __uint_as_float(left.a[h][i]));
#pragma unroll
      for (int i = 0; i < 2; i++) b.set(i, x[2 * h + i]);
      mma_tf32_16x8x8(sum.rest, a.low, b.high);
      mma_tf32_16x8x8(sum.d, a.high, b.high);
      mma_tf32_16x8x8(sum.rest, a.high, b.low);
    }
  }
};

/* Words of two columns, j even the lower: (lane, j / 2, row half). The transpose has the two as rows of its
   product's two halves. */
struct CellBf16 {
  static constexpr int WORDS = CELL_BLOCK * CELL_BLOCK / 2;
  typedef CellTf32::Sum Sum;
  template <bool BACK> static __device__ __forceinline__ int row(int g, int upper) {
    return BACK ? g % 4 + 4 * upper + 8 * (g / 4) : g + 8 * upper;
  }
  template <class At> static __device__ __forceinline__ uint32_t word(int i, At at) {
    const int lane = i / 4, row = lane / 4 + i % 2 * 8, column = lane % 4 + i % 4 / 2 * 8;
    return mma_bf16(at(row, column), at(row, column + 4));
  }
  struct Left {
    uint32_t a[4];
  };
  template <bool BACK>
  static __device__ __forceinline__ void load(const uint32_t *block, int lane, Left &left) {
    uint32_t *a = left.a;
#pragma unroll
    for (int h = 0; BACK && h < 2; h++) {
      const uint32_t *at = block + cell_block_back(lane) + 64 * h, first = at[0], second = at[32];
      a[2 * h] = (first & 0xffffu) | second << 16, a[2 * h + 1] = first >> 16 | (second & 0xffff0000u);
    }
    if (BACK) return;
    const uint4 four = reinterpret_cast<const uint4 *>(block)[lane];
    a[0] = four.x, a[1] = four.y, a[2] = four.z, a[3] = four.w;
  }
  static __device__ __forceinline__ void add(Sum &sum, const Left &left, const float *x) {
    const uint32_t b[2] = {mma_bf16(x[0], x[1]), mma_bf16(x[2], x[3])};
    mma_bf16_16x8x16(sum.d, left.a, b);
  }
};

#endif
