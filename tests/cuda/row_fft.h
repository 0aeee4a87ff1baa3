// Device memory of a check of the block transforms, see test_row_fft.cc.
#ifndef EBB_TESTS_CUDA_ROW_FFT_H
#define EBB_TESTS_CUDA_ROW_FFT_H

#include "ebb/complex.h"
#include "ebb/op.h"

struct RowFftCheck {
  int n, rows;
  const void *table;
  const float *x;   // (rows, n) real rows
  const EbbC32 *k;  // (rows, n) complex points
  EbbC32 *spectrum; // (rows, n) of x
  float *y;         // (rows, n) first half of n x * k
  EbbC32 *whole;    // (rows, n) points of n x * k
};

extern "C" EbbStatus row_fft_check(const EbbRun *run, const RowFftCheck *check);

#endif
