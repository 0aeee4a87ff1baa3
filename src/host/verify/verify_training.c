/* Cases of kind "training": some optimiser steps of a whole model. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/model.h"
#include "ebb/optim.h"
#include "ebb/schedule.h"
#include "host/verify/verify_internal.h"

static const char *string_at(const cJSON *object, const char *key) {
  return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static double number_at(const cJSON *object, const char *key, double otherwise) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
  return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

/* The case's model and decoder.mode as a configuration; the rest of its decoder describes sizes. */
static cJSON *wrap(const cJSON *all) {
  cJSON *root = cJSON_CreateObject();
  cJSON *model = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(all, "model"), true);
  case_layer_defaults(cJSON_GetObjectItemCaseSensitive(model, "layer"));
  cJSON_AddItemToObject(root, "model", model);
  const char *mode = string_at(cJSON_GetObjectItemCaseSensitive(all, "decoder"), "mode");
  if (mode) cJSON_AddStringToObject(cJSON_AddObjectToObject(root, "decoder"), "mode", mode);
  return root;
}

/* A size of the model; `what` names it in errors. */
static EbbStatus size_at(const Case *c, const cJSON *item, const char *what, int64_t otherwise,
                         int64_t *size) {
  const double most = 1e9;
  *size = otherwise;
  if (!item && otherwise) return EBB_OK;
  if (!item || !cJSON_IsNumber(item) || !(item->valuedouble >= 1 && item->valuedouble <= most))
    return ebb_fail(EBB_FORMAT, "%s: %s in its config is no size from 1 to %g", c->path, what, most);
  *size = (int64_t)item->valuedouble;
  return EBB_OK;
}

/* One of two names. */
static EbbStatus one_of(const Case *c, const char *what, const char *name, const char *no, const char *yes,
                        bool *is) {
  *is = !strcmp(name, yes);
  if (*is || !strcmp(name, no)) return EBB_OK;
  return ebb_fail(EBB_UNSUPPORTED, "%s: %s '%s' in its config is not known to this build; %s and %s are",
                  c->path, what, name, no, yes);
}

static EbbStatus parse_ends(const Case *c, EbbSequence *model) {
  const cJSON *encoder = cJSON_GetObjectItemCaseSensitive(c->config, "encoder"),
              *decoder = cJSON_GetObjectItemCaseSensitive(c->config, "decoder");
  const char *encoder_name = cJSON_GetStringValue(cJSON_GetArrayItem(encoder, 0)),
             *loss_name = string_at(c->config, "loss"), *head = string_at(decoder, "_name_");
  bool embedding, retrieval, mse;
  if (!encoder_name || !decoder || !loss_name)
    return ebb_fail(EBB_FORMAT, "%s: encoder, decoder or loss is missing in its config", c->path);
  EBB_TRY(one_of(c, "encoder", encoder_name, "linear", "embedding", &embedding));
  EBB_TRY(one_of(c, "decoder", head ? head : "sequence", "sequence", "retrieval", &retrieval));
  EBB_TRY(one_of(c, "loss", loss_name, "cross_entropy", "mse", &mse));
  const char *outputs = retrieval ? "n_classes" : "d_output";
  EBB_TRY(size_at(c, cJSON_GetArrayItem(encoder, 1), "the encoder's width", 0, &model->d_input));
  EBB_TRY(size_at(c, cJSON_GetObjectItemCaseSensitive(decoder, outputs), outputs, 1, &model->d_output));
  model->vocabulary = model->d_input;
  model->encoder = embedding ? EBB_ENCODER_EMBEDDING : EBB_ENCODER_LINEAR;
  model->decoder = retrieval ? EBB_DECODER_RETRIEVAL : EBB_DECODER_SEQUENCE;
  model->loss = mse ? EBB_LOSS_MSE : EBB_LOSS_CROSS_ENTROPY;
  /* Lengths always mask what the layers mix; whether pooling heeds them is the decoder's choice. */
  model->use_lengths = case_tensor(c, "input.lengths") != NULL;
  model->pool_lengths = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(decoder, "use_lengths"));
  return EBB_OK;
}

static EbbStatus parse_model(const Case *c, EbbConfig *config, EbbSequence *model) {
  EBB_TRY(case_configure(c, wrap(c->config), config));
  EBB_TRY(ebb_sequence_from_keys(config, model));
  return parse_ends(c, model);
}

static EbbStatus model_of(const Case *c, EbbSequence *model) {
  EbbConfig *config = NULL;
  EBB_TRY(ebb_config_create(&config));
  EbbStatus status = parse_model(c, config, model);
  ebb_config_destroy(config);
  return status;
}

typedef struct Run {
  EbbSequence model;
  EbbGraph *train, *eval;
  EbbSequenceValues v, ve;
  EbbOptimizer *optimizer;
  EbbAdamW adamw;
  EbbSchedule schedule;
  const EbbStoredTensor *x, *t, *lengths;
  int64_t steps;
} Run;

static EbbStatus read_optimiser(const Case *c, Run *run) {
  const cJSON *optimizer = cJSON_GetObjectItemCaseSensitive(c->config, "optimizer");
  const cJSON *scheduler = cJSON_GetObjectItemCaseSensitive(c->config, "scheduler");
  if (!optimizer) return ebb_fail(EBB_FORMAT, "%s: optimizer is missing in its config", c->path);
  run->adamw = (EbbAdamW){.lr = number_at(optimizer, "lr", 0),
                          .weight_decay = number_at(optimizer, "weight_decay", 0),
                          .beta1 = 0.9,
                          .beta2 = 0.999,
                          .eps = 1e-8};
  run->schedule = (EbbSchedule){.kind = EBB_SCHEDULE_CONSTANT};
  if (!cJSON_IsObject(scheduler)) return EBB_OK;
  const char *name = string_at(scheduler, "_name_");
  bool cosine = true;
  if (name) EBB_TRY(one_of(c, "scheduler", name, "constant", "cosine_warmup", &cosine));
  if (!cosine) return EBB_OK;
  run->schedule.kind = EBB_SCHEDULE_COSINE_WARMUP;
  EBB_TRY(size_at(c, cJSON_GetObjectItemCaseSensitive(scheduler, "num_training_steps"), "num_training_steps",
                  0, &run->schedule.total));
  const cJSON *warmup = cJSON_GetObjectItemCaseSensitive(scheduler, "num_warmup_steps");
  if (cJSON_IsNumber(warmup) && warmup->valuedouble == 0) return EBB_OK;
  return size_at(c, warmup, "num_warmup_steps", 0, &run->schedule.warmup);
}

/* The learning rate and weight decay of every parameter against the published optimiser's groups. */
static EbbStatus check_groups(Case *c, const Run *run) {
  const cJSON *groups = cJSON_GetObjectItemCaseSensitive(c->config, "parameter_groups"), *row;
  if (groups && !cJSON_IsObject(groups))
    return ebb_fail(EBB_FORMAT, "%s: parameter_groups in its config is not an object", c->path);
  cJSON_ArrayForEach(row, groups) {
    int index = ebb_params_find(c->params, row->string);
    int number = index < 0 ? -1 : ebb_params_at(c->params, index)->group;
    if (number < 0)
      return ebb_fail(EBB_FORMAT, "%s: the model trains no parameter '%s'", c->path, row->string);
    const EbbParamGroup *group = ebb_params_group(c->params, number);
    double lr = group->own_lr ? group->lr : run->adamw.lr,
           decay = group->own_decay ? group->weight_decay : run->adamw.weight_decay;
    const cJSON *want_lr = cJSON_GetArrayItem(row, 0), *want_decay = cJSON_GetArrayItem(row, 1);
    bool holds = want_lr && want_decay && lr == want_lr->valuedouble && decay == want_decay->valuedouble;
    char name[256];
    snprintf(name, sizeof name, "group of %s", row->string);
    if (!holds) case_fact(c, name, false);
  }
  case_fact(c, "parameter groups", true);
  return EBB_OK;
}

static EbbStatus feed_labels(Case *c, const Run *run, EbbGraph *graph, const EbbSequenceValues *v, int64_t B,
                             int64_t step) {
  if (ebb_graph_dtype(graph, v->labels) == EBB_I32)
    return case_feed_integers(c, graph, v->labels, run->t, step * B);
  return case_feed_floats(c, graph, v->labels, run->t, step * B);
}

static EbbStatus feed(Case *c, const Run *run, EbbGraph *graph, const EbbSequenceValues *v, int64_t step) {
  EbbShape shape = ebb_graph_shape(graph, v->input), labels = ebb_graph_shape(graph, v->labels);
  int64_t size = ebb_shape_size(&shape), B = labels.dim[0];
  if (ebb_graph_dtype(graph, v->input) == EBB_I32)
    EBB_TRY(case_feed_integers(c, graph, v->input, run->x, step * size));
  else
    EBB_TRY(case_feed_floats(c, graph, v->input, run->x, step * size));
  if (run->lengths) EBB_TRY(case_feed_integers(c, graph, v->lengths, run->lengths, 0));
  EBB_TRY(feed_labels(c, run, graph, v, B, step));
  float *ones = malloc((size_t)B * sizeof *ones);
  if (!ones) return ebb_fail(EBB_MEMORY, "no memory for sample weights");
  for (int64_t i = 0; i < B; i++) ones[i] = 1;
  EbbStatus status = ebb_graph_write(graph, v->weights, ones);
  free(ones);
  return status;
}

static EbbStatus compare_if_there(Case *c, const char *format, int64_t step, EbbGraph *graph,
                                  EbbValue value) {
  char name[64];
  snprintf(name, sizeof name, format, (long long)step);
  return case_tensor(c, "%s", name) ? case_compare_value(c, name, "output", graph, value, false) : EBB_OK;
}

static EbbStatus one_step(Case *c, Run *run, int64_t step, float *loss) {
  EbbRun at = {.device = c->device, .training = true, .step = (uint64_t)step};
  EBB_TRY(feed(c, run, run->train, &run->v, step));
  EBB_TRY(ebb_graph_forward(run->train, &at));
  EBB_TRY(ebb_graph_read(run->train, run->v.loss, loss));
  EBB_TRY(compare_if_there(c, "expect.logits.%lld", step, run->train, run->v.logits));
  const float one = 1;
  EBB_TRY(ebb_graph_write_grad(run->train, run->v.loss, &one));
  EBB_TRY(ebb_params_zero_grad(c->params));
  EBB_TRY(ebb_graph_backward(run->train, &at));
  char prefix[64];
  snprintf(prefix, sizeof prefix, "expect.grad.%lld.", (long long)step);
  EBB_TRY(case_compare_params(c, prefix, "grad", true));
  double factor = ebb_schedule_factor(&run->schedule, step, 0, NULL);
  EBB_TRY(ebb_optimizer_set(run->optimizer, &run->adamw, step + 1, factor, 0));
  EBB_TRY(ebb_optimizer_update(run->optimizer));
  snprintf(prefix, sizeof prefix, "expect.param.%lld.", (long long)step + 1);
  EBB_TRY(case_compare_params(c, prefix, "param", false));
  snprintf(prefix, sizeof prefix, "expect.buffer.%lld.", (long long)step + 1);
  return case_compare_params(c, prefix, "param", false);
}

static EbbStatus evaluate(Case *c, Run *run) {
  if (!case_tensor(c, "expect.logits_eval")) return EBB_OK;
  EbbRun at = {.device = c->device};
  EBB_TRY(feed(c, run, run->eval, &run->ve, 0));
  EBB_TRY(ebb_graph_forward(run->eval, &at));
  return case_compare_value(c, "expect.logits_eval", "output", run->eval, run->ve.logits, false);
}

static EbbStatus all_steps(Case *c, Run *run, float *losses) {
  for (int64_t step = 0; step < run->steps; step++) EBB_TRY(one_step(c, run, step, &losses[step]));
  EBB_TRY(case_compare(c, "expect.losses", "output", losses, run->steps));
  EBB_TRY(case_compare_params(c, "expect.param.final.", "param", false));
  return evaluate(c, run);
}

/* Inputs of all steps: x (S, rows, L) tokens or (S, rows, L, I) values, t (S, B) or (S, B, O), lengths
   (rows), where retrieval has two rows a target. */
static EbbStatus require_inputs(const Case *c, Run *run, int64_t *B, int64_t *L) {
  const EbbSequence *model = &run->model;
  const bool tokens = model->encoder == EBB_ENCODER_EMBEDDING;
  EBB_TRY(case_require(c, "input.x", &run->x));
  EBB_TRY(case_require(c, "input.t", &run->t));
  EBB_TRY(case_require_rank(c, run->x, tokens ? 3 : 4));
  const EbbShape x = run->x->shape, t = run->t->shape;
  *B = model->decoder == EBB_DECODER_RETRIEVAL ? x.dim[1] / 2 : x.dim[1];
  *L = x.dim[2];
  const int64_t rows = model->decoder == EBB_DECODER_RETRIEVAL ? 2 * *B : *B;
  EbbShape inputs = ebb_shape(x.dim[0], rows, *L, model->d_input),
           targets = ebb_shape(x.dim[0], *B, model->d_output);
  inputs.rank = tokens ? 3 : 4;
  if (tokens) inputs.dim[3] = 0;
  if (t.rank != 3) targets = ebb_shape(x.dim[0], *B);
  EBB_TRY(case_require_shape(c, run->x, inputs));
  EBB_TRY(case_require_shape(c, run->t, targets));
  run->lengths = case_tensor(c, "input.lengths");
  if (run->lengths) EBB_TRY(case_require_shape(c, run->lengths, ebb_shape(rows)));
  run->steps = x.dim[0];
  return EBB_OK;
}

static EbbStatus prepare(Case *c, Run *run) {
  int64_t B, L;
  EBB_TRY(model_of(c, &run->model));
  EBB_TRY(read_optimiser(c, run));
  EBB_TRY(require_inputs(c, run, &B, &L));
  EBB_TRY(ebb_graph_create(c->params, NULL, true, &run->train));
  EBB_TRY(ebb_graph_create(c->params, NULL, false, &run->eval));
  EBB_TRY(ebb_sequence_record(run->train, &run->model, B, L, &run->v));
  EBB_TRY(ebb_sequence_record(run->eval, &run->model, B, L, &run->ve));
  EBB_TRY(ebb_params_place(c->params, 0));
  EBB_TRY(case_load_params(c, "param.", ""));
  EBB_TRY(case_load_params(c, "state.", ""));
  EBB_TRY(case_require_params(c));
  EBB_TRY(case_set_kernel_length(c));
  EBB_TRY(ebb_optimizer_create(c->params, NULL, &run->optimizer));
  return check_groups(c, run);
}

EbbStatus verify_training(Case *c) {
  Run run = {0};
  EbbStatus status = prepare(c, &run);
  float *losses = status == EBB_OK ? calloc((size_t)run.steps + 1, sizeof *losses) : NULL;
  if (status == EBB_OK)
    status = losses ? all_steps(c, &run, losses) : ebb_fail(EBB_MEMORY, "no memory for %s", c->path);
  free(losses);
  ebb_optimizer_destroy(run.optimizer);
  ebb_graph_destroy(run.train);
  ebb_graph_destroy(run.eval);
  return status;
}
