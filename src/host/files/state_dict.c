#include "ebb/state_dict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_internal.h"
#include "host/models/cell_config.h"
#include "state_dict_internal.h"

EbbStatus ebb_state_tensor_rename(EbbStateTensor *tensor, const char *format, ...) {
  char *name = NULL;
  va_list list;
  va_start(list, format);
  const int length = vasprintf(&name, format, list);
  va_end(list);
  if (length < 0) return ebb_fail(EBB_MEMORY, "no memory to rename '%.200s'", tensor->stored.name);
  free(tensor->name);
  tensor->name = name;
  return EBB_OK;
}

static EbbStatus add(EbbStateDict *dict, const char *name, const EbbStoredTensor *stored) {
  if (dict->count == dict->room) {
    const size_t room = dict->room ? 2 * dict->room : 64;
    EbbStateTensor *grown = realloc(dict->tensor, room * sizeof *grown);
    if (!grown) return ebb_fail(EBB_MEMORY, "no memory for the names of '%s'", dict->path);
    dict->tensor = grown, dict->room = room;
  }
  char *copy = strdup(name);
  if (!copy) return ebb_fail(EBB_MEMORY, "no memory for the names of '%s'", dict->path);
  dict->tensor[dict->count++] = (EbbStateTensor){.name = copy, .stored = *stored};
  return EBB_OK;
}

EbbStatus ebb_state_dict_add(EbbStateDict *dict, const char *name, const EbbStoredTensor *stored,
                             float *made) {
  const EbbStatus status = add(dict, name, stored);
  if (status == EBB_OK)
    dict->tensor[dict->count - 1].made = made;
  else
    free(made);
  return status;
}

EbbStateTensor *ebb_state_dict_find(const EbbStateDict *dict, const char *name) {
  for (size_t i = 0; i < dict->count; i++)
    if (!dict->tensor[i].dropped && strcmp(dict->tensor[i].name, name) == 0) return &dict->tensor[i];
  return NULL;
}

/* What follows the first `length` bytes of a name where they are whole parts, without its dot; or NULL. */
static const char *behind(const char *name, const char *from, size_t length) {
  if (length == 0) return name;
  if (strncmp(name, from, length) != 0) return NULL;
  if (name[length] == '.') return name + length + 1;
  return name[length] ? NULL : name + length;
}

static EbbStatus apply(EbbStateTensor *tensor, const char *rename, bool *used) {
  const char *equals = strchr(rename, '='), *to = equals + 1;
  const char *rest = behind(tensor->name, rename, (size_t)(equals - rename));
  if (!rest) return EBB_OK;
  *used = true;
  return ebb_state_tensor_rename(tensor, "%s%s%s", to, *to && *rest ? "." : "", rest);
}

static EbbStatus check_renames(const char *const *rename, int n) {
  for (int k = 0; k < n; k++)
    if (!strchr(rename[k], '=') || strcmp(rename[k], "=") == 0)
      return ebb_fail(EBB_INVALID, "'%.200s' is no renaming; FROM=TO is one, such as fc=decoder", rename[k]);
  return EBB_OK;
}

/* The first renaming that fits each tensor. */
static EbbStatus apply_renames(EbbStateDict *dict, const char *const *rename, int n, bool *fits) {
  for (size_t i = 0; i < dict->count; i++) {
    bool used = false;
    for (int k = 0; k < n && !used; k++) {
      EBB_TRY(apply(&dict->tensor[i], rename[k], &used));
      fits[k] = fits[k] || used;
    }
  }
  for (int k = 0; k < n; k++)
    if (!fits[k])
      return ebb_fail(EBB_INVALID, "%s: the renaming '%.200s' fits no tensor; the first one is '%.200s'",
                      dict->path, rename[k], dict->count ? dict->tensor[0].stored.name : "");
  return EBB_OK;
}

static EbbStatus rename_tensors(EbbStateDict *dict, const char *const *rename, int n) {
  EBB_TRY(check_renames(rename, n));
  bool *fits = calloc((size_t)n + 1, sizeof *fits);
  if (!fits) return ebb_fail(EBB_MEMORY, "no memory for %d renamings", n);
  const EbbStatus status = apply_renames(dict, rename, n, fits);
  free(fits);
  return status;
}

static EbbStatus check_origin(const EbbStateDict *dict) {
  const char *format = ebb_safetensors_metadata(dict->file, CHECKPOINT_FORMAT_KEY);
  if (!format || strncmp(format, CHECKPOINT_FAMILY, strlen(CHECKPOINT_FAMILY)) != 0) return EBB_OK;
  return ebb_fail(EBB_MISMATCH, "%s: is a checkpoint of ebb ('%.80s'): load it, it needs no import",
                  dict->path, format);
}

static EbbStatus fill(EbbStateDict *dict, const char *path, const char *const *rename, int n,
                      const EbbConfig *config) {
  dict->path = strdup(path);
  if (!dict->path) return ebb_fail(EBB_MEMORY, "no memory for the name '%s'", path);
  EBB_TRY(ebb_safetensors_open(path, &dict->file));
  EBB_TRY(check_origin(dict));
  for (int64_t i = 0; i < ebb_safetensors_count(dict->file); i++) {
    const EbbStoredTensor *stored = ebb_safetensors_at(dict->file, i);
    EBB_TRY(ebb_state_dict_add(dict, stored->name, stored, NULL));
  }
  EBB_TRY(rename_tensors(dict, rename, n));
  if (!config || !ebb_config_names_cell(config)) return EBB_OK;
  EBB_TRY(ebb_state_dict_name_layers(dict, ebb_config_integer(config, "model.n_layers")));
  return ebb_state_dict_convert_lstm(dict, ebb_config_flag(config, "model.layer.bidirectional"));
}

EbbStatus ebb_state_dict_open(const char *path, const char *const *rename, int n_renames,
                              const EbbConfig *config, EbbStateDict **out) {
  *out = NULL;
  EbbStateDict *dict = calloc(1, sizeof *dict);
  if (!dict) return ebb_fail(EBB_MEMORY, "no memory for the names of '%s'", path);
  const EbbStatus status = fill(dict, path, rename, n_renames, config);
  if (status == EBB_OK)
    *out = dict;
  else
    ebb_state_dict_close(dict);
  return status;
}

void ebb_state_dict_close(EbbStateDict *dict) {
  if (!dict) return;
  for (size_t i = 0; i < dict->count; i++) {
    free(dict->tensor[i].name);
    free(dict->tensor[i].made);
  }
  free(dict->tensor);
  ebb_safetensors_close(dict->file);
  free(dict->path);
  free(dict);
}
