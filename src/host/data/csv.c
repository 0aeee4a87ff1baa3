#include "host/data/csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The delimiter that stands most often outside quotes in the first line. */
static char guess(const char *at, const char *end) {
  static const char candidates[] = ",;\t";
  int count[3] = {0}, best = 0;
  bool quoted = false;
  for (; at < end && (quoted || *at != '\n'); at++) {
    if (*at == '"') quoted = !quoted;
    const char *found = quoted || !*at ? NULL : strchr(candidates, *at);
    if (found) count[found - candidates]++;
  }
  for (int i = 1; i < 3; i++)
    if (count[i] > count[best]) best = i;
  return candidates[best];
}

void ebb_csv_open(EbbCsv *csv, char *text, size_t length, const char *origin, char delimiter) {
  *csv = (EbbCsv){.origin = origin, .at = text, .end = text + length, .delimiter = delimiter, .next_line = 1};
  text[length] = 0;
  if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) csv->at += 3;
  if (delimiter == EBB_CSV_GUESS) csv->delimiter = guess(csv->at, csv->end);
}

void ebb_csv_close(EbbCsv *csv) {
  free((void *)csv->field);
  *csv = (EbbCsv){0};
}

static EbbStatus malformed(const EbbCsv *csv, const char *what) {
  return ebb_fail(EBB_FORMAT, "%s:%lld: %s", csv->origin, (long long)csv->line, what);
}

static EbbStatus add_field(EbbCsv *csv, char *field) {
  if (csv->n_fields == csv->capacity) {
    int capacity = csv->capacity ? 2 * csv->capacity : 64;
    char **more = realloc((void *)csv->field, (size_t)capacity * sizeof *more);
    if (!more) return ebb_fail(EBB_MEMORY, "%s: no memory for %d fields", csv->origin, capacity);
    csv->field = more, csv->capacity = capacity;
  }
  csv->field[csv->n_fields++] = field;
  return EBB_OK;
}

/* Ends a field at `to`, where reading went on to csv->at; *more: another field follows. */
static EbbStatus end_field(EbbCsv *csv, char *to, bool *more) {
  *more = false;
  if (csv->at == csv->end) {
    *to = 0;
    return EBB_OK;
  }
  const char c = *csv->at;
  const bool crlf = c == '\r' && csv->at + 1 < csv->end && csv->at[1] == '\n';
  if (c != csv->delimiter && c != '\n' && !crlf)
    return malformed(csv, "text follows the closing quote of a field");
  csv->at += crlf ? 2 : 1;
  *to = 0;
  *more = c == csv->delimiter;
  if (!*more) csv->next_line++;
  return EBB_OK;
}

static EbbStatus quoted_field(EbbCsv *csv, bool *more) {
  char *to = ++csv->at;
  EBB_TRY(add_field(csv, to));
  for (;; csv->at++) {
    if (csv->at == csv->end) return malformed(csv, "a quote that is opened in this record is not closed");
    if (*csv->at == '"') {
      if (csv->at + 1 == csv->end || csv->at[1] != '"') break;
      csv->at++;
    }
    if (!*csv->at) return malformed(csv, "a NUL byte stands in the text; the file is damaged or not text");
    if (*csv->at == '\n') csv->next_line++;
    *to++ = *csv->at;
  }
  csv->at++;
  return end_field(csv, to, more);
}

static EbbStatus plain_field(EbbCsv *csv, bool *more) {
  char *from = csv->at;
  EBB_TRY(add_field(csv, from));
  while (csv->at < csv->end && *csv->at != csv->delimiter && *csv->at != '\n') csv->at++;
  char *to = csv->at;
  if (to > from && to[-1] == '\r' && (to == csv->end || *to == '\n')) to--;
  return end_field(csv, to, more);
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* Fields between runs of blanks; an empty line has none. */
static EbbStatus blank_record(EbbCsv *csv, char *end) {
  char *at = csv->at;
  while (at < end) {
    while (at < end && is_blank(*at)) at++;
    if (at < end) EBB_TRY(add_field(csv, at));
    while (at < end && !is_blank(*at)) at++;
    if (at < csv->end) *at++ = 0;
  }
  csv->next_line++;
  csv->at = end < csv->end ? end + 1 : end;
  if (end < csv->end) *end = 0;
  return EBB_OK;
}

static EbbStatus record(EbbCsv *csv, char *line_end) {
  if (csv->delimiter == EBB_CSV_BLANKS) return blank_record(csv, line_end);
  for (bool more = true; more;)
    EBB_TRY((csv->at < csv->end && *csv->at == '"' ? quoted_field : plain_field)(csv, &more));
  return EBB_OK;
}

EbbStatus ebb_csv_next(EbbCsv *csv, bool *end) {
  csv->n_fields = 0;
  *end = false;
  while (csv->at < csv->end) {
    csv->line = csv->next_line;
    char *from = csv->at, *line_end = memchr(from, '\n', (size_t)(csv->end - from));
    if (!line_end) line_end = csv->end;
    if (line_end == from || (line_end == from + 1 && *from == '\r')) {
      csv->at = line_end < csv->end ? line_end + 1 : line_end;
      csv->next_line++;
      continue;
    }
    if (memchr(from, 0, (size_t)(line_end - from)))
      return malformed(csv, "a NUL byte stands in the text; the file is damaged or not text");
    EBB_TRY(record(csv, line_end));
    if (csv->n_fields > 0) return EBB_OK;
  }
  *end = true;
  return EBB_OK;
}

EbbStatus ebb_csv_expect(const EbbCsv *csv, int n) {
  if (csv->n_fields == n) return EBB_OK;
  return ebb_fail(EBB_FORMAT, "%s:%lld: the record has %d fields, expected %d", csv->origin,
                  (long long)csv->line, csv->n_fields, n);
}

bool ebb_csv_is_missing(const char *field) {
  static const char *const words[] = {"", "?", "NA", "N/A", "NaN", "null", "None"};
  if (*field >= '0' && *field <= '9') return false;
  while (is_blank(*field)) field++;
  size_t length = strlen(field);
  while (length > 0 && is_blank(field[length - 1])) length--;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strlen(words[i]) == length && strncasecmp(field, words[i], length) == 0) return true;
  return false;
}

EbbStatus ebb_csv_number(const EbbCsv *csv, int field, double *value) {
  const char *text = csv->field[field];
  char *end = NULL;
  *value = strtod(text, &end);
  const bool found = end != text, decimal = strcspn(text, "xXnN") == strlen(text); /* no nan, inf or 0x */
  while (is_blank(*end)) end++;
  if (found && !*end && decimal && isfinite(*value)) return EBB_OK;
  return ebb_fail(EBB_FORMAT, "%s:%lld: field %d is '%.40s', not a finite number", csv->origin,
                  (long long)csv->line, field + 1, text);
}

EbbStatus ebb_csv_name(const EbbCsv *csv, int field, const char *const *names, int n, int *index) {
  const char *text = csv->field[field];
  for (*index = 0; *index < n; ++*index)
    if (strcmp(names[*index], text) == 0) return EBB_OK;
  char known[256] = "";
  for (int i = 0, used = 0; i < n && used < (int)sizeof known; i++)
    used += snprintf(known + used, sizeof known - (size_t)used, "%s%s", i ? ", " : "", names[i]);
  return ebb_fail(EBB_FORMAT, "%s:%lld: field %d is '%.40s'; known are: %s", csv->origin,
                  (long long)csv->line, field + 1, text, known);
}
