/* The text files of the UCR archive. */
#include <stdio.h>
#include <string.h>

#include "host/data/cases.h"
#include "host/data/csv.h"

static EbbStatus read_record(EbbCases *cases, const EbbCsv *csv) {
  char where[256];
  snprintf(where, sizeof where, "%s:%lld", csv->origin, (long long)csv->line);
  for (int i = 1; i < csv->n_fields; i++) EBB_TRY(ebb_cases_number(cases, where, csv->field[i]));
  EBB_TRY(ebb_cases_end_channel(cases, where));
  return ebb_cases_end_class(cases, where, csv->field[0]);
}

EbbStatus ebb_ucr_read(char *text, size_t length, const char *origin, EbbCases *cases) {
  const char *line_end = memchr(text, '\n', length);
  const size_t first = line_end ? (size_t)(line_end - text) : length;
  const bool separated = memchr(text, ',', first) || memchr(text, '\t', first);
  EbbCsv csv;
  EbbStatus status;
  bool end = false;
  ebb_csv_open(&csv, text, length, origin, separated ? EBB_CSV_GUESS : EBB_CSV_BLANKS);
  do {
    status = ebb_csv_next(&csv, &end);
    if (status == EBB_OK && !end) status = read_record(cases, &csv);
  } while (status == EBB_OK && !end);
  ebb_csv_close(&csv);
  return status;
}
