#include "host/data/recordings.h"

enum { INPUTS = 5, CLASSES = 2, LENGTH = 16, TEST_STRIDE = 8, SEED = 893429, FILES = 3 };
enum { FIELDS = 8, FIRST_INPUT = 2, LABEL = 7 }; /* of a record: number, date, five inputs, label */

static const char *const files[FILES] = {"datatraining.txt", "datatest.txt", "datatest2.txt"};
static const EbbShares shares = {0.1, 0};

/* The header may lack the name of the row number, so that it has one field less than the records. */
static EbbStatus read_record(void *context, const EbbCsv *csv, int64_t index) {
  static const char *const classes[CLASSES] = {"0", "1"};
  if (index == 0 && csv->n_fields == FIELDS - 1) return EBB_OK;
  EBB_TRY(ebb_csv_expect(csv, FIELDS));
  if (index == 0) return EBB_OK;
  float x[INPUTS];
  int label;
  EBB_TRY(ebb_record_numbers(csv, FIRST_INPUT, INPUTS, x));
  EBB_TRY(ebb_csv_name(csv, LABEL, classes, CLASSES, &label));
  return ebb_series_append(context, x, NULL, label);
}

static EbbStatus cut(EbbRecordings *r, const EbbSpan parts[EBB_SPLITS]) {
  for (int i = 1; i < FILES; i++) {
    const EbbSpan whole = {&r->series[i], 0, r->series[i].n};
    EBB_TRY(ebb_windows_cut(&r->windows[EBB_TEST], &whole, LENGTH, TEST_STRIDE));
  }
  if (r->options.paper) {
    EBB_TRY(ebb_windows_cut(&r->all, &parts[EBB_TRAIN], LENGTH, 1));
    return ebb_windows_deal(&r->all, SEED, shares, r->windows);
  }
  EBB_TRY(ebb_windows_cut(&r->windows[EBB_TRAIN], &parts[EBB_TRAIN], LENGTH, 1));
  return ebb_windows_cut(&r->windows[EBB_VALIDATION], &parts[EBB_VALIDATION], LENGTH, TEST_STRIDE);
}

static EbbStatus build(EbbRecordings *r) {
  const EbbDataSource source = {
      "occupancy", r->options.folder,
      "datatraining.txt, datatest.txt and datatest2.txt of UCI's Occupancy Detection"};
  for (int i = 0; i < FILES; i++) {
    EBB_TRY(ebb_recordings_add(r, INPUTS, 0));
    EBB_TRY(ebb_records_read(&source, files[i], ',', read_record, &r->series[i]));
  }
  EbbSpan parts[EBB_SPLITS];
  ebb_chronological(&r->series[0], r->options.paper ? (EbbShares){0} : shares, parts);
  for (int64_t column = 0; column < INPUTS; column++) {
    const EbbMoments moments = ebb_series_moments(&parts[EBB_TRAIN], 1, EBB_INPUTS, column);
    for (int i = 0; i < FILES; i++) ebb_series_scale(&r->series[i], EBB_INPUTS, column, moments);
  }
  EBB_TRY(cut(r, parts));
  return ebb_recordings_finish(r, CLASSES, LENGTH);
}

EbbStatus ebb_occupancy_load(const EbbSourceOptions *options, EbbDataset **out) {
  return ebb_recordings_build("occupancy", options, build, NULL, out);
}
