#include "plot_curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_line.h"

static const char *const split_names[EBB_N_SPLITS] = {"train", "val", "test"};
static const char *const measure_names[EBB_N_MEASURES] = {"loss", "accuracy", "f1", "rmse"};

/* Steps at which the epoch changed: the first, the last. */
typedef struct Epochs {
  int64_t epoch, first_step, first_epoch, last_step;
  int lines, changes;
} Epochs;

/* "split/measure"; NULL for the metrics that have no picture. */
static EbbCurve *find_curve(EbbRunCurves *run, const char *name) {
  for (int s = 0; s < EBB_N_SPLITS; s++) {
    size_t n = strlen(split_names[s]);
    if (strncmp(name, split_names[s], n) != 0 || name[n] != '/') continue;
    for (int m = 0; m < EBB_N_MEASURES; m++)
      if (strcmp(name + n + 1, measure_names[m]) == 0) return &run->curve[m][s];
  }
  return NULL;
}

static EbbStatus add_point(EbbCurve *curve, double step, double value) {
  if (curve->n == curve->capacity) {
    size_t capacity = curve->capacity ? 2 * curve->capacity : 64;
    EbbCurvePoint *grown =
        capacity > SIZE_MAX / sizeof *grown ? NULL : realloc(curve->point, capacity * sizeof *grown);
    if (!grown) return ebb_fail(EBB_MEMORY, "no memory for a curve of %zu points", capacity);
    curve->point = grown;
    curve->capacity = capacity;
  }
  curve->point[curve->n++] = (EbbCurvePoint){.step = step, .value = value, .smooth = NAN};
  curve->n_finite += isfinite(value) ? 1 : 0;
  return EBB_OK;
}

/* Lines between the ends of epochs, which stand at round steps, may hold nothing that is drawn: *drawn. */
static EbbStatus add_line(EbbRunCurves *run, const EbbMetricsLine *line, bool *drawn) {
  *drawn = false;
  for (const cJSON *item = line->json->child; item; item = item->next) {
    double value;
    EbbCurve *curve = ebb_metrics_line_value(item, &value) ? find_curve(run, item->string) : NULL;
    if (!curve) continue;
    *drawn = true;
    EBB_TRY(add_point(curve, (double)line->step, value));
  }
  return EBB_OK;
}

static void count_epoch(Epochs *epochs, const EbbMetricsLine *line) {
  if (epochs->lines++ > 0 && line->epoch != epochs->epoch) {
    if (epochs->changes++ == 0) {
      epochs->first_step = line->step;
      epochs->first_epoch = line->epoch;
    }
    epochs->last_step = line->step;
  }
  epochs->epoch = line->epoch;
}

static EbbStatus read_lines(EbbMetricsReader *reader, EbbRunCurves *run) {
  Epochs epochs = {.lines = 0};
  for (;;) {
    EbbMetricsLine line;
    EBB_TRY(ebb_metrics_reader_next(reader, &line));
    if (!line.json) break;
    bool drawn;
    EbbStatus status = add_line(run, &line, &drawn);
    if (drawn) count_epoch(&epochs, &line);
    cJSON_Delete(line.json);
    EBB_TRY(status);
  }
  if (epochs.epoch > epochs.first_epoch && epochs.changes > 1)
    run->steps_per_epoch =
        (double)(epochs.last_step - epochs.first_step) / (double)(epochs.epoch - epochs.first_epoch);
  return EBB_OK;
}

/* An exponential mean over about a fiftieth of the curve; dividing by the sum of the weights removes its
   start-up bias. */
static void smooth(EbbCurve *curve) {
  double keep = 1 - 1 / fmax(1, (double)curve->n / 50), sum = 0, weight = 0;
  for (size_t i = 0; i < curve->n; i++) {
    if (isfinite(curve->point[i].value)) {
      sum = keep * sum + curve->point[i].value;
      weight = keep * weight + 1;
      curve->point[i].smooth = sum / weight;
    }
  }
}

static EbbStatus set_name(const char *folder, EbbRunCurves *run) {
  char *path = realpath(folder, NULL);
  const char *slash = path ? strrchr(path, '/') : NULL;
  run->name = strdup(slash && slash[1] ? slash + 1 : folder);
  free(path);
  return run->name ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory to read the run '%s'", folder);
}

static size_t count_finite(const EbbRunCurves *run) {
  size_t n = 0;
  for (int m = 0; m < EBB_N_MEASURES; m++)
    for (int s = 0; s < EBB_N_SPLITS; s++) n += run->curve[m][s].n_finite;
  return n;
}

EbbStatus ebb_curves_read(const char *folder, EbbRunCurves *run) {
  *run = (EbbRunCurves){.name = NULL};
  EBB_TRY(set_name(folder, run));
  char *path;
  if (asprintf(&path, "%s/metrics.jsonl", folder) < 0)
    return ebb_fail(EBB_MEMORY, "no memory to read the run '%s'", folder);
  EbbMetricsReader reader;
  EbbStatus status = ebb_metrics_reader_open(path, &reader);
  free(path);
  if (status == EBB_NOT_FOUND)
    return ebb_fail(status, "'%s' is not a run folder: it has no metrics.jsonl", folder);
  EBB_TRY(status);
  status = read_lines(&reader, run);
  ebb_metrics_reader_close(&reader);
  EBB_TRY(status);
  if (count_finite(run) == 0)
    return ebb_fail(EBB_NOT_FOUND, "the run '%s' has no loss, accuracy, f1 or rmse to draw yet", folder);
  for (int m = 0; m < EBB_N_MEASURES; m++)
    for (int s = 0; s < EBB_N_SPLITS; s++) smooth(&run->curve[m][s]);
  return EBB_OK;
}

void ebb_curves_free(EbbRunCurves *run) {
  for (int m = 0; m < EBB_N_MEASURES; m++)
    for (int s = 0; s < EBB_N_SPLITS; s++) free(run->curve[m][s].point);
  free(run->name);
  *run = (EbbRunCurves){.name = NULL};
}
