#include "host/models/cell_config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/reservoir.h"
#include "ebb/wiring.h"
#include "host/cell/write.h"

/* In the order of the choices of model.layer.solver. */
enum { AUTO, FUSED, EULER, RK4, MIDPOINT, HEUN, DOPRI5, EXACT, SOLVERS };
static const char *const solver_names[SOLVERS] = {"auto",     "fused", "euler",  "rk4",
                                                  "midpoint", "heun",  "dopri5", "exact"};

static EbbStatus wrong_solver(const EbbConfig *config, const char *cell, const char *known) {
  return ebb_fail(EBB_INVALID, "model.layer.solver (%s): %s has no solver %s; it has %s",
                  ebb_config_origin(config, "model.layer.solver"), cell,
                  solver_names[ebb_config_choice(config, "model.layer.solver")], known);
}

static int64_t unfolds_or(const EbbConfig *config, int64_t otherwise) {
  return ebb_config_integer_or(config, "model.layer.unfolds", otherwise);
}

static double step_or(const EbbConfig *config, double otherwise) {
  return ebb_config_number_or(config, "model.layer.step", otherwise);
}

/* ---- wirings ---- */

/* A wiring's masks and signs as the cells take them. */
typedef struct Masks {
  EbbWiring *wiring; /* NULL: fully connected */
  float *values;     /* the four of them */
  EbbCellWiring cell;
} Masks;

static void release_masks(Masks *masks) {
  ebb_wiring_destroy(masks->wiring);
  free(masks->values);
}

/* exists[i] and sign[i] of n signed synapses. */
static void split(const int8_t *synapse, int64_t n, float *exists, float *sign) {
  for (int64_t i = 0; i < n; i++) exists[i] = synapse[i] != 0, sign[i] = (float)synapse[i];
}

static EbbStatus read_masks(const EbbConfig *config, int64_t I, int64_t H, Masks *masks) {
  const char *text = ebb_config_string(config, "model.layer.wiring");
  *masks = (Masks){0};
  if (!text) return EBB_OK;
  EbbStatus status = ebb_wiring_from_text(text, (int)I, &masks->wiring);
  if (status != EBB_OK)
    return ebb_fail_within(status, "model.layer.wiring (%s)",
                           ebb_config_origin(config, "model.layer.wiring"));
  if (masks->wiring->units != H)
    return ebb_fail(EBB_INVALID, "model.layer.wiring (%s): it has %d units, but model.d_model is %lld",
                    ebb_config_origin(config, "model.layer.wiring"), masks->wiring->units, (long long)H);
  const int64_t between = H * H, sensory = I * H;
  float *v = masks->values = malloc(2 * (size_t)(between + sensory) * sizeof *v);
  if (!v) return ebb_fail(EBB_MEMORY, "no memory for the wiring '%s'", text);
  split(masks->wiring->adjacency, between, v, v + between);
  split(masks->wiring->sensory, sensory, v + 2 * between, v + 2 * between + sensory);
  masks->cell = (EbbCellWiring){v, v + 2 * between, v + between, v + 2 * between + sensory};
  return EBB_OK;
}

/* ---- cells, one function each ---- */

static EbbStatus ltc_solver(const EbbConfig *config, const char *cell, EbbLtcSolver *solver) {
  switch (ebb_config_choice(config, "model.layer.solver")) {
  case AUTO:
  case FUSED:
    *solver = EBB_LTC_FUSED;
    return EBB_OK;
  case EULER:
    *solver = EBB_LTC_EULER;
    return EBB_OK;
  case RK4:
    *solver = EBB_LTC_RK4;
    return EBB_OK;
  default:
    return wrong_solver(config, cell, "fused, euler and rk4");
  }
}

EbbStatus ebb_unstable_from_config(const EbbConfig *config, EbbUnstable *out) {
  const int64_t layers = ebb_config_integer(config, "model.n_layers");
  const int most = ebb_config_flag(config, "model.layer.bidirectional") ? EBB_RATES / 2 : EBB_RATES;
  *out = (EbbUnstable)ebb_config_choice(config, "model.layer.unstable");
  if (*out != EBB_UNSTABLE_WARN || layers <= most) return EBB_OK;
  return ebb_fail(EBB_INVALID,
                  "model.layer.unstable=warn (%s) watches at most %d layers, and model.n_layers is %lld",
                  ebb_config_origin(config, "model.layer.unstable"), most, (long long)layers);
}

static bool falls_back(const EbbConfig *config) {
  return ebb_config_choice(config, "model.layer.unstable") == EBB_UNSTABLE_FALL_BACK;
}

static EbbStatus make_ltc(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  EbbLtc ltc = ebb_ltc_defaults(I, H);
  Masks masks;
  EBB_TRY(ltc_solver(config, "ltc", &ltc.solver));
  ltc.unfolds = unfolds_or(config, ltc.unfolds);
  ltc.implicit = ebb_config_flag(config, "model.layer.implicit");
  ltc.input_mapping = (EbbMapping)ebb_config_choice(config, "model.layer.input_mapping");
  ltc.output_mapping = (EbbMapping)ebb_config_choice(config, "model.layer.output_mapping");
  ltc.epsilon = ebb_config_number(config, "model.layer.epsilon");
  ltc.mixed_memory = ebb_config_flag(config, "model.layer.mixed_memory");
  ltc.fall_back = falls_back(config);
  ltc.with_rate = ebb_config_flag(config, "model.layer.rates");
  EbbStatus status = read_masks(config, I, H, &masks);
  if (masks.wiring) ltc.motors = masks.wiring->motors;
  ltc.wiring = masks.cell;
  if (status == EBB_OK) status = ebb_cell_ltc(&ltc, out);
  release_masks(&masks);
  return status;
}

static EbbStatus make_ltc_aaai(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  EbbLtcAaai ltc = ebb_ltc_aaai_defaults(I, H);
  Masks masks;
  ltc.with_rate = ebb_config_flag(config, "model.layer.rates");
  EBB_TRY(ltc_solver(config, "ltc_aaai", &ltc.solver));
  ltc.unfolds = unfolds_or(config, ltc.unfolds);
  ltc.step = step_or(config, ltc.step);
  ltc.fall_back = falls_back(config);
  EbbStatus status = read_masks(config, I, H, &masks);
  ltc.wiring = masks.cell;
  if (status == EBB_OK) status = ebb_cell_ltc_aaai(&ltc, out);
  release_masks(&masks);
  return status;
}

static EbbStatus make_ltc_vector(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  EbbLtcVector ltc = ebb_ltc_vector_defaults(I, H);
  ltc.unfolds = unfolds_or(config, ltc.unfolds);
  ltc.with_rate = ebb_config_flag(config, "model.layer.rates");
  ltc.tanh = ebb_config_choice(config, "model.layer.act") == 1;
  return ebb_cell_ltc_vector(&ltc, out);
}

static EbbStatus make_ltc_textgen(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  EbbLtcTextgen ltc = ebb_ltc_textgen_defaults(H, (int)ebb_config_integer(config, "model.layer.version"));
  if (I != H)
    return ebb_fail(
        EBB_INVALID,
        "model.layer._name_ (%s): ltc_textgen adds its input to its %lld units, but the input has "
        "%lld features; embed tokens (model.d_model wide) or choose another cell",
        ebb_config_origin(config, "model.layer._name_"), (long long)H, (long long)I);
  switch (ebb_config_choice(config, "model.layer.solver")) {
  case AUTO:
    break;
  case FUSED:
    ltc.solver = EBB_TEXTGEN_SEMI_IMPLICIT;
    break;
  case EULER:
    ltc.solver = EBB_TEXTGEN_EULER;
    break;
  case RK4:
    ltc.solver = EBB_TEXTGEN_RK4;
    break;
  default:
    return wrong_solver(config, "ltc_textgen", "fused, euler and rk4");
  }
  ltc.unfolds = unfolds_or(config, ltc.unfolds);
  ltc.step = step_or(config, ltc.step);
  ltc.adaptive = ebb_config_flag(config, "model.layer.adaptive");
  return ebb_cell_ltc_textgen(&ltc, out);
}

static EbbStatus make_liquid_time_step(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  (void)config;
  return ebb_cell_liquid_time_step(I, H, out);
}

static EbbCfc cfc_of(const EbbConfig *config, int64_t I, int64_t H) {
  return (EbbCfc){
      .I = I,
      .H = H,
      .mode = (EbbCfcMode)ebb_config_choice(config, "model.layer.cfc_mode"),
      .backbone_layers = ebb_config_integer(config, "model.layer.backbone_layers"),
      .backbone_units = ebb_config_integer(config, "model.layer.backbone_units"),
      .activation = (EbbCfcActivation)ebb_config_choice(config, "model.layer.backbone_activation"),
      .proj_size = ebb_config_integer(config, "model.layer.proj_size"),
      .mixed_memory = ebb_config_flag(config, "model.layer.mixed_memory"),
  };
}

static EbbStatus make_cfc(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  const EbbCfc cfc = cfc_of(config, I, H);
  return ebb_cell_cfc(&cfc, out);
}

/* Mask (units, inputs + units) of a layer: what of the layer before (or the sensors) it listens to, and all
   of itself. ids: the units of the wiring that are the layer's, before: those of the layer before, NULL:
   sensors. */
static void fill_mask(const EbbWiring *w, const int *ids, int n, const int *before, int n_before,
                      float *mask) {
  for (int u = 0; u < n; u++)
    for (int i = 0; i < n_before + n; i++) {
      const int8_t *row = before ? w->adjacency : w->sensory;
      const int64_t source = i < n_before && before ? before[i] : i;
      mask[(int64_t)u * (n_before + n) + i] = i >= n_before || row[source * w->units + ids[u]] != 0;
    }
}

static EbbStatus layer_masks(const EbbWiring *w, EbbWiredCfc *cfc, float **masks, int *ids) {
  int *before = NULL, n_before = w->inputs;
  if (w->layers > EBB_WIRED_LAYERS)
    return ebb_fail(EBB_UNSUPPORTED, "a wiring of %d layers; wired_cfc takes up to %d", w->layers,
                    EBB_WIRED_LAYERS);
  for (int k = 0; k < w->layers; k++) {
    int *own = ids + (k % 2) * w->units;
    const int n = ebb_wiring_layer(w, k, own);
    masks[k] = malloc((size_t)n * (size_t)(n_before + n) * sizeof(float));
    if (!masks[k]) return ebb_fail(EBB_MEMORY, "no memory for the masks of wired_cfc");
    fill_mask(w, own, n, before, n_before, masks[k]);
    cfc->units[k] = n, cfc->mask[k] = masks[k];
    before = own, n_before = n;
  }
  cfc->n_layers = w->layers;
  return EBB_OK;
}

static EbbStatus make_wired_cfc(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  EbbWiredCfc cfc = {.I = I,
                     .n_layers = 1,
                     .units = {H},
                     .mode = (EbbCfcMode)ebb_config_choice(config, "model.layer.cfc_mode"),
                     .proj_size = ebb_config_integer(config, "model.layer.proj_size"),
                     .mixed_memory = ebb_config_flag(config, "model.layer.mixed_memory")};
  float *layers[EBB_WIRED_LAYERS] = {0};
  Masks masks;
  int *ids = NULL;
  EbbStatus status = read_masks(config, I, H, &masks);
  if (status == EBB_OK && masks.wiring) {
    ids = malloc(2 * (size_t)H * sizeof *ids);
    status = ids ? layer_masks(masks.wiring, &cfc, layers, ids)
                 : ebb_fail(EBB_MEMORY, "no memory for the layers of wired_cfc");
  }
  if (status == EBB_OK) status = ebb_cell_wired_cfc(&cfc, out);
  for (int k = 0; k < EBB_WIRED_LAYERS; k++) free(layers[k]);
  free(ids);
  release_masks(&masks);
  return status;
}

static EbbStatus make_ctrnn(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  EbbCtrnn ctrnn = ebb_ctrnn_defaults(I, H);
  ctrnn.unfolds = unfolds_or(config, ctrnn.unfolds);
  ctrnn.step = step_or(config, ctrnn.step);
  ctrnn.tau = ebb_config_number(config, "model.layer.tau");
  ctrnn.feedback = ebb_config_flag(config, "model.layer.feedback");
  return ebb_cell_ctrnn(&ctrnn, out);
}

static EbbStatus make_neural_ode(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  EbbNeuralOde ode = ebb_neural_ode_defaults(I, H);
  const int solver = ebb_config_choice(config, "model.layer.solver");
  if (solver == FUSED || solver == EXACT)
    return wrong_solver(config, "neural_ode", "euler, midpoint, heun, rk4 and dopri5");
  if (solver != AUTO) ode.solver = solver_names[solver];
  ode.unfolds = unfolds_or(config, ode.unfolds);
  ode.step = step_or(config, ode.step);
  ode.clip = ebb_config_number(config, "model.layer.clip");
  return ebb_cell_neural_ode(&ode, out);
}

static EbbStatus make_ct_gru(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  const EbbCtGru gru = {.I = I,
                        .H = H,
                        .M = ebb_config_integer(config, "model.layer.traces"),
                        .published_decay = ebb_config_flag(config, "model.layer.published_decay")};
  return ebb_cell_ct_gru(&gru, out);
}

static EbbStatus make_gru_ode(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  return ebb_cell_gru_ode(I, H, unfolds_or(config, 6), out);
}

static EbbStatus make_lstm(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  (void)config;
  return ebb_cell_lstm(I, H, out);
}

/* The reservoir's weights as the cell takes them. */
static EbbStatus esn_of(const EbbReservoir *reservoir, EbbEsn *esn, EbbCell **out) {
  const size_t inputs = (size_t)(esn->H * esn->I), all = inputs + (size_t)(esn->H * esn->H);
  double *drawn = malloc(all * sizeof *drawn);
  float *weights = malloc(all * sizeof *weights);
  EbbStatus status = drawn && weights ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for the weights of an esn");
  if (drawn && weights) {
    ebb_reservoir_weights(reservoir, drawn, drawn + inputs);
    for (size_t i = 0; i < all; i++) weights[i] = (float)drawn[i];
    esn->W_in = weights, esn->W = weights + inputs;
    status = ebb_cell_esn(esn, out);
  }
  free(drawn);
  free(weights);
  return status;
}

/* Every layer has a draw of its own. */
static EbbStatus make_reservoir(const EbbConfig *config, int64_t layer, int64_t I, int64_t H, EbbCell **out) {
  EbbEsn esn = {.I = I, .H = H, .leak = ebb_config_number(config, "model.layer.leak")};
  const EbbEcho echo = {.leak = esn.leak};
  const EbbReservoirDraw draw = {.density = ebb_config_number(config, "model.layer.density"),
                                 .spectral_radius = ebb_config_number(config, "model.layer.spectral_radius"),
                                 .input_scale = ebb_config_number(config, "model.layer.input_scale"),
                                 .seed = (uint64_t)(ebb_config_integer(config, "train.seed") + layer)};
  EbbReservoir *reservoir = NULL;
  EBB_TRY(ebb_cell_check_sizes("esn", H, 1));
  EBB_TRY(ebb_reservoir_echo_draw(&echo, (int)I, (int)H, &draw, &reservoir));
  const EbbStatus status = esn_of(reservoir, &esn, out);
  ebb_reservoir_destroy(reservoir);
  return status;
}

static EbbStatus make_esn(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) {
  return make_reservoir(config, 0, I, H, out);
}

/* In the order of the choices of model.layer._name_. */
static EbbStatus (*const makers[])(const EbbConfig *config, int64_t I, int64_t H, EbbCell **out) = {
    NULL,      make_ltc,       make_ltc_aaai, make_ltc_vector, make_ltc_textgen, make_liquid_time_step,
    make_cfc,  make_wired_cfc, make_ctrnn,    make_neural_ode, make_ct_gru,      make_gru_ode,
    make_lstm, NULL,           make_esn};

bool ebb_config_names_cell(const EbbConfig *config) {
  return makers[ebb_config_choice(config, "model.layer._name_")] != NULL;
}

EbbStatus ebb_cell_of_layer(const EbbConfig *config, int64_t layer, int64_t I, EbbCell **out) {
  const int choice = ebb_config_choice(config, "model.layer._name_");
  const int64_t H = ebb_config_integer(config, "model.d_model");
  *out = NULL;
  return makers[choice] == make_esn ? make_reservoir(config, layer, I, H, out)
                                    : makers[choice](config, I, H, out);
}

EbbStatus ebb_cell_with_dropout(const EbbConfig *config, int64_t I, EbbCell **out) {
  EbbCfc cfc = cfc_of(config, I, ebb_config_integer(config, "model.d_model"));
  cfc.backbone_dropout = ebb_config_number(config, "model.layer.backbone_dropout") > 0;
  *out = NULL;
  if (makers[ebb_config_choice(config, "model.layer._name_")] != make_cfc) return EBB_OK;
  return cfc.backbone_dropout && cfc.backbone_layers > 1 ? ebb_cell_cfc(&cfc, out) : EBB_OK;
}

EbbStatus ebb_cell_from_config(const EbbConfig *config, int64_t I, EbbCell **out) {
  return ebb_cell_of_layer(config, 0, I, out);
}
