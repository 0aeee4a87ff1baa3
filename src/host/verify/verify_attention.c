/* Cases of kind "layer" for layer "leaky_attention". */
#include "ebb/attention.h"
#include "host/verify/verify_internal.h"

static EbbStatus config_of(const Case *c, EbbLeakyAttentionConfig *config) {
  const cJSON *heads = cJSON_GetObjectItemCaseSensitive(c->config, "heads"),
              *tau = cJSON_GetObjectItemCaseSensitive(c->config, "tau");
  if (!cJSON_IsNumber(heads) || !cJSON_IsNumber(tau))
    return ebb_fail(EBB_FORMAT, "%s: its config has no numbers 'heads' and 'tau'", c->path);
  *config =
      (EbbLeakyAttentionConfig){.heads = (int64_t)heads->valuedouble,
                                .tau = tau->valuedouble,
                                .causal = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->config, "causal")),
                                .published = true};
  return EBB_OK;
}

static EbbStatus run(Case *c, EbbGraph *graph) {
  const EbbRun step = {.device = c->device, .training = true};
  const EbbStoredTensor *input, *lengths = case_tensor(c, "input.lengths");
  EbbLeakyAttentionConfig config;
  EbbValue x, y, weights, rows = EBB_NO_VALUE;
  EBB_TRY(config_of(c, &config));
  EBB_TRY(case_require(c, "input.x", &input));
  EBB_TRY(case_require_rank(c, input, 3));
  EBB_TRY(ebb_graph_input(graph, "x", EBB_F32, input->shape, true, &x));
  if (lengths) EBB_TRY(ebb_graph_input(graph, "lengths", EBB_I32, lengths->shape, false, &rows));
  EBB_TRY(ebb_leaky_attention_record(graph, "", &config, x, rows, &y, &weights));
  EBB_TRY(ebb_graph_output(graph, y));
  EBB_TRY(ebb_graph_output(graph, weights));
  EBB_TRY(ebb_params_place(c->params, 0));
  EBB_TRY(case_load_params(c, "param.", ""));
  EBB_TRY(case_require_params(c));
  EBB_TRY(ebb_graph_layout(graph));
  EBB_TRY(case_feed_floats(c, graph, x, input, 0));
  if (lengths) EBB_TRY(case_feed_integers(c, graph, rows, lengths, 0));
  EBB_TRY(ebb_graph_forward(graph, &step));
  if (case_tensor(c, "expect.attn"))
    EBB_TRY(case_compare_value(c, "expect.attn", "output", graph, weights, false));
  EBB_TRY(case_compare_value(c, "expect.y", "output", graph, y, false));
  EBB_TRY(case_feed_cotangent(c, graph, y));
  EBB_TRY(ebb_params_zero_grad(c->params));
  EBB_TRY(ebb_graph_backward(graph, &step));
  if (case_tensor(c, "expect.grad.x"))
    EBB_TRY(case_compare_value(c, "expect.grad.x", "grad", graph, x, true));
  return case_compare_params(c, "expect.grad.", "grad", true);
}

EbbStatus verify_leaky_attention(Case *c) {
  EbbGraph *graph = NULL;
  EBB_TRY(ebb_graph_create(c->params, NULL, true, &graph));
  EbbStatus status = run(c, graph);
  ebb_graph_destroy(graph);
  return status;
}
