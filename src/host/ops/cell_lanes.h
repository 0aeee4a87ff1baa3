/* A synapse's sigmoid in sixteen lanes. */
#ifndef EBB_HOST_OPS_CELL_LANES_H
#define EBB_HOST_OPS_CELL_LANES_H

#include "host/lanes.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

/* 2^r on [-1/2, 1/2], relative error 2e-7. Source: Cephes, exp2f. */
EBB_INLINE EbbLanes ebb_lanes_exp2_part(EbbLanes r) {
  EbbLanes p = r * 1.535336188319500e-4f + 1.339887440266574e-3f;
  p = p * r + 9.618437357674640e-3f;
  p = p * r + 5.550332471162809e-2f;
  p = p * r + 2.402264791363012e-1f;
  p = p * r + 6.931472028550421e-1f;
  return p * r + 1.0f;
}

/* 1 / (1 + 2^t), to two units in the last place; a NaN stays one. */
EBB_INLINE EbbLanes ebb_lanes_gate(EbbLanes t) {
#ifdef __AVX512F__
  const __m512 one = _mm512_set1_ps(1), low = _mm512_min_ps(_mm512_set1_ps(126), (__m512)t);
  const __m512 n = _mm512_roundscale_ps(low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 p = (__m512)ebb_lanes_exp2_part((EbbLanes)_mm512_sub_ps(low, n));
  const __m512 d = _mm512_add_ps(_mm512_scalef_ps(p, n), one), guess = _mm512_rcp14_ps(d);
  return (EbbLanes)_mm512_fmadd_ps(guess, _mm512_fnmadd_ps(d, guess, one), guess);
#else
  typedef int32_t Whole __attribute__((vector_size(64), may_alias));
  const float round_magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to nearest integer */
  EbbLanes c;
  for (int i = 0; i < EBB_LANES; i++) c[i] = t[i] > 126 ? 126 : t[i] < -126 ? -126 : t[i];
  const EbbLanes shifted = c + round_magic, n = shifted - round_magic;
  const Whole power = (((Whole)shifted - 0x4B400000) + 127) << 23;
  return 1.0f / (1.0f + ebb_lanes_exp2_part(c - n) * (EbbLanes)power);
#endif
}

#endif
