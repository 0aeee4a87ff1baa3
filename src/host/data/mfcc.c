#include "host/data/mfcc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/complex.h"
#include "host/cpu.h"
#include "host/device/fft.h"

enum { RATE = 16000, BINS = EBB_MFCC_WINDOW / 2 + 1, MELS = EBB_MFCC_MELS, TOP_DB = 80, ALIGNMENT = 64 };
static const double PI = 3.14159265358979323846;

struct EbbMfcc {
  _Alignas(ALIGNMENT) float frame[EBB_MFCC_WINDOW];
  _Alignas(ALIGNMENT) EbbC32 spectrum[BINS];
  int64_t n;
  bool decibels;
  EbbFft *fft;
  float window[EBB_MFCC_WINDOW];
  float mel[BINS][MELS];
  float cosine[MELS][EBB_MFCC_COEFFICIENTS];
  float *logs; /* (frames, MELS) */
};

static double hertz_of_mel(double mel) { return 700 * (pow(10, mel / 2595) - 1); }

/* Triangles whose feet stand on the tops of their neighbours. */
static void fill_mels(EbbMfcc *mfcc) {
  const double top = 2595 * log10(1 + RATE / 2.0 / 700);
  double point[MELS + 2];
  for (int i = 0; i < MELS + 2; i++) point[i] = hertz_of_mel(top * i / (MELS + 1));
  for (int m = 0; m < MELS; m++)
    for (int j = 0; j < BINS; j++) {
      const double hertz = (double)RATE * j / EBB_MFCC_WINDOW;
      const double up = (hertz - point[m]) / (point[m + 1] - point[m]);
      const double down = (point[m + 2] - hertz) / (point[m + 2] - point[m + 1]);
      mfcc->mel[j][m] = (float)fmax(0, fmin(up, down));
    }
}

static void fill_tables(EbbMfcc *mfcc) {
  for (int t = 0; t < EBB_MFCC_WINDOW; t++)
    mfcc->window[t] = (float)(0.5 - 0.5 * cos(2 * PI * t / EBB_MFCC_WINDOW));
  fill_mels(mfcc);
  for (int k = 0; k < EBB_MFCC_COEFFICIENTS; k++)
    for (int m = 0; m < MELS; m++)
      mfcc->cosine[m][k] = (float)(sqrt((k ? 2.0 : 1.0) / MELS) * cos(PI * k * (m + 0.5) / MELS));
}

EbbStatus ebb_mfcc_create(int64_t n, bool decibels, EbbMfcc **out) {
  *out = NULL;
  EbbMfcc *mfcc = aligned_alloc(ALIGNMENT, sizeof *mfcc);
  if (!mfcc) return ebb_fail(EBB_MEMORY, "no memory for the tables of cepstral coefficients");
  mfcc->n = n, mfcc->decibels = decibels;
  mfcc->fft = NULL;
  mfcc->logs = malloc((size_t)ebb_mfcc_frames(n) * MELS * sizeof *mfcc->logs);
  EbbStatus status =
      mfcc->logs ? ebb_fft_create(EBB_MFCC_WINDOW, &mfcc->fft)
                 : ebb_fail(EBB_MEMORY, "no memory for the mel energies of %lld samples", (long long)n);
  if (status != EBB_OK) {
    ebb_mfcc_destroy(mfcc);
    return status;
  }
  fill_tables(mfcc);
  *out = mfcc;
  return EBB_OK;
}

void ebb_mfcc_destroy(EbbMfcc *mfcc) {
  if (!mfcc) return;
  ebb_fft_destroy(mfcc->fft);
  free(mfcc->logs);
  free(mfcc);
}

static void take_frame(EbbMfcc *mfcc, const int16_t *samples, int64_t f) {
  for (int t = 0; t < EBB_MFCC_WINDOW; t++) {
    int64_t at = f * EBB_MFCC_HOP - EBB_MFCC_WINDOW / 2 + t;
    if (at < 0) at = -at;
    if (at >= mfcc->n) at = 2 * (mfcc->n - 1) - at;
    mfcc->frame[t] = (float)samples[at] / 32768 * mfcc->window[t];
  }
}

static float logarithm(const EbbMfcc *mfcc, double mel) {
  return (float)(mfcc->decibels ? 10 * log10(fmax(mel, 1e-10)) : log(mel + 1e-6));
}

static void take_logs(EbbMfcc *mfcc, float *logs) {
  float mel[MELS] = {0};
  ebb_fft_forward(mfcc->fft, mfcc->frame, mfcc->spectrum);
  for (int j = 0; j < BINS; j++) {
    const EbbC32 F = mfcc->spectrum[j];
    const float power = F.re * F.re + F.im * F.im;
    for (int m = 0; m < MELS; m++) mel[m] += mfcc->mel[j][m] * power;
  }
  for (int m = 0; m < MELS; m++) logs[m] = logarithm(mfcc, (double)mel[m]);
}

/* Decibels that a recording's loudest leaves behind become the least that it has. */
static void raise_floor(float *logs, int64_t n) {
  float most = logs[0];
  for (int64_t i = 1; i < n; i++) most = fmaxf(most, logs[i]);
  for (int64_t i = 0; i < n; i++) logs[i] = fmaxf(logs[i], most - TOP_DB);
}

static void take_cosines(const EbbMfcc *mfcc, const float *logs, float *coefficients) {
  float sum[EBB_MFCC_COEFFICIENTS] = {0};
  for (int m = 0; m < MELS; m++)
    for (int k = 0; k < EBB_MFCC_COEFFICIENTS; k++) sum[k] += mfcc->cosine[m][k] * logs[m];
  memcpy(coefficients, sum, sizeof sum);
}

void ebb_mfcc_make(EbbMfcc *mfcc, const int16_t *samples, float *coefficients) {
  const int64_t frames = ebb_mfcc_frames(mfcc->n);
  for (int64_t f = 0; f < frames; f++) {
    take_frame(mfcc, samples, f);
    take_logs(mfcc, mfcc->logs + f * MELS);
  }
  if (mfcc->decibels) raise_floor(mfcc->logs, frames * MELS);
  for (int64_t f = 0; f < frames; f++)
    take_cosines(mfcc, mfcc->logs + f * MELS, coefficients + f * EBB_MFCC_COEFFICIENTS);
}
