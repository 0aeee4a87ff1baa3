/* Reads tab-separated text line by line: LF or CRLF, no quoting, UTF-8 without NUL. */
#ifndef EBB_HOST_DATA_TSV_H
#define EBB_HOST_DATA_TSV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ebb/loading.h"

typedef struct EbbTsv {
  FILE *file;         /* borrowed */
  const char *origin; /* names the text in errors; borrowed */
  int64_t line;       /* number of the line read last, from 1 */
  char *text;
  size_t capacity;
} EbbTsv;

/* Frees the line buffer; the file stays open. */
void ebb_tsv_clear(EbbTsv *tsv);

/* Splits the next line at its tabs into exactly n_fields fields; *end is set at the end of the text instead.
   Lifetime of the fields: until the next call; they may be written to.
   Errors: FORMAT (number of fields, no line end, NUL, UTF-8) with origin and line; IO. */
EbbStatus ebb_tsv_next(EbbTsv *tsv, char **fields, int n_fields, bool *end) EBB_MUST_CHECK;

/* Every 1024 lines: tells where reading is, of files that have a size. Errors: INTERRUPTED. */
EbbStatus ebb_tsv_tell(const EbbTsv *tsv, const EbbLoading *loading, const char *label) EBB_MUST_CHECK;

#endif
