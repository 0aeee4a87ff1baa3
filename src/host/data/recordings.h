/* What the loaders of published recordings share: reading records, the two protocols of sources.h, and making
   the data set. */
#ifndef EBB_HOST_DATA_RECORDINGS_H
#define EBB_HOST_DATA_RECORDINGS_H

#include "host/data/csv.h"
#include "host/data/data_file.h"
#include "host/data/sources.h"
#include "host/data/windows.h"

/* A loader's work; windows point to series, of which none is added any more once a window is cut. */
typedef struct EbbRecordings {
  const char *name;
  EbbSourceOptions options;
  EbbSeries *series;
  int n, capacity;
  EbbWindows all, windows[EBB_SPLITS];
  EbbDataset *dataset;
  const void *context; /* for build */
} EbbRecordings;

/* Runs build on an empty EbbRecordings and hands its data set over, or frees everything. */
EbbStatus ebb_recordings_build(const char *name, const EbbSourceOptions *options,
                               EbbStatus (*build)(EbbRecordings *), const void *context,
                               EbbDataset **out) EBB_MUST_CHECK;

/* An empty series more, series[n - 1] afterwards. Errors: MEMORY. */
EbbStatus ebb_recordings_add(EbbRecordings *r, int64_t d_input, int64_t d_output) EBB_MUST_CHECK;

/* Calls record(context, csv, index) for every record of a file, index counted from 0. Errors: of the file, of
   its quoting, of record, FORMAT for a file without records. */
typedef EbbStatus (*EbbRecordFn)(void *context, const EbbCsv *csv, int64_t index);
EbbStatus ebb_records_read(const EbbDataSource *source, const char *file, char delimiter, EbbRecordFn record,
                           void *context) EBB_MUST_CHECK;

/* Fields first .. first + n - 1 as numbers. Errors: as ebb_csv_number. */
EbbStatus ebb_record_numbers(const EbbCsv *csv, int first, int n, float *out) EBB_MUST_CHECK;

/* The moments of a column by the protocol: of all rows (paper), or of the training parts. Errors: MEMORY. */
EbbStatus ebb_recordings_moments(const EbbRecordings *r, EbbShares shares, EbbColumns which, int64_t column,
                                 EbbMoments *out) EBB_MUST_CHECK;
/* z-scores a column of every series by those. Errors: MEMORY. */
EbbStatus ebb_recordings_normalise(EbbRecordings *r, EbbShares shares, EbbColumns which,
                                   int64_t column) EBB_MUST_CHECK;

/* Windows by the protocol: all of them dealt with `seed` (paper), or cut in each part of each series. Errors:
   MEMORY. */
EbbStatus ebb_recordings_split(EbbRecordings *r, EbbShares shares, uint32_t seed, int64_t length,
                               int64_t stride) EBB_MUST_CHECK;

/* The data set of the windows; n_classes 0 where the targets are numbers. Errors: as ebb_windows_dataset. */
EbbStatus ebb_recordings_finish(EbbRecordings *r, int64_t n_classes, int64_t length) EBB_MUST_CHECK;

#endif
