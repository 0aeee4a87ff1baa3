/* Names of ncps modules become those of layers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state_dict_internal.h"

static const char cell_part[] = "rnn_cell.";

const char *ebb_layer_part(const char *name, int64_t *layer) {
  long long number;
  int length = 0;
  if (sscanf(name, "layers.%lld.layer.%n", &number, &length) != 1 || !length) return NULL;
  *layer = number;
  return name + length;
}

static bool starts(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

/* The last part of a name. */
static const char *last_part(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot ? dot + 1 : name;
}

static bool is_lstm(const char *part) {
  return starts(part, "weight_ih") || starts(part, "weight_hh") || starts(part, "weight_hr") ||
         starts(part, "bias_ih") || starts(part, "bias_hh");
}

/* A module: the first `length` bytes of a name, without the dot behind them. */
typedef struct Module {
  const char *name;
  size_t length;
} Module;

/* The module of ncps or torch that the tensor is a cell's weight of. */
static bool module_of(const char *name, Module *module) {
  const char *cell = starts(name, cell_part) ? name : strstr(name, ".rnn_cell.");
  const char *last = last_part(name);
  if (!cell && !is_lstm(last)) return false;
  const size_t length = cell ? (size_t)(cell - name) : (size_t)(last - name);
  *module = (Module){name, cell || !length ? length : length - 1};
  return true;
}

/* The number at the end of the module's name, or -1, and the length of what stands before. */
static long long number_of(const Module *module, size_t *before) {
  size_t first = module->length;
  while (first > 0 && module->name[first - 1] >= '0' && module->name[first - 1] <= '9') first--;
  *before = first;
  return first == module->length ? -1 : strtoll(module->name + first, NULL, 10);
}

static bool same(const Module *a, const Module *b) {
  return a->length == b->length && memcmp(a->name, b->name, a->length) == 0;
}

static int by_number(const void *a, const void *b) {
  size_t before;
  const long long x = number_of(a, &before), y = number_of(b, &before);
  return (x > y) - (x < y);
}

/* Whether the modules differ in a number at their end alone. */
static bool are_numbered(const Module *module, size_t n) {
  size_t first, other;
  (void)number_of(&module[0], &first);
  for (size_t k = 0; k < n; k++) {
    const bool numbered = number_of(&module[k], &other) >= 0;
    if (n > 1 && (!numbered || other != first || memcmp(module[k].name, module[0].name, first) != 0))
      return false;
  }
  return true;
}

/* A tensor of the module: its cell's, its memory's, its projection's, or an LSTM's own. */
static const char *part_of(const char *name, const Module *module) {
  const char *part = name + (module->length ? module->length + 1 : 0);
  if (strncmp(name, module->name, module->length) != 0 || (module->length && part[-1] != '.')) return NULL;
  const bool known = starts(part, cell_part) || starts(part, "lstm.") || starts(part, "fc.") || is_lstm(part);
  return known ? part : NULL;
}

static EbbStatus enter_layers(EbbStateDict *dict, const Module *module, size_t n) {
  for (size_t i = 0; i < dict->count; i++)
    for (size_t k = 0; k < n; k++) {
      const char *part = part_of(dict->tensor[i].name, &module[k]);
      if (!part) continue;
      EBB_TRY(ebb_state_tensor_rename(&dict->tensor[i], "layers.%zu.layer.%s", k, part));
      break;
    }
  return EBB_OK;
}

/* Inside a layer: `rnn_cell` goes, a layer of a wired CfC has a dot where ncps has an underscore. */
static EbbStatus name_inside(EbbStateTensor *tensor) {
  int64_t layer;
  const char *part = ebb_layer_part(tensor->name, &layer);
  if (!part) return EBB_OK;
  const char *inner = starts(part, cell_part) ? part + strlen(cell_part) : part;
  const bool wired = starts(inner, "layer_");
  return ebb_state_tensor_rename(tensor, "layers.%lld.layer.%s%s", (long long)layer, wired ? "layers." : "",
                                 wired ? inner + strlen("layer_") : inner);
}

/* The backbone of a CfC: with dropout ncps has three modules a layer from the second one on, and maps are its
   modules 0, 2, 5, 8, ..; without, and in ebb, they are 0, 2, 4, 6, .. */
static EbbStatus number_backbone(EbbStateDict *dict, int64_t layer) {
  char third[64];
  snprintf(third, sizeof third, "layers.%lld.layer.backbone.5.weight", (long long)layer);
  if (!ebb_state_dict_find(dict, third)) return EBB_OK;
  for (size_t i = 0; i < dict->count; i++) {
    int64_t of;
    long long module;
    int length = 0;
    const char *part = ebb_layer_part(dict->tensor[i].name, &of);
    if (!part || of != layer || sscanf(part, "backbone.%lld.%n", &module, &length) != 1) continue;
    if (length && module % 3 == 2)
      EBB_TRY(ebb_state_tensor_rename(&dict->tensor[i], "layers.%lld.layer.backbone.%lld.%s",
                                      (long long)layer, (module + 1) / 3 * 2, part + length));
  }
  return EBB_OK;
}

/* A state dict of a cell alone. */
static bool is_bare(const EbbStateDict *dict) {
  static const char *const names[] = {"gleak", "ff1.weight", "layer_0.ff1.weight"};
  for (size_t k = 0; k < sizeof names / sizeof *names; k++)
    if (ebb_state_dict_find(dict, names[k])) return true;
  return false;
}

/* The modules that are no layers yet; their names are the tensors' own, so they are copied before renaming.
 */
static size_t find_modules(const EbbStateDict *dict, Module *module) {
  size_t n = 0;
  for (size_t i = 0; i < dict->count; i++) {
    int64_t layer;
    Module found;
    if (!module_of(dict->tensor[i].name, &found) || ebb_layer_part(dict->tensor[i].name, &layer)) continue;
    bool known = false;
    for (size_t k = 0; k < n && !known; k++) known = same(&module[k], &found);
    if (!known) module[n++] = found;
  }
  return n;
}

static EbbStatus copy_names(Module *module, size_t n, char **names) {
  for (size_t k = 0; k < n; k++) {
    names[k] = strndup(module[k].name, module[k].length);
    if (!names[k]) return ebb_fail(EBB_MEMORY, "no memory for the names of modules");
    module[k].name = names[k];
  }
  return EBB_OK;
}

static EbbStatus name_modules(EbbStateDict *dict, int64_t n_layers, Module *module, char **names) {
  const size_t n = find_modules(dict, module);
  if (n == 0 || (n != 1 && n != (size_t)n_layers) || !are_numbered(module, n)) return EBB_OK;
  EBB_TRY(copy_names(module, n, names));
  qsort(module, n, sizeof *module, by_number);
  return enter_layers(dict, module, n);
}

EbbStatus ebb_state_dict_name_layers(EbbStateDict *dict, int64_t n_layers) {
  Module *module = calloc(dict->count + 1, sizeof *module);
  char **names = calloc(dict->count + 1, sizeof *names);
  EbbStatus status = module && names ? name_modules(dict, n_layers, module, names)
                                     : ebb_fail(EBB_MEMORY, "no memory for the names of modules");
  for (size_t k = 0; names && k < dict->count; k++) free(names[k]);
  free((void *)names);
  free(module);
  EBB_TRY(status);
  const bool bare = n_layers == 1 && is_bare(dict);
  for (size_t i = 0; i < dict->count; i++) {
    if (bare) EBB_TRY(ebb_state_tensor_rename(&dict->tensor[i], "layers.0.layer.%s", dict->tensor[i].name));
    EBB_TRY(name_inside(&dict->tensor[i]));
  }
  for (int64_t layer = 0; layer < n_layers; layer++) EBB_TRY(number_backbone(dict, layer));
  return EBB_OK;
}
