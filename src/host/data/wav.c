#include "host/data/wav.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/file.h"

enum { INTEGERS = 1, FLOATS = 3, EXTENSIBLE = 0xFFFE, MOST_CHANNELS = 256 };
static const size_t MOST_BYTES = (size_t)1 << 30;

typedef struct Chunk {
  const unsigned char *bytes;
  size_t length;
} Chunk;

/* ---- numbers, which stand with their low byte first ---- */

static uint32_t word(const unsigned char *from, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint32_t)from[i] << 8 * i;
  return value;
}

/* A two's complement number of `bytes` as a fraction of full scale. */
static double fraction(const unsigned char *from, int bytes) {
  const uint32_t shifted = word(from, bytes) << (32 - 8 * bytes); /* the sign becomes bit 31 */
  const double value = (double)(shifted & 0x7FFFFFFFU) - (shifted >> 31 ? 0x1p31 : 0);
  return value * 0x1p-31;
}

static double from_u8(const unsigned char *from) { return (from[0] - 128) / 128.0; }
static double from_i16(const unsigned char *from) { return fraction(from, 2); }
static double from_i24(const unsigned char *from) { return fraction(from, 3); }
static double from_i32(const unsigned char *from) { return fraction(from, 4); }

static double from_f32(const unsigned char *from) {
  const uint32_t bits = word(from, 4);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static double from_f64(const unsigned char *from) {
  const uint64_t bits = word(from, 4) | (uint64_t)word(from + 4, 4) << 32;
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

typedef struct Encoding {
  unsigned tag, bits;
  double (*number)(const unsigned char *from);
} Encoding;

static const Encoding encodings[] = {{INTEGERS, 8, from_u8},   {INTEGERS, 16, from_i16},
                                     {INTEGERS, 24, from_i24}, {INTEGERS, 32, from_i32},
                                     {FLOATS, 32, from_f32},   {FLOATS, 64, from_f64}};

/* ---- chunks ---- */

/* Finds the first chunk of that name. */
static EbbStatus find(const unsigned char *bytes, size_t length, const char *origin, const char *name,
                      Chunk *out) {
  for (size_t at = 12; at + 8 <= length;) {
    const size_t size = word(bytes + at + 4, 4), left = length - at - 8;
    if (memcmp(bytes + at, name, 4) == 0) {
      *out = (Chunk){bytes + at + 8, size};
      if (size <= left) return EBB_OK;
      (void)ebb_fail(EBB_FORMAT, "%s: the file is cut off: %zu of the %zu bytes of its chunk '%s' are there",
                     origin, left, size, name);
      return EBB_FORMAT;
    }
    if (size > left) break;
    at += 8 + size + (size & 1);
  }
  (void)ebb_fail(EBB_FORMAT, "%s: no chunk '%s'; the file is cut off or damaged", origin, name);
  return EBB_FORMAT;
}

static EbbStatus read_format(const Chunk *chunk, const char *origin, EbbWav *out, const Encoding **encoding) {
  enum { PLAIN = 16, EXTENDED = 26 }; /* bytes that are looked at */
  const unsigned char *b = chunk->bytes;
  if (chunk->length < PLAIN) {
    (void)ebb_fail(EBB_FORMAT, "%s: the chunk 'fmt ' is too short", origin);
    return EBB_FORMAT;
  }
  unsigned tag = word(b, 2);
  const unsigned bits = word(b + 14, 2), block = word(b + 12, 2);
  if (tag == EXTENSIBLE && chunk->length >= EXTENDED) tag = word(b + 24, 2);
  out->n_channels = word(b + 2, 2), out->rate = word(b + 4, 4);
  *encoding = NULL;
  for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
    if (encodings[i].tag == tag && encodings[i].bits == bits) *encoding = &encodings[i];
  if (!*encoding) {
    (void)ebb_fail(EBB_UNSUPPORTED,
                   "%s: encoding %u with %u bits; only PCM of 8, 16, 24 or 32 bits and floats are read",
                   origin, tag, bits);
    return EBB_UNSUPPORTED;
  }
  if (out->n_channels < 1 || out->n_channels > MOST_CHANNELS || out->rate < 1)
    return ebb_fail(EBB_FORMAT, "%s: %lld channels at %lld samples a second", origin,
                    (long long)out->n_channels, (long long)out->rate);
  if (block != bits / 8 * (unsigned)out->n_channels)
    return ebb_fail(EBB_FORMAT, "%s: frames of %u bytes do not fit %lld channels of %u bits", origin, block,
                    (long long)out->n_channels, bits);
  return EBB_OK;
}

static int16_t nearest(double fraction_of_scale) {
  const double value = nearbyint(fraction_of_scale * 32768);
  if (value < INT16_MIN) return INT16_MIN;
  return value > INT16_MAX ? INT16_MAX : (int16_t)value;
}

static EbbStatus read_numbers(const Chunk *chunk, const char *origin, const Encoding *encoding, EbbWav *out) {
  const size_t bytes = encoding->bits / 8, frame = bytes * (size_t)out->n_channels;
  if (chunk->length == 0) return ebb_fail(EBB_FORMAT, "%s: the recording has no samples", origin);
  if (chunk->length % frame != 0)
    return ebb_fail(EBB_FORMAT, "%s: %zu bytes of samples are no whole number of frames of %zu", origin,
                    chunk->length, frame);
  const size_t n = chunk->length / bytes;
  out->n_frames = (int64_t)(chunk->length / frame);
  out->numbers = malloc(n * sizeof *out->numbers);
  if (!out->numbers) return ebb_fail(EBB_MEMORY, "%s: no memory for %zu samples", origin, n);
  for (size_t i = 0; i < n; i++) {
    const double value = encoding->number(chunk->bytes + i * bytes);
    if (!isfinite(value)) return ebb_fail(EBB_FORMAT, "%s: sample %zu is not finite", origin, i);
    out->numbers[i] = nearest(value);
  }
  return EBB_OK;
}

EbbStatus ebb_wav_parse(const char *bytes, size_t length, const char *origin, EbbWav *out) {
  *out = (EbbWav){0};
  const unsigned char *u = (const unsigned char *)bytes;
  Chunk format, data;
  const Encoding *encoding = NULL;
  if (length == 0) return ebb_fail(EBB_FORMAT, "%s: the file is empty", origin);
  if (length < 12 || memcmp(bytes, "RIFF", 4) != 0 || memcmp(bytes + 8, "WAVE", 4) != 0)
    return ebb_fail(EBB_FORMAT, "%s: no WAVE file: it does not begin with RIFF....WAVE", origin);
  EBB_TRY(find(u, length, origin, "fmt ", &format));
  EBB_TRY(read_format(&format, origin, out, &encoding));
  EBB_TRY(find(u, length, origin, "data", &data));
  return read_numbers(&data, origin, encoding, out);
}

EbbStatus ebb_wav_read(const char *path, EbbWav *out) {
  *out = (EbbWav){0};
  char *bytes;
  size_t length;
  EBB_TRY(ebb_file_read(path, MOST_BYTES, &bytes, &length));
  const EbbStatus status = ebb_wav_parse(bytes, length, path, out);
  free(bytes);
  return status;
}

void ebb_wav_release(EbbWav *wav) {
  free(wav->numbers);
  *wav = (EbbWav){0};
}

EbbStatus ebb_wav_expect(const EbbWav *wav, const char *origin, int64_t n_channels, int64_t rate) {
  if (wav->n_channels != n_channels)
    return ebb_fail(EBB_FORMAT, "%s: %lld channels, expected %lld", origin, (long long)wav->n_channels,
                    (long long)n_channels);
  if (wav->rate != rate)
    return ebb_fail(EBB_FORMAT, "%s: %lld samples a second, expected %lld", origin, (long long)wav->rate,
                    (long long)rate);
  return EBB_OK;
}
