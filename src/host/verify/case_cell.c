#include "host/verify/case_cell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is known of the layer besides its config. */
typedef struct Sizes {
  int64_t I, O, H;
} Sizes;

/* A tensor's floats, NULL in *out where the case lacks it. */
static EbbStatus read_mask(const Case *c, const char *name, int64_t rows, int64_t columns, float **out) {
  const EbbStoredTensor *tensor = case_tensor(c, "mask.%s", name);
  if (!tensor) tensor = case_tensor(c, "param.%s", name);
  *out = NULL;
  if (!tensor) return EBB_OK;
  EBB_TRY(case_require_shape(c, tensor, ebb_shape(rows, columns)));
  *out = malloc((size_t)(rows * columns) * sizeof **out);
  if (!*out) return ebb_fail(EBB_MEMORY, "no memory for '%s'", name);
  return ebb_stored_floats(tensor, *out, rows * columns);
}

/* Index of the name that `key` has in the config, among names separated by blanks. */
static EbbStatus one_of(const Case *c, const char *key, const char *otherwise, const char *names,
                        int *index) {
  const char *name = case_text(c, key, otherwise);
  const size_t length = strlen(name);
  *index = 0;
  for (const char *at = names; *at; at += strcspn(at, " "), at += *at == ' ') {
    if (strcspn(at, " ") == length && !strncmp(at, name, length)) return EBB_OK;
    (*index)++;
  }
  return ebb_fail(EBB_FORMAT, "%s: '%s' in its config is '%s'; known are %s", c->path, key, name, names);
}

/* `key` where the config has it (null: none), else what the parameters w and b tell. */
static EbbStatus mapping_of(const Case *c, const char *key, const char *w, const char *b,
                            EbbMapping *mapping) {
  int index = case_tensor(c, "param.%s", b)   ? EBB_MAPPING_AFFINE
              : case_tensor(c, "param.%s", w) ? EBB_MAPPING_LINEAR
                                              : EBB_MAPPING_NONE;
  if (cJSON_HasObjectItem(c->config, key)) EBB_TRY(one_of(c, key, "none", "none linear affine", &index));
  *mapping = (EbbMapping)index;
  return EBB_OK;
}

static EbbStatus make_ltc(const Case *c, const Sizes *s, EbbCell **out) {
  EbbLtc ltc = ebb_ltc_defaults(s->I, s->H);
  float *exists = NULL, *sensory = NULL;
  ltc.motors = s->O;
  /* Training runs tell by whether they clip. */
  ltc.implicit = case_flag(c, "implicit_param_constraints", !case_flag(c, "clip", false));
  ltc.mixed_memory = case_flag(c, "mixed_memory", false);
  ltc.epsilon = case_number(c, "epsilon", ltc.epsilon);
  EBB_TRY(case_size(c, "ode_unfolds", ltc.unfolds, false, &ltc.unfolds));
  EBB_TRY(mapping_of(c, "input_mapping", "input_w", "input_b", &ltc.input_mapping));
  EBB_TRY(mapping_of(c, "output_mapping", "output_w", "output_b", &ltc.output_mapping));
  EbbStatus status = read_mask(c, "sparsity_mask", s->H, s->H, &exists);
  if (status == EBB_OK) status = read_mask(c, "sensory_sparsity_mask", s->I, s->H, &sensory);
  ltc.wiring = (EbbCellWiring){.exists = exists, .sensory_exists = sensory};
  if (status == EBB_OK) status = ebb_cell_ltc(&ltc, out);
  free(exists);
  free(sensory);
  return status;
}

static EbbStatus make_ltc_aaai(const Case *c, const Sizes *s, EbbCell **out) {
  EbbLtcAaai ltc = ebb_ltc_aaai_defaults(s->I, s->H);
  ltc.step = case_number(c, "h", ltc.step);
  EBB_TRY(case_size(c, "unfolds", ltc.unfolds, false, &ltc.unfolds));
  int solver;
  EBB_TRY(one_of(c, "solver", "semi", "semi explicit rk4", &solver));
  ltc.solver = (EbbLtcSolver)solver;
  return ebb_cell_ltc_aaai(&ltc, out);
}

static EbbStatus make_ltc_vector(const Case *c, const Sizes *s, EbbCell **out) {
  EbbLtcVector ltc = ebb_ltc_vector_defaults(s->I, s->H);
  ltc.tanh = !strcmp(case_text(c, "act", "sigmoid"), "tanh");
  EBB_TRY(case_size(c, "unfolds", ltc.unfolds, false, &ltc.unfolds));
  return ebb_cell_ltc_vector(&ltc, out);
}

static EbbStatus cfc_mode(const Case *c, EbbCfcMode *mode) {
  int index;
  EBB_TRY(one_of(c, "mode", "default", "default pure no_gate", &index));
  *mode = (EbbCfcMode)index;
  return EBB_OK;
}

/* The backbone that the parameters tell of, for configs that do not. */
static void told_backbone(const Case *c, EbbCfc *cfc) {
  const EbbStoredTensor *layer = case_tensor(c, "param.backbone.0.bias");
  if (layer) cfc->backbone_units = layer->shape.dim[0];
  for (cfc->backbone_layers = 0; layer; cfc->backbone_layers++)
    layer = case_tensor(c, "param.backbone.%lld.bias", 2 * (long long)cfc->backbone_layers + 2);
}

static EbbStatus make_cfc(const Case *c, const Sizes *s, EbbCell **out) {
  EbbCfc cfc = ebb_cfc_defaults(s->I, s->H);
  told_backbone(c, &cfc);
  EBB_TRY(cfc_mode(c, &cfc.mode));
  int activation;
  EBB_TRY(one_of(c, "activation", "lecun_tanh", "lecun_tanh relu silu gelu tanh", &activation));
  cfc.activation = (EbbCfcActivation)activation;
  EBB_TRY(case_size(c, "backbone_layers", cfc.backbone_layers, true, &cfc.backbone_layers));
  EBB_TRY(case_size(c, "backbone_units", cfc.backbone_units, false, &cfc.backbone_units));
  EBB_TRY(case_size(c, "proj_size", 0, true, &cfc.proj_size));
  cfc.mixed_memory = case_flag(c, "mixed_memory", false);
  return ebb_cell_cfc(&cfc, out);
}

/* The layers' sizes are those of their masks. */
static EbbStatus read_layers(const Case *c, EbbWiredCfc *cfc, float **masks) {
  for (int64_t k = 0, before = cfc->I; k < EBB_WIRED_LAYERS; k++) {
    char name[64];
    snprintf(name, sizeof name, "layers.%lld.sparsity_mask", (long long)k);
    const EbbStoredTensor *mask = case_tensor(c, "mask.%s", name);
    if (!mask) break;
    EBB_TRY(case_require_rank(c, mask, 2));
    const int64_t units = mask->shape.dim[0];
    EBB_TRY(read_mask(c, name, units, before + units, &masks[k]));
    cfc->units[k] = before = units, cfc->mask[k] = masks[k];
    cfc->n_layers = k + 1;
  }
  return EBB_OK;
}

static EbbStatus make_wired_cfc(const Case *c, const Sizes *s, EbbCell **out) {
  EbbWiredCfc cfc = {.I = s->I, .mixed_memory = case_flag(c, "mixed_memory", false)};
  float *masks[EBB_WIRED_LAYERS] = {0};
  EBB_TRY(cfc_mode(c, &cfc.mode));
  EBB_TRY(case_size(c, "proj_size", 0, true, &cfc.proj_size));
  EbbStatus status = read_layers(c, &cfc, masks);
  if (status == EBB_OK) status = ebb_cell_wired_cfc(&cfc, out);
  for (int k = 0; k < EBB_WIRED_LAYERS; k++) free(masks[k]);
  return status;
}

static EbbStatus make_liquid_time_step(const Case *c, const Sizes *s, EbbCell **out) {
  (void)c;
  return ebb_cell_liquid_time_step(s->I, s->H, out);
}

static EbbStatus make_ctrnn(const Case *c, const Sizes *s, EbbCell **out) {
  EbbCtrnn ctrnn = ebb_ctrnn_defaults(s->I, s->H);
  const EbbStoredTensor *W;
  EBB_TRY(case_require(c, "param.W", &W));
  ctrnn.feedback = W->shape.dim[0] == s->I + s->H;
  EBB_TRY(case_size(c, "unfolds", ctrnn.unfolds, false, &ctrnn.unfolds));
  return ebb_cell_ctrnn(&ctrnn, out);
}

static EbbStatus make_neural_ode(const Case *c, const Sizes *s, EbbCell **out) {
  EbbNeuralOde ode = ebb_neural_ode_defaults(s->I, s->H);
  ode.clip = case_number(c, "clip", 0);
  EBB_TRY(case_size(c, "unfolds", ode.unfolds, false, &ode.unfolds));
  return ebb_cell_neural_ode(&ode, out);
}

static EbbStatus make_ct_gru(const Case *c, const Sizes *s, EbbCell **out) {
  EbbCtGru gru = {.I = s->I, .H = s->H, .published_decay = !strcmp(case_text(c, "decay", "repo"), "repo")};
  EBB_TRY(case_size(c, "M", 8, false, &gru.M));
  return ebb_cell_ct_gru(&gru, out);
}

static EbbStatus make_gru_ode(const Case *c, const Sizes *s, EbbCell **out) {
  int64_t unfolds;
  EBB_TRY(case_size(c, "unfolds", 6, false, &unfolds));
  return ebb_cell_gru_ode(s->I, s->H, unfolds, out);
}

static const struct {
  const char *layer;
  EbbStatus (*make)(const Case *c, const Sizes *sizes, EbbCell **out);
} makers[] = {
#define EBB_VERIFIED_CELL(layer, make) {#layer, make},
#include "host/verify/cells.def"
#undef EBB_VERIFIED_CELL
};

/* Cases of training runs do not name the units: the first parameter below tells. */
static EbbStatus units_of(const Case *c, int64_t *H) {
  static const char *const tellers[] = {"param.gleak", "param.ff1.bias", "param.tau"};
  int64_t otherwise = -1;
  for (size_t i = 0; i < sizeof tellers / sizeof *tellers && otherwise < 0; i++) {
    const EbbStoredTensor *tensor = case_tensor(c, "%s", tellers[i]);
    if (tensor) otherwise = tensor->shape.dim[0];
  }
  if (case_tensor(c, "mask.layers.0.sparsity_mask")) otherwise = 1; /* not asked for */
  return case_size(c, "units", otherwise, false, H);
}

EbbStatus case_cell(const Case *c, const char *layer, int64_t I, int64_t O, EbbCell **out) {
  Sizes sizes = {.I = I, .O = O};
  *out = NULL;
  EBB_TRY(units_of(c, &sizes.H));
  for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
    if (!strcmp(makers[i].layer, layer)) return makers[i].make(c, &sizes, out);
  return ebb_fail(EBB_UNSUPPORTED, "%s: layer '%s' is no cell", c->path, layer);
}
