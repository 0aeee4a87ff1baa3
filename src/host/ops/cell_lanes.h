/* A synapse's sigmoid in sixteen lanes. */
#ifndef EBB_HOST_OPS_CELL_LANES_H
#define EBB_HOST_OPS_CELL_LANES_H

#include "host/lanes.h"

/* Vectors wider than the machine's are passed in memory, if at all: these functions are always inlined. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#ifdef __AVX512F__
#include <immintrin.h>
#endif

/* 2^r on [-1/2, 1/2], relative error 8e-8: the best polynomial of degree 5 (Remez). */
EBB_INLINE EbbLanes ebb_lanes_exp2_part(EbbLanes r) {
  EbbLanes p = r * 1.327647198e-3f + 9.675541334e-3f;
  p = p * r + 5.550713274e-2f;
  p = p * r + 2.402211972e-1f;
  p = p * r + 6.931469671e-1f;
  return p * r + 1.000000072f;
}

/* 1 / (1 + 2^t), relative error below 3e-7; a NaN stays one. */
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
