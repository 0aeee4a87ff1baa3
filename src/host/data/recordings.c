#include "host/data/recordings.h"

#include <stdlib.h>

static void release(EbbRecordings *r) {
  for (int i = 0; i < r->n; i++) ebb_series_release(&r->series[i]);
  free(r->series);
  ebb_windows_release(&r->all);
  for (int split = 0; split < EBB_SPLITS; split++) ebb_windows_release(&r->windows[split]);
}

EbbStatus ebb_recordings_build(const char *name, const EbbSourceOptions *options,
                               EbbStatus (*build)(EbbRecordings *), const void *context, EbbDataset **out) {
  *out = NULL;
  EbbRecordings r = {
      .name = name, .options = *options, .dataset = calloc(1, sizeof *r.dataset), .context = context};
  if (!r.dataset) return ebb_fail(EBB_MEMORY, "no memory for the data set '%s'", name);
  EbbStatus status = build(&r);
  release(&r);
  if (status == EBB_OK)
    *out = r.dataset;
  else
    ebb_dataset_destroy(r.dataset);
  return status;
}

EbbStatus ebb_recordings_add(EbbRecordings *r, int64_t d_input, int64_t d_output) {
  if (r->n == r->capacity) {
    const int capacity = 2 * r->capacity + 8;
    EbbSeries *series = realloc(r->series, (size_t)capacity * sizeof *series);
    if (!series) return ebb_fail(EBB_MEMORY, "no memory for %d recordings of '%s'", capacity, r->name);
    r->series = series, r->capacity = capacity;
  }
  r->series[r->n++] = (EbbSeries){.d_input = d_input, .d_output = d_output};
  return EBB_OK;
}

static EbbStatus read_all(EbbCsv *csv, EbbRecordFn record, void *context) {
  for (int64_t index = 0;; index++) {
    bool end;
    EBB_TRY(ebb_csv_next(csv, &end));
    if (end && index == 0) return ebb_fail(EBB_FORMAT, "%s: the file is empty", csv->origin);
    if (end) return EBB_OK;
    EBB_TRY(record(context, csv, index));
  }
}

EbbStatus ebb_records_read(const EbbDataSource *source, const char *file, char delimiter, EbbRecordFn record,
                           void *context) {
  EbbDataFile data;
  EbbStatus status = ebb_data_file_read(source, file, &data);
  if (status == EBB_OK) {
    EbbCsv csv;
    ebb_csv_open(&csv, data.text, data.length, data.path, delimiter);
    status = read_all(&csv, record, context);
    ebb_csv_close(&csv);
  }
  ebb_data_file_release(&data);
  return status;
}

EbbStatus ebb_record_numbers(const EbbCsv *csv, int first, int n, float *out) {
  for (int i = 0; i < n; i++) {
    double value;
    EBB_TRY(ebb_csv_number(csv, first + i, &value));
    out[i] = (float)value;
  }
  return EBB_OK;
}

/* The rows of series i that the statistics may see. */
static EbbSpan seen(const EbbRecordings *r, int i, EbbShares shares) {
  EbbSpan parts[EBB_SPLITS];
  ebb_chronological(&r->series[i], r->options.paper ? (EbbShares){0} : shares, parts);
  return parts[EBB_TRAIN];
}

EbbStatus ebb_recordings_moments(const EbbRecordings *r, EbbShares shares, EbbColumns which, int64_t column,
                                 EbbMoments *out) {
  EbbSpan *spans = malloc(((size_t)r->n + 1) * sizeof *spans);
  if (!spans) return ebb_fail(EBB_MEMORY, "no memory for the statistics of '%s'", r->name);
  for (int i = 0; i < r->n; i++) spans[i] = seen(r, i, shares);
  *out = ebb_series_moments(spans, r->n, which, column);
  free(spans);
  return EBB_OK;
}

EbbStatus ebb_recordings_normalise(EbbRecordings *r, EbbShares shares, EbbColumns which, int64_t column) {
  EbbMoments moments = {0, 1};
  EBB_TRY(ebb_recordings_moments(r, shares, which, column, &moments));
  for (int i = 0; i < r->n; i++) ebb_series_scale(&r->series[i], which, column, moments);
  return EBB_OK;
}

EbbStatus ebb_recordings_split(EbbRecordings *r, EbbShares shares, uint32_t seed, int64_t length,
                               int64_t stride) {
  for (int i = 0; i < r->n; i++) {
    const EbbSeries *series = &r->series[i];
    const EbbSpan whole = {series, 0, series->n};
    EbbSpan parts[EBB_SPLITS];
    ebb_chronological(series, shares, parts);
    if (r->options.paper) EBB_TRY(ebb_windows_cut(&r->all, &whole, length, stride));
    for (int split = 0; split < EBB_SPLITS && !r->options.paper; split++)
      EBB_TRY(ebb_windows_cut(&r->windows[split], &parts[split], length, stride));
  }
  return r->options.paper ? ebb_windows_deal(&r->all, seed, shares, r->windows) : EBB_OK;
}

EbbStatus ebb_recordings_finish(EbbRecordings *r, int64_t n_classes, int64_t length) {
  r->dataset->n_classes = r->dataset->d_output = n_classes;
  return ebb_windows_dataset(r->name, r->windows, length, r->options.max_samples, r->dataset);
}
