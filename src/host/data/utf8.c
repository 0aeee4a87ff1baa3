#include "host/data/utf8.h"

#include <string.h>

/* What the second byte may be behind a lead byte that narrows it. */
static unsigned least_second(unsigned lead) { return lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80; }
static unsigned most_second(unsigned lead) { return lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF; }

int ebb_utf8_decode(const char *text, size_t left, uint32_t *code) {
  const unsigned char *at = (const unsigned char *)text;
  const unsigned lead = at[0];
  *code = lead;
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (left < (size_t)length || at[1] < least_second(lead) || at[1] > most_second(lead)) return 0;
  *code = lead & (0x7FU >> length);
  for (int i = 1; i < length; i++) {
    if ((at[i] & 0xC0) != 0x80) return 0;
    *code = *code << 6 | (at[i] & 0x3FU);
  }
  return length;
}

size_t ebb_utf8_valid(const char *text, size_t bytes) {
  size_t at = 0;
  while (at < bytes) {
    uint64_t word;
    uint32_t code;
    if (bytes - at >= 8 && (memcpy(&word, text + at, 8), (word & 0x8080808080808080U) == 0)) {
      at += 8;
      continue;
    }
    const int length = ebb_utf8_decode(text + at, bytes - at, &code);
    if (length == 0) return at;
    at += (size_t)length;
  }
  return bytes;
}
