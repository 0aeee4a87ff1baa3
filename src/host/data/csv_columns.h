/* Which columns of a user's table are inputs, targets, labels and times. */
#ifndef EBB_HOST_DATA_CSV_COLUMNS_H
#define EBB_HOST_DATA_CSV_COLUMNS_H

#include "host/data/csv.h"

enum { EBB_CSV_NO_COLUMN = -1 };

/* Column numbers from 0. */
typedef struct EbbCsvColumns {
  int n_columns; /* of every record */
  int *inputs, *targets;
  int n_inputs, n_targets;
  int label, time; /* or EBB_CSV_NO_COLUMN */
} EbbCsvColumns;

/* The columns' names, or their numbers from 1, separated by commas; NULL: see ebb_csv_columns_find. */
typedef struct EbbCsvNames {
  const char *inputs, *targets, *label, *time;
} EbbCsvNames;

/* Finds the columns in the first record, which holds the names if `header` is set. Inputs NULL: all columns
   that nothing else names. Exactly one of targets and label must be given. Lifetime: ebb_csv_columns_release,
   after an error too. Errors: INVALID names the key and the column; MEMORY. */
EbbStatus ebb_csv_columns_find(const EbbCsv *csv, const EbbCsvNames *names, bool header,
                               EbbCsvColumns *out) EBB_MUST_CHECK;
void ebb_csv_columns_release(EbbCsvColumns *columns);

#endif
