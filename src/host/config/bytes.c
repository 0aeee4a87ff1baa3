#include "host/config/config_row.h"

/* Bytes of the character at `at`, or 0: overlong forms, surrogates and code points above U+10FFFF are none.
 */
static size_t character(const unsigned char *at, size_t left) {
  static const struct {
    unsigned char first_low, first_high, second_low, second_high, bytes;
  } forms[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
               {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
               {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
  if (*at < 0x80) return 1;
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    if (*at < forms[i].first_low || *at > forms[i].first_high) continue;
    if (left < forms[i].bytes || at[1] < forms[i].second_low || at[1] > forms[i].second_high) return 0;
    for (size_t k = 2; k < forms[i].bytes; k++) {
      if ((at[k] & 0xc0) != 0x80) return 0;
    }
    return forms[i].bytes;
  }
  return 0;
}

EbbStatus ebb_config_check_bytes(EbbConfigStage *stage, const char *text, size_t length) {
  if (length > EBB_CONFIG_FILE_BYTES)
    return ebb_fail(EBB_FORMAT, "larger than 1 MiB: this is no configuration");
  const unsigned char *bytes = (const unsigned char *)text;
  for (size_t i = 0; i < length;) {
    size_t width = character(bytes + i, length - i);
    bool control =
        (bytes[i] < 0x20 && bytes[i] != '\t' && bytes[i] != '\n' && bytes[i] != '\r') || bytes[i] == 0x7f;
    if (width == 0) return ebb_fail(EBB_FORMAT, "byte 0x%02x is not UTF-8: this is no text file", bytes[i]);
    if (control)
      return ebb_fail(EBB_FORMAT, "byte 0x%02x is a control character: this is no text file", bytes[i]);
    stage->column++;
    if (bytes[i] == '\n') stage->line++, stage->column = 1;
    i += width;
  }
  stage->line = stage->column = 1;
  return EBB_OK;
}
