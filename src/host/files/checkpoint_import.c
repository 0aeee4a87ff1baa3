#include <stdlib.h>
#include <string.h>

#include "checkpoint_internal.h"

/* The published code's names: `from` stands for whole parts between dots. `to` "" drops it with its dot, NULL
   drops the tensor. Rules apply from top to bottom, each to the first place where it fits. */
typedef struct Rule {
  enum { LEADING, ANYWHERE, TRAILING } place;
  const char *from, *to;
} Rule;

static const Rule rules[] = {
    {LEADING, "model", ""},
    {LEADING, "encoder.0", "encoder"},
    {LEADING, "decoder.0", "decoder"},
    {LEADING, "decoder.output_transform", "decoder"},
    {LEADING, "decoder.retrieval.classifier", "decoder.classifier"},
    {ANYWHERE, "kernel.kernel", "kernel"},
    {ANYWHERE, "output_linear.0", "output_linear"},
    {ANYWHERE, "norm.norm", "norm"},
    {TRAILING, "kernel.inv_A_real", "kernel.inv_w_real"},
    {TRAILING, "kernel.A_imag", "kernel.w_imag"},
    {TRAILING, "num_batches_tracked", NULL}, /* counts of a norm that averages without them */
    {TRAILING, "kernel.A", NULL},            /* declared by diagonal layers, never used */
};

enum { N_RULES = sizeof rules / sizeof *rules };

/* Where the rule fits in the name, or NULL. */
static char *place_of(const Rule *rule, char *name) {
  size_t length = strlen(rule->from);
  for (char *at = name; (at = strstr(at, rule->from)); at++) {
    bool begins = at == name || (rule->place != LEADING && at[-1] == '.');
    bool ends = !at[length] || (rule->place != TRAILING && at[length] == '.');
    if (begins && ends) return at;
    if (rule->place == LEADING) return NULL;
  }
  return NULL;
}

/* Rewrites the name where it stands, for no rule makes it longer. Returns whether the tensor counts. */
static bool rewrite(char *name) {
  for (int i = 0; i < N_RULES; i++) {
    const char *to = rules[i].to;
    char *at = place_of(&rules[i], name);
    if (!at) continue;
    if (!to) return false;
    char *rest = at + strlen(rules[i].from);
    if (!*to && *rest) rest++;
    while (*to) *at++ = *to++;
    memmove(at, rest, strlen(rest) + 1);
  }
  return true;
}

static EbbStatus place(EbbSlots *slots, const char *path, const EbbStoredTensor *tensor, char *name) {
  EbbSlot *slot = ebb_slots_find(slots, name);
  if (!slot && !rewrite(name)) return EBB_OK;
  if (!slot) slot = ebb_slots_find(slots, name);
  if (!slot) return ebb_slots_unknown(slots, name, tensor);
  if (slot->from)
    return ebb_fail(EBB_MISMATCH, "%s: both '%.200s' and '%.200s' are the model's '%.200s'", path,
                    slot->from->name, tensor->name, slot->name);
  slot->from = tensor;
  return EBB_OK;
}

static EbbStatus match(EbbSlots *slots, const char *path, const EbbSafetensors *file) {
  for (int64_t i = 0; i < ebb_safetensors_count(file); i++) {
    const EbbStoredTensor *tensor = ebb_safetensors_at(file, i);
    char *name = strdup(tensor->name);
    if (!name) return ebb_fail(EBB_MEMORY, "%s: no memory for the name '%.200s'", path, tensor->name);
    EbbStatus status = place(slots, path, tensor, name);
    free(name);
    if (status != EBB_OK) return status;
  }
  return EBB_OK;
}

static bool is_liquid(const char *name) {
  return strncmp(name, "liquid.", 7) == 0 || strstr(name, ".liquid.") != NULL;
}

static EbbStatus check_origin(const EbbSafetensors *file, const char *path) {
  const char *format = ebb_safetensors_metadata(file, CHECKPOINT_FORMAT_KEY);
  if (!format || strncmp(format, CHECKPOINT_FAMILY, strlen(CHECKPOINT_FAMILY)) != 0) return EBB_OK;
  return ebb_fail(EBB_MISMATCH, "%s: is a checkpoint of ebb ('%.80s'): load it, it needs no import", path,
                  format);
}

static EbbStatus import(const char *path, EbbSafetensors *file, EbbParams *params, EbbSlots *slots,
                        int *liquid_missing) {
  int missing = 0;
  EBB_TRY(check_origin(file, path));
  for (int i = 0; i < ebb_params_count(params); i++) {
    const EbbParam *param = ebb_params_at(params, i);
    EBB_TRY(ebb_slots_expect(slots, "", param, ebb_params_value(params, i), is_liquid(param->name)));
  }
  ebb_slots_expected(slots);
  EBB_TRY(match(slots, path, file));
  EBB_TRY(ebb_slots_check(slots, path,
                          "Is the configuration the one that the weights were trained with (model, layer, "
                          "encoder and decoder)?"));
  for (size_t i = 0; i < slots->count; i++) missing += !slots->slot[i].from;
  EBB_TRY(ebb_slots_copy(slots, path, ebb_params_device(params)));
  ebb_params_bump(params);
  *liquid_missing = missing;
  return EBB_OK;
}

EbbStatus ebb_checkpoint_import(const char *path, EbbParams *params, int *liquid_missing) {
  EbbSafetensors *file = NULL;
  EbbSlots slots = {0};
  if (!ebb_params_placed(params))
    return ebb_fail(EBB_STATE, "%s: cannot be imported before the model's parameters are placed", path);
  EBB_TRY(ebb_safetensors_open(path, &file));
  EbbStatus status = import(path, file, params, &slots, liquid_missing);
  ebb_slots_free(&slots);
  ebb_safetensors_close(file);
  return status;
}
