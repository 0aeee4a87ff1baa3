#include "ebb/ops/s4_out.h"

#include <omp.h>
#include <string.h>

#include "host/cpu.h"
#include "host/dropout.h"
#include "host/rows.h"

/* A tile's projection stays in the level-2 cache while what follows it is applied. */
enum { TILE_FLOATS = 128 * 1024, TILE_LEAST = 256, TILE_MOST = 1024 };
/* Sums for dweight are kept apart for each group of tiles, so that they have one order for any number of
 * threads. */
enum { GROUPS_LEAST = 8, GROUPS_MOST = 64, GROUP_FLOATS = 8 * 1024 * 1024 };

static int64_t clamp(int64_t value, int64_t least, int64_t most) {
  return value < least ? least : value > most ? most : value;
}

static void choose_tiles(EbbS4OutArgs *a) {
  int64_t widest = clamp(TILE_FLOATS / a->O / 16 * 16, TILE_LEAST, TILE_MOST);
  a->tiles = (a->L + widest - 1) / widest;
  a->tile = ebb_row_floats((a->L + a->tiles - 1) / a->tiles);
  a->tiles = (a->L + a->tile - 1) / a->tile;
  a->groups = ebb_min64(clamp(GROUP_FLOATS / (a->O * a->H), GROUPS_LEAST, GROUPS_MOST), a->B * a->tiles);
}

/* On a GPU a group is a run of rows of the batch: a product adds row by row to the sums of all groups. */
static void choose_rows(EbbS4OutArgs *a) {
  int64_t most = clamp(GROUP_FLOATS / (a->O * a->H), GROUPS_LEAST, GROUPS_MOST),
          rows = (a->B + most - 1) / most;
  a->groups = (a->B + rows - 1) / rows;
}

static int64_t partial_floats(const EbbS4OutArgs *a) { return a->O * a->H + a->O; }
static int64_t work_floats(const EbbS4OutArgs *a) { return (a->O + 1) * a->tile; }

static EbbStatus set_up_inputs(EbbSetup *setup, EbbS4OutArgs *a) {
  a->storage = ebb_setup_activations(setup);
  EBB_TRY(ebb_setup_input(setup, 0, a->storage, 3, true, &a->h));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dh, &a->add_dh));
  a->residual = NULL, a->dresidual = NULL;
  if (ebb_setup_inputs(setup) < 2) return EBB_OK;
  EbbShape shape = ebb_setup_shape(setup, 0), residual = ebb_setup_shape(setup, 1);
  char text[2][160];
  if (!ebb_shape_equal(&shape, &residual))
    return ebb_fail(EBB_SHAPE, "%s: the residual is %s, the layer's values are %s", ebb_setup_where(setup),
                    ebb_shape_text(&residual, text[0], sizeof text[0]),
                    ebb_shape_text(&shape, text[1], sizeof text[1]));
  EBB_TRY(ebb_setup_input(setup, 1, a->storage, 3, false, &a->residual));
  return ebb_setup_input_grad(setup, 1, &a->dresidual, &a->add_dresidual);
}

static EbbStatus set_up_parameters(EbbSetup *setup, EbbS4OutArgs *a) {
  const double bound = 1 / sqrt((double)a->H);
  const EbbParamSpec weight = {
      .name = "output_linear.weight", .shape = ebb_shape(a->O, a->H), .draw = EBB_DRAW_UNIFORM, .a = bound};
  const EbbParamSpec bias = {
      .name = "output_linear.bias", .shape = ebb_shape(a->O), .draw = EBB_DRAW_UNIFORM, .a = bound};
  EBB_TRY(ebb_setup_param(setup, &weight, &a->weight, &a->dweight));
  return ebb_setup_param(setup, &bias, &a->bias, &a->dbias);
}

static EbbStatus set_up_cpu_memory(EbbSetup *setup, EbbS4OutArgs *a) {
  const bool training = ebb_setup_training(setup);
  choose_tiles(a);
  if (training && a->glu)
    EBB_TRY(ebb_setup_saved(setup, (size_t)(a->B * a->tiles * a->O * a->tile) * sizeof(float), &a->gates));
  if (training)
    EBB_TRY(ebb_setup_scratch(setup, (size_t)(a->groups * partial_floats(a)) * sizeof(float), &a->partial));
  return ebb_setup_scratch(setup, (size_t)(ebb_setup_threads(setup) * work_floats(a)) * sizeof(float),
                           &a->work);
}

static EbbStatus set_up_gpu_memory(EbbSetup *setup, EbbS4OutArgs *a) {
  const size_t wide = (size_t)(a->B * a->O * a->L) * ebb_dtype_size(a->storage);
  const size_t weights = (size_t)(a->O * a->H), parts = (size_t)(a->B * ebb_s4_out_segments(a->L) * a->O);
  choose_rows(a);
  EBB_TRY(ebb_setup_saved(setup, a->glu ? wide : 0, &a->o));
  if (!a->glu) a->o = a->y;
  EBB_TRY(ebb_setup_saved(setup, a->storage == EBB_BF16 ? weights * ebb_dtype_size(EBB_BF16) : 0,
                          &a->rounded_weight));
  if (!ebb_setup_training(setup)) return EBB_OK;
  EBB_TRY(ebb_setup_scratch(setup, wide, &a->d_o));
  EBB_TRY(ebb_setup_scratch(setup, parts * sizeof(float), &a->bias_parts));
  return ebb_setup_scratch(setup, (size_t)a->groups * weights * sizeof(float), &a->partial);
}

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbS4OutConfig *c = config;
  EbbS4OutArgs *a = out;
  if (!(c->dropout >= 0 && c->dropout < 1))
    return ebb_fail(EBB_INVALID, "%s: dropout %g must be at least 0 and below 1", ebb_setup_where(setup),
                    (double)c->dropout);
  EBB_TRY(set_up_inputs(setup, a));
  EbbShape shape = ebb_setup_shape(setup, 0);
  a->B = shape.dim[0], a->H = shape.dim[1], a->L = shape.dim[2];
  a->O = c->glu ? 2 * a->H : a->H;
  a->glu = c->glu, a->tie = c->tie, a->dropout = c->dropout, a->node = ebb_setup_node(setup);
  EBB_TRY(set_up_parameters(setup, a));
  EBB_TRY(ebb_setup_output(setup, 0, a->storage, shape, false, &a->y));
  EBB_TRY(ebb_setup_output_grad(setup, 0, &a->dy));
  return ebb_setup_backend(setup) == EBB_CUDA ? set_up_gpu_memory(setup, a) : set_up_cpu_memory(setup, a);
}

/* One tile of work: row b, columns l0 .. l0 + width - 1; `at` is the tile's first element in (B, H, L)
 * arrays. */
typedef struct Tile {
  int64_t index, b, l0, width, at;
} Tile;

static Tile tile_of(const EbbS4OutArgs *a, int64_t index) {
  Tile t = {.index = index, .b = index / a->tiles, .l0 = index % a->tiles * a->tile};
  t.width = ebb_min64(a->tile, a->L - t.l0);
  t.at = t.b * a->H * a->L + t.l0;
  return t;
}

/* Dropout of channel j in this tile: one number for all columns, or a row of factors where *row is set. */
static float dropout_of(const EbbS4OutArgs *a, const EbbRun *run, const Tile *t, int64_t j, float *work,
                        const float **row) {
  *row = NULL;
  if (!run->training || a->dropout <= 0) return 1;
  int64_t channel = t->b * a->H + j;
  if (a->tie)
    return ebb_dropout_factor(ebb_random(run->seed, run->step, a->node, (uint64_t)channel), a->dropout);
  ebb_dropout_row(run, a->node, a->dropout, (uint64_t)(channel * a->L + t->l0), t->width, work);
  *row = work;
  return 1;
}

static void project(const EbbS4OutArgs *a, const Tile *t, float *o) {
  ebb_cpu_gemm(&(EbbGemm){.m = a->O,
                          .n = t->width,
                          .k = a->H,
                          .alpha = 1,
                          .a = a->weight,
                          .lda = a->H,
                          .b = a->h + t->at,
                          .ldb = a->L,
                          .beta = 0,
                          .c = o,
                          .ldc = a->tile});
}

/* One channel's row of a tile. */
typedef struct Row {
  int64_t width;
  float bias, gate_bias, scale;
  const float *factors;  /* dropout by element, or NULL: scale for all */
  const float *residual; /* or NULL */
  float *y;
} Row;

static void multiply_row(const float *restrict factors, int64_t width, float *restrict y) {
  for (int64_t i = 0; i < width; i++) y[i] *= factors[i];
}

static void add_row(const float *restrict x, int64_t width, float *restrict y) {
  for (int64_t i = 0; i < width; i++) y[i] += x[i];
}

/* value and gate: products of the weights; kept_value and kept_gate: where backward reads them, possibly the
 * same rows. */
static void gate_row(const Row *row, const float *value, const float *gate, float *kept_value,
                     float *kept_gate) {
  const float bias = row->bias, gate_bias = row->gate_bias, scale = row->scale;
  float *y = row->y;
#pragma omp simd
  for (int64_t i = 0; i < row->width; i++) {
    const float v = value[i] + bias, s = ebb_sigmoidf(gate[i] + gate_bias);
    kept_value[i] = v;
    kept_gate[i] = s;
    y[i] = ebb_glu(v, s) * scale;
  }
  if (row->factors) multiply_row(row->factors, row->width, y);
  if (row->residual) add_row(row->residual, row->width, y);
}

static void plain_row(const Row *row, const float *restrict value) {
  float *restrict y = row->y;
  for (int64_t i = 0; i < row->width; i++) y[i] = (value[i] + row->bias) * row->scale;
  if (row->factors) multiply_row(row->factors, row->width, y);
  if (row->residual) add_row(row->residual, row->width, y);
}

/* The products stay in cache; of them only what backward reads goes to memory. */
static void forward_tile(const EbbS4OutArgs *a, const EbbRun *run, const Tile *t, float *work) {
  float *spare = work + a->O * a->tile, *kept = a->gates ? a->gates + t->index * a->O * a->tile : work;
  project(a, t, work);
  for (int64_t j = 0; j < a->H; j++) {
    const int64_t value = j * a->tile, gate = (a->H + j) * a->tile;
    Row row = {.width = t->width, .bias = a->bias[j], .y = a->y + t->at + j * a->L};
    row.residual = a->residual ? a->residual + t->at + j * a->L : NULL;
    row.scale = dropout_of(a, run, t, j, spare, &row.factors);
    if (a->glu) {
      row.gate_bias = a->bias[a->H + j];
      gate_row(&row, work + value, work + gate, kept + value, kept + gate);
    } else {
      plain_row(&row, work + value);
    }
  }
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbS4OutArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run)) schedule(dynamic)
  for (int64_t index = 0; index < a->B * a->tiles; index++) {
    Tile t = tile_of(a, index);
    forward_tile(a, run, &t, a->work + omp_get_thread_num() * work_floats(a));
  }
  return EBB_OK;
}

/* dL/do of one channel's row from dy: the value's part and, with a gate, the gate's. */
static void gated_gradient(const Row *row, const float *restrict dy, const float *restrict value,
                           const float *restrict gate, float *restrict da, float *restrict dc) {
  const float scale = row->scale;
  if (row->factors) {
    const float *restrict factors = row->factors;
    for (int64_t i = 0; i < row->width; i++) {
      const float g = dy[i] * factors[i];
      dc[i] = ebb_glu_dc(g, value[i], gate[i]);
      da[i] = ebb_glu_da(g, gate[i]);
    }
    return;
  }
  for (int64_t i = 0; i < row->width; i++) {
    const float g = dy[i] * scale;
    dc[i] = ebb_glu_dc(g, value[i], gate[i]);
    da[i] = ebb_glu_da(g, gate[i]);
  }
}

static void plain_gradient(const Row *row, const float *restrict dy, float *restrict da) {
  for (int64_t i = 0; i < row->width; i++) da[i] = dy[i] * row->scale;
  if (row->factors) multiply_row(row->factors, row->width, da);
}

/* Writes dL/do of a tile, and passes dy on to the residual. */
static void output_gradient(const EbbS4OutArgs *a, const EbbRun *run, const Tile *t, float *d_o,
                            float *spare) {
  const float *o = a->gates ? a->gates + t->index * a->O * a->tile : NULL;
  for (int64_t j = 0; j < a->H; j++) {
    const int64_t value = j * a->tile, gate = (a->H + j) * a->tile;
    const float *dy = a->dy + t->at + j * a->L;
    Row row = {.width = t->width};
    row.scale = dropout_of(a, run, t, j, spare, &row.factors);
    if (o)
      gated_gradient(&row, dy, o + value, o + gate, d_o + value, d_o + gate);
    else
      plain_gradient(&row, dy, d_o + value);
    if (!a->dresidual) continue;
    float *to = a->dresidual + t->at + j * a->L;
    if (a->add_dresidual)
      add_row(dy, t->width, to);
    else
      memcpy(to, dy, sizeof(float) * (size_t)t->width);
  }
}

static void input_gradient(const EbbS4OutArgs *a, const Tile *t, const float *d_o) {
  ebb_cpu_gemm(&(EbbGemm){.transpose_a = true,
                          .m = a->H,
                          .n = t->width,
                          .k = a->O,
                          .alpha = 1,
                          .a = a->weight,
                          .lda = a->H,
                          .b = d_o,
                          .ldb = a->tile,
                          .beta = a->add_dh ? 1.0f : 0.0f,
                          .c = a->dh + t->at,
                          .ldc = a->L});
}

static void weight_gradient(const EbbS4OutArgs *a, const Tile *t, const float *d_o, bool first,
                            float *partial) {
  ebb_cpu_gemm(&(EbbGemm){.transpose_b = true,
                          .m = a->O,
                          .n = a->H,
                          .k = t->width,
                          .alpha = 1,
                          .a = d_o,
                          .lda = a->tile,
                          .b = a->h + t->at,
                          .ldb = a->L,
                          .beta = first ? 0.0f : 1.0f,
                          .c = partial,
                          .ldc = a->H});
  float *bias = partial + a->O * a->H;
  for (int64_t j = 0; j < a->O; j++)
    bias[j] = (first ? 0 : bias[j]) + (float)ebb_row_sum(d_o + j * a->tile, t->width);
}

static void backward_group(const EbbS4OutArgs *a, const EbbRun *run, int64_t group, float *work) {
  int64_t count = a->B * a->tiles, first = group * count / a->groups, end = (group + 1) * count / a->groups;
  for (int64_t index = first; index < end; index++) {
    Tile t = tile_of(a, index);
    output_gradient(a, run, &t, work, work + a->O * a->tile);
    if (a->dh) input_gradient(a, &t, work);
    weight_gradient(a, &t, work, index == first, a->partial + group * partial_floats(a));
  }
}

/* Adds the groups' sums for output channel j, in the order of the groups. */
static void join_groups(const EbbS4OutArgs *a, int64_t j) {
  for (int64_t group = 0; group < a->groups; group++) {
    const float *restrict partial = a->partial + group * partial_floats(a);
    if (a->dweight) {
      float *restrict row = a->dweight + j * a->H;
      for (int64_t i = 0; i < a->H; i++) row[i] += partial[j * a->H + i];
    }
    if (a->dbias) a->dbias[j] += partial[a->O * a->H + j];
  }
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbS4OutArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run)) schedule(dynamic)
  for (int64_t group = 0; group < a->groups; group++)
    backward_group(a, run, group, a->work + omp_get_thread_num() * work_floats(a));
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t j = 0; j < a->O; j++) join_groups(a, j);
  return EBB_OK;
}

const EbbOp ebb_s4_out_op = {.name = "s4_out", .args_size = sizeof(EbbS4OutArgs), .setup = set_up};
const EbbKernels ebb_s4_out_cpu = {forward, backward};
