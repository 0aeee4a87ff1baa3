#include <math.h>
#include <stdlib.h>

#include "host/data/recordings.h"

enum { INPUTS = 72, CLASSES = 2, LENGTH = 32, STRIDE = 4, SEED = 23489, FIELDS = INPUTS + 2 };

static const EbbShares shares = {0.1, 0.15};

static EbbStatus read_record(void *context, const EbbCsv *csv, int64_t index) {
  (void)index;
  float x[INPUTS];
  double label;
  EBB_TRY(ebb_csv_expect(csv, FIELDS));
  for (int i = 0; i < INPUTS; i++) {
    x[i] = 0;
    if (!ebb_csv_is_missing(csv->field[1 + i])) EBB_TRY(ebb_record_numbers(csv, 1 + i, 1, &x[i]));
  }
  EBB_TRY(ebb_csv_number(csv, FIELDS - 1, &label));
  if (label != 0 && label != 1)
    return ebb_fail(EBB_FORMAT, "%s:%lld: the label is '%.40s', not 0 or 1", csv->origin,
                    (long long)csv->line, csv->field[FIELDS - 1]);
  return ebb_series_append(context, x, NULL, (int32_t)label);
}

/* One mean and deviation for the cells of all columns. */
static void normalise(EbbSeries *series, const EbbSpan *span) {
  EbbMoments columns[INPUTS], all = {0, 0};
  for (int i = 0; i < INPUTS; i++) {
    columns[i] = ebb_series_moments(span, 1, EBB_INPUTS, i);
    all.mean += columns[i].mean / INPUTS;
  }
  for (int64_t row = span->begin; row < span->end; row++)
    for (int i = 0; i < INPUTS; i++) {
      const double distance = (double)series->x[row * INPUTS + i] - all.mean;
      all.deviation += distance * distance;
    }
  const double cells = (double)(span->end - span->begin) * INPUTS;
  all.deviation = all.deviation > 0 ? sqrt(all.deviation / cells) : 1;
  for (int i = 0; i < INPUTS; i++) ebb_series_scale(series, EBB_INPUTS, i, all);
}

/* Row `row` of series 0 once more at the end of another one. */
static EbbStatus repeat_row(const EbbRecordings *r, int64_t row, EbbSeries *to) {
  const EbbSeries *from = &r->series[0];
  return ebb_series_append(to, from->x + row * INPUTS, NULL, from->labels[row]);
}

/* The published code stacks its windows (n of 32 steps) with time and sequence exchanged: what trains is 32
   sequences, the j-th of which takes step j of every window. */
static EbbStatus exchange(EbbRecordings *r, int64_t *length) {
  const int64_t rows = r->series[0].n;
  *length = (rows - LENGTH + STRIDE - 1) / STRIDE;
  for (int64_t j = 0; j < LENGTH; j++) {
    EBB_TRY(ebb_recordings_add(r, INPUTS, 0));
    EbbSeries *to = &r->series[r->n - 1];
    for (int64_t start = 0; start < rows - LENGTH; start += STRIDE) EBB_TRY(repeat_row(r, start + j, to));
  }
  for (int i = 1; i < r->n; i++) EBB_TRY(ebb_windows_add(&r->all, &r->series[i], 0));
  return ebb_windows_deal(&r->all, SEED, shares, r->windows);
}

static EbbStatus weigh(EbbDataset *dataset) {
  dataset->class_weights = malloc(CLASSES * sizeof *dataset->class_weights);
  if (!dataset->class_weights) return ebb_fail(EBB_MEMORY, "no memory for the weights of classes");
  dataset->class_weights[0] = 0.1F, dataset->class_weights[1] = 1.6F;
  return EBB_OK;
}

static EbbStatus build(EbbRecordings *r) {
  const EbbDataSource source = {"ozone", r->options.folder, "eighthr.data of UCI's Ozone Level Detection"};
  int64_t length = LENGTH;
  EbbSpan parts[EBB_SPLITS];
  EBB_TRY(ebb_recordings_add(r, INPUTS, 0));
  EBB_TRY(ebb_records_read(&source, "eighthr.data", ',', read_record, &r->series[0]));
  ebb_chronological(&r->series[0], r->options.paper ? (EbbShares){0} : shares, parts);
  normalise(&r->series[0], &parts[EBB_TRAIN]);
  if (r->series[0].n <= LENGTH)
    return ebb_fail(EBB_FORMAT, "ozone: %lld rows are too few for windows of %d", (long long)r->series[0].n,
                    (int)LENGTH);
  EBB_TRY(r->options.paper ? exchange(r, &length) : ebb_recordings_split(r, shares, SEED, LENGTH, STRIDE));
  EBB_TRY(weigh(r->dataset));
  return ebb_recordings_finish(r, CLASSES, length);
}

EbbStatus ebb_ozone_load(const EbbSourceOptions *options, EbbDataset **out) {
  return ebb_recordings_build("ozone", options, build, NULL, out);
}
