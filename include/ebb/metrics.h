/* What a run reports: scalars as JSON lines and TensorBoard events, a progress line, curves as pictures. */
#ifndef EBB_METRICS_H
#define EBB_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbMetric {
  const char *name; /* "train/loss", "val/accuracy", ... */
  double value;     /* finite or not; non-finite values are written as the JSON strings "NaN", "Infinity" */
} EbbMetric;

typedef struct EbbMetricsLog EbbMetricsLog;

/* Opens <folder>/metrics.jsonl and a new events.out.tfevents.* file for appending. Lines of metrics.jsonl
   with a step beyond `resume_step`, and a last line without its newline, are cut off first, so a resumed run
   leaves the same file as an unbroken one; resume_step < 0 starts anew. The trainer writes and flushes the
   metrics of a step before the checkpoint of that step. Errors: FORMAT (file and line), IO, MEMORY. */
EbbStatus ebb_metrics_open(const char *folder, int64_t resume_step, EbbMetricsLog **out) EBB_MUST_CHECK;
/* One line {"step":100,"epoch":1,"train/loss":0.5,...} and one TensorBoard event. The names carry the split;
   two equal names are INVALID. No wall time stands in metrics.jsonl, so that equal runs write equal bytes. A
   line that does not fit on the disk leaves nothing behind. Errors: INVALID, MEMORY, IO (a full disk is told
   as such). */
EbbStatus ebb_metrics_write(EbbMetricsLog *log, int64_t step, int64_t epoch, const EbbMetric *metrics,
                            int count) EBB_MUST_CHECK;
/* Returns when everything written is on the disk. Errors: IO. */
EbbStatus ebb_metrics_flush(EbbMetricsLog *log) EBB_MUST_CHECK;
/* log may be NULL. */
void ebb_metrics_close(EbbMetricsLog *log);

/* A progress bar with rate and time left on a terminal; elsewhere (and where TERM is unset or "dumb") a plain
   line every `plain_every_s` seconds. */
typedef struct EbbProgress EbbProgress;
EbbStatus ebb_progress_create(FILE *out, double plain_every_s, EbbProgress **out_progress) EBB_MUST_CHECK;
/* label "epoch 3/40", unit "batch"; `note` ("loss 1.234  acc 0.456") may be NULL; total <= 0: unknown. A new
   label, or a smaller `done`, begins a phase with a rate of its own. Cheap: call it at every batch. */
void ebb_progress_update(EbbProgress *progress, const char *label, int64_t done, int64_t total,
                         const char *unit, const char *note);
/* Clears the bar and prints a line that stays (a finished epoch, a message). */
void ebb_progress_line(EbbProgress *progress, const char *format, ...) EBB_PRINTF(2, 3);
/* Leaves the latest state of the bar on the screen; progress may be NULL. */
void ebb_progress_destroy(EbbProgress *progress);

/* Draws loss and score curves ("train/loss", "val/accuracy", "test/rmse", ...) of the runs' metrics.jsonl
   files into a PNG (or SVG, by the ending) of 1400 x 600 through gnuplot. Errors: INVALID (another ending),
   NOT_FOUND (run without metrics, gnuplot missing: which package), FORMAT (file and line), IO, DEVICE
   (gnuplot's own words). */
EbbStatus ebb_plot_runs(const char *const *run_folders, int count, const char *picture) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
