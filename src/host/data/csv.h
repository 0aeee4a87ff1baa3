/* Separated values in memory, by RFC 4180: records end in LF or CRLF, fields may be quoted and then hold
   delimiters, line ends and doubled quotes. A UTF-8 byte order mark and blank lines are skipped. */
#ifndef EBB_HOST_DATA_CSV_H
#define EBB_HOST_DATA_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  EBB_CSV_GUESS = 0,   /* comma, semicolon or tab: the most frequent one in the first line */
  EBB_CSV_BLANKS = ' ' /* runs of blanks and tabs, also before the first field; no quoting */
};

typedef struct EbbCsv {
  const char *origin; /* names the text in errors; borrowed */
  char *at, *end;
  char delimiter;
  int64_t line, next_line; /* where the record read last begins, from 1; where the next one does */
  char **field;            /* (n_fields) of that record */
  int n_fields, capacity;
} EbbCsv;

/* Reads text[0..length), which is changed: fields are unquoted in place. text[length] must be writable. */
void ebb_csv_open(EbbCsv *csv, char *text, size_t length, const char *origin, char delimiter);
void ebb_csv_close(EbbCsv *csv);

/* The next record; *end is set where there is none. Lifetime of the fields: until the text is freed; of the
   array: until the next call. Errors: FORMAT with origin and line (a quote that is not closed, text behind a
   closing quote, NUL); MEMORY. */
EbbStatus ebb_csv_next(EbbCsv *csv, bool *end) EBB_MUST_CHECK;

/* Errors: FORMAT with origin and line unless the record has `n` fields. */
EbbStatus ebb_csv_expect(const EbbCsv *csv, int n) EBB_MUST_CHECK;

/* Whether a field holds no value: empty, ?, NA, N/A, NaN, null or None, in any case, blanks around it. */
bool ebb_csv_is_missing(const char *field);
/* A finite decimal number. Errors: FORMAT with origin, line and column for all else, missing values too. */
EbbStatus ebb_csv_number(const EbbCsv *csv, int field, double *value) EBB_MUST_CHECK;
/* The field's place in names[0..n). Errors: FORMAT with origin, line and column for an unknown one. */
EbbStatus ebb_csv_name(const EbbCsv *csv, int field, const char *const *names, int n,
                       int *index) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
