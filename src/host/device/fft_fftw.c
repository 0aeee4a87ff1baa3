/* Real Fourier transforms of any length by FFTW. The only file that knows the library. */
#include "host/device/fft.h"

#include <fftw3.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "host/cpu.h"

struct EbbFft {
  int64_t n;
  fftwf_plan forward, inverse;
};

/* FFTW's planner is not safe to call from two threads; executing a plan is. */
static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

/* FFTW_ESTIMATE never times candidates, so the choice of algorithm, and with it every bit of the result, does
   not depend on the moment. It does not touch the arrays, which only show their alignment. */
static EbbStatus make_plans(EbbFft *fft, float *x, fftwf_complex *X) {
  pthread_mutex_lock(&planner);
  fft->forward = fftwf_plan_dft_r2c_1d((int)fft->n, x, X, FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
  fft->inverse = fftwf_plan_dft_c2r_1d((int)fft->n, X, x, FFTW_ESTIMATE | FFTW_DESTROY_INPUT);
  pthread_mutex_unlock(&planner);
  if (!fft->forward || !fft->inverse)
    return ebb_fail(EBB_UNSUPPORTED, "FFTW has no plan for a transform of length %lld", (long long)fft->n);
  return EBB_OK;
}

static EbbStatus plan_length(EbbFft *fft) {
  size_t row = sizeof(float) * (size_t)ebb_row_floats(fft->n),
         spectrum = sizeof(float) * (size_t)ebb_spectrum_floats(fft->n);
  char *arrays = aligned_alloc(64, row + spectrum);
  if (!arrays) return ebb_fail(EBB_MEMORY, "no memory to plan a transform of length %lld", (long long)fft->n);
  EbbStatus status = make_plans(fft, (float *)(void *)arrays, (fftwf_complex *)(void *)(arrays + row));
  free(arrays);
  return status;
}

EbbStatus ebb_fft_create(int64_t n, EbbFft **out) {
  *out = NULL;
  if (n < 1) return ebb_fail(EBB_INVALID, "a transform has a length of at least 1, not %lld", (long long)n);
  if (n > INT_MAX)
    return ebb_fail(EBB_UNSUPPORTED, "transforms are at most %d long, not %lld", INT_MAX, (long long)n);
  EbbFft *fft = calloc(1, sizeof *fft);
  if (!fft) return ebb_fail(EBB_MEMORY, "no memory for a transform of length %lld", (long long)n);
  fft->n = n;
  EbbStatus status = plan_length(fft);
  if (status != EBB_OK) {
    ebb_fft_destroy(fft);
    return status;
  }
  *out = fft;
  return EBB_OK;
}

void ebb_fft_destroy(EbbFft *fft) {
  if (!fft) return;
  pthread_mutex_lock(&planner);
  if (fft->forward) fftwf_destroy_plan(fft->forward);
  if (fft->inverse) fftwf_destroy_plan(fft->inverse);
  pthread_mutex_unlock(&planner);
  free(fft);
}

/* FFTW takes the input without const although FFTW_PRESERVE_INPUT keeps it as it is. */
void ebb_fft_forward(const EbbFft *fft, const float *x, EbbC32 *X) {
  fftwf_execute_dft_r2c(fft->forward, (float *)(uintptr_t)x, (fftwf_complex *)(void *)X);
}

void ebb_fft_inverse(const EbbFft *fft, EbbC32 *X, float *x) {
  fftwf_execute_dft_c2r(fft->inverse, (fftwf_complex *)(void *)X, x);
}

int64_t ebb_fft_length(const EbbFft *fft) { return fft->n; }

static bool smooth(int64_t n) {
  for (int64_t prime = 2; prime <= 5; prime += prime == 2 ? 1 : 2)
    while (n % prime == 0) n /= prime;
  return n == 1;
}

int64_t ebb_fft_good_length(int64_t n) {
  if (n < 2) return 2;
  n += n % 2;
  while (!smooth(n)) n += 2;
  return n;
}
