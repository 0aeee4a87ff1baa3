#include <stdlib.h>
#include <string.h>

#include "checkpoint_internal.h"
#include "checkpoint_unmatched.h"
#include "state_dict_internal.h"

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

static EbbStatus place(EbbSlots *slots, const EbbStateDict *dict, const EbbStateTensor *tensor, char *name) {
  EbbSlot *slot = ebb_slots_find(slots, name);
  if (!slot && !rewrite(name)) return EBB_OK;
  if (!slot) slot = ebb_slots_find(slots, name);
  if (!slot) return ebb_slots_unknown(slots, name, &tensor->stored);
  if (slot->from)
    return ebb_fail(EBB_MISMATCH, "%s: both '%.200s' and '%.200s' are the model's '%.200s'", dict->path,
                    slot->from->name, tensor->stored.name, slot->name);
  slot->from = &tensor->stored;
  return EBB_OK;
}

/* Masks have been compared with the cells' where there are cells. */
static EbbStatus match(EbbSlots *slots, const EbbStateDict *dict, bool cells) {
  for (size_t i = 0; i < dict->count; i++) {
    const EbbStateTensor *tensor = &dict->tensor[i];
    if (tensor->dropped || (cells && ebb_state_is_mask(tensor))) continue;
    char *name = strdup(tensor->name);
    if (!name) return ebb_fail(EBB_MEMORY, "%s: no memory for the name '%.200s'", dict->path, tensor->name);
    EbbStatus status = place(slots, dict, tensor, name);
    free(name);
    if (status != EBB_OK) return status;
  }
  return EBB_OK;
}

static bool is_liquid(const char *name) {
  return strncmp(name, "liquid.", 7) == 0 || strstr(name, ".liquid.") != NULL;
}

static EbbStatus import(const EbbStateDict *dict, const EbbCells *cells, EbbParams *params, EbbSlots *slots,
                        int *liquid_missing) {
  int missing = 0;
  if (cells) EBB_TRY(ebb_state_dict_check_masks(dict, cells));
  for (int i = 0; i < ebb_params_count(params); i++) {
    const EbbParam *param = ebb_params_at(params, i);
    EBB_TRY(ebb_slots_expect(slots, "", param, ebb_params_value(params, i), is_liquid(param->name)));
  }
  ebb_slots_expected(slots);
  EBB_TRY(match(slots, dict, cells != NULL));
  EBB_TRY(ebb_slots_check_unmatched(slots, dict->path));
  EBB_TRY(ebb_slots_check(slots, dict->path,
                          "Is the configuration the one that the weights were trained with (model, layer, "
                          "encoder and decoder)?"));
  for (size_t i = 0; i < slots->count; i++) missing += !slots->slot[i].from;
  EBB_TRY(ebb_slots_copy(slots, dict->path, ebb_params_device(params)));
  ebb_params_bump(params);
  *liquid_missing = missing;
  return EBB_OK;
}

EbbStatus ebb_state_dict_import(const EbbStateDict *dict, const EbbSequence *model, EbbParams *params,
                                int *liquid_missing) {
  EbbSlots slots = {0};
  if (!ebb_params_placed(params))
    return ebb_fail(EBB_STATE, "%s: cannot be imported before the model's parameters are placed", dict->path);
  const EbbStatus status = import(dict, model ? model->cells : NULL, params, &slots, liquid_missing);
  ebb_slots_free(&slots);
  return status;
}

EbbStatus ebb_checkpoint_import(const char *path, EbbParams *params, int *liquid_missing) {
  EbbStateDict *dict = NULL;
  if (!ebb_params_placed(params))
    return ebb_fail(EBB_STATE, "%s: cannot be imported before the model's parameters are placed", path);
  EBB_TRY(ebb_state_dict_open(path, NULL, 0, NULL, &dict));
  const EbbStatus status = ebb_state_dict_import(dict, NULL, params, liquid_missing);
  ebb_state_dict_close(dict);
  return status;
}
