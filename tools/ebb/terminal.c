#include "terminal.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool wants_colour(FILE *out) {
  const char *kind = getenv("TERM"), *refused = getenv("NO_COLOR");
  bool able = isatty(fileno(out)) && kind && *kind && strcmp(kind, "dumb") != 0;
  return able && !(refused && *refused);
}

const char *terminal_colour(FILE *out, TerminalColour colour) {
  static const char *const sequence[] = {
      [TERMINAL_RED] = "\x1b[31m", [TERMINAL_GREEN] = "\x1b[32m", [TERMINAL_BOLD] = "\x1b[1m"};
  return wants_colour(out) ? sequence[colour] : "";
}

const char *terminal_plain(FILE *out) { return wants_colour(out) ? "\x1b[0m" : ""; }

void terminal_field(FILE *out, const char *name, const char *format, ...) {
  fprintf(out, "%-12s ", name);
  va_list arguments;
  va_start(arguments, format);
  vfprintf(out, format, arguments);
  va_end(arguments);
  (void)fputc('\n', out);
}

TerminalText terminal_count(int64_t count) {
  char digits[24];
  int n = snprintf(digits, sizeof digits, "%lld", (long long)count);
  TerminalText result;
  char *to = result.text;
  for (int i = 0; i < n; i++) {
    bool group = i > 0 && (n - i) % 3 == 0 && digits[i - 1] != '-';
    if (group) *to++ = ',';
    *to++ = digits[i];
  }
  *to = 0;
  return result;
}

TerminalText terminal_bytes(int64_t bytes) {
  static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = (double)bytes;
  int u = 0;
  for (; value >= 1023.95 && u < 5; u++) value /= 1024;
  TerminalText result;
  snprintf(result.text, sizeof result.text, "%.*f %s", u ? 1 : 0, value, unit[u]);
  return result;
}
