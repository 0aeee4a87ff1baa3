#include "ebb/metrics.h"

#include <stdlib.h>

#include "append_file.h"
#include "metrics_line.h"
#include "tensorboard.h"

struct EbbMetricsLog {
  EbbAppendFile lines, events;
};

/* The bytes of metrics.jsonl that a run resumed after `resume_step` keeps. */
static EbbStatus find_cut(const char *path, int64_t resume_step, int64_t *keep) {
  EbbMetricsReader reader;
  EBB_TRY(ebb_metrics_reader_open(path, &reader));
  EbbStatus status;
  EbbMetricsLine line;
  do {
    *keep = reader.offset;
    status = ebb_metrics_reader_next(&reader, &line);
    cJSON_Delete(line.json);
  } while (status == EBB_OK && line.json && line.step <= resume_step);
  ebb_metrics_reader_close(&reader);
  return status;
}

static EbbStatus open_lines(EbbMetricsLog *log, const char *path, int64_t resume_step) {
  bool existed;
  EBB_TRY(ebb_append_open(path, false, &log->lines, &existed));
  int64_t keep = 0;
  if (resume_step >= 0) EBB_TRY(find_cut(path, resume_step, &keep));
  EBB_TRY(ebb_append_cut(&log->lines, keep));
  return ebb_append_sync(&log->lines);
}

static EbbStatus open_both(EbbMetricsLog *log, const char *folder, int64_t resume_step) {
  char *path;
  if (asprintf(&path, "%s/metrics.jsonl", folder) < 0)
    return ebb_fail(EBB_MEMORY, "no memory to open the metrics of '%s'", folder);
  EbbStatus status = open_lines(log, path, resume_step);
  free(path);
  EBB_TRY(status);
  return ebb_events_open(folder, resume_step < 0 ? 0 : resume_step + 1, &log->events);
}

EbbStatus ebb_metrics_open(const char *folder, int64_t resume_step, EbbMetricsLog **out) {
  *out = NULL;
  EbbMetricsLog *log = malloc(sizeof *log);
  if (!log) return ebb_fail(EBB_MEMORY, "no memory to open the metrics of '%s'", folder);
  *log = (EbbMetricsLog){.lines = EBB_APPEND_FILE_CLOSED, .events = EBB_APPEND_FILE_CLOSED};
  EbbStatus status = open_both(log, folder, resume_step);
  if (status == EBB_OK)
    *out = log;
  else
    ebb_metrics_close(log);
  return status;
}

EbbStatus ebb_metrics_write(EbbMetricsLog *log, int64_t step, int64_t epoch, const EbbMetric *metrics,
                            int count) {
  char *text;
  size_t size;
  EBB_TRY(ebb_metrics_line_compose(step, epoch, metrics, count, &text, &size));
  EbbStatus status = ebb_append_write(&log->lines, text, size);
  cJSON_free(text);
  EBB_TRY(status);
  return ebb_events_write(&log->events, step, metrics, count);
}

EbbStatus ebb_metrics_flush(EbbMetricsLog *log) {
  EBB_TRY(ebb_append_sync(&log->lines));
  return ebb_append_sync(&log->events);
}

void ebb_metrics_close(EbbMetricsLog *log) {
  if (!log) return;
  ebb_append_close(&log->lines);
  ebb_append_close(&log->events);
  free(log);
}
