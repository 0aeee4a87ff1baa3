#include "host/data/tsv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ebb_tsv_clear(EbbTsv *tsv) {
  free(tsv->text);
  tsv->text = NULL;
  tsv->capacity = 0;
}

/* Length of the UTF-8 sequence at `text`, which ends with a 0 byte; 0 if it is none (overlong forms,
   surrogates and values above 10FFFF are none). */
static int utf8_length(const unsigned char *text) {
  unsigned lead = text[0];
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (text[1] < low || text[1] > high) return 0;
  for (int i = 2; i < length; i++) {
    if ((text[i] & 0xC0) != 0x80) return 0;
  }
  return length;
}

static bool is_utf8(const char *text, size_t bytes) {
  const unsigned char *at = (const unsigned char *)text, *end = at + bytes;
  while (at < end) {
    uint64_t word;
    if (end - at >= 8 && (memcpy(&word, at, 8), (word & 0x8080808080808080U) == 0)) {
      at += 8;
      continue;
    }
    int length = utf8_length(at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

static EbbStatus read_line(EbbTsv *tsv, size_t *bytes, bool *end) {
  errno = 0;
  ssize_t read = getline(&tsv->text, &tsv->capacity, tsv->file);
  *end = false;
  if (read < 0) {
    if (feof(tsv->file) && !ferror(tsv->file)) {
      *end = true;
      return EBB_OK;
    }
    EbbStatus code = errno == ENOMEM ? EBB_MEMORY : EBB_IO;
    return ebb_fail(code, "cannot read '%s' after line %lld: %s", tsv->origin, (long long)tsv->line,
                    strerror(errno));
  }
  tsv->line++;
  *bytes = (size_t)read;
  return EBB_OK;
}

static EbbStatus check_line(const EbbTsv *tsv, size_t *bytes) {
  long long line = tsv->line;
  if (memchr(tsv->text, 0, *bytes)) {
    return ebb_fail(EBB_FORMAT, "%s:%lld: a NUL byte stands in the text; the file is damaged or not text",
                    tsv->origin, line);
  }
  if (tsv->text[*bytes - 1] != '\n') {
    return ebb_fail(EBB_FORMAT, "%s:%lld: the last line has no line end; the file is cut off", tsv->origin,
                    line);
  }
  tsv->text[--*bytes] = 0;
  if (*bytes > 0 && tsv->text[*bytes - 1] == '\r') tsv->text[--*bytes] = 0;
  if (!is_utf8(tsv->text, *bytes)) {
    return ebb_fail(EBB_FORMAT, "%s:%lld: the line is not valid UTF-8", tsv->origin, line);
  }
  return EBB_OK;
}

EbbStatus ebb_tsv_next(EbbTsv *tsv, char **fields, int n_fields, bool *end) {
  size_t bytes = 0;
  EBB_TRY(read_line(tsv, &bytes, end));
  if (*end) return EBB_OK;
  EBB_TRY(check_line(tsv, &bytes));
  int n = 0;
  for (char *at = tsv->text; at; n++) {
    char *tab = strchr(at, '\t');
    if (tab) *tab++ = 0;
    if (n < n_fields) fields[n] = at;
    at = tab;
  }
  if (n != n_fields) {
    return ebb_fail(EBB_FORMAT, "%s:%lld: the line has %d tab-separated fields, expected %d", tsv->origin,
                    (long long)tsv->line, n, n_fields);
  }
  return EBB_OK;
}
