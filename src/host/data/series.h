/* Recordings: rows of features with a target each, in the order of time, and windows cut out of them. */
#ifndef EBB_HOST_DATA_SERIES_H
#define EBB_HOST_DATA_SERIES_H

#include "ebb/data.h"

/* One recording. All zero but the sizes is empty. */
typedef struct EbbSeries {
  int64_t n, capacity;          /* rows */
  int64_t d_input, d_output;    /* numbers a row; d_output 0: labels */
  float *x, *targets, *elapsed; /* (n, d_input), (n, d_output) or NULL, (n) or NULL */
  int32_t *labels;              /* (n) or NULL */
} EbbSeries;

void ebb_series_release(EbbSeries *series);
/* A row more; targets (d_output) where there are any, else label. Errors: MEMORY. */
EbbStatus ebb_series_append(EbbSeries *series, const float *x, const float *targets,
                            int32_t label) EBB_MUST_CHECK;
/* The same with the time since the row before; a series has it in every row or in none. */
EbbStatus ebb_series_append_timed(EbbSeries *series, const float *x, const float *targets, int32_t label,
                                  float elapsed) EBB_MUST_CHECK;

/* Rows begin .. end - 1 of a recording. */
typedef struct EbbSpan {
  const EbbSeries *series;
  int64_t begin, end;
} EbbSpan;

/* Mean and standard deviation (of the population: divided by the number of rows) of one column of x, or of
   the targets, over all rows of the spans; a column that never changes gets deviation 1. */
typedef struct EbbMoments {
  double mean, deviation;
} EbbMoments;
typedef enum EbbColumns { EBB_INPUTS, EBB_TARGETS } EbbColumns;
EbbMoments ebb_series_moments(const EbbSpan *spans, int n_spans, EbbColumns which, int64_t column);
/* column = (column - mean) / deviation in every row. */
void ebb_series_scale(EbbSeries *series, EbbColumns which, int64_t column, EbbMoments moments);

#endif
