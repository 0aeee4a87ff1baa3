/* Wirings of ncps's state dicts: sparsity masks, signs of reversal potentials, numbers of outputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/safetensors.h"
#include "host/wiring/layers.h"
#include "host/wiring/wiring_internal.h"

static const char ltc_mask[] = "sensory_sparsity_mask", cfc_mask[] = "layer_0.sparsity_mask";
enum { NAME_BYTES = 512 };

/* The length of what stands before `ending` in a name, or -1. */
static int before(const char *name, const char *ending) {
  const size_t length = strlen(name), tail = strlen(ending);
  if (length < tail || strcmp(name + length - tail, ending) != 0) return -1;
  return length == tail || name[length - tail - 1] == '.' ? (int)(length - tail) : -1;
}

/* The tensors of one cell: names that begin with the first `length` bytes of `name`. */
typedef struct Scope {
  const EbbSafetensors *file;
  const char *name;
  int length;
  bool wired; /* a CfC in layers */
} Scope;

static int find_scopes(const EbbSafetensors *file, Scope *scope) {
  int n = 0;
  for (int64_t i = 0; i < ebb_safetensors_count(file); i++) {
    const char *name = ebb_safetensors_at(file, i)->name;
    const int ltc = before(name, ltc_mask), cfc = before(name, cfc_mask);
    if (ltc < 0 && cfc < 0) continue;
    *scope = (Scope){file, name, ltc < 0 ? cfc : ltc, ltc < 0};
    n++;
  }
  return n;
}

static const EbbStoredTensor *find(const Scope *scope, const char *part) {
  char name[NAME_BYTES];
  snprintf(name, sizeof name, "%.*s%s", scope->length, scope->name, part);
  return ebb_safetensors_find(scope->file, name);
}

/* The values of a matrix (rows, columns), -1: any; to be freed. */
static EbbStatus read_matrix(const Scope *scope, const char *part, int64_t rows, int64_t columns,
                             double **out) {
  const EbbStoredTensor *tensor = find(scope, part);
  char text[96];
  *out = NULL;
  if (!tensor) {
    (void)ebb_fail(EBB_FORMAT, "'%.*s%s' is missing beside the other masks", scope->length, scope->name,
                   part);
    return EBB_FORMAT;
  }
  const EbbShape *shape = &tensor->shape;
  if (shape->rank != 2 || (rows >= 0 && shape->dim[0] != rows) ||
      (columns >= 0 && shape->dim[1] != columns)) {
    (void)ebb_fail(EBB_FORMAT, "'%.200s' is %s and does not fit the other masks", tensor->name,
                   ebb_shape_text(shape, text, sizeof text));
    return EBB_FORMAT;
  }
  const int64_t size = ebb_shape_size(shape);
  *out = malloc((size_t)size * sizeof **out + 1);
  if (!*out) {
    (void)ebb_fail(EBB_MEMORY, "no memory for '%.200s'", tensor->name);
    return EBB_MEMORY;
  }
  const EbbStatus status = ebb_stored_doubles(tensor, *out, size);
  if (status == EBB_OK) return EBB_OK;
  free(*out);
  *out = NULL;
  return status;
}

static EbbStatus check_sizes(int64_t inputs, int64_t units) {
  if (inputs >= 1 && units >= 1 && inputs <= EBB_WIRING_MAX_INPUTS && units <= EBB_WIRING_MAX_UNITS)
    return EBB_OK;
  return ebb_fail(EBB_INVALID, "%lld inputs and %lld units; up to %d and %d are possible", (long long)inputs,
                  (long long)units, EBB_WIRING_MAX_INPUTS, EBB_WIRING_MAX_UNITS);
}

/* ---- LTC ---- */

/* Where the mask is not 0, the sign of the reversal potential, which may have been trained. */
static EbbStatus read_synapses(const Scope *scope, const char *mask, const char *erev, int64_t sources,
                               int64_t targets, int8_t *synapse) {
  double *exists = NULL, *potential = NULL;
  EbbStatus status = read_matrix(scope, mask, sources, targets, &exists);
  if (status == EBB_OK) status = read_matrix(scope, erev, sources, targets, &potential);
  for (int64_t i = 0; status == EBB_OK && i < sources * targets; i++)
    synapse[i] = (int8_t)(exists[i] == 0 ? 0 : potential[i] < 0 ? -1 : 1);
  free(exists);
  free(potential);
  return status;
}

static int64_t outputs_of(const Scope *scope, int64_t units) {
  const EbbStoredTensor *tensor = find(scope, "output_w");
  if (!tensor) tensor = find(scope, "output_b");
  return tensor && tensor->shape.rank == 1 ? tensor->shape.dim[0] : units;
}

static bool hears_sensors(const EbbWiring *wiring, int unit) {
  for (int i = 0; i < wiring->inputs; i++)
    if (*wiring_sensory_synapse(wiring, i, unit)) return true;
  return false;
}

/* Whether the synapses are those of a neural circuit policy: sensors to inter, inter to command neurons,
   these to each other and to motor neurons. */
static bool is_policy(const EbbWiring *wiring) {
  static const bool possible[3][3] = {
      [EBB_INTER] = {[EBB_COMMAND] = true}, [EBB_COMMAND] = {[EBB_COMMAND] = true, [EBB_MOTOR] = true}};
  int units[3] = {0};
  for (int j = 0; j < wiring->units; j++) {
    units[wiring->type[j]]++;
    if (wiring->type[j] != EBB_INTER && hears_sensors(wiring, j)) return false;
    for (int i = 0; i < wiring->units; i++)
      if (*wiring_synapse(wiring, i, j) && !possible[wiring->type[i]][wiring->type[j]]) return false;
  }
  return units[EBB_INTER] && units[EBB_COMMAND];
}

/* A state dict does not hold the kinds of neurons; their synapses tell them where there are layers. */
static EbbStatus set_types(EbbWiring *wiring) {
  for (int j = wiring->motors; j < wiring->units; j++)
    wiring->type[j] = (uint8_t)(hears_sensors(wiring, j) ? EBB_INTER : EBB_COMMAND);
  if (is_policy(wiring)) return wiring_set_layers(wiring, 1);
  for (int j = wiring->motors; j < wiring->units; j++) wiring->type[j] = EBB_INTER;
  return EBB_OK;
}

static EbbStatus read_ltc(const Scope *scope, EbbWiring **out) {
  const EbbStoredTensor *sensory = find(scope, ltc_mask);
  if (sensory->shape.rank != 2) return ebb_fail(EBB_FORMAT, "'%.200s' is no matrix", sensory->name);
  const int64_t inputs = sensory->shape.dim[0], units = sensory->shape.dim[1],
                motors = outputs_of(scope, units);
  EBB_TRY(check_sizes(inputs, units));
  if (motors < 1 || motors > units)
    return ebb_fail(EBB_FORMAT, "%lld outputs of %lld units", (long long)motors, (long long)units);
  EBB_TRY(wiring_create((int)units, (int)motors, (int)inputs, out));
  EBB_TRY(read_synapses(scope, "sparsity_mask", "erev", units, units, (*out)->adjacency));
  EBB_TRY(read_synapses(scope, ltc_mask, "sensory_erev", inputs, units, (*out)->sensory));
  return set_types(*out);
}

/* ---- CfC in layers ---- */

/* Sizes of the layers and their mask's names. */
typedef struct Layers {
  int64_t inputs, units[EBB_WIRING_MAX_INTER + 2], all;
  int n;
} Layers;

static void mask_name(int layer, char name[64]) { snprintf(name, 64, "layer_%d.sparsity_mask", layer); }

static EbbStatus find_layers(const Scope *scope, Layers *layers) {
  enum { MOST = EBB_WIRING_MAX_INTER + 2 };
  char name[64];
  const EbbStoredTensor *mask;
  *layers = (Layers){0};
  for (mask_name(0, name); (mask = find(scope, name)) != NULL; mask_name(layers->n, name)) {
    if (layers->n == MOST) return ebb_fail(EBB_UNSUPPORTED, "more than %d layers", MOST);
    if (mask->shape.rank != 2) return ebb_fail(EBB_FORMAT, "'%.200s' is no matrix", mask->name);
    const int64_t units = mask->shape.dim[0];
    if (layers->n == 0) layers->inputs = mask->shape.dim[1] - units;
    EBB_TRY(check_sizes(layers->inputs, units));
    layers->units[layers->n++] = units, layers->all += units;
  }
  return check_sizes(layers->inputs, layers->all);
}

/* Layer k listens to the first columns of its mask, the layer before it or the sensors; the others are its
   own units, all connected, which the cell takes for granted. Signs do not exist. */
static EbbStatus read_layer(const Scope *scope, const Layers *layers, int k, int first, int first_before,
                            EbbWiring *wiring) {
  char name[64];
  double *mask;
  const int64_t own = layers->units[k], sources = k ? layers->units[k - 1] : layers->inputs;
  mask_name(k, name);
  EBB_TRY(read_matrix(scope, name, own, sources + own, &mask));
  for (int64_t u = 0; u < own; u++)
    for (int64_t i = 0; i < sources; i++) {
      const bool exists = mask[u * (sources + own) + i] != 0;
      *(k ? wiring_synapse(wiring, first_before + i, first + u)
          : wiring_sensory_synapse(wiring, i, first + u)) = exists;
    }
  free(mask);
  return EBB_OK;
}

/* Units are numbered from the last layer to the first. */
static EbbStatus read_cfc(const Scope *scope, EbbWiring **out) {
  Layers layers;
  EBB_TRY(find_layers(scope, &layers));
  const int last = layers.n - 1;
  EBB_TRY(wiring_create((int)layers.all, (int)layers.units[last], (int)layers.inputs, out));
  int first = (int)layers.all;
  for (int k = 0; k < layers.n; k++) {
    const int before_it = first;
    first -= (int)layers.units[k];
    EBB_TRY(read_layer(scope, &layers, k, first, before_it, *out));
    for (int u = first; u < before_it; u++) {
      (*out)->type[u] = (uint8_t)(k == last ? EBB_MOTOR : k == last - 1 ? EBB_COMMAND : EBB_INTER);
      (*out)->layer[u] = (int8_t)k;
    }
  }
  return wiring_set_layers(*out, layers.n > 2 ? layers.n - 2 : 0);
}

bool wiring_is_state_dict(const EbbSafetensors *file) {
  Scope scope;
  return find_scopes(file, &scope) > 0;
}

EbbStatus wiring_read_state_dict(const EbbSafetensors *file, EbbWiring **out) {
  Scope scope;
  const int n = find_scopes(file, &scope);
  if (n != 1)
    return ebb_fail(EBB_UNSUPPORTED,
                    "it is a state dict with the wirings of %d cells, where one is needed; write each into a "
                    "file of its own",
                    n);
  return scope.wired ? read_cfc(&scope, out) : read_ltc(&scope, out);
}
