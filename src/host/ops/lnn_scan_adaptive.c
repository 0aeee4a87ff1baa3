/* Adaptive sub-steps of lnn_scan on the CPU, in float64: the rows of a group go through each step together.
 */
#include <math.h>
#include <string.h>

#include "ebb/fault.h"
#include "host/cpu.h"
#include "host/ops/lnn_scan.h"

/* A group of rows in step t. */
typedef struct Frame {
  const EbbLnnScanArgs *args;
  const EbbRun *run;
  int64_t group, t;
} Frame;

static int64_t first_row(const Frame *frame) { return frame->group * frame->args->control.group_rows; }

/* Row b tries a sub-step of the part `dt` of its time; the sum of squared errors. */
static double try_row(const Frame *frame, int64_t b, double dt) {
  const EbbLnnScanArgs *args = frame->args;
  const int64_t H = args->H, from = (b * args->T + frame->t) * H;
  const double time = dt * (double)ebb_lnn_elapsed(args, b, frame->t);
  const EbbLnnControl control = args->control; /* a copy, so that the loop vectorises */
  const float *restrict tau = args->tau + from, *restrict a = args->a + from;
  const double *restrict state = args->state + b * H;
  double *restrict trial = args->trial + b * H, sum = 0;
  if (!ebb_lnn_moves(args, b, frame->t)) return 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t h = 0; h < H; h++)
    sum += ebb_lnn_try(&control, (double)tau[h], (double)a[h], time, state[h], &trial[h]);
  return sum;
}

/* The rms error over the rows that move; 0 where none does. */
static double try_rows(const Frame *frame, double dt) {
  const EbbLnnScanArgs *args = frame->args;
  const int64_t first = first_row(frame), end = first + args->control.group_rows;
  int64_t moving = 0;
  double sum = 0;
#pragma omp parallel for num_threads(EBB_THREADS(frame->run)) if (end - first > 1)
  for (int64_t b = first; b < end; b++) args->row_error[b] = try_row(frame, b, dt);
  for (int64_t b = first; b < end; b++) {
    sum += args->row_error[b];
    moving += ebb_lnn_moves(args, b, frame->t);
  }
  return moving ? sqrt(sum / (double)(moving * args->H)) : 0;
}

static void accept(const Frame *frame) {
  const EbbLnnScanArgs *args = frame->args;
  for (int64_t r = 0; r < args->control.group_rows; r++) {
    const int64_t b = first_row(frame) + r;
    if (ebb_lnn_moves(args, b, frame->t))
      memcpy(args->state + b * args->H, args->trial + b * args->H, (size_t)args->H * sizeof(double));
  }
}

/* Whether the sub-steps got to the end of the step. */
static bool walk(const Frame *frame) {
  const EbbLnnScanArgs *args = frame->args;
  const int64_t index = frame->group * args->T + frame->t, attempts = args->control.attempts;
  double *taken = args->taken + index * attempts, time = 0, dt = args->control.first_step;
  float *log = args->log ? args->log + index * attempts * 3 : NULL;
  int32_t count = 0;
  if (log) memset(log, 0, (size_t)(attempts * 3) * sizeof *log);
  for (int64_t tried = 0; time < 1 && tried < attempts; tried++) {
    dt = fmin(dt, 1 - time);
    const double error = try_rows(frame, dt);
    if (log) log[3 * tried] = (float)time, log[3 * tried + 1] = (float)dt, log[3 * tried + 2] = (float)error;
    if (error <= 1) {
      accept(frame);
      taken[count++] = dt;
      time += dt;
    }
    dt *= ebb_tableau_growth(error);
  }
  args->counts[index] = count;
  return time >= 1;
}

static void start(const EbbLnnScanArgs *args, int64_t b) {
  for (int64_t i = b * args->H; i < (b + 1) * args->H; i++)
    args->state[i] = args->h0 ? (double)args->h0[i] : 0;
}

static void emit(const Frame *frame) {
  const EbbLnnScanArgs *args = frame->args;
  for (int64_t r = 0; r < args->control.group_rows; r++) {
    const int64_t b = first_row(frame) + r;
    const bool moves = ebb_lnn_moves(args, b, frame->t);
    float *restrict out = args->h + (b * args->T + frame->t) * args->H;
    const double *restrict state = args->state + b * args->H;
    for (int64_t h = 0; h < args->H; h++) out[h] = moves ? (float)state[h] : 0;
  }
}

/* The first step that was not finished; T where all were. */
static int64_t group_forward(const EbbLnnScanArgs *args, const EbbRun *run, int64_t group) {
  Frame frame = {args, run, group, 0};
  const int64_t rows = args->control.group_rows;
  for (int64_t r = 0; r < rows; r++) start(args, group * rows + r);
  for (; frame.t < args->T; frame.t++) {
    if (!walk(&frame)) return frame.t;
    emit(&frame);
  }
  for (int64_t i = group * rows * args->H; i < (group + 1) * rows * args->H && args->final; i++)
    args->final[i] = (float)args->state[i];
  return args->T;
}

static EbbStatus exhausted(const EbbLnnScanArgs *args, int64_t group, int64_t t) {
  const int64_t index = group * args->T + t, attempts = args->control.attempts;
  double time = 0;
  for (int32_t i = 0; i < args->counts[index]; i++) time += args->taken[index * attempts + i];
  return ebb_fault_fail(EBB_FAULT_LNN_ATTEMPTS, (double)t, (double)(group * args->control.group_rows), time,
                        (double)attempts);
}

/* Groups side by side, or the rows of the only one. A sentence belongs to the thread that asked, so how far a
   group got is kept until all are done, where its first row's error stood. */
EbbStatus ebb_lnn_adaptive_forward(const EbbLnnScanArgs *args, const EbbRun *run) {
  const int64_t groups = args->control.groups, rows = args->control.group_rows;
#pragma omp parallel for num_threads(EBB_THREADS(run)) if (groups > 1)
  for (int64_t group = 0; group < groups; group++)
    args->row_error[group * rows] = (double)group_forward(args, run, group);
  for (int64_t group = 0; group < groups; group++) {
    const int64_t t = (int64_t)args->row_error[group * rows];
    if (t < args->T) return exhausted(args, group, t);
  }
  return EBB_OK;
}
