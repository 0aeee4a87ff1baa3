#include "host/data/tsv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/data/utf8.h"

void ebb_tsv_clear(EbbTsv *tsv) {
  free(tsv->text);
  tsv->text = NULL;
  tsv->capacity = 0;
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
  const size_t valid = ebb_utf8_valid(tsv->text, *bytes);
  if (valid < *bytes) {
    return ebb_fail(EBB_FORMAT, "%s:%lld: the line is not valid UTF-8 from its byte %zu on", tsv->origin,
                    line, valid + 1);
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

EbbStatus ebb_tsv_tell(const EbbTsv *tsv, const EbbLoading *loading, const char *label) {
  enum { STEP_LINES = 1024, MIB = 1024 * 1024 };
  if (tsv->line % STEP_LINES != 0) return EBB_OK;
  struct stat info;
  const int number = fileno(tsv->file);
  const off_t at = ftello(tsv->file);
  if (number < 0 || at < 0 || fstat(number, &info) != 0 || at > info.st_size) return EBB_OK;
  return ebb_loading_step(loading, label, at / MIB, info.st_size / MIB, "MiB");
}
