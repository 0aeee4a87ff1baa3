#include "ebb/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SENTENCE_BYTES = 2048 };

static _Thread_local char sentence[SENTENCE_BYTES];

static const struct {
  const char *name, *meaning;
} rows[] = {
#define EBB_STATUS(name, meaning) {#name, meaning},
#include "ebb/status.def"
#undef EBB_STATUS
};

enum { N_ROWS = sizeof rows / sizeof *rows };

/* Names and values from damaged or hostile files stand in sentences: none may break the line or steer a
   terminal. */
static void keep_printable(char *text) {
  for (unsigned char *c = (unsigned char *)text; *c; c++)
    if (*c < 0x20 || *c == 0x7F) *c = '?';
}

EbbStatus ebb_fail(EbbStatus code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char text[SENTENCE_BYTES]; /* an argument may be the old sentence itself */
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  keep_printable(text);
  memcpy(sentence, text, sizeof text);
  return code;
}

EbbStatus ebb_fail_within(EbbStatus code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char context[SENTENCE_BYTES / 2];
  vsnprintf(context, sizeof context, format, arguments);
  va_end(arguments);
  return ebb_fail(code, "%s: %s", context, sentence);
}

const char *ebb_error(void) { return sentence; }

const char *ebb_status_name(EbbStatus code) { return (unsigned)code < N_ROWS ? rows[code].name : "UNKNOWN"; }

const char *ebb_status_meaning(EbbStatus code) {
  return (unsigned)code < N_ROWS ? rows[code].meaning : "not a status code";
}
