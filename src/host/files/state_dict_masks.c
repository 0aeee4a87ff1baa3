/* Sparsity masks of ncps against the wiring of the model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state_dict_internal.h"

static const char mask_name[] = "sparsity_mask";

bool ebb_state_is_mask(const EbbStateTensor *tensor) {
  int64_t layer;
  const size_t length = strlen(tensor->name), ending = strlen(mask_name);
  return ebb_layer_part(tensor->name, &layer) && length >= ending &&
         strcmp(tensor->name + length - ending, mask_name) == 0;
}

/* The parameter that a mask is for: synapses' w, or the heads of a CfC; -1: the cell has none. */
static int masked_param(const EbbCell *cell, const char *mask) {
  char name[128];
  const size_t prefix = strlen(mask) - strlen(mask_name);
  snprintf(name, sizeof name, "%.*sw", (int)prefix, mask);
  const int param = ebb_cell_find_param(cell, name);
  snprintf(name, sizeof name, "%.*sff1.weight", (int)prefix, mask);
  return param < 0 ? ebb_cell_find_param(cell, name) : param;
}

/* What the model's wiring says of the parameter's elements. */
static void write_wiring(const EbbCell *cell, int param, float *exists) {
  const EbbCellParam *p = &cell->param[param];
  for (int32_t i = 0; i < p->size; i++) exists[i] = p->mask ? p->mask[i] : 1;
  for (int32_t t = 0; t < cell->n_tables; t++) {
    const EbbCellSynapses *table = &cell->table[t];
    if (table->w != param) continue;
    memset(exists, 0, (size_t)p->size * sizeof *exists);
    for (int32_t k = 0; k < table->count; k++)
      exists[(int64_t)table->source[k] * table->targets + table->target[k]] = 1;
  }
}

static EbbStatus compare(const EbbStateDict *dict, const EbbStateTensor *tensor, const float *file,
                         const float *model, const EbbShape *shape) {
  const int64_t size = ebb_shape_size(shape), columns = shape->dim[1];
  int64_t differ = 0, first = 0;
  for (int64_t i = size - 1; i >= 0; i--)
    if (file[i] != model[i]) differ++, first = i;
  if (!differ) return EBB_OK;
  return ebb_fail(
      EBB_MISMATCH,
      "%s: was trained with another wiring than the model's: '%.200s' has %g at (%lld, %lld), the "
      "model's wiring %g; %lld of %lld synapses differ. model.layer.wiring=%.200s takes the wiring "
      "from this file",
      dict->path, tensor->stored.name, (double)file[first], (long long)(first / columns),
      (long long)(first % columns), (double)model[first], (long long)differ, (long long)size, dict->path);
}

static EbbStatus check_values(const EbbStateDict *dict, const EbbStateTensor *tensor, const EbbCell *cell,
                              int param) {
  const EbbShape *shape = &cell->param[param].spec.shape;
  const int64_t size = ebb_shape_size(shape);
  float *values = malloc(2 * (size_t)size * sizeof *values);
  if (!values) return ebb_fail(EBB_MEMORY, "no memory to compare '%.200s'", tensor->stored.name);
  write_wiring(cell, param, values + size);
  EbbStatus status = ebb_stored_floats(&tensor->stored, values, size);
  if (status == EBB_OK) status = compare(dict, tensor, values, values + size, shape);
  free(values);
  return status;
}

static EbbStatus check_mask(const EbbStateDict *dict, const EbbStateTensor *tensor, const EbbCells *cells) {
  int64_t layer;
  char theirs[96], ours[96];
  const char *mask = ebb_layer_part(tensor->name, &layer);
  const EbbCell *cell = layer >= 0 && layer < cells->n ? cells->cell[layer] : NULL;
  const int param = cell ? masked_param(cell, mask) : -1;
  if (param < 0)
    return ebb_fail(EBB_MISMATCH,
                    "%s: '%.200s' is a wiring, but the model's layers have none such. Is model.layer._name_ "
                    "the cell that was trained (ltc, or wired_cfc for a CfC with a wiring)?",
                    dict->path, tensor->stored.name);
  const EbbShape *shape = &cell->param[param].spec.shape;
  if (!ebb_shape_equal(shape, &tensor->stored.shape))
    return ebb_fail(EBB_MISMATCH,
                    "%s: was trained with another wiring than the model's: '%.200s' has shape %s in the file "
                    "and %s in the "
                    "model. model.layer.wiring=%.200s takes the wiring from this file",
                    dict->path, tensor->stored.name,
                    ebb_shape_text(&tensor->stored.shape, theirs, sizeof theirs),
                    ebb_shape_text(shape, ours, sizeof ours), dict->path);
  return check_values(dict, tensor, cell, param);
}

EbbStatus ebb_state_dict_check_masks(const EbbStateDict *dict, const EbbCells *cells) {
  for (size_t i = 0; i < dict->count; i++)
    if (ebb_state_is_mask(&dict->tensor[i])) EBB_TRY(check_mask(dict, &dict->tensor[i], cells));
  return EBB_OK;
}
