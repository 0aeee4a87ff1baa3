#include "host/data/csv_columns.h"

#include <stdlib.h>
#include <string.h>

void ebb_csv_columns_release(EbbCsvColumns *columns) {
  free(columns->inputs);
  free(columns->targets);
  *columns = (EbbCsvColumns){0};
}

/* Finding columns in a first record. */
typedef struct Finder {
  const EbbCsv *csv;
  bool header;
  bool *used; /* (n_fields) */
} Finder;

static EbbStatus find(const Finder *f, const char *key, const char *name, size_t length, int *column) {
  for (int i = 0; f->header && i < f->csv->n_fields; i++)
    if (strlen(f->csv->field[i]) == length && memcmp(f->csv->field[i], name, length) == 0) {
      *column = i;
      return EBB_OK;
    }
  const bool digits = length > 0 && length < 7 && strspn(name, "0123456789") >= length;
  const long number = digits ? strtol(name, NULL, 10) : 0;
  *column = (int)number - 1;
  if (number >= 1 && number <= f->csv->n_fields) return EBB_OK;
  return ebb_fail(EBB_INVALID, "%s: dataset.%s names the column '%.*s', but %s has %s (or a number in 1..%d)",
                  f->csv->origin, key, (int)(length < 60 ? length : 60), name,
                  f->header ? "its header" : "the file", f->header ? "no such name" : "no names",
                  f->csv->n_fields);
}

static EbbStatus claim(const Finder *f, const char *key, const char *name, size_t length, int *column) {
  EBB_TRY(find(f, key, name, length, column));
  if (f->used[*column])
    return ebb_fail(EBB_INVALID, "%s: dataset.%s takes column %d, which has a use already", f->csv->origin,
                    key, *column + 1);
  f->used[*column] = true;
  return EBB_OK;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* The columns of a list, whose array has room for every column. */
static EbbStatus claim_list(const Finder *f, const char *key, const char *list, int *columns, int *n) {
  *n = 0;
  for (const char *at = list; at;) {
    const char *comma = strchr(at, ','), *end = comma ? comma : at + strlen(at);
    while (at < end && is_blank(*at)) at++;
    while (end > at && is_blank(end[-1])) end--;
    EBB_TRY(claim(f, key, at, (size_t)(end - at), &columns[*n]));
    ++*n;
    at = comma ? comma + 1 : NULL;
  }
  return EBB_OK;
}

static EbbStatus claim_one(const Finder *f, const char *key, const char *name, int *column) {
  *column = EBB_CSV_NO_COLUMN;
  return name ? claim(f, key, name, strlen(name), column) : EBB_OK;
}

static void claim_rest(const Finder *f, int *columns, int *n) {
  *n = 0;
  for (int i = 0; i < f->csv->n_fields; i++)
    if (!f->used[i]) columns[(*n)++] = i;
}

static EbbStatus find_all(const Finder *f, const EbbCsvNames *names, EbbCsvColumns *out) {
  EBB_TRY(claim_one(f, "labels", names->label, &out->label));
  EBB_TRY(claim_one(f, "time", names->time, &out->time));
  if (names->targets) EBB_TRY(claim_list(f, "targets", names->targets, out->targets, &out->n_targets));
  if (names->inputs) return claim_list(f, "inputs", names->inputs, out->inputs, &out->n_inputs);
  claim_rest(f, out->inputs, &out->n_inputs);
  if (out->n_inputs > 0) return EBB_OK;
  return ebb_fail(EBB_INVALID, "%s: no column is left for inputs", f->csv->origin);
}

EbbStatus ebb_csv_columns_find(const EbbCsv *csv, const EbbCsvNames *names, bool header, EbbCsvColumns *out) {
  *out = (EbbCsvColumns){.n_columns = csv->n_fields, .label = EBB_CSV_NO_COLUMN, .time = EBB_CSV_NO_COLUMN};
  if (!names->targets == !names->label)
    return ebb_fail(EBB_INVALID,
                    "the csv data set needs either dataset.targets (columns of numbers to predict) "
                    "or dataset.labels (one column of classes)");
  const size_t n = (size_t)csv->n_fields;
  Finder finder = {.csv = csv, .header = header, .used = calloc(n, sizeof *finder.used)};
  out->inputs = malloc(n * sizeof *out->inputs);
  out->targets = malloc(n * sizeof *out->targets);
  EbbStatus status = finder.used && out->inputs && out->targets
                         ? find_all(&finder, names, out)
                         : ebb_fail(EBB_MEMORY, "%s: no memory for %d columns", csv->origin, csv->n_fields);
  free(finder.used);
  return status;
}
