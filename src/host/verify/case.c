/* Reading a case and comparing with it. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/verify/verify_internal.h"

enum { NAME_BYTES = 256 };

EbbStatus case_tolerance(const Case *c, const char *class_name, double *tolerance) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->tolerance, class_name);
  if (!cJSON_IsNumber(item))
    return ebb_fail(EBB_FORMAT, "%s: metadata 'tolerance' has no number '%s'", c->path, class_name);
  *tolerance = item->valuedouble;
  return EBB_OK;
}

const EbbStoredTensor *case_tensor(const Case *c, const char *format, ...) {
  char name[NAME_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name, sizeof name, format, arguments);
  va_end(arguments);
  return ebb_safetensors_find(c->file, name);
}

EbbStatus case_require(const Case *c, const char *name, const EbbStoredTensor **out) {
  *out = ebb_safetensors_find(c->file, name);
  return *out ? EBB_OK : ebb_fail(EBB_FORMAT, "%s: tensor '%s' is missing", c->path, name);
}

EbbStatus case_require_shape(const Case *c, const EbbStoredTensor *tensor, EbbShape shape) {
  char is[96], needed[96];
  if (ebb_shape_equal(&tensor->shape, &shape)) return EBB_OK;
  return ebb_fail(EBB_FORMAT, "%s: tensor '%s' is %s, where %s is needed", c->path, tensor->name,
                  ebb_shape_text(&tensor->shape, is, sizeof is),
                  ebb_shape_text(&shape, needed, sizeof needed));
}

EbbStatus case_require_rank(const Case *c, const EbbStoredTensor *tensor, int rank) {
  if (tensor->shape.rank == rank) return EBB_OK;
  return ebb_fail(EBB_FORMAT, "%s: tensor '%s' has %d dimensions, where %d are needed", c->path, tensor->name,
                  tensor->shape.rank, rank);
}

static void add_row(Case *c, const EbbVerifyRow *row) {
  c->result->compared++;
  c->result->failed += !row->passed;
  if (c->report->row) c->report->row(c->report->context, row);
}

void case_fact(Case *c, const char *name, bool holds) {
  EbbVerifyRow row = {.tensor = name, .error = holds ? 0 : 1, .passed = holds};
  add_row(c, &row);
}

void case_remark(const Case *c, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (c->report->remark) c->report->remark(c->report->context, text);
}

/* Root mean square below which expected numbers are what float64 leaves of an exact 0: the gradient of a bias
   on which nothing depends. */
static const double rounded_zero = 1e-14;

/* Relative L2 error, absolute where a 0 is expected; a value that is not finite never passes. */
static double relative_error(const float *values, const double *expected, int64_t size) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < size; i++) {
    double d = (double)values[i] - expected[i];
    difference += d * d;
    norm += expected[i] * expected[i];
  }
  if (!isfinite(difference)) return INFINITY;
  return norm > rounded_zero * rounded_zero * (double)size ? sqrt(difference / norm) : sqrt(difference);
}

EbbStatus case_compare(Case *c, const char *name, const char *class_name, const float *values, int64_t size) {
  const EbbStoredTensor *tensor;
  double tolerance = 0;
  EBB_TRY(case_require(c, name, &tensor));
  EBB_TRY(case_tolerance(c, class_name, &tolerance));
  double *expected = malloc((size_t)size * sizeof *expected);
  if (!expected) return ebb_fail(EBB_MEMORY, "no memory to compare '%s'", name);
  EbbStatus status = ebb_stored_doubles(tensor, expected, size);
  EbbVerifyRow row = {.tensor = strncmp(name, "expect.", 7) ? name : name + 7,
                      .shape = tensor->shape,
                      .tolerance = tolerance};
  if (status == EBB_OK) {
    row.error = relative_error(values, expected, size);
    row.passed = row.error <= row.tolerance;
    add_row(c, &row);
  }
  free(expected);
  return status == EBB_OK ? EBB_OK : ebb_fail_within(status, "%s", c->path);
}

static EbbStatus compare_steps(Case *c, const EbbStoredTensor *tensor, const char *label, double tolerance,
                               const double *values, int64_t T, int64_t width, int64_t steps) {
  const int64_t size = ebb_shape_size(&tensor->shape), kept = size / T * steps;
  double *expected = calloc((size_t)size, sizeof *expected);
  float *got = malloc((size_t)kept * sizeof *got + 1);
  EbbStatus status = expected && got ? ebb_stored_doubles(tensor, expected, size)
                                     : ebb_fail(EBB_MEMORY, "no memory to compare '%s'", label);
  for (int64_t i = 0; expected && got && i < kept && status == EBB_OK; i++) {
    const int64_t at = i / (steps * width) * T * width + i % (steps * width);
    expected[i] = expected[at], got[i] = (float)values[at];
  }
  if (expected && got && status == EBB_OK) {
    EbbVerifyRow row = {.tensor = label, .shape = tensor->shape, .tolerance = tolerance};
    row.shape.dim[1] = steps;
    row.error = relative_error(got, expected, kept);
    row.passed = row.error <= tolerance;
    add_row(c, &row);
  }
  free(expected);
  free(got);
  return status;
}

EbbStatus case_compare_steps(Case *c, const char *name, const char *class_name, const double *values,
                             int64_t B, int64_t T, int64_t width, int64_t steps) {
  const EbbStoredTensor *tensor;
  double tolerance = 0;
  char label[NAME_BYTES];
  EBB_TRY(case_require(c, name, &tensor));
  EBB_TRY(case_require_shape(c, tensor, ebb_shape(B, T, width)));
  EBB_TRY(case_tolerance(c, class_name, &tolerance));
  snprintf(label, sizeof label, steps < T ? "%s, first %lld steps" : "%s", name + strlen("expect."),
           (long long)steps);
  return compare_steps(c, tensor, label, tolerance, values, T, width, steps);
}

/* What the model calls the parameter that the case calls `name`, and the other way round. */
static const char *parameter_name(const Case *c, const char *name) {
  for (const CaseName *n = c->names; n && n->in_case; n++)
    if (!strcmp(n->in_case, name)) return n->parameter;
  return name;
}
static const char *case_name(const Case *c, const char *name) {
  for (const CaseName *n = c->names; n && n->in_case; n++)
    if (!strcmp(n->parameter, name)) return n->in_case;
  return name;
}

EbbStatus case_load_params(Case *c, const char *prefix, const char *scope) {
  size_t skip = strlen(prefix);
  for (int64_t i = 0; i < ebb_safetensors_count(c->file); i++) {
    const EbbStoredTensor *tensor = ebb_safetensors_at(c->file, i);
    if (strncmp(tensor->name, prefix, skip) != 0) continue;
    int64_t size = ebb_shape_size(&tensor->shape);
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%s", scope, parameter_name(c, tensor->name + skip));
    float *values = malloc((size_t)size * sizeof *values + 1);
    if (!values) return ebb_fail(EBB_MEMORY, "no memory for tensor '%s'", tensor->name);
    EbbStatus status = ebb_stored_floats(tensor, values, size);
    if (status != EBB_OK)
      status = ebb_fail_within(status, "%s", c->path);
    else if (ebb_params_write(c->params, name, values, size) != EBB_OK)
      status = ebb_fail_within(EBB_FORMAT, "%s: tensor '%s'", c->path, tensor->name);
    free(values);
    EBB_TRY(status);
  }
  return EBB_OK;
}

EbbStatus case_require_params(const Case *c) {
  for (int i = 0; i < ebb_params_count(c->params); i++) {
    const EbbParam *param = ebb_params_at(c->params, i);
    const bool constant = param->spec.buffer && strstr(param->name, "liquid.");
    if (param->spec.buffer && !constant) continue;
    const char *folder = constant ? "state." : "param.";
    if (!case_tensor(c, "%s%s", folder, case_name(c, param->name)))
      return ebb_fail(EBB_FORMAT, "%s: tensor '%s%s' is missing", c->path, folder, case_name(c, param->name));
  }
  return EBB_OK;
}

/* A learning rate of 0 makes a parameter a constant, of which no gradient is computed. */
static bool is_frozen(const Case *c, int index) {
  const EbbParamGroup *group = ebb_params_group(c->params, ebb_params_at(c->params, index)->group);
  return group->own_lr && group->lr == 0;
}

static EbbStatus compare_param(Case *c, const EbbStoredTensor *tensor, const char *name,
                               const char *class_name, bool gradient) {
  int index = ebb_params_find(c->params, parameter_name(c, name));
  if (index < 0) return ebb_fail(EBB_FORMAT, "%s: the model has no parameter '%s'", c->path, name);
  if (gradient && ebb_params_at(c->params, index)->spec.buffer)
    return ebb_fail(EBB_FORMAT, "%s: tensor '%s': the model's '%s' is a buffer and has no gradient", c->path,
                    tensor->name, name);
  if (gradient && is_frozen(c, index)) {
    case_remark(c, "%s: not compared, a learning rate of 0 freezes it", tensor->name);
    return EBB_OK;
  }
  const float *device = gradient ? ebb_params_grad(c->params, index) : ebb_params_value(c->params, index);
  int64_t size = ebb_params_at(c->params, index)->size;
  float *values = malloc((size_t)size * sizeof *values);
  if (!values) return ebb_fail(EBB_MEMORY, "no memory for parameter '%s'", name);
  EbbStatus status = ebb_device_read(c->device, values, device, (size_t)size * sizeof *values);
  if (status == EBB_OK) status = case_compare(c, tensor->name, class_name, values, size);
  free(values);
  return status;
}

EbbStatus case_compare_params(Case *c, const char *prefix, const char *class_name, bool gradient) {
  size_t skip = strlen(prefix);
  for (int64_t i = 0; i < ebb_safetensors_count(c->file); i++) {
    const EbbStoredTensor *tensor = ebb_safetensors_at(c->file, i);
    const char *name = tensor->name + skip;
    if (strncmp(tensor->name, prefix, skip) != 0 || case_tensor(c, "input.%s", name)) continue;
    EBB_TRY(compare_param(c, tensor, name, class_name, gradient));
  }
  return EBB_OK;
}

/* Elements from .. of the tensor must cover the value. */
static EbbStatus check_covered(const Case *c, EbbGraph *graph, EbbValue value, const EbbStoredTensor *tensor,
                               int64_t from) {
  EbbShape shape = ebb_graph_shape(graph, value);
  int64_t needed = from + ebb_shape_size(&shape), total = ebb_shape_size(&tensor->shape);
  if (needed <= total) return EBB_OK;
  return ebb_fail(EBB_FORMAT, "%s: tensor '%s' has %lld elements, %lld are needed", c->path, tensor->name,
                  (long long)total, (long long)needed);
}

EbbStatus case_feed_floats(Case *c, EbbGraph *graph, EbbValue value, const EbbStoredTensor *tensor,
                           int64_t from) {
  EBB_TRY(check_covered(c, graph, value, tensor, from));
  int64_t total = ebb_shape_size(&tensor->shape);
  float *all = malloc((size_t)total * sizeof *all);
  if (!all) return ebb_fail(EBB_MEMORY, "no memory for tensor '%s'", tensor->name);
  EbbStatus status = ebb_stored_floats(tensor, all, total);
  if (status == EBB_OK) status = ebb_graph_write(graph, value, all + from);
  free(all);
  return status == EBB_OK ? EBB_OK : ebb_fail_within(status, "%s", c->path);
}

static EbbStatus read_int32(const EbbStoredTensor *tensor, int64_t total, int64_t *wide, int32_t *narrow) {
  EBB_TRY(ebb_stored_integers(tensor, wide, total));
  for (int64_t i = 0; i < total; i++) {
    if (wide[i] < INT32_MIN || wide[i] > INT32_MAX)
      return ebb_fail(EBB_NUMERIC, "tensor '%s': element %lld is %lld, which no 32-bit integer holds",
                      tensor->name, (long long)i, (long long)wide[i]);
    narrow[i] = (int32_t)wide[i];
  }
  return EBB_OK;
}

EbbStatus case_feed_integers(Case *c, EbbGraph *graph, EbbValue value, const EbbStoredTensor *tensor,
                             int64_t from) {
  EBB_TRY(check_covered(c, graph, value, tensor, from));
  int64_t total = ebb_shape_size(&tensor->shape);
  int64_t *wide = malloc((size_t)total * sizeof *wide);
  int32_t *narrow = malloc((size_t)total * sizeof *narrow);
  EbbStatus status = wide && narrow ? read_int32(tensor, total, wide, narrow)
                                    : ebb_fail(EBB_MEMORY, "no memory for tensor '%s'", tensor->name);
  if (status == EBB_OK) status = ebb_graph_write(graph, value, narrow + from);
  free(wide);
  free(narrow);
  return status == EBB_OK ? EBB_OK : ebb_fail_within(status, "%s", c->path);
}

EbbStatus case_feed_cotangent(Case *c, EbbGraph *graph, EbbValue y) {
  const EbbStoredTensor *w;
  EBB_TRY(case_require(c, "cotangent.y", &w));
  EBB_TRY(case_require_shape(c, w, ebb_graph_shape(graph, y)));
  int64_t size = ebb_shape_size(&w->shape);
  float *values = malloc((size_t)size * sizeof *values);
  if (!values) return ebb_fail(EBB_MEMORY, "no memory for the cotangent");
  EbbStatus status = ebb_stored_floats(w, values, size);
  if (status == EBB_OK) status = ebb_graph_write_grad(graph, y, values);
  free(values);
  return status;
}

EbbStatus case_compare_value(Case *c, const char *name, const char *class_name, EbbGraph *graph,
                             EbbValue value, bool gradient) {
  EbbShape shape = ebb_graph_shape(graph, value);
  int64_t size = ebb_shape_size(&shape);
  float *values = malloc((size_t)size * sizeof *values);
  if (!values) return ebb_fail(EBB_MEMORY, "no memory to compare '%s'", name);
  EbbStatus status =
      gradient ? ebb_graph_read_grad(graph, value, values) : ebb_graph_read(graph, value, values);
  if (status == EBB_OK) status = case_compare(c, name, class_name, values, size);
  free(values);
  return status;
}

EbbStatus case_update(Case *c, EbbGraph *graph, EbbValue loss, EbbOptimizer *optimizer, const EbbAdamW *adamw,
                      int64_t step, float *at_start) {
  const EbbRun at = {.device = c->device, .training = true, .step = (uint64_t)step};
  const float one = 1;
  EBB_TRY(ebb_graph_forward(graph, &at));
  EBB_TRY(ebb_graph_read(graph, loss, at_start));
  EBB_TRY(ebb_graph_write_grad(graph, loss, &one));
  EBB_TRY(ebb_params_zero_grad(c->params));
  EBB_TRY(ebb_graph_backward(graph, &at));
  EBB_TRY(ebb_optimizer_set(optimizer, adamw, step + 1, 1, 0));
  return ebb_optimizer_update(optimizer);
}

double case_number(const Case *c, const char *key, double otherwise) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->config, key);
  return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

bool case_flag(const Case *c, const char *key, bool otherwise) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->config, key);
  return cJSON_IsBool(item) ? cJSON_IsTrue(item) : otherwise;
}

const char *case_text(const Case *c, const char *key, const char *otherwise) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->config, key);
  return cJSON_IsString(item) ? item->valuestring : otherwise;
}

EbbStatus case_size(const Case *c, const char *key, int64_t otherwise, bool may_be_0, int64_t *size) {
  const double most = 1e6, value = case_number(c, key, (double)otherwise);
  if (!(value >= (may_be_0 ? 0 : 1) && value <= most))
    return ebb_fail(EBB_FORMAT, "%s: '%s' in its config is no size from %d to %g", c->path, key,
                    may_be_0 ? 0 : 1, most);
  *size = (int64_t)value;
  return EBB_OK;
}

static EbbStatus write_kernel_lengths(Case *c, float length) {
  static const char suffix[] = "kernel.L";
  for (int i = 0; i < ebb_params_count(c->params); i++) {
    const char *name = ebb_params_at(c->params, i)->name;
    size_t n = strlen(name), tail = sizeof suffix - 1;
    bool is_length = n >= tail && !strcmp(name + n - tail, suffix);
    if (is_length) EBB_TRY(ebb_params_write(c->params, name, &length, 1));
  }
  ebb_params_bump(c->params);
  return EBB_OK;
}

EbbStatus case_set_kernel_length(Case *c) {
  enum { LONGEST = 1 << 24 }; /* the last integer that every smaller one is a float with */
  const char *text = ebb_safetensors_metadata(c->file, "kernel_length"),
             *form = ebb_safetensors_metadata(c->file, "C_form");
  if (!text || (form && !strcmp(form, "plain"))) return EBB_OK;
  char *end;
  long length = strtol(text, &end, 10);
  if (end == text || *end || length < 1 || length > LONGEST)
    return ebb_fail(EBB_FORMAT, "%s: metadata 'kernel_length' is '%s', where a length from 1 to %d is needed",
                    c->path, text, LONGEST);
  return write_kernel_lengths(c, (float)length);
}

void case_layer_defaults(cJSON *layer) {
  if (!cJSON_IsObject(layer)) return;
  if (!cJSON_HasObjectItem(layer, "n_ssm")) cJSON_AddNullToObject(layer, "n_ssm");
  if (!cJSON_HasObjectItem(layer, "postact")) cJSON_AddStringToObject(layer, "postact", "glu");
}

EbbStatus case_configure(const Case *c, cJSON *keys, EbbConfig *config) {
  char *text = keys ? cJSON_PrintUnformatted(keys) : NULL;
  cJSON_Delete(keys);
  if (!text) return ebb_fail(EBB_MEMORY, "no memory for the configuration of %s", c->path);
  EbbStatus status = ebb_config_load_text(config, text, strlen(text), c->path);
  cJSON_free(text);
  return status;
}
