#include <stdio.h>

#include "host/data/recordings.h"

enum { INPUTS = 32, CLASSES = 5, LENGTH = 32, SHIFT = LENGTH / 2, SEED = 23489, FILES = 7 };

static const char *const files[FILES] = {"a3", "b1", "b3", "c1", "c3", "a2", "a1"};
static const EbbShares shares = {0.1, 0.15};

static EbbStatus read_record(void *context, const EbbCsv *csv, int64_t index) {
  static const char *const phases[CLASSES] = {"D", "P", "S", "H", "R"};
  EBB_TRY(ebb_csv_expect(csv, INPUTS + 1));
  if (index == 0) return EBB_OK;
  float x[INPUTS];
  int label;
  EBB_TRY(ebb_record_numbers(csv, 0, INPUTS, x));
  EBB_TRY(ebb_csv_name(csv, INPUTS, phases, CLASSES, &label));
  return ebb_series_append(context, x, NULL, label);
}

/* One window after the other, each but the last followed by one shifted by half. */
static EbbStatus cut_interleaved(EbbRecordings *r) {
  for (int i = 0; i < r->n; i++) {
    const EbbSeries *series = &r->series[i];
    const int64_t windows = series->n / LENGTH;
    for (int64_t w = 0; w < windows; w++) {
      EBB_TRY(ebb_windows_add(&r->all, series, w * LENGTH));
      if (w + 1 < windows) EBB_TRY(ebb_windows_add(&r->all, series, w * LENGTH + SHIFT));
    }
  }
  return EBB_OK;
}

/* The published z-score is that of all windows' rows, so that rows in two of them count twice: every row of
   the windows once, and those of the shifted ones again. */
static EbbStatus normalise(EbbRecordings *r) {
  if (!r->options.paper) {
    for (int64_t column = 0; column < INPUTS; column++)
      EBB_TRY(ebb_recordings_normalise(r, shares, EBB_INPUTS, column));
    return EBB_OK;
  }
  EbbSpan spans[2 * FILES];
  for (int i = 0; i < FILES; i++) {
    const int64_t end = r->series[i].n / LENGTH * LENGTH;
    spans[2 * i] = (EbbSpan){&r->series[i], 0, end};
    spans[2 * i + 1] = (EbbSpan){&r->series[i], SHIFT, end > SHIFT ? end - SHIFT : SHIFT};
  }
  for (int64_t column = 0; column < INPUTS; column++) {
    const EbbMoments moments = ebb_series_moments(spans, 2 * FILES, EBB_INPUTS, column);
    for (int i = 0; i < FILES; i++) ebb_series_scale(&r->series[i], EBB_INPUTS, column, moments);
  }
  return EBB_OK;
}

static EbbStatus build(EbbRecordings *r) {
  const EbbDataSource source = {"gesture", r->options.folder,
                                "the files *_va3.csv of UCI's Gesture Phase Segmentation"};
  for (int i = 0; i < FILES; i++) {
    char name[16];
    snprintf(name, sizeof name, "%s_va3.csv", files[i]);
    EBB_TRY(ebb_recordings_add(r, INPUTS, 0));
    EBB_TRY(ebb_records_read(&source, name, ',', read_record, &r->series[i]));
  }
  EBB_TRY(normalise(r));
  if (r->options.paper) {
    EBB_TRY(cut_interleaved(r));
    EBB_TRY(ebb_windows_deal(&r->all, SEED, shares, r->windows));
  } else {
    EBB_TRY(ebb_recordings_split(r, shares, SEED, LENGTH, SHIFT));
  }
  return ebb_recordings_finish(r, CLASSES, LENGTH);
}

EbbStatus ebb_gesture_load(const EbbSourceOptions *options, EbbDataset **out) {
  return ebb_recordings_build("gesture", options, build, NULL, out);
}
