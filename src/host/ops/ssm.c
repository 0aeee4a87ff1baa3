#include "ebb/ops/ssm.h"

#include <stdlib.h>

#include "ebb/hippo.h"
#include "ebb/rng.h"

/* Which learning rate of its own a parameter has; with one of these, its weight decay is 0. */
typedef enum OwnRate { GLOBAL, RATE_DT, RATE_A, RATE_B } OwnRate;

/* Shapes by letter: c channels, r rank, h H, s copies, m modes, 2 and 1 themselves. */
static const struct {
  const char *name, *dims;
  bool buffer;
  OwnRate rate;
} table[EBB_SSM_PARAMS] = {
    [EBB_SSM_P_C] = {"kernel.C", "chm2", false, GLOBAL},
    [EBB_SSM_P_LOG_DT] = {"kernel.log_dt", "h", false, RATE_DT},
    [EBB_SSM_P_B] = {"kernel.B", "1sm2", false, RATE_B},
    [EBB_SSM_P_P] = {"kernel.P", "rsm2", false, RATE_A},
    [EBB_SSM_P_INV_W_REAL] = {"kernel.inv_w_real", "sm", false, RATE_A},
    [EBB_SSM_P_W_IMAG] = {"kernel.w_imag", "sm", false, RATE_A},
    [EBB_SSM_P_E] = {"kernel.e", "hm2", false, GLOBAL},
    [EBB_SSM_P_L] = {"kernel.L", "1", true, GLOBAL},
    [EBB_SSM_P_LIQUID_B] = {"liquid.B", "sm2", true, GLOBAL},
    [EBB_SSM_P_LIQUID_C] = {"liquid.C", "chm2", true, GLOBAL},
    [EBB_SSM_P_LIQUID_W] = {"liquid.w", "sm2", true, GLOBAL},
    [EBB_SSM_P_LIQUID_LOG_DT] = {"liquid.log_dt", "h", true, GLOBAL},
};

static int64_t dimension(const EbbSsmConfig *config, char letter) {
  if (letter == 'c') return config->channels;
  if (letter == 'r') return ebb_ssm_rank(config);
  if (letter == 'h') return config->H;
  if (letter == 's') return ebb_ssm_copies(config);
  if (letter == 'm') return ebb_ssm_modes(config);
  return letter - '0';
}

EbbParamSpec ebb_ssm_spec(const EbbSsmConfig *config, bool diagonal, EbbSsmParam which) {
  const double rates[] = {NAN, config->lr_dt, config->lr_A, config->lr_B};
  EbbParamSpec spec = {.name = table[which].name, .buffer = table[which].buffer, .draw = EBB_DRAW_CONSTANT};
  const char *dims = table[which].dims;
  if (diagonal && which == EBB_SSM_P_B) dims++;
  for (; *dims; dims++) spec.shape.dim[spec.shape.rank++] = dimension(config, *dims);
  spec.own_decay = table[which].rate != GLOBAL;
  spec.weight_decay = config->weight_decay;
  spec.own_lr = !isnan(rates[table[which].rate]);
  spec.lr = spec.own_lr ? rates[table[which].rate] : 0;
  return spec;
}

EbbStatus ebb_ssm_setup_param(EbbSetup *setup, const EbbSsmConfig *config, bool diagonal, EbbSsmParam which,
                              const float **value, float **grad) {
  EbbParamSpec spec = ebb_ssm_spec(config, diagonal, which);
  return ebb_setup_param(setup, &spec, value, grad);
}

EbbStatus ebb_ssm_setup_outputs(EbbSetup *setup, const EbbSsmConfig *config, float **k, const float **dk,
                                float **ke, const float **dke) {
  int64_t Lk = ebb_ssm_kernel_length(config);
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, ebb_shape(config->channels, config->H, Lk), false, k));
  EBB_TRY(ebb_setup_output_grad(setup, 0, dk));
  if (config->readout == EBB_SSM_NO_READOUT) return EBB_OK;
  EBB_TRY(ebb_setup_output(setup, 1, EBB_F32, ebb_shape(config->H, Lk), false, ke));
  return ebb_setup_output_grad(setup, 1, dke);
}

static EbbStatus check_sizes(const EbbSsmConfig *config, const char *where) {
  if (config->H < 1 || config->length < 1)
    return ebb_fail(EBB_INVALID, "%s: d_model %lld and sequence length %lld must be at least 1", where,
                    (long long)config->H, (long long)config->length);
  if (config->N < 2)
    return ebb_fail(EBB_INVALID, "%s: d_state must be at least 2, got %lld", where, (long long)config->N);
  if (config->n_ssm < 0 || config->H % ebb_ssm_copies(config))
    return ebb_fail(EBB_INVALID, "%s: model.layer.n_ssm %lld does not divide model.d_model %lld", where,
                    (long long)config->n_ssm, (long long)config->H);
  if (config->channels < 1 || config->channels > 2)
    return ebb_fail(EBB_INVALID, "%s: channels must be 1, or 2 if bidirectional, got %lld", where,
                    (long long)config->channels);
  if (config->rank < 0 || config->rank > 2)
    return ebb_fail(EBB_INVALID, "%s: rank must be 1 or 2, got %lld", where, (long long)config->rank);
  if (config->l_max < 0)
    return ebb_fail(EBB_INVALID, "%s: l_max must not be negative, got %lld", where, (long long)config->l_max);
  if (ebb_ssm_kernel_length(config) < 1)
    return ebb_fail(EBB_INVALID, "%s: l_max %lld at rate %g leaves no kernel", where,
                    (long long)config->l_max, config->rate);
  return EBB_OK;
}

static EbbStatus check_choices(const EbbSsmConfig *config, const char *where) {
  if ((unsigned)config->measure >= EBB_SSM_MEASURES || (unsigned)config->real_type >= EBB_SSM_REALS ||
      (unsigned)config->disc >= EBB_SSM_DISCS || (unsigned)config->readout >= EBB_SSM_READOUTS)
    return ebb_fail(EBB_INVALID, "%s: measure %d, real_type %d, disc %d or readout %d is out of range", where,
                    (int)config->measure, (int)config->real_type, (int)config->disc, (int)config->readout);
  return EBB_OK;
}

EbbStatus ebb_ssm_check(const EbbSsmConfig *config, bool diagonal, const char *where) {
  if (!(config->rate > 0) || !isfinite(config->rate))
    return ebb_fail(EBB_INVALID, "%s: rate must be positive, got %g", where, config->rate);
  EBB_TRY(check_sizes(config, where));
  EBB_TRY(check_choices(config, where));
  if (!(config->dt_min > 0) || !(config->dt_max >= config->dt_min) || !isfinite(config->dt_max))
    return ebb_fail(EBB_INVALID, "%s: need 0 < model.layer.dt_min <= model.layer.dt_max, got %g and %g",
                    where, config->dt_min, config->dt_max);
  if (!diagonal && config->disc != EBB_SSM_BILINEAR)
    return ebb_fail(EBB_UNSUPPORTED,
                    "%s: mode nplr has the bilinear discretisation only; use mode diag for zoh "
                    "or dss",
                    where);
  if (!diagonal && ebb_ssm_rank(config) < ebb_hippo_rank(config->measure))
    return ebb_fail(EBB_INVALID, "%s: measure %s needs a low-rank part of rank 2: set model.layer.rank=2",
                    where, ebb_hippo_name(config->measure));
  return EBB_OK;
}

/* What init draws, on the host. */
typedef struct Draws {
  EbbC64 *w, *B, *P, *C; /* (s,m), (s,m), (r,s,m), (c,h,m) */
  float *row;            /* room for the largest parameter */
} Draws;

static EbbStatus write_row(EbbPrepare *prepare, const EbbSsmConfig *config, bool diagonal, EbbSsmParam which,
                           const float *row) {
  EbbParamSpec spec = ebb_ssm_spec(config, diagonal, which);
  return ebb_prepare_write(prepare, spec.name, row, ebb_shape_size(&spec.shape));
}

/* sign: 1, or -1 to write the conjugate. */
static EbbStatus write_complex(EbbPrepare *prepare, const EbbSsmConfig *config, bool diagonal,
                               EbbSsmParam which, const EbbC64 *z, double sign, float *row) {
  EbbParamSpec spec = ebb_ssm_spec(config, diagonal, which);
  int64_t count = ebb_shape_size(&spec.shape) / 2;
  for (int64_t i = 0; i < count; i++) {
    row[2 * i] = (float)z[i].re;
    row[2 * i + 1] = (float)(sign * z[i].im);
  }
  return write_row(prepare, config, diagonal, which, row);
}

/* Standard complex normal, E|C|^2 = 1; in the diagonal ops times B. */
static void draw_C(const EbbSsmConfig *config, bool diagonal, uint64_t seed, const EbbC64 *B, EbbC64 *C) {
  int64_t M = ebb_ssm_modes(config), rows = config->channels * config->H, s = ebb_ssm_copies(config);
  for (int64_t i = 0; i < rows * M; i++) {
    EbbRandom4 r = ebb_random4(seed, 0, EBB_SSM_P_C, (uint64_t)i);
    C[i] = ebb_c64_make(sqrt(0.5) * ebb_normal(r.word[0], r.word[1]),
                        sqrt(0.5) * ebb_normal(r.word[2], r.word[3]));
    if (diagonal) C[i] = ebb_c64_mul(C[i], B[(i / M % config->H % s) * M + i % M]);
  }
}

static void draw_log_dt(const EbbSsmConfig *config, uint64_t seed, float *log_dt) {
  double low = log(config->dt_min), high = log(config->dt_max);
  for (int64_t h = 0; h < config->H; h++) {
    double drawn = ebb_unit_double(ebb_random(seed, 0, EBB_SSM_P_LOG_DT, (uint64_t)h));
    double spaced = config->H > 1 ? (double)h / (double)(config->H - 1) : 0;
    log_dt[h] = (float)(low + (high - low) * (config->deterministic ? spaced : drawn));
  }
}

/* Measures with Re w = 0 start just left of the axis. */
static EbbStatus write_w(EbbPrepare *prepare, const EbbSsmConfig *config, bool diagonal, const Draws *draws) {
  int64_t count = ebb_ssm_copies(config) * ebb_ssm_modes(config);
  double nearest = diagonal ? -1e-4 : -1e-3;
  for (int64_t i = 0; i < count; i++) {
    double re = draws->w[i].re < nearest ? draws->w[i].re : nearest;
    draws->row[i] = (float)ebb_ssm_real_inverse(config->real_type, re);
  }
  EBB_TRY(write_row(prepare, config, diagonal, EBB_SSM_P_INV_W_REAL, draws->row));
  for (int64_t i = 0; i < count; i++) draws->row[i] = (float)draws->w[i].im;
  return write_row(prepare, config, diagonal, EBB_SSM_P_W_IMAG, draws->row);
}

static EbbStatus write_e(EbbPrepare *prepare, const EbbSsmConfig *config, bool diagonal, float *row) {
  int64_t count = config->H * ebb_ssm_modes(config);
  for (int64_t i = 0; i < count; i++) row[2 * i] = 1, row[2 * i + 1] = 0;
  return write_row(prepare, config, diagonal, EBB_SSM_P_E, row);
}

static EbbStatus draw_and_write(EbbPrepare *prepare, const EbbSsmConfig *config, bool diagonal,
                                const Draws *draws) {
  uint64_t seed = ebb_prepare_seed(prepare);
  float *row = draws->row;
  EBB_TRY(ebb_hippo_spectrum(config->measure, config->N, ebb_ssm_copies(config), ebb_ssm_rank(config),
                             draws->w, draws->B, diagonal ? NULL : draws->P));
  draw_C(config, diagonal, seed, draws->B, draws->C);
  EBB_TRY(write_w(prepare, config, diagonal, draws));
  EBB_TRY(write_complex(prepare, config, diagonal, EBB_SSM_P_B, draws->B, 1, row));
  EBB_TRY(write_complex(prepare, config, diagonal, EBB_SSM_P_C, draws->C, -1, row));
  if (!diagonal) EBB_TRY(write_complex(prepare, config, diagonal, EBB_SSM_P_P, draws->P, 1, row));
  if (config->readout == EBB_SSM_LEARNED) EBB_TRY(write_e(prepare, config, diagonal, row));
  if (config->liquid_buffers) {
    EBB_TRY(write_complex(prepare, config, diagonal, EBB_SSM_P_LIQUID_B, draws->B, 1, row));
    EBB_TRY(write_complex(prepare, config, diagonal, EBB_SSM_P_LIQUID_C, draws->C, 1, row));
    EBB_TRY(write_complex(prepare, config, diagonal, EBB_SSM_P_LIQUID_W, draws->w, 1, row));
  }
  draw_log_dt(config, seed, row);
  if (config->liquid_buffers) EBB_TRY(write_row(prepare, config, diagonal, EBB_SSM_P_LIQUID_LOG_DT, row));
  return write_row(prepare, config, diagonal, EBB_SSM_P_LOG_DT, row);
}

EbbStatus ebb_ssm_init(EbbPrepare *prepare, const EbbSsmConfig *config, bool diagonal) {
  EBB_TRY(ebb_ssm_check(config, diagonal, ebb_prepare_where(prepare)));
  size_t modes = (size_t)ebb_ssm_modes(config), shared = (size_t)ebb_ssm_copies(config) * modes;
  size_t rank = (size_t)ebb_ssm_rank(config);
  size_t own = (size_t)config->channels * (size_t)config->H * modes;
  EbbC64 *block = malloc(((2 + rank) * shared + own) * sizeof *block);
  float *row = malloc(2 * (rank * own + (size_t)config->H) * sizeof *row);
  EbbStatus status;
  if (block && row) {
    Draws draws = {block, block + shared, block + 2 * shared, block + (2 + rank) * shared, row};
    status = draw_and_write(prepare, config, diagonal, &draws);
  } else {
    status = ebb_fail(EBB_MEMORY, "%s: no memory for %zu initial values", ebb_prepare_where(prepare), own);
  }
  free(block);
  free(row);
  if (status != EBB_OK) return ebb_fail_within(status, "%s", ebb_prepare_where(prepare));
  return EBB_OK;
}
