/* Scalar formulas, each once for host and device. Every function is pure and safe to vectorise. */
#ifndef EBB_SCALAR_H
#define EBB_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__CUDACC__)
#define EBB_INLINE static __host__ __device__ __forceinline__
#else
#define EBB_INLINE static inline __attribute__((always_inline, unused))
#endif

/* e^x, relative error below 2e-7 in [-87, 88]; 0 below and e^88 above that range; NaN stays NaN. Written
   without branches or library calls so that loops over it vectorise (Cody-Waite reduction, degree-6
   polynomial). */
EBB_INLINE float ebb_expf(float x) {
#if defined(__CUDA_ARCH__)
  return expf(x);
#else
  const float log2e = 1.44269504088896341f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  const float round_magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to nearest integer */
  float c = x > -87.0f ? x : -87.0f;     /* NaN too: it has no integer */
  c = c > 88.0f ? 88.0f : c;
  float n = (c * log2e + round_magic) - round_magic;
  float r = c - n * ln2_high;
  r = r - n * ln2_low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int32_t bits = ((int32_t)n + 127) << 23;
  float scale;
  memcpy(&scale, &bits, sizeof scale);
  float y = p * scale;
  y = x < -87.0f ? 0.0f : y;
  return x != x ? x : y;
#endif
}

/* e^x - 1, relative error below 4e-7: the series below 0.35, where e^x would lose digits. */
EBB_INLINE float ebb_expm1f(float x) {
#if defined(__CUDA_ARCH__)
  return expm1f(x);
#else
  float p = 1.0f + x * (1.0f / 8);
  p = 1.0f + x * (1.0f / 7) * p;
  p = 1.0f + x * (1.0f / 6) * p;
  p = 1.0f + x * (1.0f / 5) * p;
  p = 1.0f + x * (1.0f / 4) * p;
  p = 1.0f + x * (1.0f / 3) * p;
  p = 1.0f + x * (1.0f / 2) * p;
  return fabsf(x) < 0.35f ? x * p : ebb_expf(x) - 1.0f;
#endif
}

EBB_INLINE float ebb_sigmoidf(float x) { return 1.0f / (1.0f + ebb_expf(-x)); }

EBB_INLINE float ebb_tanhf(float x) {
#if defined(__CUDA_ARCH__)
  return tanhf(x);
#else
  /* The series below 0.3 avoids the cancellation of the exponential form. */
  float a = fabsf(x), e = ebb_expf(2.0f * a), x2 = x * x;
  float big = 1.0f - 2.0f / (e + 1.0f);
  float small =
      a * (1.0f + x2 * (-0.33333333f + x2 * (0.13333333f + x2 * (-0.053968254f + x2 * 0.021869488f))));
  return copysignf(a < 0.3f ? small : big, x);
#endif
}

/* erf(x), relative error below 2e-7: x P(x^2) for |x| < 1, otherwise 1 - e^Q(|x|) with Q fitted to log erfc
   on [0.95, 4.1]. Both branches are computed and one selected, so that loops vectorise. */
EBB_INLINE float ebb_erff(float x) {
#if defined(__CUDA_ARCH__)
  return erff(x);
#else
  float a = fabsf(x), s = x * x;
  float p = 7.889119422e-05f;
  p = p * s - 8.020841247e-04f;
  p = p * s + 5.189535336e-03f;
  p = p * s - 2.685444459e-02f;
  p = p * s + 1.128360018e-01f;
  p = p * s - 3.761262714e-01f;
  p = p * s + 1.128379166e+00f;
  float t = a > 4.1f ? 4.1f : a;
  float q = -2.144559144e-05f;
  q = q * t + 4.385302076e-04f;
  q = q * t - 4.190856960e-03f;
  q = q * t + 2.517181161e-02f;
  q = q * t - 1.083615565e-01f;
  q = q * t - 6.332724103e-01f;
  q = q * t - 1.129552043e+00f;
  q = q * t + 1.824604785e-04f;
  float tail = copysignf(1.0f - ebb_expf(q), x);
  return a < 1.0f ? x * p : tail;
#endif
}

/* GELU, exact form x Phi(x), and its derivative Phi(x) + x phi(x). */
EBB_INLINE float ebb_gelu(float x) { return 0.5f * x * (1.0f + ebb_erff(x * 0.70710678118654752f)); }
EBB_INLINE float ebb_gelu_grad(float x) {
  return 0.5f * (1.0f + ebb_erff(x * 0.70710678118654752f)) +
         x * 0.39894228040143268f * ebb_expf(-0.5f * x * x);
}

/* 1 / x to one unit in the last place, for x and 1 / x in the range of normal numbers. On the device without
   the branch for other x, which a division has. */
EBB_INLINE float ebb_reciprocalf(float x) {
#if defined(__CUDA_ARCH__)
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return fmaf(r, fmaf(-x, r, 1.0f), r);
#else
  return 1.0f / x;
#endif
}

/* "NaN", "infinity" or "-infinity", for sentences about values that are not finite. */
EBB_INLINE const char *ebb_nonfinite_name(double x) {
  return x > 0 ? "infinity" : x < 0 ? "-infinity" : "NaN";
}

#endif
