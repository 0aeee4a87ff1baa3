#include <stdio.h>

#include "host/data/npy.h"
#include "host/data/recordings.h"

enum { WIDTH = 17, LENGTH = 32, STRIDE = 10 };

/* The sorted files that a split has; those from 25 on are not used. */
static const struct {
  int begin, end;
} files[EBB_SPLITS] = {[EBB_TRAIN] = {15, 25}, [EBB_VALIDATION] = {0, 5}, [EBB_TEST] = {5, 15}};

/* Every step's target is the next step, so that a trace has one row less than steps. */
static EbbStatus take_trace(const char *path, const EbbNpy *npy, EbbSeries *series) {
  if (npy->rank != 2 || npy->dim[1] != WIDTH || npy->dim[0] < 2)
    return ebb_fail(EBB_FORMAT, "%s: an array of %d dimensions; a trace has 2, of which the second is %d",
                    path, npy->rank, (int)WIDTH);
  for (int64_t i = 0; i < npy->size; i++)
    if (!(npy->values[i] - npy->values[i] == 0))
      return ebb_fail(EBB_FORMAT, "%s: number %lld of step %lld is not finite", path, (long long)(i % WIDTH),
                      (long long)(i / WIDTH));
  for (int64_t step = 0; step + 1 < npy->dim[0]; step++) {
    const float *at = npy->values + step * WIDTH;
    EBB_TRY(ebb_series_append(series, at, at + WIDTH, 0));
  }
  return EBB_OK;
}

static EbbStatus read_trace(const EbbDataSource *source, int number, EbbSeries *series) {
  char name[32];
  EbbDataFile file;
  EbbNpy npy = {0};
  snprintf(name, sizeof name, "trace_%04d.npy", number);
  EbbStatus status = ebb_data_file_read(source, name, &file);
  if (status == EBB_OK) status = ebb_npy_parse(file.text, file.length, file.path, &npy);
  if (status == EBB_OK) status = take_trace(file.path, &npy, series);
  ebb_npy_release(&npy);
  ebb_data_file_release(&file);
  return status;
}

static EbbStatus build(EbbRecordings *r) {
  const EbbDataSource source = {"cheetah", r->options.folder,
                                "trace_0000.npy to trace_0024.npy of the LTC paper's half-cheetah data"};
  for (int split = 0; split < EBB_SPLITS; split++)
    for (int i = files[split].begin; i < files[split].end; i++) {
      EBB_TRY(ebb_recordings_add(r, WIDTH, WIDTH));
      EBB_TRY(read_trace(&source, i, &r->series[r->n - 1]));
    }
  int at = 0;
  for (int split = 0; split < EBB_SPLITS; split++)
    for (int i = files[split].begin; i < files[split].end; i++, at++) {
      const EbbSpan whole = {&r->series[at], 0, r->series[at].n};
      EBB_TRY(ebb_windows_cut(&r->windows[split], &whole, LENGTH, STRIDE));
    }
  return ebb_recordings_finish(r, 0, LENGTH);
}

EbbStatus ebb_cheetah_load(const EbbSourceOptions *options, EbbDataset **out) {
  return ebb_recordings_build("cheetah", options, build, NULL, out);
}
