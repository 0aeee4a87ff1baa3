#include "ebb/ops/ssm_nplr.h"

#include <stdlib.h>

#include "host/cpu.h"
#include "host/device/cuda_fft.h"
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
  return ebb_setup_table(setup, (size_t)args->Fp * sizeof(float), fill_nodes, args, &args->y);
}

static EbbStatus setup_cpu(EbbSetup *setup, const EbbSsmConfig *config, EbbSsmNplrArgs *args) {
  EbbSsmNplrCpu *cpu = &args->cpu;
  size_t rows = (size_t)config->H * 2 * (size_t)ebb_nplr_padded_products(args);
  size_t threads = (size_t)ebb_setup_threads(setup);
  EBB_TRY(ebb_setup_fft(setup, args->n, &cpu->fft));
  if (ebb_setup_training(setup))
    EBB_TRY(ebb_setup_saved(setup, rows * (size_t)args->Fp * sizeof(float), &cpu->r));
  cpu->scratch_row = ebb_nplr_scratch_bytes(args);
  if (config->readout != EBB_SSM_NO_READOUT) {
    size_t readout = ebb_dplr_readout_bytes(args);
    if (readout > cpu->scratch_row) cpu->scratch_row = readout;
  }
  return ebb_setup_scratch(setup, threads * cpu->scratch_row, &cpu->scratch);
}

static EbbStatus setup_transforms(EbbSetup *setup, const EbbSsmConfig *config, EbbSsmNplrArgs *args) {
  EbbSsmNplrCuda *cuda = &args->cuda;
  size_t rows = (size_t)(config->channels * config->H);
  cuda->S = (args->n / 2 + 2) / 2 * 2;
  EBB_TRY(ebb_setup_scratch(setup, rows * (size_t)cuda->S * sizeof(EbbC32), &cuda->spectrum));
  if (args->n != args->Lk)
    EBB_TRY(ebb_setup_scratch(setup, rows * (size_t)args->n * sizeof(float), &cuda->rows));
  if (args->n == 1) return EBB_OK; /* its own transform */
  EbbCudaFftSpec spec = {.kind = EBB_FFT_C2R,
                         .n = args->n,
                         .batch = (int64_t)rows,
                         .real_stride = args->n,
                         .complex_stride = cuda->S};
  EBB_TRY(ebb_setup_cuda_fft(setup, &spec, &cuda->inverse));
  spec.kind = EBB_FFT_R2C;
  return ebb_setup_training(setup) ? ebb_setup_cuda_fft(setup, &spec, &cuda->forward) : EBB_OK;
}

static EbbStatus setup_readout(EbbSetup *setup, const EbbSsmConfig *config, EbbSsmNplrArgs *args) {
  EbbSsmNplrCuda *cuda = &args->cuda;
  if (config->readout == EBB_SSM_NO_READOUT) return EBB_OK;
  const bool training = ebb_setup_training(setup);
  const size_t H = (size_t)config->H, Mp = (size_t)ebb_nplr_readout_modes(args->M);
  const size_t state = (size_t)ebb_nplr_readout_bytes(args, training);
  if (state > EBB_NPLR_READOUT_SHARED) EBB_TRY(ebb_setup_scratch(setup, H * state, &cuda->state));
  if (!training) return EBB_OK;
  const size_t blocks = (size_t)((args->Lk + EBB_NPLR_STEPS - 1) / EBB_NPLR_STEPS);
  const size_t feedback = blocks * EBB_NPLR_STEPS * (size_t)ebb_ssm_rank(config);
  EBB_TRY(ebb_setup_scratch(setup, H * blocks * Mp * sizeof(EbbC64), &cuda->kept));
  return ebb_setup_scratch(setup, H * feedback * sizeof(double), &cuda->feedback);
}

/* Smaller chunks where there would be fewer blocks than a large GPU runs at once. */
static void place_chunks(int64_t H, int64_t F, EbbSsmNplrCuda *cuda) {
  cuda->chunk = EBB_NPLR_CHUNK;
  while (cuda->chunk > 128 && H * ((F + cuda->chunk - 1) / cuda->chunk) < 256) cuda->chunk /= 2;
  cuda->chunks = (F + cuda->chunk - 1) / cuda->chunk;
}

static EbbStatus setup_cuda(EbbSetup *setup, const EbbSsmConfig *config, EbbSsmNplrArgs *args) {
  EbbSsmNplrCuda *cuda = &args->cuda;
  const int64_t H = config->H, rank = ebb_ssm_rank(config), channels = config->channels;
  const int64_t sums = 2 * ebb_nplr_products(rank, channels) + 2;
  place_chunks(H, args->F, cuda);
  EBB_TRY(setup_transforms(setup, config, args));
  EBB_TRY(setup_readout(setup, config, args));
  if (!ebb_setup_training(setup)) return EBB_OK;
  EBB_TRY(ebb_setup_saved(setup, (size_t)(H * (1 + channels) * rank * args->Fp) * sizeof(EbbC32),
                          &cuda->factors));
  EBB_TRY(ebb_setup_saved(setup, (size_t)(H * ebb_nplr_near_words(args->F)) * sizeof(uint32_t), &cuda->near));
  return ebb_setup_scratch(setup, (size_t)(H * cuda->chunks * sums * args->M) * sizeof(double),
                           &cuda->partial);
}

static EbbStatus setup_memory(EbbSetup *setup, const EbbSsmConfig *config, EbbSsmNplrArgs *args) {
  const int64_t shared = config->H * args->M * ebb_nplr_shares(ebb_ssm_rank(config));
  if (ebb_setup_training(setup))
    EBB_TRY(ebb_setup_scratch(setup, (size_t)shared * sizeof(double), &args->shared));
  return ebb_setup_backend(setup) == EBB_CUDA ? setup_cuda(setup, config, args)
                                              : setup_cpu(setup, config, args);
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
