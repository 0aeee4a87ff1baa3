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
   leaves the same file as an unbroken one; resume_step < 0 starts anew. Errors: IO, MEMORY. */
EbbStatus ebb_metrics_open(const char *folder, int64_t resume_step, EbbMetricsLog **out) EBB_MUST_CHECK;
/* One line {"step":..,"epoch":..,"split":"train",...name:value} and one TensorBoard event. No wall time
   stands in metrics.jsonl, so that equal runs write equal bytes. Errors: IO (a full disk is told as such). */
EbbStatus ebb_metrics_write(EbbMetricsLog *log, int64_t step, int64_t epoch, const EbbMetric *metrics,
                            int count) EBB_MUST_CHECK;
EbbStatus ebb_metrics_flush(EbbMetricsLog *log) EBB_MUST_CHECK;
void ebb_metrics_close(EbbMetricsLog *log);

/* A progress bar with rate and time left on a terminal; elsewhere a plain line every `plain_every_s` seconds.
 */
typedef struct EbbProgress EbbProgress;
EbbStatus ebb_progress_create(FILE *out, double plain_every_s, EbbProgress **out_progress) EBB_MUST_CHECK;
/* label "epoch 3/40", unit "batch"; `note` ("loss 1.234  acc 0.456") may be NULL. */
void ebb_progress_update(EbbProgress *progress, const char *label, int64_t done, int64_t total,
                         const char *unit, const char *note);
/* Clears the bar and prints a line that stays (a finished epoch, a message). */
void ebb_progress_line(EbbProgress *progress, const char *format, ...) EBB_PRINTF(2, 3);
void ebb_progress_destroy(EbbProgress *progress);

/* Draws loss and score curves of the runs' metrics.jsonl files into a PNG (or SVG, by the ending) through
   gnuplot. Errors: NOT_FOUND (run without metrics, gnuplot missing: which package), FORMAT (file and line),
   IO, DEVICE (gnuplot's own words). */
EbbStatus ebb_plot_runs(const char *const *run_folders, int count, const char *picture) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
