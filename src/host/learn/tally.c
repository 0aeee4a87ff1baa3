#include "ebb/tally.h"

#include "host/learn/optim_kernels.h"
#include "host/with_cuda.h"

EbbStatus ebb_optim_kernels(const EbbDevice *device, const EbbOptimKernels **kernels) {
  static const EbbOptimKernels *const backends[EBB_BACKENDS] = {
      [EBB_CPU] = &ebb_optim_cpu,
      [EBB_CUDA] = EBB_CUDA_ENTRY(&ebb_optim_cuda),
  };
  *kernels = backends[ebb_device_backend(device)];
  if (*kernels) return EBB_OK;
  (void)ebb_fail(EBB_UNSUPPORTED, "this build has no optimiser for %s", ebb_device_description(device));
  return EBB_UNSUPPORTED;
}

EbbStatus ebb_tally_create(EbbDevice *device, EbbTally **out) {
  void *memory = NULL;
  *out = NULL;
  EBB_TRY(ebb_device_alloc(device, sizeof **out, "the sums of a pass", &memory));
  *out = memory;
  return EBB_OK;
}

void ebb_tally_destroy(EbbDevice *device, EbbTally *tally) { ebb_device_free(device, tally); }

EbbStatus ebb_tally_write(EbbDevice *device, EbbTally *tally, const EbbTally *host) {
  return ebb_device_upload(device, tally, host, sizeof *host);
}

EbbStatus ebb_tally_read(EbbDevice *device, const EbbTally *tally, EbbTally *host) {
  return ebb_device_read(device, host, tally, sizeof *host);
}

EbbStatus ebb_tally_add(EbbDevice *device, EbbTally *tally, const float *loss, const float *scores,
                        const float *weights, int64_t n) {
  const EbbOptimKernels *kernels = NULL;
  EBB_TRY(ebb_optim_kernels(device, &kernels));
  return kernels->tally(device, tally, loss, scores, weights, n);
}
