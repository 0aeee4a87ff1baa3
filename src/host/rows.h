/* Sums over contiguous floats in an order that is fixed and fast: 32 float lanes over chunks of
   EBB_ROW_CHUNK, the chunks added in double. */
#ifndef EBB_HOST_ROWS_H
#define EBB_HOST_ROWS_H

#include <stdint.h>
#include <string.h>

#include "ebb/ops/norm.h"
#include "ebb/scalar.h"
#include "host/lanes.h"

enum { EBB_ROW_CHUNK = 1024 };

EBB_INLINE int64_t ebb_min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* Adds `term` of lanes u (and v) into a double `total`; the functions below fill in what a term is. */
#define EBB_ROW_REDUCE(total, n, load_u, load_v, term, scalar_term)                                          \
  do {                                                                                                       \
    for (int64_t at_ = 0; at_ < (n); at_ += EBB_ROW_CHUNK) {                                                 \
      int64_t i = at_, end_ = ebb_min64(at_ + EBB_ROW_CHUNK, (n));                                           \
      EbbLanes sum0_ = {0}, sum1_ = {0}, u, v;                                                               \
      for (; i + 32 <= end_; i += 32) {                                                                      \
        load_u(0);                                                                                           \
        load_v(0);                                                                                           \
        sum0_ += (term);                                                                                     \
        load_u(16);                                                                                          \
        load_v(16);                                                                                          \
        sum1_ += (term);                                                                                     \
      }                                                                                                      \
      sum0_ += sum1_;                                                                                        \
      float rest_ = 0;                                                                                       \
      for (; i < end_; i++) rest_ += (scalar_term);                                                          \
      double chunk_ = (double)rest_;                                                                         \
      for (int j_ = 0; j_ < 16; j_++) chunk_ += (double)sum0_[j_];                                           \
      (total) += chunk_;                                                                                     \
    }                                                                                                        \
  } while (0)
#define EBB_LOAD_X(offset)    memcpy(&u, x + i + (offset), sizeof u)
#define EBB_LOAD_Y(offset)    memcpy(&v, y + i + (offset), sizeof v)
#define EBB_LOAD_NONE(offset) v = u

/* sum x_i */
EBB_INLINE double ebb_row_sum(const float *x, int64_t n) {
  double total = 0;
  EBB_ROW_REDUCE(total, n, EBB_LOAD_X, EBB_LOAD_NONE, v, x[i]);
  return total;
}

/* sum (x_i - shift) */
EBB_INLINE double ebb_row_deviation(const float *x, float shift, int64_t n) {
  double total = 0;
  EBB_ROW_REDUCE(total, n, EBB_LOAD_X, EBB_LOAD_NONE, v - shift, x[i] - shift);
  return total;
}

/* sum (x_i - shift)^2 */
EBB_INLINE double ebb_row_squares(const float *x, float shift, int64_t n) {
  double total = 0;
  EBB_ROW_REDUCE(total, n, EBB_LOAD_X, EBB_LOAD_NONE, (v - shift) * (v - shift),
                 (x[i] - shift) * (x[i] - shift));
  return total;
}

/* sum (x_i - shift) y_i */
EBB_INLINE double ebb_row_dot(const float *x, float shift, const float *y, int64_t n) {
  double total = 0;
  EBB_ROW_REDUCE(total, n, EBB_LOAD_X, EBB_LOAD_Y, (u - shift) * v, (x[i] - shift) * y[i]);
  return total;
}

/* Adds the values of a row to what was seen, chunk by chunk. */
EBB_INLINE void ebb_moments_add_row(EbbMoments *moments, const float *x, int64_t n) {
  for (int64_t at = 0; at < n; at += EBB_ROW_CHUNK) {
    int64_t width = ebb_min64(EBB_ROW_CHUNK, n - at);
    float shift = (float)(ebb_row_sum(x + at, width) / (double)width);
    const EbbMoments chunk = ebb_moments_about(shift, (double)width, ebb_row_deviation(x + at, shift, width),
                                               ebb_row_squares(x + at, shift, width));
    *moments = ebb_moments_join(*moments, chunk);
  }
}

#endif
