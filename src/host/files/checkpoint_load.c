#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_internal.h"

static EbbStatus check_format(const EbbSafetensors *file, const char *path) {
  const char *format = ebb_safetensors_metadata(file, CHECKPOINT_FORMAT_KEY);
  if (format && strcmp(format, CHECKPOINT_FORMAT) == 0) return EBB_OK;
  if (format && strncmp(format, CHECKPOINT_FAMILY, strlen(CHECKPOINT_FAMILY)) == 0)
    return ebb_fail(EBB_FORMAT, "%s: is of format '%.80s', this program reads '%s'", path, format,
                    CHECKPOINT_FORMAT);
  return ebb_fail(EBB_FORMAT,
                  "%s: is a safetensors file but no checkpoint: its metadata have %s%.80s%s, expected "
                  "format '%s' (weights of another program are imported, not loaded)",
                  path, format ? "format '" : "no format", format ? format : "", format ? "'" : "",
                  CHECKPOINT_FORMAT);
}

static EbbStatus open_checkpoint(const char *path, EbbSafetensors **file) {
  EBB_TRY(ebb_safetensors_open(path, file));
  EbbStatus status = check_format(*file, path);
  if (status == EBB_OK) return EBB_OK;
  ebb_safetensors_close(*file);
  *file = NULL;
  return status;
}

static EbbStatus expect_average(EbbSlots *slots, const EbbParams *params, const EbbAverage *average) {
  char prefix[256];
  if (!average->values) return EBB_OK;
  snprintf(prefix, sizeof prefix, "%.250s.", average->name);
  for (int i = 0; i < ebb_params_count(params); i++) {
    const EbbParam *param = ebb_params_at(params, i);
    if (param->group >= 0)
      EBB_TRY(ebb_slots_expect(slots, prefix, param, average->values + param->offset, false));
  }
  return EBB_OK;
}

static EbbStatus expect_params(EbbSlots *slots, const EbbParams *params, bool moments) {
  for (int i = 0; i < ebb_params_count(params); i++) {
    const EbbParam *param = ebb_params_at(params, i);
    EBB_TRY(ebb_slots_expect(slots, "", param, ebb_params_value(params, i), false));
    for (int which = 1; which <= 2 && moments && param->group >= 0; which++)
      EBB_TRY(ebb_slots_expect(slots, ebb_checkpoint_prefix[which], param,
                               ebb_params_moment(params, i, which), false));
  }
  return EBB_OK;
}

/* Whether a load of weights alone passes over a tensor: a moment, or part of an average that the file lists.
 */
static bool beside_weights(const EbbSafetensors *file, const char *name) {
  if (strncmp(name, CHECKPOINT_MOMENT, strlen(CHECKPOINT_MOMENT)) == 0) return true;
  const char *average = ebb_safetensors_metadata(file, CHECKPOINT_AVERAGES_KEY);
  while (average && *average) {
    size_t length = strcspn(average, ",");
    if (length && strncmp(name, average, length) == 0 && name[length] == '.') return true;
    average += length + (average[length] == ',');
  }
  return false;
}

static EbbStatus match(EbbSlots *slots, const EbbSafetensors *file, bool weights_only) {
  for (int64_t i = 0; i < ebb_safetensors_count(file); i++) {
    const EbbStoredTensor *tensor = ebb_safetensors_at(file, i);
    EbbSlot *slot = ebb_slots_find(slots, tensor->name);
    if (slot)
      slot->from = tensor;
    else if (!weights_only || !beside_weights(file, tensor->name))
      EBB_TRY(ebb_slots_unknown(slots, tensor->name, tensor));
  }
  return EBB_OK;
}

static EbbStatus check_fit(EbbSlots *slots, const char *path) {
  char hint[1024];
  snprintf(hint, sizeof hint,
           "Was it saved by another model? Compare `ebb info %.800s` with this configuration", path);
  return ebb_slots_check(slots, path, hint);
}

typedef struct Load {
  const char *path;
  EbbSafetensors *file;
  EbbSlots slots;
} Load;

static EbbStatus load(Load *work, EbbParams *params, EbbTrainState *state, const EbbAverage *averages,
                      int n_averages) {
  EbbTrainState stored;
  EBB_TRY(open_checkpoint(work->path, &work->file));
  if (state && !ebb_safetensors_metadata(work->file, CHECKPOINT_STATE_KEY))
    return ebb_fail(EBB_MISMATCH,
                    "%s: holds weights only, without the state of a run: training cannot resume from it",
                    work->path);
  if (state) EBB_TRY(ebb_checkpoint_read_state(work->file, work->path, &stored));
  EBB_TRY(expect_params(&work->slots, params, state != NULL));
  for (int i = 0; i < n_averages; i++) EBB_TRY(expect_average(&work->slots, params, &averages[i]));
  ebb_slots_expected(&work->slots);
  EBB_TRY(match(&work->slots, work->file, state == NULL));
  EBB_TRY(check_fit(&work->slots, work->path));
  EBB_TRY(ebb_slots_copy(&work->slots, work->path, ebb_params_device(params)));
  ebb_params_bump(params);
  if (state) *state = stored;
  return EBB_OK;
}

EbbStatus ebb_checkpoint_load(const char *path, EbbParams *params, EbbTrainState *state, EbbAverage *averages,
                              int n_averages) {
  Load work = {.path = path};
  if (!ebb_params_placed(params))
    return ebb_fail(EBB_STATE, "%s: cannot be loaded before the model's parameters are placed", path);
  EbbStatus status = load(&work, params, state, averages, n_averages);
  ebb_slots_free(&work.slots);
  ebb_safetensors_close(work.file);
  return status;
}

EbbStatus ebb_checkpoint_config(const char *path, char **yaml) {
  EbbSafetensors *file = NULL;
  *yaml = NULL;
  EBB_TRY(open_checkpoint(path, &file));
  const char *text = ebb_safetensors_metadata(file, CHECKPOINT_CONFIG_KEY);
  EbbStatus status = EBB_OK;
  if (!text) status = ebb_fail(EBB_FORMAT, "%s: holds no configuration", path);
  if (text) *yaml = strdup(text);
  if (text && !*yaml) status = ebb_fail(EBB_MEMORY, "%s: no memory for its configuration", path);
  ebb_safetensors_close(file);
  return status;
}
