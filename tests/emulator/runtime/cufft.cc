/* cuFFT's transforms by FFTW, queued on the plan's stream. */
#include "cufft.h"
#include "arena.h"
#include "device.h"
#include "operands.h"
#include "streams.h"
#include <fftw3.h>
#include <map>
#include <memory>

namespace emulator {
namespace {

/* One side of a transform, in elements of its own type. */
struct Side {
  int length, stride, distance;
  size_t element;
};

struct Transform {
  int n = 0, batch = 0;
  cufftType type = CUFFT_R2C;
  bool basic_in = false; /* contiguous, padded when the transform is in place */
  Side in = {}, out = {};
};

struct Plan {
  Transform transform;
  cudaStream_t stream = nullptr;
  bool made = false, automatic = true;
  void *work = nullptr, *own_work = nullptr;
  size_t work_bytes = 0;
};

std::map<cufftHandle, Plan> &plans() {
  static auto *all = new std::map<cufftHandle, Plan>;
  return *all;
}

Plan *plan_of(cufftHandle handle) {
  auto found = plans().find(handle);
  return found != plans().end() ? &found->second : nullptr;
}

Side side_of(bool real, int n, bool half, const int *embed, int stride, int distance) {
  int length = half ? n / 2 + 1 : n;
  Side side = {length, stride, distance, real ? sizeof(float) : sizeof(float2)};
  if (embed == nullptr) side.stride = 1, side.distance = length;
  return side;
}

size_t work_bytes_of(const Transform &t) { return (size_t)t.n * (size_t)t.batch * sizeof(float2); }

cufftResult describe(Transform *t, int rank, const int *n, const int *in_embed, int in_stride,
                     int in_distance, const int *out_embed, int out_stride, int out_distance, cufftType type,
                     int batch) {
  if (rank != 1) return CUFFT_NOT_IMPLEMENTED;
  if (type != CUFFT_R2C && type != CUFFT_C2R && type != CUFFT_C2C) return CUFFT_INVALID_TYPE;
  if (n == nullptr || n[0] < 1 || batch < 1) return CUFFT_INVALID_SIZE;
  if ((in_embed == nullptr) != (out_embed == nullptr)) return CUFFT_INVALID_VALUE;
  t->n = n[0];
  t->batch = batch;
  t->type = type;
  t->basic_in = in_embed == nullptr;
  t->in = side_of(type == CUFFT_R2C, t->n, type == CUFFT_C2R, in_embed, in_stride, in_distance);
  t->out = side_of(type == CUFFT_C2R, t->n, type == CUFFT_R2C, out_embed, out_stride, out_distance);
  return t->in.stride < 1 || t->out.stride < 1 ? CUFFT_INVALID_VALUE : CUFFT_SUCCESS;
}

Runs runs_of(const void *data, const Side &side, int batch) {
  size_t count = (size_t)side.length, stride = (size_t)side.stride * side.element;
  Runs runs = {data, side.element, count, stride, (size_t)batch, (size_t)side.distance * side.element};
  if (side.stride == 1) runs.bytes = count * side.element, runs.count = 1;
  return runs;
}

fftwf_plan plan_for(const Transform &t, void *in, void *out, int direction) {
  unsigned flags = FFTW_ESTIMATE | FFTW_UNALIGNED | (in == out ? 0u : FFTW_PRESERVE_INPUT);
  auto *c_in = static_cast<fftwf_complex *>(in), *c_out = static_cast<fftwf_complex *>(out);
  auto *r_in = static_cast<float *>(in), *r_out = static_cast<float *>(out);
  const Side &i = t.in, &o = t.out;
  if (t.type == CUFFT_R2C)
    return fftwf_plan_many_dft_r2c(1, &t.n, t.batch, r_in, nullptr, i.stride, i.distance, c_out, nullptr,
                                   o.stride, o.distance, flags);
  if (t.type == CUFFT_C2R)
    return fftwf_plan_many_dft_c2r(1, &t.n, t.batch, c_in, nullptr, i.stride, i.distance, r_out, nullptr,
                                   o.stride, o.distance, flags);
  return fftwf_plan_many_dft(1, &t.n, t.batch, c_in, nullptr, i.stride, i.distance, c_out, nullptr, o.stride,
                             o.distance, direction == CUFFT_FORWARD ? FFTW_FORWARD : FFTW_BACKWARD, flags);
}

void run(const Transform &t, void *in, void *out, int direction) {
  std::string call = "cufft transform of " + std::to_string(t.batch) + " x " + std::to_string(t.n);
  Runs output = runs_of(out, t.out, t.batch);
  if (!check_read(call, "input", runs_of(in, t.in, t.batch)) || !check_written(call, "output", output))
    return;
  fftwf_plan plan = plan_for(t, in, out, direction);
  if (plan == nullptr) return device_fault(cudaErrorLaunchFailure, call + ": FFTW has no plan for it");
  fftwf_execute(plan);
  fftwf_destroy_plan(plan);
  mark_written(output);
}

/* In place, the basic layout pads the real side to whole complex numbers. */
Transform placed(Transform t, bool in_place) {
  if (!in_place || !t.basic_in || t.type == CUFFT_C2C) return t;
  Side &real = t.type == CUFFT_R2C ? t.in : t.out;
  real.distance = 2 * (t.n / 2 + 1);
  return t;
}

cufftResult execute(cufftHandle handle, cufftType type, void *in, void *out, int direction) {
  Guard guard(device_mutex());
  Plan *plan = plan_of(handle);
  if (plan == nullptr || !plan->made || plan->transform.type != type) return CUFFT_INVALID_PLAN;
  if (in == nullptr || out == nullptr) return CUFFT_INVALID_VALUE;
  if (device_allocation(plan->work, plan->work_bytes) == nullptr) return CUFFT_NO_WORKSPACE;
  Transform t = placed(plan->transform, in == out);
  return enqueue(plan->stream, [=] { run(t, in, out, direction); }) == cudaSuccess ? CUFFT_SUCCESS
                                                                                   : CUFFT_EXEC_FAILED;
}

} // namespace
} // namespace emulator

using namespace emulator;

cufftResult cufftCreate(cufftHandle *handle) {
  static cufftHandle next = 1;
  Guard guard(device_mutex());
  if (device_error() != cudaSuccess) return CUFFT_SETUP_FAILED;
  plans()[next];
  *handle = next++;
  return CUFFT_SUCCESS;
}

cufftResult cufftMakePlanMany(cufftHandle handle, int rank, int *n, int *in_embed, int in_stride,
                              int in_distance, int *out_embed, int out_stride, int out_distance,
                              cufftType type, int batch, size_t *work_bytes) {
  Guard guard(device_mutex());
  Plan *plan = plan_of(handle);
  if (plan == nullptr || plan->made) return CUFFT_INVALID_PLAN;
  cufftResult result = describe(&plan->transform, rank, n, in_embed, in_stride, in_distance, out_embed,
                                out_stride, out_distance, type, batch);
  if (result != CUFFT_SUCCESS) return result;
  plan->work_bytes = *work_bytes = work_bytes_of(plan->transform);
  if (plan->automatic && cudaMalloc(&plan->own_work, plan->work_bytes) != cudaSuccess)
    return CUFFT_ALLOC_FAILED;
  if (plan->automatic) plan->work = plan->own_work;
  plan->made = true;
  return CUFFT_SUCCESS;
}

cufftResult cufftPlanMany(cufftHandle *handle, int rank, int *n, int *in_embed, int in_stride,
                          int in_distance, int *out_embed, int out_stride, int out_distance, cufftType type,
                          int batch) {
  size_t work_bytes;
  cufftResult result = cufftCreate(handle);
  if (result == CUFFT_SUCCESS) {
    result = cufftMakePlanMany(*handle, rank, n, in_embed, in_stride, in_distance, out_embed, out_stride,
                               out_distance, type, batch, &work_bytes);
    if (result != CUFFT_SUCCESS) cufftDestroy(*handle);
  }
  return result;
}

cufftResult cufftPlan1d(cufftHandle *handle, int n, cufftType type, int batch) {
  return cufftPlanMany(handle, 1, &n, nullptr, 1, 0, nullptr, 1, 0, type, batch);
}

cufftResult cufftEstimateMany(int rank, int *n, int *in_embed, int in_stride, int in_distance, int *out_embed,
                              int out_stride, int out_distance, cufftType type, int batch,
                              size_t *work_bytes) {
  Transform t;
  cufftResult result = describe(&t, rank, n, in_embed, in_stride, in_distance, out_embed, out_stride,
                                out_distance, type, batch);
  if (result == CUFFT_SUCCESS) *work_bytes = work_bytes_of(t);
  return result;
}

cufftResult cufftGetSize(cufftHandle handle, size_t *work_bytes) {
  Guard guard(device_mutex());
  Plan *plan = plan_of(handle);
  if (plan == nullptr || !plan->made) return CUFFT_INVALID_PLAN;
  *work_bytes = plan->work_bytes;
  return CUFFT_SUCCESS;
}

cufftResult cufftSetStream(cufftHandle handle, cudaStream_t stream) {
  Guard guard(device_mutex());
  Plan *plan = plan_of(handle);
  if (plan == nullptr) return CUFFT_INVALID_PLAN;
  plan->stream = stream;
  return CUFFT_SUCCESS;
}

cufftResult cufftSetAutoAllocation(cufftHandle handle, int automatic) {
  Guard guard(device_mutex());
  Plan *plan = plan_of(handle);
  if (plan == nullptr || plan->made) return CUFFT_INVALID_PLAN;
  plan->automatic = automatic != 0;
  return CUFFT_SUCCESS;
}

cufftResult cufftSetWorkArea(cufftHandle handle, void *work) {
  Guard guard(device_mutex());
  Plan *plan = plan_of(handle);
  if (plan == nullptr) return CUFFT_INVALID_PLAN;
  plan->work = work;
  return CUFFT_SUCCESS;
}

cufftResult cufftExecR2C(cufftHandle plan, cufftReal *in, cufftComplex *out) {
  return execute(plan, CUFFT_R2C, in, out, CUFFT_FORWARD);
}

cufftResult cufftExecC2R(cufftHandle plan, cufftComplex *in, cufftReal *out) {
  return execute(plan, CUFFT_C2R, in, out, CUFFT_INVERSE);
}

cufftResult cufftExecC2C(cufftHandle plan, cufftComplex *in, cufftComplex *out, int direction) {
  if (direction != CUFFT_FORWARD && direction != CUFFT_INVERSE) return CUFFT_INVALID_VALUE;
  return execute(plan, CUFFT_C2C, in, out, direction);
}

cufftResult cufftDestroy(cufftHandle handle) {
  Guard guard(device_mutex());
  Plan *plan = plan_of(handle);
  if (plan == nullptr) return CUFFT_INVALID_PLAN;
  if (plan->own_work != nullptr) cudaFree(plan->own_work);
  plans().erase(handle);
  return CUFFT_SUCCESS;
}
