/* Groups of rows through the scan, and the gradients of the parameters behind abar and bbar. */
#include "host/ops/s4_scan.h"

#include <math.h>
#include <string.h>

#include "host/cpu.h"
#include "host/ops/s4_pairs.h"

enum { LANES = EBB_SCAN_LANES, MOST_ROWS = EBB_LANES, SHORTEST_INTERVAL = 64, LONGEST_INTERVAL = 512 };

static EbbStatus check(EbbSetup *setup, const EbbS4ScanConfig *config) {
  const char *where = ebb_setup_where(setup);
  EBB_TRY(ebb_ssm_check(&config->ssm, true, where));
  if (config->ssm.channels != 1)
    return ebb_fail(EBB_UNSUPPORTED,
                    "%s: the scan runs forward in time only; bidirectional needs another liquid_kernel",
                    where);
  if (config->ssm.disc != EBB_SSM_BILINEAR && config->ssm.disc != EBB_SSM_ZOH)
    return ebb_fail(EBB_UNSUPPORTED, "%s: the scan discretises by bilinear or zoh", where);
  if (!(config->contraction >= 0 && config->contraction < INFINITY))
    return ebb_fail(EBB_INVALID,
                    "%s: contraction is %g; it bounds |abar + bbar u| and must be positive, or 0 for none",
                    where, config->contraction);
  return EBB_OK;
}

/* As many rows a group as leave room for the modes; as many channels a unit as fill a group. */
static void partition(EbbS4ScanArgs *args) {
  args->R = MOST_ROWS;
  while (args->R > 1 && args->M * args->R > LANES) args->R /= 2;
  args->parts = (args->M * args->R + LANES - 1) / LANES;
  args->K = (args->R + args->batch - 1) / args->batch;
  if (args->K > args->H) args->K = args->H;
  args->groups = (args->K * args->batch + args->R - 1) / args->R;
  args->interval = ebb_row_floats(2 * args->M);
  if (args->interval < SHORTEST_INTERVAL) args->interval = SHORTEST_INTERVAL;
  if (args->interval > LONGEST_INTERVAL) args->interval = LONGEST_INTERVAL;
  args->checks = (args->L + args->interval - 1) / args->interval;
}

static int64_t units_of(const EbbS4ScanArgs *args) { return (args->H + args->K - 1) / args->K; }
static int64_t state_floats(const EbbS4ScanArgs *args) { return args->checks * 2 * LANES; }

static EbbStatus setup_cpu(EbbSetup *setup, EbbS4ScanArgs *args) {
  const bool backward = ebb_setup_training(setup);
  partition(args);
  if (backward) {
    const int64_t rows = units_of(args) * args->groups * args->parts;
    EBB_TRY(
        ebb_setup_saved(setup, sizeof(float) * (size_t)(rows * state_floats(args)), (void *)&args->states));
    EBB_TRY(ebb_setup_scratch(setup, sizeof(double) * (size_t)(args->H * args->M * 6), (void *)&args->sums));
  }
  args->work_bytes = ebb_scan_thread_bytes(args, backward);
  return ebb_setup_scratch(setup, (size_t)ebb_setup_threads(setup) * args->work_bytes, (void *)&args->work);
}

static EbbStatus setup_cuda(EbbSetup *setup, EbbS4ScanArgs *args) {
  const EbbScanLayout *layout = &args->layout;
  const int64_t modes = args->H * args->M;
  args->layout = ebb_scan_layout(args->batch, args->H, args->M);
  args->interval = EBB_SCAN_INTERVAL, args->checks = (args->L + args->interval - 1) / args->interval;
  EBB_TRY(ebb_setup_saved(setup, sizeof(float) * (size_t)(modes * 4), (void *)&args->constants));
  if (layout->parts > 1)
    EBB_TRY(ebb_setup_scratch(setup, sizeof(float) * (size_t)(args->batch * args->H * args->L),
                              (void *)&args->carry));
  if (!ebb_setup_training(setup)) return EBB_OK;
  const int64_t states =
      layout->parts * args->batch * layout->channel_groups * args->checks * layout->warps * layout->each * 64;
  EBB_TRY(ebb_setup_saved(setup, sizeof(float) * (size_t)states, (void *)&args->states));
  EBB_TRY(
      ebb_setup_scratch(setup, sizeof(double) * (size_t)(layout->splits * modes * 6), (void *)&args->sums));
  EBB_TRY(
      ebb_setup_scratch(setup, sizeof(double) * (size_t)(layout->splits * args->H), (void *)&args->dD_sums));
  return ebb_setup_scratch(setup, sizeof(double) * (size_t)(modes * 5), (void *)&args->shared);
}

static EbbStatus setup(EbbSetup *setup, const void *config_, void *args_) {
  const EbbS4ScanConfig *config = config_;
  EbbS4ScanArgs *args = args_;
  args->storage = ebb_setup_activations(setup);
  EBB_TRY(ebb_setup_input(setup, 0, args->storage, 3, true, (void *)&args->u));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &args->du, &args->add_du));
  const EbbShape shape = ebb_setup_shape(setup, 0);
  args->batch = shape.dim[0], args->H = shape.dim[1], args->L = shape.dim[2];
  args->bound = (float)config->contraction;
  args->M = ebb_ssm_modes(&config->ssm);
  EBB_TRY(check(setup, config));
  if (config->ssm.H != args->H)
    return ebb_fail(EBB_SHAPE, "%s: u has %lld channels, the configuration %lld", ebb_setup_where(setup),
                    (long long)args->H, (long long)config->ssm.H);
  EBB_TRY(ebb_s4_lengths_setup(setup, 1, args->batch, &args->lengths));
  EBB_TRY(ebb_setup_output(setup, 0, args->storage, shape, false, (void *)&args->y));
  EBB_TRY(ebb_setup_output_grad(setup, 0, &args->dy));
  EBB_TRY(ebb_ssm_setup_param(setup, &config->ssm, true, EBB_SSM_P_C, &args->C, &args->dC));
  EBB_TRY(ebb_ssm_diagonal_setup(setup, &config->ssm, &args->diagonal));
  EBB_TRY(ebb_s4_epilogue_setup(setup, &config->epilogue, shape, &args->epilogue));
  return ebb_setup_backend(setup) == EBB_CUDA ? setup_cuda(setup, args) : setup_cpu(setup, args);
}

static EbbStatus init(EbbPrepare *prepare, const void *config) {
  return ebb_ssm_init(prepare, &((const EbbS4ScanConfig *)config)->ssm, true);
}

/* The rows of one group: batch row and channel, -1 past the end of the unit. */
typedef struct Group {
  int64_t b[MOST_ROWS], h[MOST_ROWS];
  int64_t unit, index;
} Group;

static Group group_of(const EbbS4ScanArgs *args, int64_t unit, int64_t index) {
  Group group = {.unit = unit, .index = index};
  for (int64_t r = 0; r < args->R; r++) {
    const int64_t i = index * args->R + r, h = unit * args->K + i / args->batch;
    const bool there = i < args->K * args->batch && h < args->H;
    group.b[r] = there ? i % args->batch : -1, group.h[r] = there ? h : -1;
  }
  return group;
}

static float *states_of(const EbbS4ScanArgs *args, const Group *group, int64_t part) {
  if (!args->states) return NULL;
  return args->states +
         ((group->unit * args->groups + group->index) * args->parts + part) * state_floats(args);
}

static EbbS4Row row_of(const EbbS4ScanArgs *args, const Group *group, int64_t r) {
  return (EbbS4Row){group->b[r], group->h[r], args->H, args->L,
                    ebb_s4_valid(args->lengths, group->b[r], args->L)};
}
static int64_t row_start(const EbbS4ScanArgs *args, const Group *group, int64_t r) {
  return (group->b[r] * args->H + group->h[r]) * args->L;
}

static void load_rows(EbbScanThread *thread, const Group *group) {
  const EbbS4ScanArgs *args = thread->args;
  memset(thread->out, 0, sizeof(float) * (size_t)(args->R * thread->padded));
  for (int64_t r = 0; r < args->R; r++) {
    float *to = thread->u + r * thread->padded;
    if (group->h[r] < 0)
      ebb_s4_fill_half(thread->padded, to, NULL, 0);
    else
      ebb_s4_fill_half(thread->padded, to, args->u + row_start(args, group, r), row_of(args, group, r).valid);
  }
}

static void group_forward(EbbScanThread *thread, const Group *group) {
  const EbbS4ScanArgs *args = thread->args;
  load_rows(thread, group);
  for (int64_t part = 0; part < args->parts; part++) {
    ebb_scan_load(thread, group->h, part);
    ebb_scan_forward(thread, states_of(args, group, part));
  }
  for (int64_t r = 0; r < args->R && group->h[r] >= 0; r++) {
    const EbbS4Row row = row_of(args, group, r);
    float *x = thread->out + r * thread->padded;
    ebb_s4_skip(&args->epilogue, &row, thread->u + r * thread->padded, x);
    ebb_s4_finish(&args->epilogue, thread->run, &row, x, args->y + row_start(args, group, r));
  }
}

static EbbStatus forward(const void *args_, const EbbRun *run) {
  const EbbS4ScanArgs *args = args_;
  const int64_t units = units_of(args);
#pragma omp parallel num_threads(EBB_THREADS(run))
  {
    EbbScanThread thread = ebb_scan_thread(args, run);
#pragma omp for schedule(dynamic)
    for (int64_t unit = 0; unit < units; unit++)
      for (int64_t g = 0; g < args->groups; g++) {
        const Group group = group_of(args, unit, g);
        group_forward(&thread, &group);
      }
  }
  return EBB_OK;
}

/* dL/d(sum C x) of the group's rows; dD of their channels, rows in order. */
static void load_grads(EbbScanThread *thread, const Group *group, double *dD) {
  const EbbS4ScanArgs *args = thread->args;
  memset(thread->g, 0, sizeof(float) * (size_t)(args->R * thread->padded));
  for (int64_t r = 0; r < args->R && group->h[r] >= 0; r++) {
    const EbbS4Row row = row_of(args, group, r);
    float *g = thread->g + r * thread->padded;
    ebb_s4_finish_back(&args->epilogue, thread->run, &row, args->dy + row_start(args, group, r), g);
    dD[group->h[r] - group->unit * args->K] += ebb_s4_dot(args->L, g, thread->u + r * thread->padded);
  }
}

static void add_lane_sums(EbbScanThread *thread, const Group *group, int64_t part) {
  const EbbS4ScanArgs *args = thread->args;
  for (int64_t lane = 0; lane < LANES; lane++) {
    const int64_t h = group->h[lane % args->R], m = part * LANES + lane / args->R;
    if (h < 0 || m >= args->M) continue;
    double *to = thread->unit_sums + ((h - group->unit * args->K) * args->M + m) * 6;
    for (int i = 0; i < 6; i++) to[i] += thread->lane_sums[i * LANES + lane];
  }
}

static void group_backward(EbbScanThread *thread, const Group *group, double *dD) {
  const EbbS4ScanArgs *args = thread->args;
  load_rows(thread, group);
  load_grads(thread, group, dD);
  for (int64_t part = 0; part < args->parts; part++) {
    ebb_scan_load(thread, group->h, part);
    ebb_scan_backward(thread, states_of(args, group, part));
    add_lane_sums(thread, group, part);
  }
  for (int64_t r = 0; args->du && r < args->R && group->h[r] >= 0; r++) {
    const EbbS4Row row = row_of(args, group, r);
    const float D = args->epilogue.D ? args->epilogue.D[row.h] : 0.0f;
    ebb_s4_store_grad(&row, thread->out + r * thread->padded, D, thread->g + r * thread->padded, args->add_du,
                      args->du + row_start(args, group, r));
  }
}

static void unit_backward(EbbScanThread *thread, int64_t unit) {
  const EbbS4ScanArgs *args = thread->args;
  const int64_t first = unit * args->K, channels = first + args->K < args->H ? args->K : args->H - first;
  double dD[MOST_ROWS] = {0};
  memset(thread->unit_sums, 0, sizeof(double) * (size_t)(args->K * args->M * 6));
  for (int64_t g = 0; g < args->groups; g++) {
    const Group group = group_of(args, unit, g);
    group_backward(thread, &group, dD);
  }
  memcpy(args->sums + first * args->M * 6, thread->unit_sums,
         sizeof(double) * (size_t)(channels * args->M * 6));
  for (int64_t h = 0; args->epilogue.dD && h < channels; h++) args->epilogue.dD[first + h] += (float)dD[h];
}

/* Gradients of channel h: C and log_dt are its own; those of w and B replace the sums they come from. */
static void channel_params(const EbbS4ScanArgs *args, int64_t h) {
  double dlog_dt = 0;
  for (int64_t m = 0; m < args->M; m++) {
    double *sums = args->sums + (h * args->M + m) * 6;
    const EbbSsmMode mode = ebb_ssm_mode(&args->diagonal, h, m);
    const EbbSsmModeGrad grad =
        ebb_scan_mode_grad(&mode, ebb_c64_make(sums[0], sums[1]), ebb_c64_make(sums[2], sums[3]));
    dlog_dt += grad.log_dt;
    for (int i = 0; args->dC && i < 2; i++) args->dC[2 * (h * args->M + m) + i] += (float)sums[4 + i];
    sums[0] = grad.w.re, sums[1] = grad.w.im, sums[2] = grad.B.re, sums[3] = grad.B.im;
  }
  if (args->diagonal.dlog_dt) args->diagonal.dlog_dt[h] += (float)dlog_dt;
}

/* Gradients that the channels of one copy share. */
static void copy_params(const EbbS4ScanArgs *args, int64_t copy) {
  const int64_t copies = ebb_ssm_copies(&args->diagonal.config);
  for (int64_t m = 0; m < args->M; m++) {
    const int64_t i = copy * args->M + m;
    double total[4] = {0};
    for (int64_t h = copy; h < args->H; h += copies)
      for (int part = 0; part < 4; part++) total[part] += args->sums[(h * args->M + m) * 6 + part];
    ebb_ssm_diagonal_add(&args->diagonal, i, total);
  }
}

static EbbStatus backward(const void *args_, const EbbRun *run) {
  const EbbS4ScanArgs *args = args_;
  const int64_t units = units_of(args), copies = ebb_ssm_copies(&args->diagonal.config);
#pragma omp parallel num_threads(EBB_THREADS(run))
  {
    EbbScanThread thread = ebb_scan_thread(args, run);
#pragma omp for schedule(dynamic)
    for (int64_t unit = 0; unit < units; unit++) unit_backward(&thread, unit);
#pragma omp for
    for (int64_t h = 0; h < args->H; h++) channel_params(args, h);
#pragma omp for
    for (int64_t copy = 0; copy < copies; copy++) copy_params(args, copy);
  }
  return EBB_OK;
}

const EbbOp ebb_s4_scan_op = {"s4_scan", sizeof(EbbS4ScanArgs), setup, init, NULL};
const EbbKernels ebb_s4_scan_cpu = {forward, backward};
