#include "host/ops/s4_series_gpu.h"

#include "host/fft_pair.h"
#include "host/ops/s4_chunks.h"

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

static EbbStatus scratch(EbbSetup *setup, size_t size, int64_t count, void *memory) {
  return ebb_setup_scratch(setup, size * (size_t)count, memory);
}

static EbbStatus setup_blocks(EbbSetup *setup, EbbS4SeriesArgs *args) {
  EbbS4SeriesCuda *cuda = &args->cuda;
  args->n = ebb_row_fft_length(args->L);
  cuda->layout = layout_of(args->B, args->H, args->n);
  EBB_TRY(ebb_setup_table(setup, ebb_row_fft_table_bytes(args->n), ebb_row_fft_table_fill, &args->n,
                          (void *)&args->twiddles));
  EBB_TRY(scratch(setup, sizeof(EbbC32), 2 * args->H * args->n, (void *)&cuda->spectra));
  if (!ebb_setup_training(setup)) return EBB_OK;
  const int64_t row_points = cuda->layout.blocks * cuda->layout.slots * args->n;
  const int64_t parts = args->H * cuda->layout.groups;
  EBB_TRY(scratch(setup, sizeof(EbbC32), args->degree * row_points, (void *)&cuda->streams));
  EBB_TRY(scratch(setup, sizeof(float), (args->degree - 1) * row_points, (void *)&cuda->states));
  EBB_TRY(scratch(setup, sizeof(EbbC32), 2 * parts * cuda->layout.slots * args->n, (void *)&cuda->sums));
  return scratch(setup, sizeof(double), parts, (void *)&cuda->dD_sums);
}

static EbbStatus setup_long_backward(EbbSetup *setup, EbbS4SeriesArgs *args) {
  EbbS4SeriesCuda *cuda = &args->cuda;
  const int64_t m = args->n / 2 + 1, count = cuda->channels * args->B;
  EBB_TRY(scratch(setup, sizeof(EbbC32), args->degree * count * m, (void *)&cuda->streams));
  EBB_TRY(scratch(setup, sizeof(float), (args->degree - 1) * count * args->L, (void *)&cuda->states));
  EBB_TRY(scratch(setup, sizeof(EbbC32), 2 * cuda->channels * m, (void *)&cuda->sums));
  return scratch(setup, sizeof(float), count * args->L, (void *)&cuda->du);
}

static EbbStatus setup_long(EbbSetup *setup, EbbS4SeriesArgs *args) {
  EbbS4SeriesCuda *cuda = &args->cuda;
  const int64_t n = args->n = ebb_pair_length(args->Lk + args->L), m = n / 2 + 1;
  cuda->channels = ebb_s4_chunk_channels(args->B, args->H, n);
  const int64_t count = cuda->channels * args->B;
  EBB_TRY(ebb_s4_chunk_ffts(setup, n, count, cuda->rows));
  EBB_TRY(ebb_s4_chunk_ffts(setup, n, 2 * cuda->channels, cuda->taps));
  EBB_TRY(scratch(setup, sizeof(EbbC32), 2 * cuda->channels * m, (void *)&cuda->spectra));
  EBB_TRY(scratch(setup, sizeof(float), count * n, (void *)&cuda->row));
  EBB_TRY(scratch(setup, sizeof(float), count * args->L, (void *)&cuda->total));
  EBB_TRY(scratch(setup, sizeof(float), 2 * cuda->channels * n, (void *)&cuda->padded_taps));
  EBB_TRY(scratch(setup, sizeof(EbbC32), count * m, (void *)&cuda->spectrum));
  return ebb_setup_training(setup) ? setup_long_backward(setup, args) : EBB_OK;
}

EbbStatus ebb_s4_series_setup_gpu(EbbSetup *setup, EbbS4SeriesArgs *args) {
  return args->L > EBB_ROW_LONGEST ? setup_long(setup, args) : setup_blocks(setup, args);
}
