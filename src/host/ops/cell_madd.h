/* a b + c of vectors of 2, 4, 8 and 16 floats, rounded alike for all of them: a compiler that is free to
   fuse the product and the sum chooses by width. */
#ifndef EBB_HOST_OPS_CELL_MADD_H
#define EBB_HOST_OPS_CELL_MADD_H

#include <string.h>

#include "ebb/scalar.h"

/* Vectors wider than the machine's are passed in memory, if at all: these functions are always inlined. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#ifdef __FMA__
#include <immintrin.h>
#endif

/* As they lie in memory, at any address. */
typedef float EbbVector2 __attribute__((vector_size(8), may_alias, aligned(4)));
typedef float EbbVector4 __attribute__((vector_size(16), may_alias, aligned(4)));
typedef float EbbVector8 __attribute__((vector_size(32), may_alias, aligned(4)));
typedef float EbbVector16 __attribute__((vector_size(64), may_alias, aligned(4)));

/* One float in all places. */
EBB_INLINE EbbVector2 ebb_splat_2(float a) { return (EbbVector2){a, a}; }
EBB_INLINE EbbVector4 ebb_splat_4(float a) { return (EbbVector4){a, a, a, a}; }
EBB_INLINE EbbVector8 ebb_splat_8(float a) { return (EbbVector8){a, a, a, a, a, a, a, a}; }
EBB_INLINE EbbVector16 ebb_splat_16(float a) {
  return (EbbVector16){a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a};
}

#ifdef __FMA__
EBB_INLINE EbbVector4 ebb_madd_4(EbbVector4 a, EbbVector4 b, EbbVector4 c) {
  return (EbbVector4)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c);
}
EBB_INLINE EbbVector2 ebb_madd_2(EbbVector2 a, EbbVector2 b, EbbVector2 c) {
  const EbbVector4 sum = ebb_madd_4((EbbVector4){a[0], a[1], 0, 0}, (EbbVector4){b[0], b[1], 0, 0},
                                    (EbbVector4){c[0], c[1], 0, 0});
  return (EbbVector2){sum[0], sum[1]};
}
EBB_INLINE EbbVector8 ebb_madd_8(EbbVector8 a, EbbVector8 b, EbbVector8 c) {
  return (EbbVector8)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
EBB_INLINE EbbVector16 ebb_madd_16(EbbVector16 a, EbbVector16 b, EbbVector16 c) {
#ifdef __AVX512F__
  return (EbbVector16)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
  EbbVector8 x[2], y[2], z[2];
  memcpy(x, &a, sizeof x), memcpy(y, &b, sizeof y), memcpy(z, &c, sizeof z);
  for (int half = 0; half < 2; half++) z[half] = ebb_madd_8(x[half], y[half], z[half]);
  memcpy(&c, z, sizeof z);
  return c;
#endif
}
#else
#define EBB_MADD(LANES)                                                                                      \
  EBB_INLINE EbbVector##LANES ebb_madd_##LANES(EbbVector##LANES a, EbbVector##LANES b, EbbVector##LANES c) { \
    return a * b + c;                                                                                        \
  }
EBB_MADD(2)
EBB_MADD(4)
EBB_MADD(8)
EBB_MADD(16)
#undef EBB_MADD
#endif

#endif
