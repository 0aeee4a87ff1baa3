#include "metrics_line.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names_of_steps[] = {"step", "epoch"};

enum { N_STEPS = sizeof names_of_steps / sizeof *names_of_steps };

static const struct {
  const char *text;
  double value;
} non_finite[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};

enum { N_NON_FINITE = sizeof non_finite / sizeof *non_finite };

const char *ebb_number_text(double value, char text[EBB_NUMBER_BYTES]) {
  if (!isfinite(value)) {
    const char *word = isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
    snprintf(text, EBB_NUMBER_BYTES, "%s", word);
    return text;
  }
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  locale_t before = plain ? uselocale(plain) : (locale_t)0;
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, EBB_NUMBER_BYTES, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  if (plain) {
    uselocale(before);
    freelocale(plain);
  }
  return text;
}

static bool add_integer(cJSON *object, const char *name, int64_t value) {
  char text[EBB_NUMBER_BYTES];
  snprintf(text, sizeof text, "%lld", (long long)value);
  return cJSON_AddRawToObject(object, name, text) != NULL;
}

static bool add_metric(cJSON *object, const EbbMetric *metric) {
  char text[EBB_NUMBER_BYTES];
  ebb_number_text(metric->value, text);
  return (isfinite(metric->value) ? cJSON_AddRawToObject(object, metric->name, text)
                                  : cJSON_AddStringToObject(object, metric->name, text)) != NULL;
}

EbbStatus ebb_metrics_line_compose(int64_t step, int64_t epoch, const EbbMetric *metrics, int count,
                                   char **out, size_t *out_size) {
  cJSON *object = cJSON_CreateObject();
  bool whole = object && add_integer(object, "step", step) && add_integer(object, "epoch", epoch);
  for (int i = 0; i < count && whole; i++) {
    if (!metrics[i].name || cJSON_GetObjectItemCaseSensitive(object, metrics[i].name)) {
      EbbStatus status = ebb_fail(EBB_INVALID, "metric %d of step %lld is named '%s' like another one", i,
                                  (long long)step, metrics[i].name ? metrics[i].name : "(null)");
      cJSON_Delete(object);
      return status;
    }
    whole = add_metric(object, &metrics[i]);
  }
  char *text = whole ? cJSON_PrintUnformatted(object) : NULL;
  cJSON_Delete(object);
  if (!text) return ebb_fail(EBB_MEMORY, "no memory for the metrics of step %lld", (long long)step);
  size_t size = strlen(text);
  text[size] = '\n'; /* in the place of the terminator: lines are written by size */
  *out = text;
  *out_size = size + 1;
  return EBB_OK;
}

static bool is_step_name(const char *name) {
  for (int i = 0; i < N_STEPS; i++)
    if (strcmp(name, names_of_steps[i]) == 0) return true;
  return false;
}

bool ebb_metrics_line_value(const cJSON *member, double *value) {
  if (!member->string || is_step_name(member->string)) return false;
  if (cJSON_IsNumber(member)) {
    *value = member->valuedouble;
    return true;
  }
  for (int i = 0; i < N_NON_FINITE && cJSON_IsString(member); i++)
    if (strcmp(member->valuestring, non_finite[i].text) == 0) {
      *value = non_finite[i].value;
      return true;
    }
  return false;
}

/* Doubles carry integers exactly up to 2^53. */
static bool read_integer(const cJSON *object, const char *name, int64_t *value) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
  if (!cJSON_IsNumber(item) || fabs(item->valuedouble) > 0x1p53) return false;
  *value = (int64_t)item->valuedouble;
  return (double)*value == item->valuedouble;
}

static bool line_is_valid(EbbMetricsLine *line) {
  if (!cJSON_IsObject(line->json) || !read_integer(line->json, "step", &line->step) ||
      !read_integer(line->json, "epoch", &line->epoch))
    return false;
  double value;
  for (const cJSON *item = line->json->child; item; item = item->next)
    if (!ebb_metrics_line_value(item, &value) && !is_step_name(item->string)) return false;
  return true;
}

EbbStatus ebb_metrics_reader_open(const char *path, EbbMetricsReader *reader) {
  *reader = (EbbMetricsReader){.path = strdup(path)};
  if (!reader->path) return ebb_fail(EBB_MEMORY, "no memory to read '%s'", path);
  reader->file = fopen(path, "re");
  if (reader->file) return EBB_OK;
  EbbStatus code = errno == ENOENT || errno == ENOTDIR ? EBB_NOT_FOUND : EBB_IO;
  ebb_fail(code, "cannot read '%s': %s", path, strerror(errno));
  ebb_metrics_reader_close(reader);
  return code;
}

EbbStatus ebb_metrics_reader_next(EbbMetricsReader *reader, EbbMetricsLine *line) {
  *line = (EbbMetricsLine){.json = NULL};
  errno = 0;
  ssize_t n = getline(&reader->buffer, &reader->capacity, reader->file);
  if (n < 0 && !feof(reader->file))
    return ebb_fail(errno == ENOMEM ? EBB_MEMORY : EBB_IO, "cannot read '%s': %s", reader->path,
                    strerror(errno));
  if (n < 1 || reader->buffer[n - 1] != '\n') return EBB_OK;
  reader->number++;
  reader->buffer[n - 1] = '\0';
  /* The terminator belongs to the text that cJSON sees, so that it can tell garbage behind the object. */
  if (strlen(reader->buffer) == (size_t)n - 1)
    line->json = cJSON_ParseWithLengthOpts(reader->buffer, (size_t)n, NULL, 1);
  if (!line_is_valid(line)) {
    cJSON_Delete(line->json);
    line->json = NULL;
    return ebb_fail(EBB_FORMAT,
                    "%s:%lld: '%.60s%s' is not a line of metrics like {\"step\":1,\"epoch\":1,"
                    "\"train/loss\":0.5}; delete it or repair it",
                    reader->path, (long long)reader->number, reader->buffer, n > 61 ? "..." : "");
  }
  reader->offset += n;
  return EBB_OK;
}

void ebb_metrics_reader_close(EbbMetricsReader *reader) {
  if (reader->file) fclose(reader->file);
  free(reader->path);
  free(reader->buffer);
  *reader = (EbbMetricsReader){.file = NULL};
}
