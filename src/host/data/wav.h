/* WAVE files in memory (RIFF, uncompressed). A reader of ebb's own: the format is a list of chunks, and
   libsndfile, which brings a dozen codecs along, reads a file that is cut off as a shorter recording. */
#ifndef EBB_HOST_DATA_WAV_H
#define EBB_HOST_DATA_WAV_H

#include <stddef.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbWav {
  int64_t n_channels, n_frames;
  int64_t rate;     /* frames a second */
  int16_t *numbers; /* (n_frames, n_channels) */
} EbbWav;

/* Reads integers of 8, 16, 24 and 32 bits and floats of 32 and 64, also as WAVE_FORMAT_EXTENSIBLE. Numbers of
   16 bits stay as they are; others become the nearest, full scale being 1 for floats. Lifetime:
   ebb_wav_release, after an error too. Errors: FORMAT (no WAVE file, cut off, no samples, malformed),
   UNSUPPORTED (compressed), each naming `origin`; MEMORY. */
EbbStatus ebb_wav_parse(const char *bytes, size_t length, const char *origin, EbbWav *out) EBB_MUST_CHECK;
/* The same of a file. Errors: also NOT_FOUND, IO. */
EbbStatus ebb_wav_read(const char *path, EbbWav *out) EBB_MUST_CHECK;
void ebb_wav_release(EbbWav *wav);

/* Errors: FORMAT naming `origin` unless there are so many channels and frames a second. */
EbbStatus ebb_wav_expect(const EbbWav *wav, const char *origin, int64_t n_channels,
                         int64_t rate) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
