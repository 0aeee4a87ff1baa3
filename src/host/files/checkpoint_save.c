#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_internal.h"

const char *const ebb_checkpoint_prefix[3] = {"", CHECKPOINT_MOMENT "m.", CHECKPOINT_MOMENT "v."};

static const EbbFlat flats[3] = {EBB_FLAT_VALUE, EBB_FLAT_M, EBB_FLAT_V};

/* One save: host copies of everything, which the writer refers to until it commits. */
typedef struct Save {
  const EbbParams *params;
  EbbSafetensorsWriter *writer;
  float **copy; /* of every block of the device that was read */
  int n_copies;
} Save;

/* Reads `count` floats of the device into memory that lives as long as the save. */
static EbbStatus read_block(Save *save, const float *device, int64_t count, const float **host) {
  float *copy = malloc((size_t)count * sizeof *copy + 1);
  if (!copy) return ebb_fail(EBB_MEMORY, "no memory to copy %lld floats for a checkpoint", (long long)count);
  save->copy[save->n_copies++] = copy;
  *host = copy;
  return ebb_device_read(ebb_params_device(save->params), copy, device, (size_t)count * sizeof *copy);
}

static EbbStatus add(Save *save, const char *prefix, const char *dot, const EbbParam *param,
                     const float *data) {
  size_t size = strlen(prefix) + strlen(dot) + strlen(param->name) + 1;
  char *name = malloc(size);
  if (!name) return ebb_fail(EBB_MEMORY, "no memory for the name of '%s' in a checkpoint", param->name);
  snprintf(name, size, "%s%s%s", prefix, dot, param->name);
  EbbStatus status = ebb_safetensors_writer_add(save->writer, name, EBB_ST_F32, &param->spec.shape, data);
  free(name);
  return status;
}

/* All trained parameters out of one flat buffer. */
static EbbStatus add_flat(Save *save, const char *prefix, const char *dot, const float *device) {
  const float *host = NULL;
  EBB_TRY(read_block(save, device, ebb_params_size(save->params), &host));
  for (int i = 0; i < ebb_params_count(save->params); i++) {
    const EbbParam *param = ebb_params_at(save->params, i);
    if (param->group >= 0) EBB_TRY(add(save, prefix, dot, param, host + param->offset));
  }
  return EBB_OK;
}

static EbbStatus add_buffers(Save *save) {
  for (int i = 0; i < ebb_params_count(save->params); i++) {
    const EbbParam *param = ebb_params_at(save->params, i);
    const float *host = NULL;
    if (param->group >= 0) continue;
    EBB_TRY(read_block(save, ebb_params_value(save->params, i), param->size, &host));
    EBB_TRY(add(save, "", "", param, host));
  }
  return EBB_OK;
}

static EbbStatus add_averages(Save *save, const EbbAverage *averages, int n_averages) {
  char names[256] = "";
  size_t used = 0;
  for (int i = 0; i < n_averages; i++) {
    if (!averages[i].values) continue;
    size_t length = strlen(averages[i].name);
    if (!length || strchr(averages[i].name, ',') || used + length + 2 > sizeof names)
      return ebb_fail(EBB_INVALID, "an average of the parameters cannot be saved under the name '%.100s'",
                      averages[i].name);
    used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? "," : "", averages[i].name);
    EBB_TRY(add_flat(save, averages[i].name, ".", averages[i].values));
  }
  return used ? ebb_safetensors_writer_metadata(save->writer, CHECKPOINT_AVERAGES_KEY, names) : EBB_OK;
}

static EbbStatus write(Save *save, const char *path, const EbbTrainState *state, const char *config,
                       const EbbAverage *averages, int n_averages) {
  EBB_TRY(ebb_safetensors_writer_create(&save->writer));
  EBB_TRY(ebb_safetensors_writer_metadata(save->writer, CHECKPOINT_FORMAT_KEY, CHECKPOINT_FORMAT));
  if (config) EBB_TRY(ebb_safetensors_writer_metadata(save->writer, CHECKPOINT_CONFIG_KEY, config));
  if (state) EBB_TRY(ebb_checkpoint_write_state(save->writer, state));
  for (int which = 0; which < (state ? 3 : 1); which++)
    EBB_TRY(add_flat(save, ebb_checkpoint_prefix[which], "", ebb_params_flat(save->params, flats[which])));
  EBB_TRY(add_buffers(save));
  EBB_TRY(add_averages(save, averages, n_averages));
  return ebb_safetensors_writer_commit(save->writer, path);
}

EbbStatus ebb_checkpoint_save(const char *path, const EbbParams *params, const EbbTrainState *state,
                              const char *config, const EbbAverage *averages, int n_averages) {
  Save save = {.params = params};
  if (!ebb_params_placed(params))
    return ebb_fail(EBB_STATE, "%s: a model whose parameters are not placed cannot be saved", path);
  save.copy = calloc((size_t)ebb_params_count(params) + (size_t)n_averages + 3, sizeof *save.copy);
  if (!save.copy) return ebb_fail(EBB_MEMORY, "%s: no memory to save a checkpoint", path);
  EbbStatus status = write(&save, path, state, config, averages, n_averages);
  ebb_safetensors_writer_destroy(save.writer);
  for (int i = 0; i < save.n_copies; i++) free(save.copy[i]);
  free(save.copy);
  return status;
}
