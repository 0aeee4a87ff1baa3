/* The degree-P expansion by transforms: a channel's two kernels are transformed once, rows go through in
   pairs. Backward makes the streams again instead of keeping them. */
#include "ebb/ops/s4_series.h"

#include <omp.h>
#include <string.h>

#include "host/cpu.h"
#include "host/ops/s4_pairs.h"
#include "host/ops/s4_series_gpu.h"

enum { FORWARD_ROWS = 5, BACKWARD_ROWS = 9, MOST_DEGREE = 64 };

static EbbStatus check(EbbSetup *setup, const EbbS4SeriesArgs *args, EbbShape k, EbbShape ke) {
  char text[96], text_e[96];
  if (args->degree < 1 || args->degree > MOST_DEGREE)
    return ebb_fail(EBB_INVALID, "%s: liquid_degree is %lld; the expansion has 1 to %d terms",
                    ebb_setup_where(setup), (long long)args->degree, MOST_DEGREE);
  if (k.dim[0] == 1 && k.dim[1] == args->H && ke.dim[0] == args->H && ke.dim[1] == k.dim[2] &&
      k.dim[2] <= args->L)
    return EBB_OK;
  return ebb_fail(EBB_SHAPE,
                  "%s: kernels are %s and %s; u with %lld channels of length %lld needs (1, %lld, Lk) and "
                  "(%lld, Lk), Lk at most %lld",
                  ebb_setup_where(setup), ebb_shape_text(&k, text, sizeof text),
                  ebb_shape_text(&ke, text_e, sizeof text_e), (long long)args->H, (long long)args->L,
                  (long long)args->H, (long long)args->H, (long long)args->L);
}

static EbbStatus setup_inputs(EbbSetup *setup, EbbS4SeriesArgs *args) {
  args->storage = ebb_setup_activations(setup);
  EBB_TRY(ebb_setup_input(setup, 0, args->storage, 3, true, (void *)&args->u));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &args->du, &args->add_du));
  EBB_TRY(ebb_setup_input(setup, 1, EBB_F32, 3, true, (void *)&args->k));
  EBB_TRY(ebb_setup_input_grad(setup, 1, &args->dk, &args->add_dk));
  EBB_TRY(ebb_setup_input(setup, 2, EBB_F32, 2, true, (void *)&args->ke));
  return ebb_setup_input_grad(setup, 2, &args->dke, &args->add_dke);
}

static EbbStatus setup_cpu(EbbSetup *setup, EbbS4SeriesArgs *args) {
  EBB_TRY(ebb_s4_pairs_setup(setup, args->Lk + args->L, &args->n, &args->twiddles));
  const int64_t rows = ebb_setup_training(setup) ? BACKWARD_ROWS + 2 * (args->degree - 1) : FORWARD_ROWS;
  args->work_floats = rows * ebb_pair_floats(args->n);
  return ebb_setup_scratch(setup,
                           sizeof(float) * (size_t)ebb_setup_threads(setup) * (size_t)args->work_floats,
                           (void *)&args->work);
}

static EbbStatus setup(EbbSetup *setup, const void *config_, void *args_) {
  const EbbS4SeriesConfig *config = config_;
  EbbS4SeriesArgs *args = args_;
  EBB_TRY(setup_inputs(setup, args));
  const EbbShape shape = ebb_setup_shape(setup, 0), k = ebb_setup_shape(setup, 1);
  args->B = shape.dim[0], args->H = shape.dim[1], args->L = shape.dim[2], args->Lk = k.dim[2];
  args->degree = config->degree;
  EBB_TRY(check(setup, args, k, ebb_setup_shape(setup, 2)));
  EBB_TRY(ebb_s4_lengths_setup(setup, 3, args->B, &args->lengths));
  EBB_TRY(ebb_setup_output(setup, 0, args->storage, shape, false, (void *)&args->y));
  EBB_TRY(ebb_setup_output_grad(setup, 0, &args->dy));
  EBB_TRY(ebb_s4_epilogue_setup(setup, &config->epilogue, shape, &args->epilogue));
  return ebb_setup_backend(setup) == EBB_CUDA ? ebb_s4_series_setup_gpu(setup, args) : setup_cpu(setup, args);
}

/* What a thread has at hand for the channel it works on: rows of ebb_pair_floats each. */
typedef struct Channel {
  const EbbS4SeriesArgs *args;
  const EbbRun *run;
  EbbS4Batch batch;
  int64_t h, floats;
  float *k, *ke;             /* spectra, divided by n */
  float *row, *next, *total; /* a stream, the one after it, the sum of all */
  float *sum, *sum_e;        /* spectra of the kernels' gradients */
  float *du, *grad;
  float *streams; /* (P - 1) pairs: spectrum of v_q, then s_q */
} Channel;

static Channel channel_of(const EbbS4SeriesArgs *args, const EbbRun *run) {
  const int64_t floats = ebb_pair_floats(args->n);
  float *work = args->work + omp_get_thread_num() * args->work_floats;
  return (Channel){.args = args,
                   .run = run,
                   .batch = {args->B, args->H, args->L, args->lengths, {args->n, args->twiddles}},
                   .floats = floats,
                   .k = work,
                   .ke = work + floats,
                   .row = work + 2 * floats,
                   .next = work + 3 * floats,
                   .total = work + 4 * floats,
                   .sum = work + 5 * floats,
                   .sum_e = work + 6 * floats,
                   .du = work + 7 * floats,
                   .grad = work + 8 * floats,
                   .streams = work + 9 * floats};
}

static void begin_channel(Channel *c, int64_t h) {
  const EbbS4SeriesArgs *args = c->args;
  c->h = h;
  ebb_s4_kernel_spectrum(&c->batch, args->Lk, args->k + h * args->Lk, c->k);
  ebb_s4_kernel_spectrum(&c->batch, args->Lk, args->ke + h * args->Lk, c->ke);
}

/* One half of a pair: its row of u (NULL past the batch), the valid steps of that row, and where the half
   starts in the pair. */
typedef struct Half {
  const float *u;
  int64_t valid, offset;
} Half;
static Half half_of(const Channel *c, int64_t b, int which) {
  Half half = {NULL, 0, which * ebb_pair_imag(c->args->n)};
  if (b + which >= c->args->B) return half;
  half.u = c->args->u + ebb_s4_row_start(&c->batch, b + which, c->h);
  half.valid = ebb_s4_row(&c->batch, b + which, c->h).valid;
  return half;
}

/* v[t] = u_t s[t-1] for one half, zeros behind; total += v. */
static void next_half(int64_t n, int64_t valid, const float *restrict u, const float *restrict s,
                      float *restrict v, float *restrict total) {
  memset(v + valid, 0, sizeof(float) * (size_t)(n - valid));
  if (valid) v[0] = 0.0f;
  for (int64_t t = 1; t < valid; t++) {
    v[t] = u[t] * s[t - 1];
    total[t] += v[t];
  }
}

static void next_stream(const Channel *c, int64_t b, const float *s, float *v) {
  for (int which = 0; which < 2; which++) {
    const Half half = half_of(c, b, which);
    next_half(c->args->n, half.valid, half.u, s + half.offset, v + half.offset, c->total + half.offset);
  }
}

static void finish_row(const Channel *c, int64_t b, float *x) {
  const EbbS4SeriesArgs *args = c->args;
  if (b >= args->B) return;
  const EbbS4Row row = ebb_s4_row(&c->batch, b, c->h);
  const int64_t start = ebb_s4_row_start(&c->batch, b, c->h);
  ebb_s4_skip(&args->epilogue, &row, args->u + start, x);
  ebb_s4_finish(&args->epilogue, c->run, &row, x, args->y + start);
}

static void pair_forward(Channel *c, int64_t b) {
  const EbbS4SeriesArgs *args = c->args;
  const EbbPairFft *fft = &c->batch.fft;
  ebb_s4_load_pair(&c->batch, b, c->h, args->u, c->row);
  memcpy(c->total, c->row, sizeof(float) * (size_t)c->floats);
  for (int64_t q = 1; q < args->degree; q++) {
    ebb_pair_forward(fft, c->row);
    ebb_pair_multiply(args->n, c->row, c->ke);
    ebb_pair_inverse(fft, c->row);
    next_stream(c, b, c->row, c->next);
    float *swap = c->row;
    c->row = c->next, c->next = swap;
  }
  ebb_pair_forward(fft, c->total);
  ebb_pair_multiply(args->n, c->total, c->k);
  ebb_pair_inverse(fft, c->total);
  finish_row(c, b, c->total);
  finish_row(c, b + 1, c->total + ebb_pair_imag(args->n));
}

static EbbStatus forward(const void *args_, const EbbRun *run) {
  const EbbS4SeriesArgs *args = args_;
#pragma omp parallel num_threads(EBB_THREADS(run))
  {
    Channel c = channel_of(args, run);
#pragma omp for schedule(dynamic)
    for (int64_t h = 0; h < args->H; h++) {
      begin_channel(&c, h);
      for (int64_t b = 0; b < args->B; b += 2) pair_forward(&c, b);
    }
  }
  return EBB_OK;
}

static float *stream_spectrum(const Channel *c, int64_t q) { return c->streams + 2 * (q - 1) * c->floats; }
static float *stream_state(const Channel *c, int64_t q) { return stream_spectrum(c, q) + c->floats; }

/* Spectra of v_1 .. v_{P-1}, the states s_q, and the transform of the sum of all streams. */
static void remake_streams(Channel *c, int64_t b) {
  const EbbS4SeriesArgs *args = c->args;
  const EbbPairFft *fft = &c->batch.fft;
  float *v = args->degree > 1 ? stream_spectrum(c, 1) : c->row;
  ebb_s4_load_pair(&c->batch, b, c->h, args->u, v);
  memcpy(c->total, v, sizeof(float) * (size_t)c->floats);
  for (int64_t q = 1; q < args->degree; q++) {
    float *s = stream_state(c, q), *after = q + 1 < args->degree ? stream_spectrum(c, q + 1) : c->row;
    ebb_pair_forward(fft, v);
    memcpy(s, v, sizeof(float) * (size_t)c->floats);
    ebb_pair_multiply(args->n, s, c->ke);
    ebb_pair_inverse(fft, s);
    next_stream(c, b, s, after);
    v = after;
  }
  ebb_pair_forward(fft, c->total);
}

/* Through v[t] = u_t s[t-1] of one half: du[t] += gv[t] s[t-1]; gs[t-1] = gv[t] u_t, zeros elsewhere. */
static void product_back(int64_t n, int64_t valid, const float *restrict u, const float *restrict s,
                         const float *restrict gv, float *restrict gs, float *restrict du) {
  const int64_t last = valid > 0 ? valid - 1 : 0;
  memset(gs + last, 0, sizeof(float) * (size_t)(n - last));
  for (int64_t t = 0; t < last; t++) {
    gs[t] = gv[t + 1] * u[t + 1];
    du[t + 1] += gv[t + 1] * s[t];
  }
}

/* From the last stream's gradient down to v_1: grad is what every stream gets through x alone. Adds to du and
   to ke's gradient. */
static void streams_back(Channel *c, int64_t b) {
  const EbbS4SeriesArgs *args = c->args;
  const EbbPairFft *fft = &c->batch.fft;
  const int64_t n = args->n;
  float *gv = c->row, *gs = c->next;
  memcpy(gv, c->grad, sizeof(float) * (size_t)c->floats);
  for (int64_t q = args->degree - 1; q > 0; q--) {
    for (int which = 0; which < 2; which++) {
      const Half half = half_of(c, b, which);
      product_back(n, half.valid, half.u, stream_state(c, q) + half.offset, gv + half.offset,
                   gs + half.offset, c->du + half.offset);
    }
    ebb_pair_forward(fft, gs);
    ebb_pair_correlate(n, c->sum_e, gs, stream_spectrum(c, q));
    ebb_pair_multiply_conj(n, gs, c->ke);
    ebb_pair_inverse(fft, gs);
    for (int64_t i = 0; i < c->floats; i++) gs[i] += c->grad[i];
    float *swap = gv;
    gv = gs, gs = swap;
  }
  for (int64_t i = 0; i < c->floats; i++) c->du[i] += gv[i];
}

static double pair_back(Channel *c, int64_t b) {
  const EbbS4SeriesArgs *args = c->args;
  const EbbPairFft *fft = &c->batch.fft;
  const float D = args->epilogue.D ? args->epilogue.D[c->h] : 0.0f;
  const double dD =
      ebb_s4_load_grads(&c->batch, &args->epilogue, c->run, b, c->h, args->dy, args->u, c->grad);
  for (int64_t i = 0; i < c->floats; i++) c->du[i] = D * c->grad[i];
  remake_streams(c, b);
  ebb_pair_forward(fft, c->grad);
  ebb_pair_correlate(args->n, c->sum, c->grad, c->total);
  ebb_pair_multiply_conj(args->n, c->grad, c->k);
  ebb_pair_inverse(fft, c->grad);
  streams_back(c, b);
  for (int which = 0; args->du && which < 2 && b + which < args->B; which++) {
    const EbbS4Row row = ebb_s4_row(&c->batch, b + which, c->h);
    ebb_s4_store_grad(&row, c->du + which * ebb_pair_imag(args->n), 0.0f, NULL, args->add_du,
                      args->du + ebb_s4_row_start(&c->batch, b + which, c->h));
  }
  return dD;
}

static EbbStatus backward(const void *args_, const EbbRun *run) {
  const EbbS4SeriesArgs *args = args_;
#pragma omp parallel num_threads(EBB_THREADS(run))
  {
    Channel c = channel_of(args, run);
    /* The gap between the halves of a pair takes part in whole-row loops. */
    memset(c.k, 0, sizeof(float) * (size_t)args->work_floats);
#pragma omp for schedule(dynamic)
    for (int64_t h = 0; h < args->H; h++) {
      double dD = 0;
      begin_channel(&c, h);
      memset(c.sum, 0, 2 * sizeof(float) * (size_t)c.floats);
      for (int64_t b = 0; b < args->B; b += 2) dD += pair_back(&c, b);
      if (args->dk) ebb_s4_kernel_grad(&c.batch, args->Lk, c.sum, args->add_dk, args->dk + h * args->Lk);
      if (args->dke) ebb_s4_kernel_grad(&c.batch, args->Lk, c.sum_e, args->add_dke, args->dke + h * args->Lk);
      if (args->epilogue.dD) args->epilogue.dD[h] += (float)dD;
    }
  }
  return EBB_OK;
}

const EbbOp ebb_s4_series_op = {"s4_series", sizeof(EbbS4SeriesArgs), setup, NULL, NULL};
const EbbKernels ebb_s4_series_cpu = {forward, backward};
