/* Making and releasing the plans behind ebb_device_fft. */
#ifndef EBB_HOST_DEVICE_FFT_H
#define EBB_HOST_DEVICE_FFT_H

#include <stdint.h>

#include "ebb/device.h"

/* A plan for real transforms of length n >= 1: the same n always gives the same plan, so results are equal
   from run to run. Any number of threads may plan and transform at once. Errors: INVALID (n < 1), UNSUPPORTED
   (n too long for the library), MEMORY. Lifetime: until ebb_fft_destroy. */
EbbStatus ebb_fft_create(int64_t n, EbbFft **out) EBB_MUST_CHECK;
void ebb_fft_destroy(EbbFft *fft);

#endif
