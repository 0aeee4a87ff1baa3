/* Any bytes are refused with a sentence or are records whose fields stand inside the text. The first byte
   picks the delimiter. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/data/csv_columns.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_record(const EbbCsv *csv, const char *text, size_t length) {
  if (csv->n_fields < 1 || csv->line < 1) abort();
  for (int i = 0; i < csv->n_fields; i++) {
    const char *field = csv->field[i];
    if (field < text || field > text + length || field + strlen(field) > text + length) abort();
    double value;
    const EbbStatus status = ebb_csv_number(csv, i, &value);
    if (status == EBB_OK && ebb_csv_is_missing(field)) abort();
    if (status == EBB_OK && value - value != 0) abort();
  }
}

static void check_columns(const EbbCsv *csv) {
  const EbbCsvNames names = {.targets = "y, 2", .inputs = NULL, .time = "t"};
  for (int header = 0; header < 2; header++) {
    EbbCsvColumns columns;
    if (ebb_csv_columns_find(csv, &names, header, &columns) == EBB_OK)
      if (columns.n_inputs + columns.n_targets + 1 != columns.n_columns) abort();
    ebb_csv_columns_release(&columns);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static const char delimiters[] = {EBB_CSV_GUESS, ',', ';', '\t', EBB_CSV_BLANKS};
  if (length < 1) return 0;
  char *text = malloc(length);
  if (!text) abort();
  memcpy(text, bytes + 1, length - 1); /* the last byte is the one behind the text */
  EbbCsv csv;
  ebb_csv_open(&csv, text, length - 1, "input", delimiters[bytes[0] % sizeof delimiters]);
  for (bool end = false, first = true; !end; first = false) {
    const EbbStatus status = ebb_csv_next(&csv, &end);
    if (status != EBB_OK && (status != EBB_FORMAT || !*ebb_error())) abort();
    if (status != EBB_OK) break;
    if (!end) check_record(&csv, text, length - 1);
    if (!end && first) check_columns(&csv);
  }
  ebb_csv_close(&csv);
  free(text);
  return 0;
}
