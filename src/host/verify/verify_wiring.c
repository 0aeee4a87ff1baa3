/* Cases of kind "table" for layer "wiring": masks NAME__adj, NAME__sens and neuron types NAME__types, where
   NAME says how the wiring is made: fc8_out3, random32_s75, autoncp64_8_s75_seed7, ncp_10_8_3. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/wiring.h"
#include "host/verify/verify_internal.h"

enum { NAME_BYTES = 128, MAX_SIZES = 7, UNSET = -1 };

static const char adjacency_ending[] = "__adj";

/* What a name says; what it does not say is UNSET. */
typedef struct Recipe {
  char name[NAME_BYTES];
  int64_t size[MAX_SIZES];
  int n_sizes;
  int64_t out, seed;
  double sparsity;
  bool self_connections;
} Recipe;

/* "seed7": a word and a number; "s75" is 0.75. Returns whether the word is known. */
static bool take_option(Recipe *r, const char *word, const char *digits) {
  char fraction[NAME_BYTES + 2];
  snprintf(fraction, sizeof fraction, "0.%s", digits);
  const int64_t number = strtoll(digits, NULL, 10);
  if (!strcmp(word, "noself"))
    r->self_connections = false;
  else if (!strcmp(word, "seed"))
    r->seed = number;
  else if (!strcmp(word, "out"))
    r->out = number;
  else if (!strcmp(word, "s"))
    r->sparsity = strtod(fraction, NULL);
  else if (!*word && r->n_sizes < MAX_SIZES)
    r->size[r->n_sizes++] = number;
  else
    return false;
  return true;
}

/* Reads the parts of NAME that follow the kind's own letters. */
static bool read_recipe(const char *kind, Recipe *r) {
  char copy[NAME_BYTES], *rest = copy + strlen(kind), *save = NULL;
  memcpy(copy, r->name, sizeof copy);
  for (char *part = strtok_r(rest, "_", &save); part; part = strtok_r(NULL, "_", &save)) {
    char word[NAME_BYTES];
    const size_t letters = strcspn(part, "0123456789");
    snprintf(word, sizeof word, "%.*s", (int)letters, part);
    if (part[letters + strspn(part + letters, "0123456789")] || !take_option(r, word, part + letters))
      return false;
  }
  return r->n_sizes > 0;
}

/* What the file alone tells where the name is silent. */
typedef struct Facts {
  int inputs, motors;
  double density;
} Facts;

static uint64_t seed_of(const Recipe *r, uint64_t otherwise) {
  return r->seed == UNSET ? otherwise : (uint64_t)r->seed;
}
static int motors_of(const Recipe *r, const Facts *facts) {
  return r->out == UNSET ? facts->motors : (int)r->out;
}

static EbbStatus make_fc(const Recipe *r, const Facts *facts, EbbWiring **out) {
  return ebb_wiring_fully_connected((int)r->size[0], motors_of(r, facts), seed_of(r, 1111),
                                    r->self_connections, facts->inputs, out);
}

static EbbStatus make_random(const Recipe *r, const Facts *facts, EbbWiring **out) {
  const double sparsity = r->sparsity == UNSET ? 1 - facts->density : r->sparsity;
  return ebb_wiring_random((int)r->size[0], motors_of(r, facts), sparsity, seed_of(r, 1111), facts->inputs,
                           out);
}

static EbbStatus make_auto_ncp(const Recipe *r, const Facts *facts, EbbWiring **out) {
  const double sparsity = r->sparsity == UNSET ? 0.5 : r->sparsity;
  return ebb_wiring_auto_ncp((int)r->size[0], (int)r->size[1], sparsity, (uint32_t)seed_of(r, 22222),
                             facts->inputs, out);
}

/* ncp_I_C_M or ncp_I_C_M_FANOUT_FANOUT_RECURRENT_FANIN. */
static EbbStatus make_ncp(const Recipe *r, const Facts *facts, EbbWiring **out) {
  static const int64_t usual[MAX_SIZES] = {0, 0, 0, 4, 5, 6, 4};
  const int64_t *size = r->size, *fan = r->n_sizes == MAX_SIZES ? r->size : usual;
  const EbbNcp ncp = {.inter = {(int)size[0]},
                      .n_inter = 1,
                      .command = (int)size[1],
                      .motors = (int)size[2],
                      .sensory_fanout = (int)fan[3],
                      .inter_fanout = (int)fan[4],
                      .recurrent_command_synapses = (int)fan[5],
                      .motor_fanin = (int)fan[6],
                      .seed = (uint32_t)seed_of(r, 22222)};
  return ebb_wiring_ncp(&ncp, facts->inputs, out);
}

static const struct {
  const char *letters;
  int least, most; /* sizes */
  EbbStatus (*make)(const Recipe *, const Facts *, EbbWiring **);
} kinds[] = {{"fc", 1, 1, make_fc},
             {"random", 1, 1, make_random},
             {"autoncp", 2, 2, make_auto_ncp},
             {"ncp", 3, MAX_SIZES, make_ncp}};

static EbbStatus make(const Case *c, Recipe *r, const Facts *facts, EbbWiring **out) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (strncmp(r->name, kinds[i].letters, strlen(kinds[i].letters)) != 0) continue;
    if (!read_recipe(kinds[i].letters, r) || r->n_sizes < kinds[i].least || r->n_sizes > kinds[i].most) break;
    return kinds[i].make(r, facts, out);
  }
  (void)ebb_fail(EBB_UNSUPPORTED, "%s: the wiring name '%s' is not understood", c->path, r->name);
  return EBB_UNSUPPORTED;
}

/* How many of a tensor's integers are zero. */
static EbbStatus count_zeros(const EbbStoredTensor *tensor, int64_t *zeros) {
  const int64_t size = ebb_shape_size(&tensor->shape);
  int64_t *values = malloc((size_t)size * sizeof *values + 1);
  if (!values) return ebb_fail(EBB_MEMORY, "no memory for tensor '%s'", tensor->name);
  EbbStatus status = ebb_stored_integers(tensor, values, size);
  *zeros = 0;
  for (int64_t i = 0; status == EBB_OK && i < size; i++) *zeros += values[i] == 0;
  free(values);
  return status;
}

static EbbStatus gather(const Case *c, const char *name, Facts *facts) {
  const EbbStoredTensor *adjacency = case_tensor(c, "%s__adj", name),
                        *sensory = case_tensor(c, "%s__sens", name),
                        *types = case_tensor(c, "%s__types", name);
  if (!adjacency || !sensory || !types)
    return ebb_fail(EBB_FORMAT, "%s: wiring '%s' needs tensors __adj, __sens and __types", c->path, name);
  EBB_TRY(case_require_rank(c, sensory, 2));
  EBB_TRY(case_require_rank(c, types, 1));
  const int64_t inputs = sensory->shape.dim[0], units = sensory->shape.dim[1];
  if (inputs < 1 || inputs > EBB_WIRING_MAX_INPUTS || units < 1 || units > EBB_WIRING_MAX_UNITS)
    return ebb_fail(EBB_FORMAT, "%s: wiring '%s' has %lld inputs and %lld units", c->path, name,
                    (long long)inputs, (long long)units);
  const int64_t square[] = {units, units};
  EBB_TRY(case_require_shape(c, adjacency, ebb_shape_from(2, square)));
  EBB_TRY(case_require_shape(c, types, ebb_shape_from(1, square)));
  int64_t motors = 0, silent = 0;
  EBB_TRY(count_zeros(types, &motors));
  EBB_TRY(count_zeros(adjacency, &silent));
  *facts = (Facts){
      .inputs = (int)inputs, .motors = (int)motors, .density = 1 - (double)silent / (double)(units * units)};
  return EBB_OK;
}

static EbbStatus compare(Case *c, const char *name, const char *ending, const int8_t *mask, int64_t size) {
  char tensor[NAME_BYTES + 8];
  snprintf(tensor, sizeof tensor, "%s%s", name, ending);
  float *values = malloc((size_t)size * sizeof *values);
  if (!values) return ebb_fail(EBB_MEMORY, "no memory to compare '%s'", tensor);
  for (int64_t i = 0; i < size; i++) values[i] = mask[i];
  EbbStatus status = case_compare(c, tensor, "output", values, size);
  free(values);
  return status;
}

static EbbStatus compare_all(Case *c, const char *name, const EbbWiring *made) {
  const int64_t units = made->units;
  const EbbStoredTensor *adjacency = case_tensor(c, "%s__adj", name);
  if (adjacency->shape.dim[0] != units)
    return ebb_fail(EBB_MISMATCH, "%s: wiring '%s' has %lld units by its name and %lld by its masks", c->path,
                    name, (long long)units, (long long)adjacency->shape.dim[0]);
  EBB_TRY(compare(c, name, adjacency_ending, made->adjacency, units * units));
  EBB_TRY(compare(c, name, "__sens", made->sensory, made->inputs * units));
  return compare(c, name, "__types", (const int8_t *)made->type, units);
}

static EbbStatus verify_one(Case *c, Recipe *r) {
  Facts facts = {0};
  EbbWiring *made = NULL;
  EBB_TRY(gather(c, r->name, &facts));
  EBB_TRY(make(c, r, &facts, &made));
  EbbStatus status = compare_all(c, r->name, made);
  ebb_wiring_destroy(made);
  return status;
}

EbbStatus verify_wiring(Case *c) {
  const size_t tail = sizeof adjacency_ending - 1;
  for (int64_t i = 0; i < ebb_safetensors_count(c->file); i++) {
    const char *name = ebb_safetensors_at(c->file, i)->name;
    const size_t length = strlen(name);
    if (length <= tail || strcmp(name + length - tail, adjacency_ending) != 0) continue;
    Recipe r = {.out = UNSET, .seed = UNSET, .sparsity = UNSET, .self_connections = true};
    if (length - tail >= sizeof r.name)
      return ebb_fail(EBB_FORMAT, "%s: the name '%.40s...' is too long", c->path, name);
    memcpy(r.name, name, length - tail);
    EBB_TRY(verify_one(c, &r));
  }
  return EBB_OK;
}
