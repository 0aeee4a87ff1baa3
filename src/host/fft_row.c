#include "host/fft_row.h"

#include <math.h>

#include "ebb/complex.h"

int64_t ebb_row_fft_length(int64_t L) {
  if (L > EBB_ROW_LONGEST) return 0;
  int64_t n = EBB_ROW_SHORTEST;
  while (n < L) n *= 2;
  return n;
}

/* A pass of radix r has r/4 + 3 rows of factors, a column for each position. */
static int64_t pass_rows(int64_t radix) { return radix / 4 + 3; }

size_t ebb_row_fft_table_bytes(int64_t n) {
  const int64_t first = pass_rows(EBB_ROW_POINTS(n)) * EBB_ROW_THREADS(n);
  const int64_t second = pass_rows(EBB_ROW_SECOND(n)) * EBB_ROW_THIRD(n);
  return sizeof(EbbC32) * (size_t)(first + second);
}

/* e^(-2 pi i turns / whole). */
static EbbC32 turn(int64_t turns, int64_t whole) {
  const double angle = -6.283185307179586476925 * (double)(turns % whole) / (double)whole;
  return ebb_c32_make((float)cos(angle), (float)sin(angle));
}

/* Rows w^(16 a j + twist j), a < radix/4, then w^(4 b j), b = 1 .. 3, with w = e^(-2 pi i / (4 length)). */
static EbbC32 *fill_pass(EbbC32 *to, int64_t radix, int64_t length, int64_t twist) {
  const int64_t columns = length / radix;
  for (int64_t a = 0; a < radix / 4; a++)
    for (int64_t j = 0; j < columns; j++) *to++ = turn((16 * a + twist) * j, 4 * length);
  for (int64_t b = 1; b < 4; b++)
    for (int64_t j = 0; j < columns; j++) *to++ = turn(b * j, length);
  return to;
}

void ebb_row_fft_table_fill(const void *length, void *table) {
  const int64_t n = *(const int64_t *)length;
  EbbC32 *second = fill_pass(table, EBB_ROW_POINTS(n), n, 1);
  fill_pass(second, EBB_ROW_SECOND(n), EBB_ROW_THREADS(n), 0);
}
