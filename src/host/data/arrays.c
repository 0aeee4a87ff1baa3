#include "host/data/arrays.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* How y is to be read. */
typedef struct Form {
  bool classes, per_step;
  int64_t width; /* numbers a target */
} Form;

static EbbStatus check_x(const EbbArrays *a) {
  const EbbNpy *x = &a->x;
  if (x->rank != 2 && x->rank != 3)
    return ebb_fail(EBB_FORMAT, "%s: %d dimensions; expected (samples, steps) or (samples, steps, channels)",
                    a->x_name, x->rank);
  if (x->size == 0) return ebb_fail(EBB_FORMAT, "%s: the array is empty", a->x_name);
  if (a->y.rank < 1 || a->y.rank > 3 || a->y.dim[0] != x->dim[0])
    return ebb_fail(EBB_FORMAT, "%s: %lld targets in %d dimensions for %lld samples in %s", a->y_name,
                    a->y.rank ? (long long)a->y.dim[0] : 0, a->y.rank, (long long)x->dim[0], a->x_name);
  return EBB_OK;
}

static EbbStatus read_form(const EbbArrays *a, const EbbArrayRules *rules, Form *out) {
  const EbbNpy *y = &a->y;
  const bool classes = rules->n_classes > 0 || (rules->n_classes < 0 && y->whole);
  *out = (Form){.classes = classes, .width = y->rank > 1 ? y->dim[y->rank - 1] : 1};
  out->per_step = classes ? y->rank == 2 && y->dim[1] != 1 : y->rank == 3;
  if (classes) out->width = 1;
  if (classes && y->rank == 3)
    return ebb_fail(EBB_FORMAT, "%s: classes in 3 dimensions; expected (samples) or (samples, steps)",
                    a->y_name);
  if (out->per_step && y->dim[1] != a->x.dim[1])
    return ebb_fail(EBB_FORMAT, "%s: %lld targets a sample for %lld steps in %s", a->y_name,
                    (long long)y->dim[1], (long long)a->x.dim[1], a->x_name);
  return EBB_OK;
}

static int64_t classes_in(const EbbNpy *y) {
  float most = 0;
  for (int64_t i = 0; i < y->size; i++)
    if (y->values[i] > most) most = y->values[i];
  return (int64_t)fminf(most, 1e9F) + 1;
}

/* The first arrays' sizes are everybody's. */
static EbbStatus take_form(EbbStore *store, const EbbArrays *a, const EbbArrayRules *rules,
                           const Form *form) {
  enum { MOST_CLASSES = 65536 };
  EbbDataset *d = store->dataset;
  const int64_t channels = a->x.rank == 3 ? a->x.dim[2] : 1;
  if (store->samples.n_samples == 0) {
    d->d_input = channels;
    d->n_classes = !form->classes ? 0 : rules->n_classes > 0 ? rules->n_classes : classes_in(&a->y);
    d->d_output = form->classes ? d->n_classes : form->width;
    d->per_step = form->per_step;
  }
  if (d->n_classes > MOST_CLASSES)
    return ebb_fail(EBB_FORMAT, "%s: more than %d classes; dataset.classes=0 if they are numbers to predict",
                    a->y_name, (int)MOST_CLASSES);
  if (channels != d->d_input)
    return ebb_fail(EBB_FORMAT, "%s: %lld channels; training has %lld", a->x_name, (long long)channels,
                    (long long)d->d_input);
  if (form->classes != (d->n_classes > 0) || form->per_step != d->per_step ||
      (!form->classes && form->width != d->d_output))
    return ebb_fail(EBB_FORMAT, "%s: its targets are of another form than those of training", a->y_name);
  return EBB_OK;
}

/* y[begin .. begin + n) as classes. */
static EbbStatus take_labels(const EbbArrays *a, int64_t begin, int64_t n, int64_t n_classes, int32_t *out) {
  for (int64_t i = 0; i < n; i++) {
    const int64_t index = begin + i;
    const float value = a->y.values[index];
    if (!(value >= 0 && value < (float)n_classes) || value != floorf(value))
      return ebb_fail(
          EBB_FORMAT,
          "%s: target %lld is %g, not a class from 0 to %lld (dataset.classes says how many there "
          "are; 0: numbers)",
          a->y_name, (long long)index, (double)value, (long long)n_classes - 1);
    out[i] = (int32_t)value;
  }
  return EBB_OK;
}

static EbbStatus check_targets(const EbbArrays *a, int64_t begin, int64_t n) {
  for (int64_t i = begin; i < begin + n; i++)
    if (!isfinite(a->y.values[i]))
      return ebb_fail(EBB_FORMAT, "%s: target %lld is not finite", a->y_name, (long long)i);
  return EBB_OK;
}

static EbbStatus add_sample(EbbStore *store, EbbArrays *a, const EbbArrayRules *rules, int64_t i,
                            int32_t *labels) {
  const int64_t steps = a->x.dim[1], width = store->dataset->d_input, targets = a->y.size / a->y.dim[0];
  char where[256];
  float *values = a->x.values + i * steps * width;
  EbbSample sample = {.elements = values, .n_steps = steps};
  snprintf(where, sizeof where, "%s[%lld]", a->x_name, (long long)i);
  EBB_TRY(ebb_missing_fill(rules->missing, values, &sample.n_steps, width, where));
  if (store->dataset->n_classes > 0) {
    EBB_TRY(take_labels(a, i * targets, targets, store->dataset->n_classes, labels));
    sample.labels = labels;
  } else {
    EBB_TRY(check_targets(a, i * targets, targets));
    sample.targets = a->y.values + i * targets;
  }
  return ebb_store_add(store, &sample);
}

EbbStatus ebb_arrays_add(EbbStore *store, EbbArrays *a, const EbbArrayRules *rules) {
  Form form;
  EBB_TRY(check_x(a));
  EBB_TRY(read_form(a, rules, &form));
  EBB_TRY(take_form(store, a, rules, &form));
  int32_t *labels = calloc((size_t)a->x.dim[1] + 1, sizeof *labels);
  if (!labels) return ebb_fail(EBB_MEMORY, "no memory for the classes of a sample");
  EbbStatus status = EBB_OK;
  for (int64_t i = 0; i < a->x.dim[0] && status == EBB_OK; i++)
    status = add_sample(store, a, rules, i, labels);
  free(labels);
  return status;
}
