#include "host/data/csv_dataset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/data/csv_columns.h"
#include "host/data/recordings.h"
#include "host/data/vocabulary.h"

/* In the order of dataset.missing's choices. */
typedef enum Missing { MISSING_REFUSE, MISSING_LAST, MISSING_ZERO } Missing;

/* Reading the tables of one data set. */
typedef struct Table {
  const EbbConfig *config;
  EbbRecordings *recordings;
  EbbCsvColumns columns;
  bool found; /* the columns of the first file, which the others share */
  bool header;
  Missing missing;
  EbbVocabulary classes; /* by first appearance */
  int64_t n_known;       /* classes that training has; the other files must not add any */
  float *x, *y;          /* a row's inputs and targets; in them, the row before */
  double time;           /* of the row before */
} Table;

static EbbStatus take_columns(Table *t, const EbbCsv *csv) {
  if (t->found) return ebb_csv_expect(csv, t->columns.n_columns);
  const EbbCsvNames names = {.inputs = ebb_config_string(t->config, "dataset.inputs"),
                             .targets = ebb_config_string(t->config, "dataset.targets"),
                             .label = ebb_config_string(t->config, "dataset.labels"),
                             .time = ebb_config_string(t->config, "dataset.time")};
  EBB_TRY(ebb_csv_columns_find(csv, &names, t->header, &t->columns));
  t->found = true;
  t->x = calloc((size_t)t->columns.n_inputs, sizeof *t->x);
  t->y = calloc((size_t)t->columns.n_targets + 1, sizeof *t->y);
  return t->x && t->y ? EBB_OK : ebb_fail(EBB_MEMORY, "%s: no memory for a row", csv->origin);
}

/* A number, or what stands for a missing one; *value holds the row before's. */
static EbbStatus take_number(const Table *t, const EbbCsv *csv, int column, bool first, float *value) {
  if (ebb_csv_is_missing(csv->field[column])) {
    if (t->missing == MISSING_ZERO || (t->missing == MISSING_LAST && first)) *value = 0;
    if (t->missing != MISSING_REFUSE) return EBB_OK;
    return ebb_fail(
        EBB_FORMAT,
        "%s:%lld: field %d is missing ('%.20s'); dataset.missing=last or zero says what stands for "
        "it",
        csv->origin, (long long)csv->line, column + 1, csv->field[column]);
  }
  return ebb_record_numbers(csv, column, 1, value);
}

static EbbStatus take_label(Table *t, const EbbCsv *csv, int32_t *label) {
  *label = 0;
  if (t->columns.label == EBB_CSV_NO_COLUMN) return EBB_OK;
  const char *name = csv->field[t->columns.label];
  enum { MOST_CLASSES = 4096 };
  if (ebb_csv_is_missing(name))
    return ebb_fail(EBB_FORMAT, "%s:%lld: the label is missing", csv->origin, (long long)csv->line);
  *label = ebb_vocabulary_find(&t->classes, name);
  if (*label >= 0) return EBB_OK;
  if (t->n_known > 0)
    return ebb_fail(EBB_FORMAT, "%s:%lld: the class '%.40s' does not occur in dataset.file", csv->origin,
                    (long long)csv->line, name);
  if (t->classes.n_tokens == MOST_CLASSES)
    return ebb_fail(EBB_FORMAT, "%s:%lld: more than %d classes; is the column one of numbers to predict?",
                    csv->origin, (long long)csv->line, (int)MOST_CLASSES);
  return ebb_vocabulary_add(&t->classes, name, label);
}

/* Time since the row before; the first row has none, and gets 1. */
static EbbStatus take_elapsed(Table *t, const EbbCsv *csv, bool first, float *elapsed) {
  double now;
  EBB_TRY(ebb_csv_number(csv, t->columns.time, &now));
  *elapsed = first ? 1 : (float)(now - t->time);
  if (!(*elapsed > 0))
    return ebb_fail(EBB_FORMAT, "%s:%lld: the time %.17g does not come after %.17g", csv->origin,
                    (long long)csv->line, now, t->time);
  t->time = now;
  return EBB_OK;
}

static EbbStatus read_record(void *context, const EbbCsv *csv, int64_t index) {
  Table *t = context;
  EbbSeries *series = &t->recordings->series[t->recordings->n - 1];
  if (index == 0) {
    EBB_TRY(take_columns(t, csv));
    series->d_input = t->columns.n_inputs, series->d_output = t->columns.n_targets;
    if (t->header) return EBB_OK;
  }
  const bool first = series->n == 0;
  if (first && t->header && csv->n_fields == t->columns.n_columns + 1)
    return ebb_fail(
        EBB_FORMAT,
        "%s:%lld: the record has %d fields, but the header %d names; if the first column has none, as "
        "row numbers often do, add one to the header",
        csv->origin, (long long)csv->line, csv->n_fields, t->columns.n_columns);
  EBB_TRY(ebb_csv_expect(csv, t->columns.n_columns));
  for (int i = 0; i < t->columns.n_inputs; i++)
    EBB_TRY(take_number(t, csv, t->columns.inputs[i], first, &t->x[i]));
  for (int i = 0; i < t->columns.n_targets; i++)
    EBB_TRY(take_number(t, csv, t->columns.targets[i], first, &t->y[i]));
  int32_t label;
  float elapsed;
  EBB_TRY(take_label(t, csv, &label));
  if (t->columns.time == EBB_CSV_NO_COLUMN) return ebb_series_append(series, t->x, t->y, label);
  EBB_TRY(take_elapsed(t, csv, first, &elapsed));
  return ebb_series_append_timed(series, t->x, t->y, label, elapsed);
}

static EbbStatus read_table(Table *t, const char *key) {
  static const char delimiters[] = {EBB_CSV_GUESS, ',', ';', '\t', EBB_CSV_BLANKS}; /* as the key's choices */
  const char *file = ebb_config_string(t->config, key),
             *folder = ebb_config_string(t->config, "dataset.data_dir");
  if (!file || !*file) return ebb_fail(EBB_INVALID, "the csv data set needs %s, the file with the rows", key);
  const bool absolute = file[0] == '/';
  const EbbDataSource source = {"csv",
                                absolute ? ""
                                : folder ? folder
                                         : ".",
                                "the file that dataset.file names"};
  EBB_TRY(ebb_recordings_add(t->recordings, 0, 0));
  return ebb_records_read(&source, absolute ? file + 1 : file,
                          delimiters[ebb_config_choice(t->config, "dataset.delimiter")], read_record, t);
}

/* ---- classes in order ---- */

static bool whole_number(const char *text, long *value) {
  char *end;
  errno = 0;
  *value = strtol(text, &end, 10);
  return end != text && !*end && errno == 0;
}

static bool all_whole(const EbbVocabulary *classes) {
  long value;
  for (int32_t i = 0; i < classes->n_tokens; i++)
    if (!whole_number(classes->text[i], &value)) return false;
  return true;
}

static bool before(const EbbVocabulary *classes, int32_t a, int32_t b, bool numbers) {
  long x = 0, y = 0;
  if (numbers && whole_number(classes->text[a], &x) && whole_number(classes->text[b], &y) && x != y)
    return x < y;
  return strcmp(classes->text[a], classes->text[b]) < 0;
}

/* Labels by first appearance become those of the sorted classes. */
static EbbStatus sort_classes(const Table *t) {
  const int32_t n = t->classes.n_tokens;
  int32_t *rank = calloc((size_t)n + 1, sizeof *rank);
  if (!rank) return ebb_fail(EBB_MEMORY, "no memory for %d classes", (int)n);
  const bool numbers = all_whole(&t->classes);
  for (int32_t a = 0; a < n; a++)
    for (int32_t b = 0; b < n; b++) rank[a] += before(&t->classes, b, a, numbers);
  for (int i = 0; i < t->recordings->n; i++) {
    EbbSeries *series = &t->recordings->series[i];
    for (int64_t row = 0; row < series->n; row++) series->labels[row] = rank[series->labels[row]];
  }
  free(rank);
  return EBB_OK;
}

/* ---- splits ---- */

/* The target of a row becomes that of `horizon` rows later. */
static void look_ahead(EbbSeries *s, int64_t horizon) {
  if (horizon == 0) return;
  const int64_t n = s->n > horizon ? s->n - horizon : 0;
  if (s->targets)
    memmove(s->targets, s->targets + horizon * s->d_output, (size_t)(n * s->d_output) * sizeof *s->targets);
  if (s->labels) memmove(s->labels, s->labels + horizon, (size_t)n * sizeof *s->labels);
  s->n = n;
}

/* parts[split] is the file of its own where there is one. */
static EbbStatus read_parts(Table *t, EbbSpan parts[EBB_SPLITS]) {
  static const char *const keys[EBB_SPLITS] = {"dataset.file", "dataset.val_file", "dataset.test_file"};
  int file[EBB_SPLITS] = {0};
  EBB_TRY(read_table(t, keys[EBB_TRAIN]));
  t->n_known = t->classes.n_tokens;
  for (int split = EBB_VALIDATION; split < EBB_SPLITS; split++)
    if (!ebb_config_is_null(t->config, keys[split])) {
      EBB_TRY(read_table(t, keys[split]));
      file[split] = t->recordings->n - 1;
    }
  EbbSeries *series = t->recordings->series;
  for (int i = 0; i < t->recordings->n; i++)
    look_ahead(&series[i], ebb_config_integer(t->config, "dataset.horizon"));
  const EbbShares shares = {file[EBB_VALIDATION] ? 0 : ebb_config_number(t->config, "dataset.val_split"),
                            file[EBB_TEST] ? 0 : ebb_config_number(t->config, "dataset.test_split")};
  if (shares.validation + shares.test >= 1)
    return ebb_fail(EBB_INVALID, "dataset.val_split and dataset.test_split leave nothing to train on");
  ebb_chronological(&series[0], shares, parts);
  for (int split = EBB_VALIDATION; split < EBB_SPLITS; split++)
    if (file[split]) parts[split] = (EbbSpan){&series[file[split]], 0, series[file[split]].n};
  return EBB_OK;
}

static void normalise(EbbRecordings *r, const EbbSpan *training, EbbColumns which, int64_t columns) {
  for (int64_t column = 0; column < columns; column++) {
    const EbbMoments moments = ebb_series_moments(training, 1, which, column);
    for (int i = 0; i < r->n; i++) ebb_series_scale(&r->series[i], which, column, moments);
  }
}

/* One target a window, its last step's. */
static void keep_last_targets(EbbDataset *dataset) {
  for (int split = 0; split < EBB_SPLITS; split++) {
    EbbSamples *s = &dataset->split[split];
    for (int64_t i = 0; i < s->n_samples; i++) {
      const int64_t last = s->offset[i + 1] - 1, width = dataset->d_output;
      if (s->labels) s->labels[i] = s->labels[last];
      if (s->targets)
        memmove(s->targets + i * width, s->targets + last * width, (size_t)width * sizeof(float));
    }
  }
  dataset->per_step = false;
}

static EbbStatus build_table(Table *t) {
  EbbRecordings *r = t->recordings;
  EbbSpan parts[EBB_SPLITS];
  const int64_t window = ebb_config_integer(t->config, "dataset.window");
  const int64_t stride = ebb_config_integer_or(t->config, "dataset.stride", window);
  EBB_TRY(read_parts(t, parts));
  if (t->columns.label != EBB_CSV_NO_COLUMN) {
    if (t->classes.n_tokens < 2)
      return ebb_fail(EBB_FORMAT, "dataset.file has %d class; at least 2 are needed",
                      (int)t->classes.n_tokens);
    EBB_TRY(sort_classes(t));
  }
  if (ebb_config_flag(t->config, "dataset.normalise")) {
    normalise(r, &parts[EBB_TRAIN], EBB_INPUTS, t->columns.n_inputs);
    normalise(r, &parts[EBB_TRAIN], EBB_TARGETS, t->columns.n_targets);
  }
  for (int split = 0; split < EBB_SPLITS; split++)
    EBB_TRY(ebb_windows_cut(&r->windows[split], &parts[split], window, stride));
  EBB_TRY(ebb_recordings_finish(r, t->classes.n_tokens, window));
  if (!ebb_config_flag(t->config, "dataset.per_step")) keep_last_targets(r->dataset);
  return EBB_OK;
}

static EbbStatus build(EbbRecordings *r) {
  const EbbConfig *config = r->context;
  Table table = {.config = config,
                 .recordings = r,
                 .header = ebb_config_flag(config, "dataset.header"),
                 .missing = (Missing)ebb_config_choice(config, "dataset.missing")};
  EbbStatus status = build_table(&table);
  ebb_csv_columns_release(&table.columns);
  ebb_vocabulary_clear(&table.classes);
  free(table.x);
  free(table.y);
  return status;
}

EbbStatus ebb_csv_dataset_load(const EbbConfig *config, EbbDataset **out) {
  const EbbSourceOptions options = {.max_samples = ebb_config_integer_or(config, "dataset.max_samples", 0)};
  return ebb_recordings_build("csv", &options, build, config, out);
}
