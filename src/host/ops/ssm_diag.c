#include "ebb/ops/ssm_diag.h"

#include "host/ops/ssm_diag.h"

EbbStatus ebb_ssm_diagonal_setup(EbbSetup *setup, const EbbSsmConfig *config, EbbSsmDiagonal *diagonal) {
  const struct {
    EbbSsmParam which;
    const float **value;
    float **grad;
  } params[] = {{EBB_SSM_P_LOG_DT, &diagonal->log_dt, &diagonal->dlog_dt},
                {EBB_SSM_P_B, &diagonal->B, &diagonal->dB},
                {EBB_SSM_P_INV_W_REAL, &diagonal->inv_w_real, &diagonal->dinv_w_real},
                {EBB_SSM_P_W_IMAG, &diagonal->w_imag, &diagonal->dw_imag}};
  diagonal->config = *config;
  for (size_t i = 0; i < sizeof params / sizeof *params; i++)
    EBB_TRY(ebb_ssm_setup_param(setup, config, true, params[i].which, params[i].value, params[i].grad));
  return EBB_OK;
}

static EbbStatus setup_params(EbbSetup *setup, const EbbSsmConfig *config, EbbSsmDiagArgs *args) {
  EBB_TRY(ebb_ssm_setup_param(setup, config, true, EBB_SSM_P_C, &args->C, &args->dC));
  EBB_TRY(ebb_ssm_diagonal_setup(setup, config, &args->diagonal));
  if (config->readout == EBB_SSM_LEARNED)
    EBB_TRY(ebb_ssm_setup_param(setup, config, true, EBB_SSM_P_E, &args->e, &args->de));
  return EBB_OK;
}

/* On the CPU a width near the square root of Lk makes both tables of powers short. */
static void split_length(EbbSsmDiagArgs *args, EbbBackend backend) {
  args->width = backend == EBB_CUDA ? EBB_SSM_DIAG_WIDTH : 16;
  while (backend == EBB_CPU && args->width * args->width < args->Lk) args->width *= 2;
  args->blocks = (args->Lk + args->width - 1) / args->width;
}

static EbbStatus setup(EbbSetup *setup, const void *config_, void *args_) {
  const EbbSsmConfig *config = config_;
  EbbSsmDiagArgs *args = args_;
  EBB_TRY(ebb_ssm_check(config, true, ebb_setup_where(setup)));
  args->M = ebb_ssm_modes(config);
  args->Lk = ebb_ssm_kernel_length(config);
  args->R = config->channels + (config->readout != EBB_SSM_NO_READOUT);
  split_length(args, ebb_setup_backend(setup));
  EBB_TRY(setup_params(setup, config, args));
  EBB_TRY(ebb_ssm_setup_outputs(setup, config, &args->k, &args->dk, &args->ke, &args->dke));
  if (ebb_setup_backend(setup) == EBB_CUDA)
    return ebb_setup_scratch(setup, (size_t)(config->H * args->M) * 5 * sizeof(double), &args->shared);
  args->scratch_row = ebb_diag_scratch_bytes(args);
  EBB_TRY(ebb_setup_scratch(setup, (size_t)(config->H * args->M) * 4 * sizeof(double), &args->shared));
  return ebb_setup_scratch(setup, (size_t)ebb_setup_threads(setup) * args->scratch_row, &args->scratch);
}

static EbbStatus init(EbbPrepare *prepare, const void *config) { return ebb_ssm_init(prepare, config, true); }

const EbbOp ebb_ssm_diag_op = {"ssm_diag", sizeof(EbbSsmDiagArgs), setup, init, NULL};
const EbbKernels ebb_ssm_diag_cpu = {ebb_diag_forward, ebb_diag_backward};
