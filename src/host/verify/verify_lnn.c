/* Cases of kind "layer" for layers "lnn", "lnn_model" and "lnn_model_ffn". */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/lnn.h"
#include "host/verify/verify_internal.h"

/* Sub-steps that may be tried at most, and where the case names tolerances but no limit. */
static const double many_attempts = 10000;

static double number_at(const Case *c, const char *key, double otherwise) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->config, key);
  return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

static EbbStatus size_at(const Case *c, const char *key, int64_t otherwise, int64_t *size) {
  const double value = number_at(c, key, (double)otherwise), most = 1e6;
  if (!(value >= 1 && value <= most))
    return ebb_fail(EBB_FORMAT, "%s: %s in its config is %g, which is no size from 1 to %g", c->path, key,
                    value, most);
  *size = (int64_t)value;
  return EBB_OK;
}

/* The number behind `key` in "atol 1e-4 rtol 1e-2 dt0 .25 max 100". */
static double word_at(const char *text, const char *key, double otherwise) {
  const char *found = strstr(text, key);
  return found ? strtod(found + strlen(key), NULL) : otherwise;
}

static EbbStatus model_of(const Case *c, const EbbStoredTensor *x, EbbLnn *model) {
  const char *solver = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c->config, "solver"));
  const char *tol = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c->config, "tol"));
  const char *layer = ebb_safetensors_metadata(c->file, "layer");
  int64_t steps = 1;
  EBB_TRY(case_require_rank(c, x, 3));
  *model = ebb_lnn_defaults(x->shape.dim[2]);
  EBB_TRY(size_at(c, "hidden", model->input, &model->hidden));
  EBB_TRY(size_at(c, "layers", 1, &model->layers));
  EBB_TRY(size_at(c, "substeps", 1, &steps));
  model->dropout = number_at(c, "dropout", 0);
  model->ffn = !strcmp(layer, "lnn_model_ffn");
  EBB_TRY(ebb_lnn_solver(solver ? solver : "exact", steps, &model->solver));
  if (!tol || !*tol) return EBB_OK;
  model->solver.atol = word_at(tol, "atol", model->solver.atol);
  model->solver.rtol = word_at(tol, "rtol", model->solver.rtol);
  model->solver.first_step = word_at(tol, "dt0", model->solver.first_step);
  model->solver.attempts = (int64_t)fmin(word_at(tol, "max", many_attempts), many_attempts);
  return EBB_OK;
}

typedef struct Inputs {
  const EbbStoredTensor *x, *h0, *ts, *lengths;
  EbbValue value_x;
  EbbLnnLinks links;
} Inputs;

static EbbStatus record_inputs(const Case *c, EbbGraph *graph, Inputs *in) {
  EBB_TRY(case_require(c, "input.x", &in->x));
  in->h0 = case_tensor(c, "input.h0"), in->ts = case_tensor(c, "input.ts");
  in->lengths = case_tensor(c, "input.lengths");
  in->links = ebb_lnn_no_links();
  EBB_TRY(ebb_graph_input(graph, "x", EBB_F32, in->x->shape, true, &in->value_x));
  if (in->h0) EBB_TRY(ebb_graph_input(graph, "h0", EBB_F32, in->h0->shape, true, &in->links.h0));
  if (in->ts) EBB_TRY(ebb_graph_input(graph, "ts", EBB_F32, in->ts->shape, false, &in->links.elapsed));
  if (!in->lengths) return EBB_OK;
  return ebb_graph_input(graph, "lengths", EBB_I32, in->lengths->shape, false, &in->links.lengths);
}

static EbbStatus feed(Case *c, EbbGraph *graph, const Inputs *in) {
  EBB_TRY(ebb_params_place(c->params, 0));
  EBB_TRY(case_load_params(c, "param.", ""));
  EBB_TRY(case_require_params(c));
  EBB_TRY(ebb_graph_layout(graph));
  EBB_TRY(case_feed_floats(c, graph, in->value_x, in->x, 0));
  if (in->h0) EBB_TRY(case_feed_floats(c, graph, in->links.h0, in->h0, 0));
  if (in->ts) EBB_TRY(case_feed_floats(c, graph, in->links.elapsed, in->ts, 0));
  return in->lengths ? case_feed_integers(c, graph, in->links.lengths, in->lengths, 0) : EBB_OK;
}

/* Backward from the case's cotangent of y, and every gradient that it has. */
static EbbStatus compare_gradients(Case *c, EbbGraph *graph, const EbbRun *run, const Inputs *in,
                                   EbbValue y) {
  EBB_TRY(case_feed_cotangent(c, graph, y));
  EBB_TRY(ebb_params_zero_grad(c->params));
  EBB_TRY(ebb_graph_backward(graph, run));
  if (case_tensor(c, "expect.grad.x"))
    EBB_TRY(case_compare_value(c, "expect.grad.x", "grad", graph, in->value_x, true));
  if (in->h0 && case_tensor(c, "expect.grad.h0"))
    EBB_TRY(case_compare_value(c, "expect.grad.h0", "grad", graph, in->links.h0, true));
  return case_compare_params(c, "expect.grad.", "grad", true);
}

/* Sub-steps of a log (tried, 3) of which `attempts` belong to a step, as the case has them: (step, time,
   length, error) of each that was made. Returns their number. */
static int64_t gather_log(const float *log, int64_t tried, int64_t attempts, float *rows) {
  int64_t n = 0;
  for (int64_t i = 0; i < tried; i++) {
    const int64_t step = i / attempts;
    if (!(log[3 * i + 1] > 0)) continue;
    rows[4 * n] = (float)step;
    memcpy(rows + 4 * n++ + 1, log + 3 * i, 3 * sizeof *log);
  }
  return n;
}

static EbbStatus compare_rows(Case *c, const float *rows, int64_t n) {
  const EbbShape is = ebb_shape(n, 4);
  if (ebb_shape_equal(&is, &case_tensor(c, "expect.dopri_log")->shape))
    return case_compare(c, "expect.dopri_log", "param", rows, 4 * n);
  case_fact(c, "dopri_log: number of sub-steps", false);
  return EBB_OK;
}

static EbbStatus compare_log(Case *c, EbbGraph *graph, EbbValue value) {
  const EbbShape shape = ebb_graph_shape(graph, value);
  const int64_t size = ebb_shape_size(&shape), tried = size / 3;
  float *log = malloc(sizeof *log * (size_t)size), *rows = malloc(sizeof *rows * 4 * (size_t)tried);
  EbbStatus status;
  if (log && rows) {
    status = ebb_graph_read(graph, value, log);
    if (status == EBB_OK) status = compare_rows(c, rows, gather_log(log, tried, shape.dim[2], rows));
  } else {
    status = ebb_fail(EBB_MEMORY, "no memory for the log of %s", c->path);
  }
  free(log);
  free(rows);
  return status;
}

static EbbStatus compare_layer(Case *c, EbbGraph *graph, const EbbLnnLayerValues *v) {
  const struct {
    const char *name;
    EbbValue value;
  } rows[] = {{"expect.tau", v->tau},
              {"expect.act", v->activation},
              {"expect.h_seq", v->h},
              {"expect.h_T", v->final},
              {"expect.y", v->y}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (case_tensor(c, "%s", rows[i].name))
      EBB_TRY(case_compare_value(c, rows[i].name, "output", graph, rows[i].value, false));
  return v->log != EBB_NO_VALUE ? compare_log(c, graph, v->log) : EBB_OK;
}

static EbbStatus run_layer(Case *c, EbbGraph *graph) {
  EbbLnn model;
  Inputs in = {0};
  EbbLnnLayerValues v;
  const EbbRun run = {.device = c->device, .training = true};
  EBB_TRY(record_inputs(c, graph, &in));
  EBB_TRY(model_of(c, in.x, &model));
  in.links.final = case_tensor(c, "expect.h_T") != NULL;
  in.links.log = model.solver.adaptive && case_tensor(c, "expect.dopri_log");
  EBB_TRY(ebb_lnn_record_layer(graph, "", &model, in.value_x, &in.links, &v));
  const EbbValue kept[] = {v.tau, v.activation, v.h, v.y, v.final, v.log};
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    if (kept[i] != EBB_NO_VALUE) EBB_TRY(ebb_graph_output(graph, kept[i]));
  EBB_TRY(feed(c, graph, &in));
  EBB_TRY(ebb_graph_forward(graph, &run));
  EBB_TRY(compare_layer(c, graph, &v));
  return compare_gradients(c, graph, &run, &in, v.y);
}

static EbbStatus run_model(Case *c, EbbGraph *graph) {
  EbbLnn model;
  Inputs in = {0};
  EbbValue y = EBB_NO_VALUE;
  const EbbRun run = {.device = c->device, .training = true};
  EBB_TRY(record_inputs(c, graph, &in));
  EBB_TRY(model_of(c, in.x, &model));
  EBB_TRY(ebb_lnn_record(graph, "", &model, in.value_x, in.links.elapsed, in.links.lengths, NULL, &y));
  EBB_TRY(ebb_graph_output(graph, y));
  EBB_TRY(feed(c, graph, &in));
  EBB_TRY(ebb_graph_forward(graph, &run));
  EBB_TRY(case_compare_value(c, "expect.y", "output", graph, y, false));
  return compare_gradients(c, graph, &run, &in, y);
}

static EbbStatus with_graph(Case *c, EbbStatus (*run)(Case *c, EbbGraph *graph)) {
  EbbGraph *graph = NULL;
  EBB_TRY(ebb_graph_create(c->params, NULL, true, &graph));
  EbbStatus status = run(c, graph);
  ebb_graph_destroy(graph);
  return status;
}

EbbStatus verify_lnn(Case *c) { return with_graph(c, run_layer); }
EbbStatus verify_lnn_model(Case *c) { return with_graph(c, run_model); }
