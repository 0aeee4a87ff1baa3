/* The graph, parameters and memory of an experiment's training step, without its data. */
#include <stdio.h>
#include <string.h>

#include "ebb/model.h"
#include "ebb/train.h"
#include "info.h"
#include "published_data.h"
#include "terminal.h"

static void print_assumptions(const EbbConfig *config, bool known, const EbbDataset *dataset) {
  const char *name = ebb_config_string(config, "dataset._name_");
  char input[48], output[48];
  if (dataset->vocabulary)
    snprintf(input, sizeof input, "%lld tokens", (long long)dataset->vocabulary);
  else
    snprintf(input, sizeof input, "%lld values a step", (long long)dataset->d_input);
  snprintf(output, sizeof output, "%lld %s%s",
           (long long)(dataset->n_classes ? dataset->n_classes : dataset->d_output),
           dataset->n_classes ? "classes" : "targets", dataset->per_step ? " a step" : "");
  const bool given = dataset->longest == ebb_config_integer(config, "dataset.l_max");
  terminal_field(stdout, "data set", "%s: %s, %s, length %lld%s", name ? name : "null", input, output,
                 (long long)dataset->longest, given ? " (dataset.l_max)" : "");
  terminal_field(stdout, "",
                 known ? "assumed: as published; the data is not read"
                       : "assumed: nothing is known of this data set");
  terminal_field(stdout, "batch", "%lld", (long long)ebb_config_integer(config, "loader.batch_size"));
}

static void print_nodes(const EbbGraph *graph) {
  printf("\n%-36s %-20s %22s\n", "node", "op", "output");
  for (int i = 0; i < ebb_graph_nodes(graph); i++) {
    EbbShape output = ebb_graph_node_output_shape(graph, i, 0);
    char shape[64];
    printf("%-36s %-20s %22s\n", ebb_graph_node_scope(graph, i), ebb_graph_node_op(graph, i)->name,
           ebb_shape_text(&output, shape, sizeof shape));
  }
}

/* Last parts of the names in a group, each once: what a person calls the parameters. */
static void list_names(const EbbParams *params, int group, char *names, size_t size) {
  size_t used = 0;
  names[0] = 0;
  for (int i = 0; i < ebb_params_count(params); i++) {
    const EbbParam *param = ebb_params_at(params, i);
    const char *dot = strrchr(param->name, '.');
    char listed[128];
    if (param->group != group) continue;
    snprintf(listed, sizeof listed, " %s", dot ? dot + 1 : param->name);
    const char *before = strstr(names, listed);
    bool seen = before && (before[strlen(listed)] == ' ' || !before[strlen(listed)]);
    if (seen) continue;
    if (used + strlen(listed) >= size) {
      snprintf(names + (used < size - 5 ? used : size - 5), 5, " ...");
      return;
    }
    used += (size_t)snprintf(names + used, size - used, "%s", listed);
  }
}

static void print_group(const EbbConfig *config, const EbbParams *params, int group) {
  char names[33];
  const EbbParamGroup *g = ebb_params_group(params, group);
  int64_t count = 0, tensors = 0;
  for (int i = 0; i < ebb_params_count(params); i++) {
    const EbbParam *param = ebb_params_at(params, i);
    if (param->group == group) tensors++, count += param->size;
  }
  list_names(params, group, names, sizeof names);
  printf("%12s %8lld  %9g %12g  %s\n", terminal_count(count).text, (long long)tensors,
         g->own_lr ? g->lr : ebb_config_number(config, "optimizer.lr"),
         g->own_decay ? g->weight_decay : ebb_config_number(config, "optimizer.weight_decay"), names);
}

static void print_params(const EbbConfig *config, const EbbParams *params) {
  int64_t buffers = 0;
  printf("\n%12s %8s  %9s %12s   %s\n", "parameters", "tensors", "lr", "weight decay", "names");
  for (int g = 0; g < ebb_params_group_count(params); g++) print_group(config, params, g);
  for (int i = 0; i < ebb_params_count(params); i++) {
    const EbbParam *param = ebb_params_at(params, i);
    if (param->group < 0) buffers += param->size;
  }
  printf("%12s in all; buffers hold %s more numbers\n\n", terminal_count(ebb_params_trained(params)).text,
         terminal_count(buffers).text);
}

static void print_memory(const EbbGraph *graph, const EbbParams *params) {
  EbbMemoryPlan plan = ebb_graph_memory(graph);
  int64_t weights = ebb_params_size(params) * EBB_FLATS * (int64_t)sizeof(float);
  terminal_field(stdout, "memory", "for a training batch, forward and backward");
  terminal_field(stdout, "  activations", "%10s  (%s without sharing)",
                 terminal_bytes(plan.values_and_saved).text, terminal_bytes(plan.values_unshared).text);
  terminal_field(stdout, "  inputs", "%10s", terminal_bytes(plan.inputs).text);
  terminal_field(stdout, "  scratch", "%10s", terminal_bytes(plan.scratch).text);
  terminal_field(stdout, "  tables", "%10s", terminal_bytes(plan.tables).text);
  terminal_field(stdout, "  parameters", "%10s  (value, gradient, two moments)",
                 terminal_bytes(weights).text);
  terminal_field(stdout, "  in all", "%10s", terminal_bytes(plan.total + weights).text);
}

static EbbStatus plan(const EbbConfig *config, EbbParams *params, EbbGraph *graph, EbbSequence *model) {
  EbbDataset dataset;
  bool known = published_data(config, &dataset);
  EbbSequenceValues values;
  EBB_TRY(ebb_sequence_from_config(config, &dataset, model));
  EBB_TRY(ebb_sequence_record(graph, model, ebb_config_integer(config, "loader.batch_size"), dataset.longest,
                              &values));
  print_assumptions(config, known, &dataset);
  print_nodes(graph);
  EBB_TRY(ebb_params_place(params, (uint64_t)ebb_config_integer(config, "train.seed")));
  print_params(config, params);
  EBB_TRY(ebb_graph_init_params(graph));
  EBB_TRY(ebb_graph_plan(graph));
  print_memory(graph, params);
  return EBB_OK;
}

static EbbStatus with_params(const EbbConfig *config, EbbParams *params) {
  EbbGraph *graph = NULL;
  EbbSequence model = {0};
  EbbDtype activations;
  EBB_TRY(ebb_numbers_from_config(config, ebb_params_device(params), &activations));
  EBB_TRY(ebb_graph_create(params, NULL, true, &graph));
  EbbStatus status = ebb_graph_store_activations(graph, activations);
  if (status == EBB_OK) status = plan(config, params, graph, &model);
  ebb_graph_destroy(graph);
  ebb_sequence_release(&model);
  return status;
}

static EbbStatus with_device(const EbbConfig *config, EbbDevice *device) {
  EbbParams *params = NULL;
  EBB_TRY(ebb_params_create(device, &params));
  EbbStatus status = with_params(config, params);
  ebb_params_destroy(params);
  return status;
}

EbbStatus info_model(const EbbConfig *config) {
  EbbDevice *device = NULL;
  EBB_TRY(ebb_device_open(ebb_config_string(config, "device"), (int)ebb_config_integer(config, "threads"),
                          &device));
  EbbStatus status = with_device(config, device);
  ebb_device_close(device);
  return status;
}
