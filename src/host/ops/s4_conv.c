/* Convolution by transforms: one thread takes a channel, transforms its kernel once, and sends the batch
   through two rows at a time. */
#include "ebb/ops/s4_conv.h"

#include <omp.h>
#include <string.h>

#include "host/cpu.h"
#include "host/ops/s4_conv_setup.h"
#include "host/ops/s4_liquid.h"
#include "host/ops/s4_pairs.h"

static EbbStatus setup_work(EbbSetup *setup, EbbS4ConvArgs *args) {
  if (ebb_setup_backend(setup) == EBB_CUDA) return ebb_s4_conv_setup_cuda(setup, args);
  EBB_TRY(ebb_s4_pairs_setup(setup, args->Lk + args->L, &args->n, &args->twiddles));
  const int64_t spectra = ebb_setup_training(setup) ? 4 : 2;
  args->work_floats = spectra * ebb_pair_floats(args->n) + 3 * ebb_row_floats(args->L) +
                      ebb_s4_streams_floats(&args->liquid) + ebb_s4_kb_floats(&args->liquid);
  return ebb_setup_scratch(setup,
                           sizeof(float) * (size_t)ebb_setup_threads(setup) * (size_t)args->work_floats,
                           (void *)&args->work);
}

static EbbStatus check_kernel(EbbSetup *setup, const EbbS4ConvArgs *args, EbbShape kernel) {
  const int64_t C = args->bidirectional ? 2 : 1;
  if (kernel.dim[0] == C && kernel.dim[1] == args->H && kernel.dim[2] <= args->L) return EBB_OK;
  char text[96];
  return ebb_fail(
      EBB_SHAPE, "%s: the kernel is %s; u with %lld channels of length %lld needs (%lld, %lld, at most %lld)",
      ebb_setup_where(setup), ebb_shape_text(&kernel, text, sizeof text), (long long)args->H,
      (long long)args->L, (long long)C, (long long)args->H, (long long)args->L);
}

static EbbStatus setup(EbbSetup *setup, const void *config_, void *args_) {
  const EbbS4ConvConfig *config = config_;
  EbbS4ConvArgs *args = args_;
  args->storage = ebb_setup_activations(setup);
  EBB_TRY(ebb_setup_input(setup, 0, args->storage, 3, true, (void *)&args->u));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &args->du, &args->add_du));
  EBB_TRY(ebb_setup_input(setup, 1, EBB_F32, 3, true, (void *)&args->k));
  EBB_TRY(ebb_setup_input_grad(setup, 1, &args->dk, &args->add_dk));
  const EbbShape shape = ebb_setup_shape(setup, 0), kernel = ebb_setup_shape(setup, 1);
  args->B = shape.dim[0], args->H = shape.dim[1], args->L = shape.dim[2], args->Lk = kernel.dim[2];
  args->bidirectional = config->bidirectional;
  EBB_TRY(check_kernel(setup, args, kernel));
  EBB_TRY(ebb_s4_lengths_setup(setup, 2, args->B, &args->lengths));
  EBB_TRY(ebb_setup_output(setup, 0, args->storage, shape, false, (void *)&args->y));
  EBB_TRY(ebb_setup_output_grad(setup, 0, &args->dy));
  EBB_TRY(ebb_s4_epilogue_setup(setup, &config->epilogue, shape, &args->epilogue));
  EBB_TRY(ebb_s4_liquid_setup(setup, &config->liquid, args->H, args->L, args->Lk, args->bidirectional,
                              &args->liquid));
  return setup_work(setup, args);
}

/* What a thread has at hand for the channel it works on. */
typedef struct Channel {
  const EbbS4ConvArgs *args;
  const EbbRun *run;
  int64_t h;
  EbbS4Batch batch;
  float *spectrum;     /* of the kernel and D, divided by n */
  float *input, *grad; /* transforms of a pair of rows; grad only in backward */
  float *sum;          /* of the kernel's gradient over the batch */
  float *masked;       /* (L) u of one row with zeros for padding */
  float *du[2];        /* (L) gradient through the liquid term, a row each */
  float *liquid_work;
  EbbS4Kb kb;
  EbbS4Mix mix;
} Channel;

static Channel channel_of(const EbbS4ConvArgs *args, const EbbRun *run, bool backward) {
  const int64_t pair = ebb_pair_floats(args->n), row = ebb_row_floats(args->L);
  float *work = args->work + omp_get_thread_num() * args->work_floats;
  Channel c = {.args = args,
               .run = run,
               .batch = {args->B, args->H, args->L, args->lengths, {args->n, args->twiddles}}};
  c.spectrum = work, work += pair;
  c.input = work, work += pair;
  if (backward) {
    c.grad = work, work += pair;
    c.sum = work, work += pair;
  }
  c.masked = work, work += row;
  c.du[0] = work, work += row;
  c.du[1] = work, work += row;
  c.liquid_work = work;
  return c;
}

/* The kernel as a circular row: lags 0 .. from the front, lags -1 .. from the back. D u is one more tap at
 * lag 0. */
static void place_kernel(const Channel *c, int64_t h, float *restrict z) {
  const EbbS4ConvArgs *args = c->args;
  const float *k = args->k + h * args->Lk;
  const float scale = 1.0f / (float)args->n;
  ebb_s4_place_taps(&c->batch, args->Lk, k, z);
  if (args->epilogue.D) z[0] += scale * args->epilogue.D[h];
  if (!args->bidirectional) return;
  const float *back = k + args->H * args->Lk;
  for (int64_t j = 0; j < args->Lk; j++) z[args->n - 1 - j] = scale * back[j];
}

static void begin_channel(Channel *c, int64_t h) {
  const EbbS4ConvArgs *args = c->args;
  c->h = h;
  place_kernel(c, h, c->spectrum);
  ebb_pair_forward(&c->batch.fft, c->spectrum);
  if (args->liquid.kind == EBB_S4_POLYB) c->mix = ebb_s4_mix_of(&args->liquid, h);
  if (args->liquid.kind == EBB_S4_KB)
    ebb_s4_kb_begin(&c->kb, &args->liquid, h, args->k + h * args->Lk, args->H * args->Lk, c->liquid_work);
}

static void mask_input(const Channel *c, const EbbS4Row *row) {
  const float *u = c->args->u + ebb_s4_row_start(&c->batch, row->b, c->h);
  memcpy(c->masked, u, sizeof(float) * (size_t)row->valid);
  memset(c->masked + row->valid, 0, sizeof(float) * (size_t)(row->L - row->valid));
}

static void finish_row(Channel *c, int64_t b, float *x) {
  const EbbS4ConvArgs *args = c->args;
  const EbbS4Row row = ebb_s4_row(&c->batch, b, c->h);
  if (args->liquid.kind != EBB_S4_PLAIN) mask_input(c, &row);
  if (args->liquid.kind == EBB_S4_POLYB) ebb_s4_mix(&c->mix, c->masked, x, c->liquid_work);
  if (args->liquid.kind == EBB_S4_KB) ebb_s4_kb_forward(&c->kb, c->masked, x);
  ebb_s4_finish(&args->epilogue, c->run, &row, x, args->y + ebb_s4_row_start(&c->batch, b, c->h));
}

static EbbStatus forward(const void *args_, const EbbRun *run) {
  const EbbS4ConvArgs *args = args_;
#pragma omp parallel num_threads(EBB_THREADS(run))
  {
    Channel c = channel_of(args, run, false);
#pragma omp for schedule(dynamic)
    for (int64_t h = 0; h < args->H; h++) {
      begin_channel(&c, h);
      for (int64_t b = 0; b < args->B; b += 2) {
        ebb_s4_load_pair(&c.batch, b, h, args->u, c.input);
        ebb_pair_forward(&c.batch.fft, c.input);
        ebb_pair_multiply(args->n, c.input, c.spectrum);
        ebb_pair_inverse(&c.batch.fft, c.input);
        finish_row(&c, b, c.input);
        if (b + 1 < args->B) finish_row(&c, b + 1, c.input + ebb_pair_imag(args->n));
      }
    }
  }
  return EBB_OK;
}

/* du through the liquid term, from g; before g's transform takes its place. */
static void liquid_back(Channel *c, int64_t b, const float *g, float *du) {
  const EbbS4ConvArgs *args = c->args;
  const EbbS4Row row = ebb_s4_row(&c->batch, b, c->h);
  if (args->liquid.kind == EBB_S4_PLAIN || b >= args->B) return;
  mask_input(c, &row);
  memset(du, 0, sizeof(float) * (size_t)args->L);
  if (args->liquid.kind == EBB_S4_POLYB) ebb_s4_mix_back(&c->mix, c->masked, g, du, c->liquid_work);
  if (args->liquid.kind == EBB_S4_KB) ebb_s4_kb_back(&c->kb, c->masked, g, du);
}

static void store_input_grad(const Channel *c, int64_t b, const float *x, const float *extra) {
  const EbbS4ConvArgs *args = c->args;
  if (!args->du || b >= args->B) return;
  const EbbS4Row row = ebb_s4_row(&c->batch, b, c->h);
  ebb_s4_store_grad(&row, x, 1.0f, args->liquid.kind == EBB_S4_PLAIN ? NULL : extra, args->add_du,
                    args->du + ebb_s4_row_start(&c->batch, b, c->h));
}

static double pair_back(Channel *c, int64_t b) {
  const EbbS4ConvArgs *args = c->args;
  const int64_t second = ebb_pair_imag(args->n);
  const double dD =
      ebb_s4_load_grads(&c->batch, &args->epilogue, c->run, b, c->h, args->dy, args->u, c->grad);
  liquid_back(c, b, c->grad, c->du[0]);
  liquid_back(c, b + 1, c->grad + second, c->du[1]);
  ebb_pair_forward(&c->batch.fft, c->grad);
  if (args->dk) {
    ebb_s4_load_pair(&c->batch, b, c->h, args->u, c->input);
    ebb_pair_forward(&c->batch.fft, c->input);
    ebb_pair_correlate(args->n, c->sum, c->grad, c->input);
  }
  if (args->du) {
    ebb_pair_multiply_conj(args->n, c->grad, c->spectrum);
    ebb_pair_inverse(&c->batch.fft, c->grad);
  }
  store_input_grad(c, b, c->grad, c->du[0]);
  store_input_grad(c, b + 1, c->grad + second, c->du[1]);
  return dD;
}

static void store_kernel_grad(Channel *c) {
  const EbbS4ConvArgs *args = c->args;
  const int64_t Lk = args->Lk, C = args->bidirectional ? 2 : 1;
  const float scale = 1.0f / (float)args->n;
  if (!args->dk) return;
  ebb_pair_inverse(&c->batch.fft, c->sum);
  for (int64_t a = 0; a < C; a++) {
    float *restrict dk = args->dk + (a * args->H + c->h) * Lk;
    const float *restrict lag = a ? c->sum + args->n - 1 : c->sum;
    const int64_t step = a ? -1 : 1;
    if (!args->add_dk) memset(dk, 0, sizeof(float) * (size_t)Lk);
    for (int64_t j = 0; j < Lk; j++) dk[j] += scale * lag[step * j];
  }
  if (args->liquid.kind == EBB_S4_KB) ebb_s4_kb_end(&c->kb, args->dk + c->h * Lk, args->H * Lk);
}

static EbbStatus backward(const void *args_, const EbbRun *run) {
  const EbbS4ConvArgs *args = args_;
#pragma omp parallel num_threads(EBB_THREADS(run))
  {
    Channel c = channel_of(args, run, true);
#pragma omp for schedule(dynamic)
    for (int64_t h = 0; h < args->H; h++) {
      double dD = 0;
      begin_channel(&c, h);
      memset(c.sum, 0, sizeof(float) * (size_t)ebb_pair_floats(args->n));
      for (int64_t b = 0; b < args->B; b += 2) dD += pair_back(&c, b);
      store_kernel_grad(&c);
      if (args->epilogue.dD) args->epilogue.dD[h] += (float)dD;
    }
  }
  return EBB_OK;
}

const EbbOp ebb_s4_conv_op = {"s4_conv", sizeof(EbbS4ConvArgs), setup, NULL, NULL};
const EbbKernels ebb_s4_conv_cpu = {forward, backward};
