#include "host/data/recordings.h"

enum { INPUTS = 561, CLASSES = 6, LENGTH = 16, TEST_STRIDE = 8, SEED = 893429 };

static const EbbShares shares = {0.1, 0};

static EbbStatus read_features(void *context, const EbbCsv *csv, int64_t index) {
  (void)index;
  float x[INPUTS];
  EBB_TRY(ebb_csv_expect(csv, INPUTS));
  EBB_TRY(ebb_record_numbers(csv, 0, INPUTS, x));
  return ebb_series_append(context, x, NULL, 0);
}

/* Where the next label goes. */
typedef struct Labels {
  EbbSeries *series;
  int64_t n;
} Labels;

static EbbStatus read_label(void *context, const EbbCsv *csv, int64_t index) {
  static const char *const classes[CLASSES] = {"1", "2", "3", "4", "5", "6"};
  Labels *labels = context;
  int label;
  EBB_TRY(ebb_csv_expect(csv, 1));
  if (index >= labels->series->n)
    return ebb_fail(EBB_FORMAT, "%s:%lld: more labels than the %lld rows of features", csv->origin,
                    (long long)csv->line, (long long)labels->series->n);
  EBB_TRY(ebb_csv_name(csv, 0, classes, CLASSES, &label));
  labels->series->labels[index] = label;
  labels->n = index + 1;
  return EBB_OK;
}

static EbbStatus read_part(EbbRecordings *r, const char *features, const char *labels) {
  const EbbDataSource source = {"har", r->options.folder,
                                "the folders train and test of UCI's Human Activity Recognition Using "
                                "Smartphones (\"UCI HAR Dataset\")"};
  EBB_TRY(ebb_recordings_add(r, INPUTS, 0));
  Labels read = {&r->series[r->n - 1], 0};
  EBB_TRY(ebb_records_read(&source, features, EBB_CSV_BLANKS, read_features, read.series));
  EBB_TRY(ebb_records_read(&source, labels, EBB_CSV_BLANKS, read_label, &read));
  if (read.n == read.series->n) return EBB_OK;
  return ebb_fail(EBB_FORMAT, "har: %s has %lld labels, but %s %lld rows", labels, (long long)read.n,
                  features, (long long)read.series->n);
}

static EbbStatus build(EbbRecordings *r) {
  EBB_TRY(read_part(r, "train/X_train.txt", "train/y_train.txt"));
  EBB_TRY(read_part(r, "test/X_test.txt", "test/y_test.txt"));
  const EbbSpan test = {&r->series[1], 0, r->series[1].n};
  EBB_TRY(ebb_windows_cut(&r->windows[EBB_TEST], &test, LENGTH, TEST_STRIDE));
  EbbSpan parts[EBB_SPLITS];
  ebb_chronological(&r->series[0], r->options.paper ? (EbbShares){0} : shares, parts);
  if (r->options.paper) {
    EBB_TRY(ebb_windows_cut(&r->all, &parts[EBB_TRAIN], LENGTH, 1));
    EBB_TRY(ebb_windows_deal(&r->all, SEED, shares, r->windows));
  } else {
    EBB_TRY(ebb_windows_cut(&r->windows[EBB_TRAIN], &parts[EBB_TRAIN], LENGTH, 1));
    EBB_TRY(ebb_windows_cut(&r->windows[EBB_VALIDATION], &parts[EBB_VALIDATION], LENGTH, TEST_STRIDE));
  }
  return ebb_recordings_finish(r, CLASSES, LENGTH);
}

EbbStatus ebb_har_load(const EbbSourceOptions *options, EbbDataset **out) {
  return ebb_recordings_build("har", options, build, NULL, out);
}
