/* Mel-frequency cepstral coefficients of recordings at 16 kHz, as torchaudio.transforms.MFCC(n_mfcc=20,
   melkwargs={n_fft: 200, n_mels: 64}) makes them:

     frame f    samples 100 f - 100 .. 100 f + 99, mirrored at both ends of the recording, times
                0.5 - 0.5 cos(2 pi t / 200)
     power      |F_j|^2 of its Fourier transform, j = 0 .. 100, at 80 j Hz
     mel        triangles of height 1 over 66 points from 0 to 8000 Hz that are equally spaced in
                2595 log10(1 + f / 700); the power under each of the 64
     logarithm  ln(mel + 1e-6); or decibels, 10 log10(max(mel, 1e-10)), but at most 80 below the largest of
                the recording
     cepstrum   c_k = s_k sum over m of log_m cos(pi k (m + 1/2) / 64), s_0 = sqrt(1 / 64), else sqrt(2 / 64)

   The first is what the published recipes for Speech Commands ask for (log_mels=True), the second
   torchaudio's default. */
#ifndef EBB_HOST_DATA_MFCC_H
#define EBB_HOST_DATA_MFCC_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EBB_MFCC_COEFFICIENTS = 20, EBB_MFCC_WINDOW = 200, EBB_MFCC_HOP = 100, EBB_MFCC_MELS = 64 };

static inline int64_t ebb_mfcc_frames(int64_t n) { return 1 + n / EBB_MFCC_HOP; }

typedef struct EbbMfcc EbbMfcc;

/* Tables for recordings of n samples, n > 100. Lifetime: until ebb_mfcc_destroy, which takes NULL. Errors:
   MEMORY. */
EbbStatus ebb_mfcc_create(int64_t n, bool decibels, EbbMfcc **out) EBB_MUST_CHECK;
void ebb_mfcc_destroy(EbbMfcc *mfcc);

/* samples (n), full scale 32768 -> coefficients (frames, 20). One thread at a time. */
void ebb_mfcc_make(EbbMfcc *mfcc, const int16_t *samples, float *coefficients);

#ifdef __cplusplus
}
#endif
#endif
