/* The curves of runs, read from their metrics.jsonl files. */
#ifndef EBB_HOST_METRICS_PLOT_CURVES_H
#define EBB_HOST_METRICS_PLOT_CURVES_H

#include <stddef.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum EbbSplit { EBB_TRAIN_SPLIT, EBB_VAL_SPLIT, EBB_TEST_SPLIT, EBB_N_SPLITS } EbbSplit;
typedef enum EbbMeasure { EBB_LOSS, EBB_ACCURACY, EBB_F1, EBB_RMSE, EBB_N_MEASURES } EbbMeasure;

typedef struct EbbCurvePoint {
  double step, value, smooth; /* value may be non-finite; smooth: the running mean up to here */
} EbbCurvePoint;

typedef struct EbbCurve {
  EbbCurvePoint *point;
  size_t n, capacity, n_finite;
} EbbCurve;

typedef struct EbbRunCurves {
  char *name; /* the folder's name */
  EbbCurve curve[EBB_N_MEASURES][EBB_N_SPLITS];
  double steps_per_epoch; /* 0: fewer than two changes of epoch were seen */
} EbbRunCurves;

/* Reads <folder>/metrics.jsonl. Lifetime: ebb_curves_free, after an error too. Errors: NOT_FOUND, FORMAT,
   IO, MEMORY. */
EbbStatus ebb_curves_read(const char *folder, EbbRunCurves *run) EBB_MUST_CHECK;
void ebb_curves_free(EbbRunCurves *run);

#ifdef __cplusplus
}
#endif
#endif
