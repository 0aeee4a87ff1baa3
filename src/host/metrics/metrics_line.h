/* Reading and writing the lines of metrics.jsonl. */
#ifndef EBB_HOST_METRICS_METRICS_LINE_H
#define EBB_HOST_METRICS_METRICS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "ebb/metrics.h"
#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EBB_NUMBER_BYTES = 32 };

/* The shortest decimal that reads back as the same double, "." as the point in every locale; "NaN",
   "Infinity" and "-Infinity". Returns `text`. */
const char *ebb_number_text(double value, char text[EBB_NUMBER_BYTES]);

/* The line with its newline. Lifetime: the caller frees *out with cJSON_free. Errors: INVALID, MEMORY. */
EbbStatus ebb_metrics_line_compose(int64_t step, int64_t epoch, const EbbMetric *metrics, int count,
                                   char **out, size_t *out_size) EBB_MUST_CHECK;

typedef struct EbbMetricsLine {
  int64_t step, epoch;
  cJSON *json; /* the whole line; NULL after the last line; the caller deletes it */
} EbbMetricsLine;

/* The value of a member of line.json; false for "step" and "epoch", which are not metrics. */
bool ebb_metrics_line_value(const cJSON *member, double *value);

typedef struct EbbMetricsReader {
  FILE *file;
  char *path, *buffer;
  size_t capacity;
  int64_t number, offset; /* lines read; bytes up to the end of the last one */
} EbbMetricsReader;

/* Errors: NOT_FOUND, IO, MEMORY. */
EbbStatus ebb_metrics_reader_open(const char *path, EbbMetricsReader *reader) EBB_MUST_CHECK;
/* The next line; one without its newline is still being written and counts as the end. Errors: FORMAT
   (file and line), IO, MEMORY. */
EbbStatus ebb_metrics_reader_next(EbbMetricsReader *reader, EbbMetricsLine *line) EBB_MUST_CHECK;
void ebb_metrics_reader_close(EbbMetricsReader *reader);

#ifdef __cplusplus
}
#endif
#endif
