/* Closed-form continuous-time cells, plain and wired. */
#include <stdio.h>

#include "host/cell/write.h"

enum { NAME_BYTES = 64, MOST_LAYERS = 16, MOST_PIECES = 2 };

/* What the maps of a cell look at: vectors side by side. A map of X is made in the SEQUENCE section. */
typedef struct Pieces {
  int n;
  EbbCellRef piece[MOST_PIECES];
  int64_t width;
} Pieces;

static Pieces pieces_of(EbbCellRef a, EbbCellRef b) {
  return (Pieces){b.width ? 2 : 1, {a, b}, a.width + b.width};
}

/* A linear map of the pieces, of which the part that looks at X may be there already. */
typedef struct Map {
  EbbCellRef weight, start;
  int64_t outputs;
} Map;

static EbbCellRef named(EbbCell *cell, const char *scope, const char *name, int64_t n, int64_t m) {
  char full[NAME_BYTES];
  snprintf(full, sizeof full, "%s%s", scope, name);
  const double range = m ? glorot(n, m) : 0;
  return ebb_write_param(cell, full, n, m, -range, range);
}

/* Declares a map `scope``name`.weight (outputs, inputs), .bias; called in the SEQUENCE section. */
static Map write_map(EbbCell *cell, const char *scope, const char *name, int64_t outputs, const Pieces *in,
                     const float *mask) {
  char weight[NAME_BYTES], bias[NAME_BYTES];
  snprintf(weight, sizeof weight, "%s%s.weight", scope, name);
  snprintf(bias, sizeof bias, "%s.bias", name);
  const double range = glorot(outputs, in->width);
  const EbbParamSpec spec = {
      .name = weight, .shape = ebb_shape(outputs, in->width), .draw = EBB_DRAW_UNIFORM, .a = range};
  Map map = {.outputs = outputs};
  map.weight = ebb_cell_param(cell, &spec, EBB_CELL_AS_IS, NULL, mask);
  const double bias_range = 1 / sqrt((double)in->width);
  char full[NAME_BYTES];
  snprintf(full, sizeof full, "%s%s", scope, bias);
  map.start = ebb_write_param(cell, full, outputs, 0, -bias_range, bias_range);
  if (in->piece[0].space == EBB_CELL_X) {
    const EbbCellMatrix columns =
        ebb_cell_matrix(cell, map.weight, outputs, in->width, false, 0, in->piece[0].width);
    map.start = ebb_cell_linear(cell, columns, in->piece[0], map.start);
  }
  return map;
}

/* The map of the pieces that it does not hold already. */
static EbbCellRef apply_map(EbbCell *cell, const Map *map, const Pieces *in) {
  EbbCellRef sum = map->start;
  int64_t first = 0;
  for (int i = 0; i < in->n; i++) {
    const int64_t width = in->piece[i].width;
    if (in->piece[i].space != EBB_CELL_X)
      sum = ebb_cell_linear(cell,
                            ebb_cell_matrix(cell, map->weight, map->outputs, in->width, false, first, width),
                            in->piece[i], sum);
    first += width;
  }
  return sum;
}

/* The heads of one cell of H units. */
typedef struct Heads {
  EbbCfcMode mode;
  int64_t H;
  Map ff1, ff2, time_a, time_b;
  EbbCellRef w_tau, A;
} Heads;

static Heads write_heads(EbbCell *cell, const char *scope, EbbCfcMode mode, int64_t H, const Pieces *in,
                         const float *mask) {
  Heads heads = {.mode = mode, .H = H};
  heads.ff1 = write_map(cell, scope, "ff1", H, in, mask);
  if (mode == EBB_CFC_PURE) {
    heads.w_tau = named(cell, scope, "w_tau", 1, H);
    heads.A = named(cell, scope, "A", 1, H);
    return heads;
  }
  heads.ff2 = write_map(cell, scope, "ff2", H, in, mask);
  heads.time_a = write_map(cell, scope, "time_a", H, in, NULL);
  heads.time_b = write_map(cell, scope, "time_b", H, in, NULL);
  return heads;
}

static EbbCellRef apply_heads(EbbCell *cell, const Heads *heads, const Pieces *in) {
  const EbbCellRef elapsed = ebb_cell_elapsed(cell), f1 = apply_map(cell, &heads->ff1, in);
  if (heads->mode == EBB_CFC_PURE) {
    const EbbCellRef from[] = {elapsed, heads->w_tau, f1, heads->A};
    return ebb_cell_apply(cell, EBB_CELL_CFC_PURE, heads->H, 4, from);
  }
  const EbbCellRef first = ebb_write1(cell, EBB_CELL_TANH, f1),
                   second = ebb_write1(cell, EBB_CELL_TANH, apply_map(cell, &heads->ff2, in));
  const EbbCellRef a = apply_map(cell, &heads->time_a, in), b = apply_map(cell, &heads->time_b, in);
  const EbbCellRef from[] = {elapsed, a, b};
  const EbbCellRef gate = ebb_cell_apply(cell, EBB_CELL_CFC_TIME, heads->H, 3, from);
  return ebb_write3(cell, heads->mode == EBB_CFC_NO_GATE ? EBB_CELL_CFC_ADD : EBB_CELL_CFC_BLEND, first,
                    second, gate);
}

/* The states, with a memory cell in front where asked for; leaves the program in the section after it. */
typedef struct Memory {
  EbbCellRef h, c, input;
} Memory;

static Memory write_memory(EbbCell *cell, EbbCellRef x, int64_t H, bool mixed) {
  Memory memory = {.h = ebb_cell_state(cell, H)};
  if (!mixed) return memory;
  memory.c = ebb_cell_state(cell, H);
  memory.input = ebb_write_lstm_input(cell, "lstm.", x, H);
  return memory;
}

static void begin_step(EbbCell *cell, const Memory *memory) {
  if (memory->c.width) {
    ebb_cell_begin(cell, EBB_CELL_STEP, 1);
    ebb_write_lstm(cell, "lstm.", memory->input, memory->h, memory->c);
  }
  ebb_cell_begin(cell, memory->c.width ? EBB_CELL_TAIL : EBB_CELL_STEP, 1);
}

/* y = fc(h), or h */
static EbbCellRef write_projection(EbbCell *cell, int64_t size, EbbCellRef h) {
  if (size == 0) return h;
  const double range = 1 / sqrt((double)h.width);
  const EbbCellRef weight = ebb_write_param(cell, "fc.weight", size, h.width, -range, range),
                   bias = ebb_write_param(cell, "fc.bias", size, 0, -range, range);
  return ebb_cell_linear(cell, ebb_cell_matrix(cell, weight, size, h.width, false, 0, h.width), h, bias);
}

/* ---- plain ---- */

EbbCfc ebb_cfc_defaults(int64_t I, int64_t H) {
  return (EbbCfc){.I = I, .H = H, .backbone_layers = 1, .backbone_units = 128};
}

/* Floats of X behind x. */
static int64_t factors_of(const EbbCfc *cfc) {
  return cfc->backbone_dropout && cfc->backbone_layers > 1 ? (cfc->backbone_layers - 1) * cfc->backbone_units
                                                           : 0;
}

static EbbStatus check(const EbbCfc *cfc) {
  EBB_TRY(ebb_cell_check_sizes("cfc", cfc->H, 1));
  if (cfc->backbone_layers < 0 || cfc->backbone_layers > MOST_LAYERS)
    return ebb_fail(EBB_INVALID, "cell 'cfc': %lld backbone layers; from 0 to %d are possible",
                    (long long)cfc->backbone_layers, MOST_LAYERS);
  if (cfc->backbone_layers > 0 && cfc->backbone_units < 1)
    return ebb_fail(EBB_INVALID, "cell 'cfc': %lld backbone units; at least 1 is needed",
                    (long long)cfc->backbone_units);
  if (cfc->proj_size < 0)
    return ebb_fail(EBB_INVALID, "cell 'cfc': proj_size %lld; 0 stands for none", (long long)cfc->proj_size);
  return EBB_OK;
}

static EbbCellCode code_of(EbbCfcActivation activation) {
  static const EbbCellCode codes[] = {[EBB_CFC_LECUN_TANH] = EBB_CELL_LECUN_TANH,
                                      [EBB_CFC_RELU] = EBB_CELL_RELU,
                                      [EBB_CFC_SILU] = EBB_CELL_SILU,
                                      [EBB_CFC_GELU] = EBB_CELL_GELU,
                                      [EBB_CFC_TANH] = EBB_CELL_TANH};
  return codes[activation];
}

/* The layers of the backbone by the names that they have in a sequence of layers and activations. Their
   inputs but the first one's are not there yet, only their widths. */
static int write_backbone(EbbCell *cell, const EbbCfc *cfc, const Pieces *in, Map *layers) {
  const Pieces inner = {.n = 1, .width = cfc->backbone_units};
  for (int64_t i = 0; i < cfc->backbone_layers; i++) {
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "backbone.%lld", 2 * (long long)i);
    layers[i] = write_map(cell, "", name, cfc->backbone_units, i ? &inner : in, NULL);
  }
  return (int)cfc->backbone_layers;
}

/* What layer i of the backbone makes of its linear map. */
static EbbCellRef apply_layer(EbbCell *cell, const EbbCfc *cfc, int64_t i, EbbCellRef sum) {
  const EbbCellRef y = ebb_write1(cell, code_of(cfc->activation), sum);
  if (i == 0 || !cfc->backbone_dropout) return y;
  const int64_t units = cfc->backbone_units;
  return ebb_write2(cell, EBB_CELL_MULTIPLY, y,
                    ebb_cell_slice(cell, ebb_cell_x(cell), cfc->I + (i - 1) * units, units));
}

static EbbCellRef write_cfc(EbbCell *cell, const EbbCfc *cfc) {
  const EbbCellRef x = ebb_cell_slice(cell, ebb_cell_x(cell), 0, cfc->I);
  const Memory memory = write_memory(cell, x, cfc->H, cfc->mixed_memory);
  Map layers[MOST_LAYERS];
  Pieces in = pieces_of(x, memory.h);
  const Pieces inner = {.n = 1, .width = cfc->backbone_units};
  const int n = write_backbone(cell, cfc, &in, layers);
  const Heads heads = write_heads(cell, "", cfc->mode, cfc->H, n ? &inner : &in, NULL);
  begin_step(cell, &memory);
  for (int i = 0; i < n; i++)
    in = pieces_of(apply_layer(cell, cfc, i, apply_map(cell, &layers[i], &in)), ebb_cell_absent());
  const EbbCellRef h = apply_heads(cell, &heads, &in);
  ebb_cell_move(cell, memory.h, h);
  return write_projection(cell, cfc->proj_size, h);
}

EbbStatus ebb_cell_cfc(const EbbCfc *cfc, EbbCell **out) {
  EbbCell *cell = NULL;
  *out = NULL;
  EBB_TRY(check(cfc));
  EBB_TRY(ebb_cell_create("cfc", cfc->I + factors_of(cfc), &cell));
  return ebb_write_end(cell, write_cfc(cell, cfc), out);
}

/* ---- wired ---- */

static EbbStatus check_layers(const EbbWiredCfc *cfc, int64_t *H) {
  *H = 0;
  if (cfc->n_layers < 1 || cfc->n_layers > EBB_WIRED_LAYERS)
    return ebb_fail(EBB_INVALID, "cell 'wired_cfc': %lld layers; from 1 to %d are possible",
                    (long long)cfc->n_layers, EBB_WIRED_LAYERS);
  for (int64_t k = 0; k < cfc->n_layers; k++) {
    EBB_TRY(ebb_cell_check_sizes("wired_cfc", cfc->units[k], 1));
    *H += cfc->units[k];
  }
  return EBB_OK;
}

/* The layer's own state and what it sees of its predecessor, which for all but the first is still to come. */
static Pieces layer_inputs(EbbCell *cell, const EbbWiredCfc *cfc, int64_t k, EbbCellRef own,
                           EbbCellRef before) {
  if (k == 0) return pieces_of(ebb_cell_x(cell), own);
  before.width = (int32_t)cfc->units[k - 1];
  return pieces_of(before, own);
}

static EbbCellRef write_wired(EbbCell *cell, const EbbWiredCfc *cfc, int64_t H) {
  const Memory memory = write_memory(cell, ebb_cell_x(cell), H, cfc->mixed_memory);
  Heads heads[EBB_WIRED_LAYERS];
  EbbCellRef own[EBB_WIRED_LAYERS], h = ebb_cell_absent();
  for (int64_t k = 0, at = 0; k < cfc->n_layers; at += cfc->units[k], k++) {
    char scope[NAME_BYTES];
    snprintf(scope, sizeof scope, "layers.%lld.", (long long)k);
    own[k] = ebb_cell_slice(cell, memory.h, at, cfc->units[k]);
    const Pieces in = layer_inputs(cell, cfc, k, own[k], ebb_cell_absent());
    heads[k] = write_heads(cell, scope, cfc->mode, cfc->units[k], &in, cfc->mask[k]);
  }
  begin_step(cell, &memory);
  for (int64_t k = 0; k < cfc->n_layers; k++) {
    const Pieces in = layer_inputs(cell, cfc, k, own[k], h);
    h = apply_heads(cell, &heads[k], &in);
    ebb_cell_move(cell, own[k], h);
  }
  return write_projection(cell, cfc->proj_size, h);
}

EbbStatus ebb_cell_wired_cfc(const EbbWiredCfc *cfc, EbbCell **out) {
  EbbCell *cell = NULL;
  int64_t H;
  *out = NULL;
  EBB_TRY(check_layers(cfc, &H));
  EBB_TRY(ebb_cell_create("wired_cfc", cfc->I, &cell));
  return ebb_write_end(cell, write_wired(cell, cfc, H), out);
}
