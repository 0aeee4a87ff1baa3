#include <stdio.h>
#include <string.h>

#include "host/config/config_row.h"

/* What a published pipeline brings besides its data set's name. */
static const struct {
  const char *pipeline, *key, *value;
} pipeline_keys[] = {
    {"listops", "dataset.l_max", "2048"},
    {"listops", "model.layer.l_max", "2048"},
    {"imdb", "dataset.l_max", "4096"},
    {"imdb", "model.layer.l_max", "4096"},
    {"aan", "dataset.l_max", "4000"},
    {"aan", "model.layer.l_max", "4000"},
    {"aan", "decoder._name_", "retrieval"},
    {"cifar", "dataset.l_max", "1024"},
    {"cifar", "dataset.grayscale", "false"},
    {"pathfinder", "dataset.l_max", "1024"},
    {"pathfinder", "model.layer.l_max", "1024"},
    {"pathx", "dataset.l_max", "16384"},
    {"pathx", "model.layer.l_max", "16384"},
    {"sc", "dataset.l_max", "16000"},
    {"sc", "model.layer.l_max", "16000"},
    {"bidmc", "dataset.l_max", "4000"},
    {"bidmc", "model.layer.l_max", "4000"},
};

/* Groups of a defaults list. "set": the entry names the group's _name_. "ignore": the group's files hold
   settings of Hydra, Lightning or the cluster, or what the pipeline's row already says; every key of ebb
   keeps its default. "experiment": the file stands on an experiment of ebb. */
static const struct {
  const char *group;
  enum { SET, IGNORE, PIPELINE, EXPERIMENT } meaning;
} groups[] = {
    {"experiment", EXPERIMENT}, {"pipeline", PIPELINE}, {"dataset", SET},   {"model", SET},
    {"model.layer", SET},       {"scheduler", SET},     {"optimizer", SET}, {"encoder", SET},
    {"decoder", SET},           {"trainer", IGNORE},    {"loader", IGNORE}, {"task", IGNORE},
    {"callbacks", IGNORE},      {"_self_", IGNORE},
};

enum {
  N_PIPELINE_KEYS = sizeof pipeline_keys / sizeof *pipeline_keys,
  N_GROUPS = sizeof groups / sizeof *groups
};

static EbbStatus stage_pipeline(EbbConfigStage *stage, EbbConfigScalar name) {
  EBB_TRY(ebb_config_stage_scalar(stage, "dataset._name_", name, true));
  for (int i = 0; i < N_PIPELINE_KEYS; i++) {
    if (strcmp(pipeline_keys[i].pipeline, name.text) != 0) continue;
    const char *text = pipeline_keys[i].value;
    EbbConfigScalar value = {text, strlen(text), true};
    EBB_TRY(ebb_config_stage_scalar(stage, pipeline_keys[i].key, value, true));
  }
  return EBB_OK;
}

static EbbStatus stage_experiment(EbbConfigStage *stage, EbbConfigScalar name) {
  if (stage->base) return ebb_fail(EBB_INVALID, "a file stands on one /experiment, not on two");
  stage->base = strdup(name.text), stage->base_line = stage->line;
  return stage->base ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for the name of an experiment");
}

/* "override /model/layer" is the group model.layer. */
static void group_name(const char *entry, char *name, size_t bytes) {
  if (strncmp(entry, "override ", 9) == 0) entry += 9;
  snprintf(name, bytes, "%s", *entry == '/' ? entry + 1 : entry);
  for (char *c = name; *c; c++) {
    if (*c == '/') *c = '.';
  }
}

EbbStatus ebb_config_stage_hydra(EbbConfigStage *stage, const char *entry, EbbConfigScalar value) {
  char name[EBB_CONFIG_PATH_BYTES];
  group_name(entry, name, sizeof name);
  for (int i = 0; i < N_GROUPS; i++) {
    if (strcmp(groups[i].group, name) != 0) continue;
    if (groups[i].meaning == IGNORE) return EBB_OK;
    if (groups[i].meaning == PIPELINE) return stage_pipeline(stage, value);
    if (groups[i].meaning == EXPERIMENT) return stage_experiment(stage, value);
    return ebb_config_stage_scalar(stage, name, value, true);
  }
  EbbConfigQuote quote = ebb_config_quote(entry, strlen(entry));
  return ebb_fail(
      EBB_INVALID,
      "the defaults entry '%s' means nothing to ebb, which composes no files but experiments; write its keys "
      "out (known: /experiment, /pipeline, /dataset, /model, /scheduler, /optimizer, /encoder, /decoder)",
      quote.text);
}
