#include "host/data/recordings.h"

enum { COLUMNS = 7, INPUTS = COLUMNS - 1, LENGTH = 32, SEED = 23489, FIELDS = 9, FIRST = 2 };

static const EbbShares shares = {0.1, 0.15};

typedef struct Reader {
  EbbSeries *series;
  float last[COLUMNS]; /* seen in each column */
} Reader;

/* A missing value is the last one of its column; before any, the column's number, as published. */
static EbbStatus read_record(void *context, const EbbCsv *csv, int64_t index) {
  Reader *reader = context;
  EBB_TRY(ebb_csv_expect(csv, FIELDS));
  if (index == 0) return EBB_OK;
  for (int i = 0; i < COLUMNS; i++)
    if (!ebb_csv_is_missing(csv->field[FIRST + i]))
      EBB_TRY(ebb_record_numbers(csv, FIRST + i, 1, &reader->last[i]));
  return ebb_series_append(reader->series, reader->last + 1, reader->last, 0);
}

static EbbStatus build(EbbRecordings *r) {
  const EbbDataSource source = {
      "power", r->options.folder,
      "household_power_consumption.txt of UCI's Individual Household Electric Power Consumption"};
  EBB_TRY(ebb_recordings_add(r, INPUTS, 1));
  Reader reader = {&r->series[0], {0, 1, 2, 3, 4, 5, 6}};
  EBB_TRY(ebb_records_read(&source, "household_power_consumption.txt", ';', read_record, &reader));
  for (int64_t column = 0; column < INPUTS; column++)
    EBB_TRY(ebb_recordings_normalise(r, shares, EBB_INPUTS, column));
  EBB_TRY(ebb_recordings_normalise(r, shares, EBB_TARGETS, 0));
  EBB_TRY(ebb_recordings_split(r, shares, SEED, LENGTH, LENGTH));
  return ebb_recordings_finish(r, 0, LENGTH);
}

EbbStatus ebb_power_load(const EbbSourceOptions *options, EbbDataset **out) {
  return ebb_recordings_build("power", options, build, NULL, out);
}
