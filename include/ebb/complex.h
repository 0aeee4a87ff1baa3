/* Complex numbers as plain structs, the same for C11, C++17 and CUDA (C's _Complex exists in none of the
 * others). */
#ifndef EBB_COMPLEX_H
#define EBB_COMPLEX_H

#include "ebb/scalar.h"

typedef struct EbbC32 {
  float re, im;
} EbbC32;

typedef struct EbbC64 {
  double re, im;
} EbbC64;

/* The arithmetic that formulas need, for one precision: ebb_c32_add, ebb_c64_mul, ... */
#define EBB_COMPLEX_ARITHMETIC(T, R, p)                                                                      \
  EBB_INLINE T p##_make(R re, R im) {                                                                        \
    T z = {re, im};                                                                                          \
    return z;                                                                                                \
  }                                                                                                          \
  EBB_INLINE T p##_conj(T a) { return p##_make(a.re, -a.im); }                                               \
  EBB_INLINE T p##_neg(T a) { return p##_make(-a.re, -a.im); }                                               \
  EBB_INLINE T p##_add(T a, T b) { return p##_make(a.re + b.re, a.im + b.im); }                              \
  EBB_INLINE T p##_sub(T a, T b) { return p##_make(a.re - b.re, a.im - b.im); }                              \
  EBB_INLINE T p##_scale(T a, R s) { return p##_make(a.re * s, a.im * s); }                                  \
  EBB_INLINE T p##_mul(T a, T b) { return p##_make(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re); }  \
  EBB_INLINE T p##_mul_conj(T a, T b) {                                                                      \
    return p##_make(a.re * b.re + a.im * b.im, a.im * b.re - a.re * b.im);                                   \
  } /* a conj(b) */                                                                                          \
  EBB_INLINE R p##_norm2(T a) { return a.re * a.re + a.im * a.im; }                                          \
  EBB_INLINE T p##_inv(T a) {                                                                                \
    R s = (R)1 / p##_norm2(a);                                                                               \
    return p##_make(a.re * s, -a.im * s);                                                                    \
  }                                                                                                          \
  EBB_INLINE T p##_div(T a, T b) { return p##_mul(a, p##_inv(b)); }

EBB_COMPLEX_ARITHMETIC(EbbC32, float, ebb_c32)
EBB_COMPLEX_ARITHMETIC(EbbC64, double, ebb_c64)

EBB_INLINE EbbC64 ebb_c64_from(EbbC32 a) { return ebb_c64_make((double)a.re, (double)a.im); }
EBB_INLINE EbbC32 ebb_c32_from(EbbC64 a) { return ebb_c32_make((float)a.re, (float)a.im); }
EBB_INLINE EbbC64 ebb_c64_exp(EbbC64 a) {
  double m = exp(a.re);
  return ebb_c64_make(m * cos(a.im), m * sin(a.im));
}

#endif
