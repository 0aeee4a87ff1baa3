/* Mathematical functions and intrinsics of kernels that the host's <math.h> lacks. */
#ifndef EBB_EMULATOR_KERNEL_MATH_H
#define EBB_EMULATOR_KERNEL_MATH_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define EBB_EMULATOR_MIN_MAX(type_a, type_b, type)                                                           \
  inline constexpr type min(type_a a, type_b b) { return (type)a < (type)b ? (type)a : (type)b; }            \
  inline constexpr type max(type_a a, type_b b) { return (type)a > (type)b ? (type)a : (type)b; }
EBB_EMULATOR_MIN_MAX(int, int, int)
EBB_EMULATOR_MIN_MAX(unsigned, unsigned, unsigned)
EBB_EMULATOR_MIN_MAX(int, unsigned, unsigned)
EBB_EMULATOR_MIN_MAX(unsigned, int, unsigned)
EBB_EMULATOR_MIN_MAX(long, long, long)
EBB_EMULATOR_MIN_MAX(unsigned long, unsigned long, unsigned long)
EBB_EMULATOR_MIN_MAX(long long, long long, long long)
EBB_EMULATOR_MIN_MAX(unsigned long long, unsigned long long, unsigned long long)
#undef EBB_EMULATOR_MIN_MAX
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline double min(float a, double b) { return fmin((double)a, b); }
inline double max(float a, double b) { return fmax((double)a, b); }
inline double min(double a, float b) { return fmin(a, (double)b); }
inline double max(double a, float b) { return fmax(a, (double)b); }

inline float rsqrtf(float x) { return (float)(1.0 / sqrt((double)x)); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
/* sin and cos of pi x: the argument is reduced before pi is multiplied in, as CUDA's do. */
inline void sincospi(double x, double *sine, double *cosine) {
  double r = fmod(x, 2.0);
  sincos(3.14159265358979323846 * r, sine, cosine);
}
inline double sinpi(double x) {
  double s, c;
  sincospi(x, &s, &c);
  return s;
}
inline double cospi(double x) {
  double s, c;
  sincospi(x, &s, &c);
  return c;
}
inline void sincospif(float x, float *sine, float *cosine) {
  double s, c;
  sincospi((double)x, &s, &c);
  *sine = (float)s;
  *cosine = (float)c;
}
inline float sinpif(float x) { return (float)sinpi((double)x); }
inline float cospif(float x) { return (float)cospi((double)x); }

inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return exp10f(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline void __sincosf(float x, float *sine, float *cosine) { sincosf(x, sine, cosine); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }

/* Results that the compiler must round before it goes on: these are never fused with what follows. */
template <class T> inline T ebb_emulator_rounded(T x) {
  __asm__ volatile("" : "+x"(x));
  return x;
}
inline float __fadd_rn(float x, float y) { return ebb_emulator_rounded(x + y); }
inline float __fsub_rn(float x, float y) { return ebb_emulator_rounded(x - y); }
inline float __fmul_rn(float x, float y) { return ebb_emulator_rounded(x * y); }
inline float __fdiv_rn(float x, float y) { return ebb_emulator_rounded(x / y); }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __frsqrt_rn(float x) { return rsqrtf(x); }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline double __dadd_rn(double x, double y) { return ebb_emulator_rounded(x + y); }
inline double __dsub_rn(double x, double y) { return ebb_emulator_rounded(x - y); }
inline double __dmul_rn(double x, double y) { return ebb_emulator_rounded(x * y); }
inline double __fma_rn(double x, double y, double z) { return fma(x, y, z); }

template <class To, class From> inline To ebb_emulator_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "the same bits in another type");
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}
inline int __float_as_int(float x) { return ebb_emulator_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return ebb_emulator_bits<unsigned>(x); }
inline float __int_as_float(int x) { return ebb_emulator_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return ebb_emulator_bits<float>(x); }
inline long long __double_as_longlong(double x) { return ebb_emulator_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return ebb_emulator_bits<double>(x); }
inline int __float2int_rn(float x) { return (int)nearbyintf(x); }
inline int __float2int_rz(float x) { return (int)x; }
inline int __float2int_rd(float x) { return (int)floorf(x); }
inline float __int2float_rn(int x) { return (float)x; }
inline float __uint2float_rn(unsigned x) { return (float)x; }
inline float __double2float_rn(double x) { return (float)x; }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz((unsigned)x); }
inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll((unsigned long long)x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
  x = ((x >> 1) & 0x55555555u) | ((x & 0x55555555u) << 1);
  x = ((x >> 2) & 0x33333333u) | ((x & 0x33333333u) << 2);
  x = ((x >> 4) & 0x0f0f0f0fu) | ((x & 0x0f0f0f0fu) << 4);
  return __builtin_bswap32(x);
}
inline unsigned __umulhi(unsigned x, unsigned y) { return (unsigned)(((uint64_t)x * y) >> 32); }
inline int __mulhi(int x, int y) { return (int)(((int64_t)x * y) >> 32); }
__extension__ typedef unsigned __int128 EbbEmulatorWide;
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  return (unsigned long long)(((EbbEmulatorWide)x * y) >> 64);
}

#endif
