/* Sizes of a user's table, as the weights that were trained on it have them. */
#include <stdio.h>
#include <string.h>

#include "host/models/cell_config.h"
#include "host/models/cells.h"
#include "state_dict_internal.h"

/* A tensor whose axis is the number of inputs, or of inputs and units together. */
typedef struct Clue {
  const char *name;
  int axis;
  enum { NOTHING, OTHER_AXIS, UNITS } less;
} Clue;

static const Clue clues[] = {
    {"layers.0.layer.sensory_w", 0, NOTHING},        {"layers.0.layer.sensory_W", 0, NOTHING},
    {"layers.0.layer.input_map.weight", 1, NOTHING}, {"layers.0.layer.lstm.input_map.weight", 1, NOTHING},
    {"layers.0.layer.backbone.0.weight", 1, UNITS},  {"layers.0.layer.layers.0.ff1.weight", 1, OTHER_AXIS},
    {"layers.0.layer.ff1.weight", 1, OTHER_AXIS},
};

static int64_t inputs_by(const Clue *clue, const EbbShape *shape, int64_t units) {
  if (shape->rank != 2) return 0;
  const int64_t size = shape->dim[clue->axis];
  return clue->less == UNITS        ? size - units
         : clue->less == OTHER_AXIS ? size - shape->dim[!clue->axis]
                                    : size;
}

/* "--rename MODULE=layers.0.layer" of the module that has a weight such as the clues'. */
static void suggest(const EbbStateDict *dict, char *text, size_t size) {
  int64_t layer;
  snprintf(text, size, "the first tensor is '%.200s'", dict->count ? dict->tensor[0].stored.name : "");
  for (size_t k = 0; k < sizeof clues / sizeof *clues; k++)
    for (size_t i = 0; i < dict->count; i++) {
      const char *name = dict->tensor[i].stored.name, *part = ebb_layer_part(clues[k].name, &layer);
      const size_t length = strlen(name), ending = strlen(part);
      if (length <= ending || name[length - ending - 1] != '.' || strcmp(name + length - ending, part) != 0)
        continue;
      snprintf(text, size, "perhaps --rename %.*s=layers.0.layer", (int)(length - ending - 1), name);
      return;
    }
}

static EbbStatus find_inputs(const EbbStateDict *dict, const EbbConfig *config, int64_t *inputs) {
  char text[300];
  for (size_t k = 0; k < sizeof clues / sizeof *clues; k++) {
    const EbbStateTensor *tensor = ebb_state_dict_find(dict, clues[k].name);
    if (!tensor) continue;
    *inputs = inputs_by(&clues[k], &tensor->stored.shape, ebb_config_integer(config, "model.d_model"));
    if (*inputs >= 1) return EBB_OK;
  }
  suggest(dict, text, sizeof text);
  return ebb_fail(EBB_MISMATCH,
                  "%s: does not tell how many inputs the model has, for it has no weights of a first layer "
                  "(layers.0.layer); %s",
                  dict->path, text);
}

/* The decoder's outputs; while nothing is called decoder, those of the only matrix outside the layers. */
static int64_t decoder_outputs(const EbbStateDict *dict) {
  int64_t outputs = 1;
  const EbbStateTensor *decoder = ebb_state_dict_find(dict, "decoder.weight");
  if (decoder && decoder->stored.shape.rank == 2) return decoder->stored.shape.dim[0];
  for (size_t i = 0; i < dict->count; i++) {
    const EbbStateTensor *tensor = &dict->tensor[i];
    const bool inside = strncmp(tensor->name, "layers.", strlen("layers.")) == 0;
    if (tensor->dropped || inside || tensor->stored.shape.rank != 2) continue;
    if (outputs > 1) return 1;
    outputs = tensor->stored.shape.dim[0];
  }
  return outputs > 0 ? outputs : 1;
}

static EbbStatus cell_outputs(const EbbConfig *config, int64_t inputs, int64_t *outputs) {
  EbbCells *cells = NULL;
  EBB_TRY(ebb_cells_from_config(config, inputs, &cells));
  *outputs = ebb_cells_outputs(cells);
  ebb_cells_destroy(cells);
  return EBB_OK;
}

EbbStatus ebb_state_dict_sizes(const EbbStateDict *dict, const EbbConfig *config, EbbDataset *out) {
  enum { IDENTITY = 3 };
  *out = (EbbDataset){.n_towers = 1,
                      .longest = ebb_config_integer(config, "dataset.window"),
                      .per_step = ebb_config_flag(config, "dataset.per_step")};
  EBB_TRY(find_inputs(dict, config, &out->d_input));
  out->d_output = decoder_outputs(dict);
  if (ebb_config_choice(config, "decoder._name_") == IDENTITY)
    EBB_TRY(cell_outputs(config, out->d_input, &out->d_output));
  if (!ebb_config_is_null(config, "dataset.labels")) out->n_classes = out->d_output;
  return EBB_OK;
}
