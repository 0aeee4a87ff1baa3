#include "ebb/ops/ssm_nplr.h"

#include <stdlib.h>

#include "host/cpu.h"
#include "host/ops/ssm_dplr.h"
#include "host/ops/ssm_nplr.h"

/* The internal length that `stored` (0: none yet) has to become for the kernel to reach Lk: set once, then
   doubled. */
static double internal_length(const EbbSsmConfig *config, double stored) {
  double Lk = (double)ebb_ssm_kernel_length(config);
  double length = stored > 0 ? stored : (double)config->l_max;
  if (length <= 0) length = fmax(1, nearbyint(Lk * config->rate));
  while (nearbyint(length / config->rate) < Lk) length *= 2;
  return length;
}

/* y_j = 2 tan(pi j / n), in double and then rounded. */
static void fill_nodes(const void *context, void *host) {
  const EbbSsmNplrArgs *args = context;
  float *y = host;
  for (int64_t j = 0; j < args->Fp; j++) y[j] = j < args->F ? (float)ebb_nplr_node(j, args->n) : 0;
}

static EbbStatus setup_params(EbbSetup *setup, const EbbSsmConfig *config, EbbSsmNplrArgs *args) {
  EBB_TRY(ebb_ssm_setup_param(setup, config, false, EBB_SSM_P_C, &args->C, &args->dC));
  EBB_TRY(ebb_ssm_setup_param(setup, config, false, EBB_SSM_P_LOG_DT, &args->log_dt, &args->dlog_dt));
  EBB_TRY(ebb_ssm_setup_param(setup, config, false, EBB_SSM_P_B, &args->B, &args->dB));
  EBB_TRY(ebb_ssm_setup_param(setup, config, false, EBB_SSM_P_P, &args->P, &args->dP));
  EBB_TRY(
      ebb_ssm_setup_param(setup, config, false, EBB_SSM_P_INV_W_REAL, &args->inv_w_real, &args->dinv_w_real));
  EBB_TRY(ebb_ssm_setup_param(setup, config, false, EBB_SSM_P_W_IMAG, &args->w_imag, &args->dw_imag));
  if (config->readout == EBB_SSM_LEARNED)
    EBB_TRY(ebb_ssm_setup_param(setup, config, false, EBB_SSM_P_E, &args->e, &args->de));
  return EBB_OK;
}

static EbbStatus setup_nodes(EbbSetup *setup, const EbbSsmConfig *config, EbbSsmNplrArgs *args) {
  EbbParamSpec spec = ebb_ssm_spec(config, false, EBB_SSM_P_L);
  float *buffer;
  double stored;
  EBB_TRY(ebb_setup_buffer(setup, &spec, &buffer));
  EBB_TRY(ebb_setup_buffer_value(setup, spec.name, 0, &stored));
  args->n = (int64_t)nearbyint(internal_length(config, stored) / config->rate);
  args->F = args->n / 2 + args->n % 2;
  args->Fp = ebb_row_floats(args->F);
  EBB_TRY(ebb_setup_fft(setup, args->n, &args->fft));
  return ebb_setup_table(setup, (size_t)args->Fp * sizeof(float), fill_nodes, args, &args->y);
}

static EbbStatus setup_memory(EbbSetup *setup, const EbbSsmConfig *config, EbbSsmNplrArgs *args) {
  size_t K = (size_t)ebb_nplr_products(args), rows = (size_t)config->H * 2 * K;
  size_t threads = (size_t)ebb_setup_threads(setup);
  if (ebb_setup_training(setup))
    EBB_TRY(ebb_setup_saved(setup, rows * (size_t)args->Fp * sizeof(float), &args->r));
  EBB_TRY(ebb_setup_scratch(setup, (size_t)(config->H * args->M * ebb_nplr_shares(args)) * sizeof(double),
                            &args->shared));
  args->scratch_row = ebb_nplr_scratch_bytes(args);
  if (config->readout != EBB_SSM_NO_READOUT) {
    size_t readout = ebb_dplr_readout_bytes(args);
    if (readout > args->scratch_row) args->scratch_row = readout;
  }
  return ebb_setup_scratch(setup, threads * args->scratch_row, &args->scratch);
}

static EbbStatus setup(EbbSetup *setup, const void *config_, void *args_) {
  const EbbSsmConfig *config = config_;
  EbbSsmNplrArgs *args = args_;
  EBB_TRY(ebb_ssm_check(config, false, ebb_setup_where(setup)));
  args->config = *config;
  args->M = ebb_ssm_modes(config);
  args->Lk = ebb_ssm_kernel_length(config);
  EBB_TRY(setup_nodes(setup, config, args));
  EBB_TRY(setup_params(setup, config, args));
  EBB_TRY(ebb_ssm_setup_outputs(setup, config, &args->k, &args->dk, &args->ke, &args->dke));
  return setup_memory(setup, config, args);
}

static EbbStatus init(EbbPrepare *prepare, const void *config) {
  return ebb_ssm_init(prepare, config, false);
}

/* The parameters on the host while their C is transformed. */
typedef struct Host {
  float *C, *log_dt, *B, *P, *inv_w_real, *w_imag;
} Host;

static EbbStatus read_param(EbbPrepare *prepare, const EbbSsmConfig *config, EbbSsmParam which,
                            float *value) {
  EbbParamSpec spec = ebb_ssm_spec(config, false, which);
  return ebb_prepare_read(prepare, spec.name, value, ebb_shape_size(&spec.shape));
}

static EbbStatus write_param(EbbPrepare *prepare, const EbbSsmConfig *config, EbbSsmParam which,
                             const float *value) {
  EbbParamSpec spec = ebb_ssm_spec(config, false, which);
  return ebb_prepare_write(prepare, spec.name, value, ebb_shape_size(&spec.shape));
}

/* C := C (I - Abar^length) where nothing is stored yet, then C~ := C~ (I + Abar^length) at each doubling. */
static EbbStatus transform(EbbPrepare *prepare, const EbbSsmConfig *config, double stored, double target,
                           const Host *host) {
  EBB_TRY(read_param(prepare, config, EBB_SSM_P_C, host->C));
  EBB_TRY(read_param(prepare, config, EBB_SSM_P_LOG_DT, host->log_dt));
  EBB_TRY(read_param(prepare, config, EBB_SSM_P_B, host->B));
  EBB_TRY(read_param(prepare, config, EBB_SSM_P_P, host->P));
  EBB_TRY(read_param(prepare, config, EBB_SSM_P_INV_W_REAL, host->inv_w_real));
  EBB_TRY(read_param(prepare, config, EBB_SSM_P_W_IMAG, host->w_imag));
  EbbSsmNplrArgs args = {.config = *config,
                         .M = ebb_ssm_modes(config),
                         .log_dt = host->log_dt,
                         .B = host->B,
                         .P = host->P,
                         .inv_w_real = host->inv_w_real,
                         .w_imag = host->w_imag};
  args.config.rate = 1;
  int64_t length = (int64_t)stored;
  if (!length) {
    length = (int64_t)target;
    while (config->l_max && length > config->l_max) length /= 2;
    EBB_TRY(ebb_dplr_transform(&args, length, -1, host->C));
  }
  for (; length < (int64_t)target; length *= 2) EBB_TRY(ebb_dplr_transform(&args, length, 1, host->C));
  EBB_TRY(write_param(prepare, config, EBB_SSM_P_C, host->C));
  float now = (float)target;
  EBB_TRY(write_param(prepare, config, EBB_SSM_P_L, &now));
  ebb_prepare_bump(prepare);
  return EBB_OK;
}

static EbbStatus prepare(EbbPrepare *prepare_, const void *config_) {
  const EbbSsmConfig *config = config_;
  float stored;
  EBB_TRY(read_param(prepare_, config, EBB_SSM_P_L, &stored));
  double target = internal_length(config, (double)stored);
  if (target == (double)stored) return EBB_OK;
  size_t M = (size_t)ebb_ssm_modes(config), H = (size_t)config->H,
         shared = (size_t)ebb_ssm_copies(config) * M;
  size_t C = 2 * (size_t)config->channels * H * M, rank = (size_t)ebb_ssm_rank(config);
  float *block = malloc((C + H + (4 + 2 * rank) * shared) * sizeof *block);
  if (!block) return ebb_fail(EBB_MEMORY, "%s: no memory to transform C", ebb_prepare_where(prepare_));
  float *after = block + C + H;
  Host host = {block, block + C, after, after + 4 * shared, after + 2 * shared, after + 3 * shared};
  EbbStatus status = transform(prepare_, config, (double)stored, target, &host);
  free(block);
  return status;
}

const EbbOp ebb_ssm_nplr_op = {"ssm_nplr", sizeof(EbbSsmNplrArgs), setup, init, prepare};
const EbbKernels ebb_ssm_nplr_cpu = {ebb_nplr_forward, ebb_nplr_backward};
