/* Cases of kind "layer" and "step" for layer "s4". */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/model.h"
#include "ebb/stream.h"
#include "host/verify/verify_internal.h"

/* {"d_model": .., <layer keys>} as the configuration {"model": {"d_model": .., "layer": {<layer keys>}}}. */
static cJSON *wrap(const cJSON *flat) {
  cJSON *root = cJSON_CreateObject(), *model = cJSON_AddObjectToObject(root, "model");
  cJSON *layer = cJSON_Duplicate(flat, true);
  cJSON_DeleteItemFromObjectCaseSensitive(layer, "linear");
  cJSON *d_model = cJSON_DetachItemFromObjectCaseSensitive(layer, "d_model");
  if (d_model) cJSON_AddItemToObject(model, "d_model", d_model);
  if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(layer, "liquid_degree")))
    cJSON_DeleteItemFromObjectCaseSensitive(layer, "liquid_degree");
  case_layer_defaults(layer);
  cJSON_AddItemToObject(model, "layer", layer);
  return root;
}

static EbbStatus parse_layer(const Case *c, EbbConfig *config, EbbS4Layer *layer) {
  EBB_TRY(case_configure(c, wrap(c->config), config));
  EBB_TRY(ebb_s4_layer_from_config(config, layer));
  layer->linear = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->config, "linear"));
  layer->scan_bound =
      cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->config, "liquid_contraction")) ? layer->scan_bound : 0;
  /* Every gradient is compared, those of parameters that training would freeze too. */
  layer->ssm.lr_dt = layer->ssm.lr_A = layer->ssm.lr_B = NAN;
  const char *rate = ebb_safetensors_metadata(c->file, "rate");
  if (rate) layer->ssm.rate = strtod(rate, NULL);
  return EBB_OK;
}

static EbbStatus layer_of(const Case *c, EbbS4Layer *layer) {
  EbbConfig *config = NULL;
  EBB_TRY(ebb_config_create(&config));
  EbbStatus status = parse_layer(c, config, layer);
  ebb_config_destroy(config);
  return status;
}

typedef struct LayerValues {
  EbbValue u, lengths, y, k;
} LayerValues;

static EbbStatus record_layer(Case *c, EbbGraph *graph, const EbbS4Layer *layer, LayerValues *v) {
  const EbbStoredTensor *u, *lengths = case_tensor(c, "input.lengths");
  EBB_TRY(case_require(c, "input.u", &u));
  EBB_TRY(case_require_rank(c, u, 3));
  if (lengths) EBB_TRY(case_require_shape(c, lengths, ebb_shape(u->shape.dim[0])));
  v->lengths = EBB_NO_VALUE;
  EBB_TRY(ebb_graph_input(graph, "u", EBB_F32, u->shape, true, &v->u));
  if (lengths) EBB_TRY(ebb_graph_input(graph, "lengths", EBB_I32, lengths->shape, false, &v->lengths));
  EBB_TRY(ebb_s4_record(graph, "", layer, v->u, v->lengths, EBB_NO_VALUE, 0, &v->y, &v->k));
  EBB_TRY(ebb_graph_output(graph, v->y));
  if (v->k != EBB_NO_VALUE) EBB_TRY(ebb_graph_output(graph, v->k));
  EBB_TRY(ebb_params_place(c->params, 0));
  EBB_TRY(case_load_params(c, "param.", ""));
  EBB_TRY(case_load_params(c, "state.", ""));
  EBB_TRY(case_set_kernel_length(c));
  EBB_TRY(ebb_graph_layout(graph));
  EBB_TRY(case_feed_floats(c, graph, v->u, u, 0));
  return lengths ? case_feed_integers(c, graph, v->lengths, lengths, 0) : EBB_OK;
}

static EbbStatus run_layer(Case *c, EbbGraph *graph) {
  EbbS4Layer layer;
  LayerValues v = {0};
  EBB_TRY(layer_of(c, &layer));
  EBB_TRY(record_layer(c, graph, &layer, &v));
  EBB_TRY(case_require_params(c));
  EbbRun run = {.device = c->device, .training = true};
  EBB_TRY(ebb_graph_forward(graph, &run));
  if (v.k != EBB_NO_VALUE && case_tensor(c, "expect.k"))
    EBB_TRY(case_compare_value(c, "expect.k", "output", graph, v.k, false));
  EBB_TRY(case_compare_value(c, "expect.y", "output", graph, v.y, false));
  EBB_TRY(case_feed_cotangent(c, graph, v.y));
  EBB_TRY(ebb_params_zero_grad(c->params));
  EBB_TRY(ebb_graph_backward(graph, &run));
  if (case_tensor(c, "expect.grad.u"))
    EBB_TRY(case_compare_value(c, "expect.grad.u", "grad", graph, v.u, true));
  return case_compare_params(c, "expect.grad.", "grad", true);
}

EbbStatus verify_s4_layer(Case *c) {
  EbbGraph *graph = NULL;
  EBB_TRY(ebb_graph_create(c->params, NULL, true, &graph));
  EbbStatus status = run_layer(c, graph);
  ebb_graph_destroy(graph);
  return status;
}

/* ---- step ---- */

/* u (B, H, L) sample by sample through the stream; the frames in between are (B, H). */
static EbbStatus step_through(EbbS4Stream *stream, const float *u, float *y, float *frames, int64_t B,
                              int64_t H, int64_t L) {
  float *in = frames, *out = frames + B * H;
  for (int64_t t = 0; t < L; t++) {
    for (int64_t r = 0; r < B * H; r++) in[r] = u[r * L + t];
    EBB_TRY(ebb_s4_stream_step(stream, in, out));
    for (int64_t r = 0; r < B * H; r++) y[r * L + t] = out[r];
  }
  return EBB_OK;
}

static EbbStatus run_stream(Case *c, const EbbS4Layer *layer, const EbbStoredTensor *tensor) {
  int64_t B = tensor->shape.dim[0], H = tensor->shape.dim[1], L = tensor->shape.dim[2];
  EbbS4Stream *stream = NULL;
  EBB_TRY(ebb_s4_stream_create(c->params, "", layer, B, &stream));
  size_t size = (size_t)(B * H * L);
  float *u = malloc(size * sizeof *u), *y = malloc(size * sizeof *y),
        *frames = malloc((size_t)(2 * B * H) * sizeof *frames);
  EbbStatus status;
  if (u && y && frames) {
    status = ebb_stored_floats(tensor, u, (int64_t)size);
    if (status == EBB_OK) status = step_through(stream, u, y, frames, B, H, L);
  } else {
    status = ebb_fail(EBB_MEMORY, "no memory for %s", c->path);
  }
  if (status == EBB_OK) status = case_compare(c, "expect.y", "output", y, (int64_t)size);
  free(u);
  free(y);
  free(frames);
  ebb_s4_stream_destroy(stream);
  return status;
}

/* The published step drops the liquid term, which is not causal; ebb refuses to stream such a layer, so the
   case's numbers are those of the plain layer. */
static EbbStatus check_refusal(Case *c, const EbbS4Layer *layer, int64_t B) {
  EbbS4Stream *stream = NULL;
  bool refused = ebb_s4_stream_create(c->params, "", layer, B, &stream) == EBB_UNSUPPORTED;
  ebb_s4_stream_destroy(stream);
  case_fact(c, "liquid stream refused", refused);
  case_remark(c, "the published step drops the liquid term: compared with the plain layer");
  return EBB_OK;
}

static EbbStatus run_step(Case *c, EbbGraph *graph) {
  EbbS4Layer layer;
  LayerValues v = {0};
  const EbbStoredTensor *u;
  EBB_TRY(case_require(c, "input.u", &u));
  EBB_TRY(layer_of(c, &layer));
  EBB_TRY(record_layer(c, graph, &layer, &v));
  bool liquid = layer.liquid == EBB_LIQUID_POLYB || layer.liquid == EBB_LIQUID_KB;
  if (!liquid && case_tensor(c, "expect.y_conv")) {
    EbbRun run = {.device = c->device};
    EBB_TRY(ebb_graph_forward(graph, &run));
    EBB_TRY(case_compare_value(c, "expect.y_conv", "output", graph, v.y, false));
  }
  if (liquid) EBB_TRY(check_refusal(c, &layer, u->shape.dim[0]));
  if (liquid) layer.liquid = EBB_LIQUID_NONE;
  return run_stream(c, &layer, u);
}

EbbStatus verify_s4_step(Case *c) {
  EbbGraph *graph = NULL;
  EBB_TRY(ebb_graph_create(c->params, NULL, false, &graph));
  EbbStatus status = run_step(c, graph);
  ebb_graph_destroy(graph);
  return status;
}
