#include "host/data/cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_CLASSES = 65536 };

EbbStatus ebb_cases_create(const char *name, EbbMissing missing, EbbCases *cases) {
  *cases = (EbbCases){.missing = missing};
  return ebb_store_create(name, EBB_STORE_FLOATS, &cases->store);
}

void ebb_cases_release(EbbCases *cases) {
  ebb_store_release(&cases->store);
  ebb_vocabulary_clear(&cases->classes);
  free(cases->numbers);
  free(cases->steps);
  *cases = (EbbCases){0};
}

EbbStatus ebb_cases_declare(EbbCases *cases, const char *where, const char *class_name) {
  int32_t id = ebb_vocabulary_find(&cases->classes, class_name);
  if (id >= 0) return EBB_OK;
  if (cases->closed)
    return ebb_fail(EBB_FORMAT, "%s: the training file has no class '%.40s'", where, class_name);
  if (cases->classes.n_tokens == MOST_CLASSES)
    return ebb_fail(EBB_FORMAT, "%s: more than %d classes", where, (int)MOST_CLASSES);
  cases->declared = true;
  return ebb_vocabulary_add(&cases->classes, class_name, &id);
}

/* ---- one case ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* A decimal number with blanks around it. */
static bool read_decimal(const char *text, double *value) {
  char *end = NULL;
  *value = strtod(text, &end);
  const bool found = end != text && strcspn(text, "xXnN") == strlen(text); /* no nan, inf or 0x */
  while (is_blank(*end)) end++;
  return found && !*end && isfinite((float)*value);
}

static bool read_missing(const char *text) {
  while (is_blank(*text)) text++;
  size_t length = strlen(text);
  while (length > 0 && is_blank(text[length - 1])) length--;
  return (length == 1 && *text == '?') || (length == 3 && strncasecmp(text, "nan", 3) == 0);
}

static EbbStatus reserve(EbbCases *cases, const char *where) {
  if (cases->n < cases->capacity) return EBB_OK;
  const int64_t capacity = 2 * cases->capacity + 256;
  float *numbers = realloc(cases->numbers, (size_t)capacity * sizeof *numbers);
  if (numbers) cases->numbers = numbers;
  float *steps = realloc(cases->steps, (size_t)capacity * sizeof *steps);
  if (steps) cases->steps = steps;
  if (!numbers || !steps) return ebb_fail(EBB_MEMORY, "%s: no memory for the case", where);
  cases->capacity = capacity;
  return EBB_OK;
}

EbbStatus ebb_cases_number(EbbCases *cases, const char *where, const char *text) {
  double value = NAN;
  if (!read_missing(text) && !read_decimal(text, &value))
    return ebb_fail(EBB_FORMAT, "%s: number %lld of channel %lld is '%.40s'", where,
                    (long long)(cases->n - cases->n_channels * cases->first) + 1,
                    (long long)cases->n_channels + 1, text);
  EBB_TRY(reserve(cases, where));
  cases->numbers[cases->n++] = (float)value;
  return EBB_OK;
}

EbbStatus ebb_cases_end_channel(EbbCases *cases, const char *where) {
  const int64_t n = cases->n - cases->n_channels * cases->first;
  if (cases->n_channels == 0) cases->first = n;
  if (n != cases->first || n == 0)
    return ebb_fail(EBB_FORMAT, "%s: channel %lld has %lld numbers, the first one %lld; they must be as many",
                    where, (long long)cases->n_channels + 1, (long long)n, (long long)cases->first);
  cases->n_channels++;
  return EBB_OK;
}

/* Numbers by channel become steps, and these a sample. */
static EbbStatus add(EbbCases *cases, const char *where, EbbSample *sample) {
  EbbDataset *dataset = cases->store.dataset;
  const int64_t width = cases->n_channels;
  if (cases->store.samples.n_samples == 0) dataset->d_input = width;
  if (width != dataset->d_input || width == 0)
    return ebb_fail(EBB_FORMAT, "%s: %lld channels; the first case has %lld", where, (long long)width,
                    (long long)dataset->d_input);
  for (int64_t channel = 0; channel < width; channel++)
    for (int64_t t = 0; t < cases->first; t++)
      cases->steps[t * width + channel] = cases->numbers[channel * cases->first + t];
  sample->n_steps = cases->first;
  sample->elements = cases->steps;
  EBB_TRY(ebb_missing_fill(cases->missing, cases->steps, &sample->n_steps, width, where));
  cases->n = cases->n_channels = cases->first = 0;
  return ebb_store_add(&cases->store, sample);
}

/* The data set's targets are numbers or classes, as the first case has it. */
static EbbStatus check_kind(EbbCases *cases, const char *where, int64_t d_output) {
  EbbDataset *dataset = cases->store.dataset;
  if (cases->store.samples.n_samples == 0) dataset->d_output = d_output;
  if (dataset->d_output == d_output) return EBB_OK;
  return ebb_fail(EBB_FORMAT, "%s: the targets of some files are classes, of others numbers", where);
}

EbbStatus ebb_cases_end_class(EbbCases *cases, const char *where, const char *class_name) {
  EBB_TRY(check_kind(cases, where, 0));
  int32_t label = ebb_vocabulary_find(&cases->classes, class_name);
  if (label < 0 && (cases->closed || cases->declared))
    return ebb_fail(EBB_FORMAT, "%s: the class '%.40s' is not among those %s", where, class_name,
                    cases->declared ? "that the header names" : "of the training file");
  if (label < 0 && cases->classes.n_tokens == MOST_CLASSES)
    return ebb_fail(EBB_FORMAT, "%s: more than %d classes; are these numbers to predict?", where,
                    (int)MOST_CLASSES);
  if (label < 0) EBB_TRY(ebb_vocabulary_add(&cases->classes, class_name, &label));
  EbbSample sample = {.labels = &label};
  return add(cases, where, &sample);
}

EbbStatus ebb_cases_end_target(EbbCases *cases, const char *where, const char *text) {
  double value;
  EBB_TRY(check_kind(cases, where, 1));
  if (!read_decimal(text, &value))
    return ebb_fail(EBB_FORMAT, "%s: the target is '%.40s', not a finite number", where, text);
  const float target = (float)value;
  EbbSample sample = {.targets = &target};
  return add(cases, where, &sample);
}

/* ---- classes in order ---- */

typedef struct Class {
  const char *name;
  double number;
  int32_t id;
} Class;

static int by_number(const void *a, const void *b) {
  const Class *x = a, *y = b;
  if (x->number != y->number) return x->number < y->number ? -1 : 1;
  return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const Class *)a)->name, ((const Class *)b)->name);
}

static EbbStatus sort_classes(EbbCases *cases) {
  const int32_t n = cases->classes.n_tokens;
  EbbSamples *samples = &cases->store.samples;
  Class *classes = malloc((size_t)n * sizeof *classes);
  int32_t *place = malloc((size_t)n * sizeof *place);
  bool numbers = true;
  for (int32_t i = 0; classes && i < n; i++) {
    classes[i] = (Class){.name = cases->classes.text[i], .id = i};
    numbers &= read_decimal(classes[i].name, &classes[i].number);
  }
  if (classes && place) {
    qsort(classes, (size_t)n, sizeof *classes, numbers ? by_number : by_name);
    for (int32_t i = 0; i < n; i++) place[classes[i].id] = i;
    for (int64_t i = 0; i < samples->n_samples; i++) samples->labels[i] = place[samples->labels[i]];
  }
  const bool whole = classes && place;
  free(classes);
  free(place);
  return whole ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for %d classes", (int)n);
}

EbbStatus ebb_cases_finish(EbbCases *cases) {
  EbbDataset *dataset = cases->store.dataset;
  if (cases->store.samples.n_samples == 0)
    return ebb_fail(EBB_FORMAT, "%s: there are no cases in its files", dataset->name);
  if (dataset->d_output > 0) return EBB_OK;
  if (cases->classes.n_tokens < 2)
    return ebb_fail(EBB_FORMAT, "%s: %d class; at least 2 are needed", dataset->name,
                    (int)cases->classes.n_tokens);
  dataset->n_classes = dataset->d_output = cases->classes.n_tokens;
  return cases->declared ? EBB_OK : sort_classes(cases);
}
