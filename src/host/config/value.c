#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/config/config_row.h"

enum { TEXT_MAX = 4096 };

void ebb_config_value_clear(EbbConfigValue *value) {
  free(value->text);
  free(value->list);
  free(value->origin);
  memset(value, 0, sizeof *value);
}

EbbStatus ebb_config_value_copy(const EbbConfigValue *from, EbbConfigValue *to) {
  *to = *from;
  to->text = from->text ? strdup(from->text) : NULL;
  to->origin = from->origin ? strdup(from->origin) : NULL;
  to->list = NULL;
  if (from->list) {
    to->list = malloc(EBB_CONFIG_LIST_MAX * sizeof *to->list);
    if (to->list) memcpy(to->list, from->list, (size_t)from->n_list * sizeof *to->list);
  }
  bool complete = !to->text == !from->text && !to->origin == !from->origin && !to->list == !from->list;
  return complete ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for a copy of the configuration");
}

EbbConfigQuote ebb_config_quote(const char *text, size_t length) {
  EbbConfigQuote quote;
  size_t shown = length > 60 ? 60 : length;
  for (size_t i = 0; i < shown; i++) {
    unsigned char c = (unsigned char)text[i];
    quote.text[i] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
  }
  memcpy(quote.text + shown, length > shown ? "..." : "\0\0\0", 4);
  return quote;
}

static bool is_null(EbbConfigScalar s) {
  return s.plain && (s.length == 0 || strcasecmp(s.text, "null") == 0 || strcmp(s.text, "~") == 0);
}

/* YAML 1.1's words, which Python's loaders take; -1 if it is none of them. */
static int flag_of(EbbConfigScalar s) {
  static const struct {
    const char *word;
    int flag;
  } words[] = {{"true", 1}, {"false", 0}, {"yes", 1}, {"no", 0}, {"on", 1}, {"off", 0}};
  for (size_t i = 0; s.plain && i < sizeof words / sizeof *words; i++) {
    if (strcasecmp(s.text, words[i].word) == 0) return words[i].flag;
  }
  return -1;
}

/* strtod also reads hexadecimal, inf, nan and leading blanks, none of which belongs into a file. */
static bool number_of(EbbConfigScalar s, double *number) {
  if (!s.plain || s.length == 0 || s.length > 64 || strspn(s.text, "0123456789+-.eE") != s.length)
    return false;
  char *end;
  *number = strtod(s.text, &end);
  return end == s.text + s.length && isfinite(*number);
}

/* 1e5 and 2. are whole numbers too; beyond 2^53 only digits are exact. */
static bool integer_of(EbbConfigScalar s, int64_t *integer) {
  double number;
  if (!number_of(s, &number)) return false;
  if (strpbrk(s.text, ".eE")) {
    if (number != floor(number) || fabs(number) > 9007199254740992.0) return false;
    *integer = (int64_t)number;
    return true;
  }
  errno = 0;
  *integer = strtoll(s.text, NULL, 10);
  return errno == 0;
}

static int choice_of(const char *choices, EbbConfigScalar s) {
  int index = 0;
  for (const char *at = choices;; index++) {
    size_t length = strcspn(at, "|");
    bool null_choice = length == 4 && strncmp(at, "null", 4) == 0;
    if (null_choice ? is_null(s) : length == s.length && memcmp(at, s.text, length) == 0) return index;
    if (at[length] == 0) return -1;
    at += length + 1;
  }
}

/* "an integer in [1, 65536] tokens, or null (model.d_model)" */
static const char *describe(const EbbConfigRow *row, char *buffer, size_t bytes) {
  const char *gap = *row->unit ? " (" : "", *end = *row->unit ? ")" : "",
             *or_null = *row->null_means ? ", or null: " : "";
  const char *means = row->null_means;
  switch (row->type) {
  case EBB_CONFIG_FLAG:
    snprintf(buffer, bytes, "true or false%s%s", or_null, means);
    break;
  case EBB_CONFIG_INTEGER:
    snprintf(buffer, bytes, "an integer from %.0f to %.0f%s%s%s%s%s", row->min, row->max, gap, row->unit, end,
             or_null, means);
    break;
  case EBB_CONFIG_NUMBER:
    snprintf(buffer, bytes, "a number from %.9g to %.9g%s%s%s%s%s", row->min, row->max, gap, row->unit, end,
             or_null, means);
    break;
  case EBB_CONFIG_STRING:
    snprintf(buffer, bytes, "a text%s%s", or_null, means);
    break;
  case EBB_CONFIG_CHOICE:
    snprintf(buffer, bytes, "one of %s", row->choices);
    break;
  case EBB_CONFIG_INTEGERS:
    snprintf(buffer, bytes, "a list of integers from %.0f to %.0f%s%s%s", row->min, row->max, gap, row->unit,
             end);
    break;
  default:
    snprintf(buffer, bytes, "null or false");
    break;
  }
  return buffer;
}

static EbbStatus refuse(const EbbConfigRow *row, EbbConfigScalar s) {
  char expected[256];
  const char *mark = s.plain ? "'" : "\"";
  EbbConfigQuote got = ebb_config_quote(s.text, s.length);
  if (s.plain && s.length == 0) got = ebb_config_quote("null", 4);
  if (row->type == EBB_CONFIG_OFF) {
    return ebb_fail(EBB_INVALID,
                    "%s is a published option that ebb does not support: leave it null, not %s%s%s",
                    row->path, mark, got.text, mark);
  }
  if (s.plain && strncmp(s.text, "${", 2) == 0) {
    return ebb_fail(EBB_INVALID, "%s: the interpolation '%s' is not resolved; write the value (here: %s)",
                    row->path, got.text, describe(row, expected, sizeof expected));
  }
  return ebb_fail(EBB_INVALID, "%s must be %s, not %s%s%s", row->path,
                  describe(row, expected, sizeof expected), mark, got.text, mark);
}

static bool in_range(const EbbConfigRow *row, double number) {
  return number >= row->min && number <= row->max;
}

/* "${..d_model}" in model.layer.n_ssm names model.d_model, and that is what null means there: the published
   files' interpolations are null in ebb. */
static bool refers_to_null(const EbbConfigRow *row, EbbConfigScalar s) {
  if (!s.plain || s.length < 4 || strncmp(s.text, "${", 2) != 0 || s.text[s.length - 1] != '}') return false;
  const char *name = s.text + 2;
  size_t dots = strspn(name, ".");
  size_t length = s.length - 3 - dots, kept = dots ? strlen(row->path) : 0;
  for (size_t up = 0; up < dots; up++) {
    while (kept > 0 && row->path[kept - 1] != '.') kept--;
    if (up + 1 < dots && kept > 0) kept--;
  }
  return strlen(row->null_means) == kept + length && strncmp(row->null_means, row->path, kept) == 0 &&
         strncmp(row->null_means + kept, name + dots, length) == 0;
}

static EbbStatus set_text(const EbbConfigRow *row, EbbConfigScalar s, EbbConfigValue *value) {
  if (s.length > TEXT_MAX) return ebb_fail(EBB_INVALID, "%s is longer than %d bytes", row->path, TEXT_MAX);
  if (s.length == 0 || strncmp(s.text, "${", 2) == 0) return refuse(row, s);
  value->text = strdup(s.text);
  return value->text ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for %s", row->path);
}

static EbbStatus set_plain(const EbbConfigRow *row, EbbConfigScalar s, EbbConfigValue *value) {
  bool good = false;
  switch (row->type) {
  case EBB_CONFIG_FLAG:
    good = (value->integer = flag_of(s)) >= 0;
    break;
  case EBB_CONFIG_INTEGER:
    good = integer_of(s, &value->integer) && in_range(row, (double)value->integer);
    break;
  case EBB_CONFIG_NUMBER:
    good = number_of(s, &value->number) && in_range(row, value->number);
    break;
  case EBB_CONFIG_OFF:
    good = flag_of(s) == 0;
    break;
  case EBB_CONFIG_IGNORED:
    good = true;
    break;
  default:
    break;
  }
  if (row->type == EBB_CONFIG_OFF || row->type == EBB_CONFIG_IGNORED) value->null = true;
  return good ? EBB_OK : refuse(row, s);
}

EbbStatus ebb_config_value_set(const EbbConfigRow *row, EbbConfigScalar s, EbbConfigValue *value) {
  ebb_config_value_clear(value);
  if (strlen(s.text) != s.length) return ebb_fail(EBB_INVALID, "%s holds a NUL byte", row->path);
  if (row->type == EBB_CONFIG_CHOICE) {
    value->integer = choice_of(row->choices, s);
    value->null = is_null(s);
    return value->integer >= 0 ? EBB_OK : refuse(row, s);
  }
  if (*row->null_means && (is_null(s) || refers_to_null(row, s))) {
    value->null = true;
    return EBB_OK;
  }
  if (row->type == EBB_CONFIG_STRING) return is_null(s) ? refuse(row, s) : set_text(row, s, value);
  return set_plain(row, s, value);
}

EbbStatus ebb_config_value_begin(const EbbConfigRow *row, EbbConfigValue *value) {
  ebb_config_value_clear(value);
  char expected[256];
  if (row->type != EBB_CONFIG_INTEGERS) {
    return ebb_fail(EBB_INVALID, "%s must be %s, not a list", row->path,
                    describe(row, expected, sizeof expected));
  }
  value->list = malloc(EBB_CONFIG_LIST_MAX * sizeof *value->list);
  return value->list ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for %s", row->path);
}

EbbStatus ebb_config_value_append(const EbbConfigRow *row, EbbConfigScalar s, EbbConfigValue *value) {
  int64_t item;
  if (strlen(s.text) != s.length || !integer_of(s, &item) || !in_range(row, (double)item))
    return refuse(row, s);
  if (value->n_list == EBB_CONFIG_LIST_MAX) {
    return ebb_fail(EBB_INVALID, "%s has more than %d items", row->path, EBB_CONFIG_LIST_MAX);
  }
  value->list[value->n_list++] = item;
  return EBB_OK;
}
