#include "host/ops/s4_conv_setup.h"

#include "host/device/cuda_fft.h"
#include "host/fft_pair.h"
#include "host/fft_row.h"
#include "host/ops/s4_chunks.h"
#include "host/rows.h"

/* A large GPU's multiprocessors, and the threads that each has room for in backward. Constants, because the
   order of sums must not depend on the GPU. */
enum { PROCESSORS = 132, PROCESSOR_THREADS = 512, GROUPS_MOST = 256 };
/* Points of the rows that cuFFT transforms at a time: 128 MiB. */
enum { CHUNK_POINTS = 1 << 24 };

/* Into how many groups the B rows of each of H channels are split where `resident` runs of rows work at the
   same time: the fewest steps, with half a row's time for a run's sum. */
static int64_t groups_of(int64_t B, int64_t H, int64_t resident) {
  int64_t best = 1, least = INT64_MAX;
  for (int64_t groups = 1; groups <= B && groups <= GROUPS_MOST; groups++) {
    const int64_t waves = (H * groups + resident - 1) / resident, rows = (B + groups - 1) / groups;
    const int64_t steps = waves * (2 * rows + 1);
    if (steps < least) least = steps, best = groups;
  }
  return (B + (B + best - 1) / best - 1) / ((B + best - 1) / best); /* none of them empty */
}

static EbbStatus scratch(EbbSetup *setup, size_t size, int64_t count, void *memory) {
  return ebb_setup_scratch(setup, size * (size_t)count, memory);
}

static EbbStatus setup_blocks(EbbSetup *setup, EbbS4ConvArgs *args) {
  EbbS4ConvCuda *cuda = &args->cuda;
  const int64_t n = args->n, H = args->H, resident = PROCESSORS * PROCESSOR_THREADS / EBB_ROW_THREADS(n);
  EBB_TRY(ebb_setup_table(setup, ebb_row_fft_table_bytes(n), ebb_row_fft_table_fill, &args->n,
                          (void *)&args->twiddles));
  EBB_TRY(scratch(setup, sizeof *cuda->spectra, H * n, (void *)&cuda->spectra));
  cuda->groups = groups_of(args->B, H, resident);
  if (!ebb_setup_training(setup)) return EBB_OK;
  EBB_TRY(scratch(setup, sizeof *cuda->sums, cuda->groups * H * n, (void *)&cuda->sums));
  EBB_TRY(scratch(setup, sizeof *cuda->sums_D, cuda->groups * H, (void *)&cuda->sums_D));
  if (EBB_ROW_POINTS(n) == 16) return EBB_OK;
  cuda->holders = ebb_min64(resident, cuda->groups * H);
  return scratch(setup, sizeof *cuda->held, cuda->holders * n, (void *)&cuda->held);
}

/* w^j, w = e^(-2 pi i / (4n)), j < n. */
static void fill_turns(const void *length, void *table) {
  const int64_t n = *(const int64_t *)length;
  EbbC32 *to = table;
  for (int64_t j = 0; j < n; j++) {
    const double angle = -1.57079632679489661923 * (double)j / (double)n;
    to[j] = ebb_c32_make((float)cos(angle), (float)sin(angle));
  }
}

static EbbStatus setup_fft(EbbSetup *setup, int64_t n, int64_t batch, const struct EbbCudaFft **out) {
  const EbbCudaFftSpec spec = {EBB_FFT_C2C, n, batch, n, n};
  return ebb_setup_cuda_fft(setup, &spec, out);
}

static EbbStatus setup_long(EbbSetup *setup, EbbS4ConvArgs *args) {
  EbbS4ConvCuda *cuda = &args->cuda;
  const int64_t n = args->n, points = args->B * n;
  cuda->chunk = ebb_min64(args->H, points < CHUNK_POINTS ? CHUNK_POINTS / points : 1);
  cuda->groups = 1;
  const int64_t rows = args->B * cuda->chunk;
  EBB_TRY(ebb_setup_table(setup, sizeof(EbbC32) * (size_t)n, fill_turns, &args->n, (void *)&args->twiddles));
  EBB_TRY(setup_fft(setup, n, rows, &cuda->rows_fft));
  EBB_TRY(setup_fft(setup, n, cuda->chunk, &cuda->taps_fft));
  EBB_TRY(scratch(setup, sizeof(EbbC32), cuda->chunk * n, (void *)&cuda->spectra));
  EBB_TRY(scratch(setup, sizeof(EbbC32), rows * n, (void *)&cuda->inputs));
  if (!ebb_setup_training(setup)) return EBB_OK;
  EBB_TRY(scratch(setup, sizeof(EbbC32), cuda->chunk * n, (void *)&cuda->sums));
  return scratch(setup, sizeof(EbbC32), rows * n, (void *)&cuda->grads);
}

/* What stands between convolution and activation where more than one kernel works there. */
static EbbStatus setup_between(EbbSetup *setup, EbbS4ConvArgs *args) {
  EbbS4ConvCuda *cuda = &args->cuda;
  const EbbS4Liquid *liquid = &args->liquid;
  const int64_t size = args->B * args->H * args->L;
  const bool shifts = liquid->kind != EBB_S4_PLAIN && !liquid->allcombs;
  if (cuda->block && !shifts && liquid->kind != EBB_S4_KB) return EBB_OK;
  EBB_TRY(scratch(setup, sizeof(float), size, (void *)&cuda->x));
  if (liquid->kind == EBB_S4_PLAIN) return EBB_OK;
  if (ebb_setup_training(setup)) EBB_TRY(scratch(setup, sizeof(float), size, (void *)&cuda->extra));
  if (!shifts) return EBB_OK;
  return scratch(setup, sizeof(float), size * ebb_s4_shift_rows(liquid, ebb_setup_training(setup)),
                 (void *)&cuda->streams);
}

static EbbStatus setup_kb(EbbSetup *setup, EbbS4ConvArgs *args) {
  EbbS4ConvKb *kb = &args->cuda.kb;
  const int64_t n = args->Lk + args->L, m = n / 2 + 1;
  kb->channels = ebb_s4_chunk_channels(args->B, args->H, n);
  const int64_t rows = kb->channels * args->B;
  EBB_TRY(ebb_s4_chunk_ffts(setup, n, rows, kb->rows_ffts));
  EBB_TRY(setup_fft(setup, m, kb->channels, &kb->taps_fft));
  EBB_TRY(scratch(setup, sizeof(float), args->B * args->H * args->L, (void *)&kb->mixed));
  EBB_TRY(scratch(setup, sizeof(float), rows * n, (void *)&kb->row));
  EBB_TRY(scratch(setup, sizeof(EbbC32), rows * m, (void *)&kb->spectrum));
  EBB_TRY(scratch(setup, sizeof(EbbC32), kb->channels * m, (void *)&kb->taps));
  if (!ebb_setup_training(setup)) return EBB_OK;
  EBB_TRY(scratch(setup, sizeof(EbbC32), rows * m, (void *)&kb->kept));
  return scratch(setup, sizeof(EbbC32), args->H * m, (void *)&kb->taps_grad);
}

EbbStatus ebb_s4_conv_setup_cuda(EbbSetup *setup, EbbS4ConvArgs *args) {
  const EbbS4Liquid *liquid = &args->liquid;
  args->n = ebb_row_fft_length(args->L);
  args->cuda.block = args->n != 0;
  if (!args->cuda.block) args->n = ebb_pair_length(args->L);
  EBB_TRY(args->cuda.block ? setup_blocks(setup, args) : setup_long(setup, args));
  if (liquid->kind != EBB_S4_PLAIN)
    EBB_TRY(scratch(setup, sizeof(float), 2 * args->H * (liquid->degree - 1), (void *)&args->cuda.weights));
  EBB_TRY(setup_between(setup, args));
  return liquid->kind == EBB_S4_KB ? setup_kb(setup, args) : EBB_OK;
}
