#include "host/ops/s4_series_gpu.h"

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* As many groups as finish first: the blocks take the channels' groups in turns, a group is its rows and the
   work of half a row to begin and to end. */
static EbbS4SeriesLayout layout_of(int64_t B, int64_t H, int64_t n) {
  EbbS4SeriesLayout layout = {.slots = EBB_SERIES_SLOTS(n), .groups = 1};
  const int64_t rounds = ceil_div(B, layout.slots);
  const int64_t most = EBB_SERIES_PROCESSORS * EBB_SERIES_THREADS(n) / (layout.slots * EBB_ROW_THREADS(n));
  int64_t least = INT64_MAX;
  for (int64_t groups = 1; groups <= rounds && groups <= most; groups++) {
    const int64_t cost = ceil_div(H * groups, most) * (2 * ceil_div(rounds, groups) + 1);
    if (cost < least) least = cost, layout.groups = groups;
  }
  layout.blocks = H * layout.groups < most ? H * layout.groups : most;
  return layout;
}

static EbbStatus setup_backward(EbbSetup *setup, EbbS4SeriesArgs *args) {
  const EbbS4SeriesLayout *layout = &args->layout;
  const size_t n = (size_t)args->n, rows = (size_t)(layout->blocks * layout->slots);
  const size_t parts = (size_t)(args->H * layout->groups), degree = (size_t)args->degree;
  EBB_TRY(ebb_setup_scratch(setup, sizeof(EbbC32) * rows * degree * n, (void *)&args->streams));
  EBB_TRY(ebb_setup_scratch(setup, sizeof(float) * rows * (degree - 1) * n, (void *)&args->states));
  EBB_TRY(
      ebb_setup_scratch(setup, sizeof(EbbC32) * 2 * parts * (size_t)layout->slots * n, (void *)&args->sums));
  return ebb_setup_scratch(setup, sizeof(double) * parts, (void *)&args->dD_sums);
}

EbbStatus ebb_s4_series_setup_gpu(EbbSetup *setup, EbbS4SeriesArgs *args) {
  args->n = ebb_row_fft_length(args->L);
  args->layout = layout_of(args->B, args->H, args->n);
  EBB_TRY(ebb_setup_table(setup, ebb_row_fft_table_bytes(args->n), ebb_row_fft_table_fill, &args->n,
                          (void *)&args->twiddles));
  EBB_TRY(ebb_setup_scratch(setup, sizeof(EbbC32) * 2 * (size_t)(args->H * args->n), (void *)&args->spectra));
  return ebb_setup_training(setup) ? setup_backward(setup, args) : EBB_OK;
}
