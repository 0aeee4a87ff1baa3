// The services of gpu.h by CUDA.
#include <cuda_runtime_api.h>
#include <curand.h>

#include <stdexcept>
#include <string>

#include "host/device/cuda.h"
#include "support/bench.h"
#include "support/gpu.h"
#include "support/gpu_units.h"

namespace ebb_bench {

namespace {

cudaStream_t stream_of(EbbDevice *device) {
  cudaStream_t stream = nullptr;
  must(ebb_cuda_stream(device, &stream));
  return stream;
}

class Event {
public:
  Event() { must(ebb_cuda_check(cudaEventCreate(&event_), "making an event")); }
  Event(const Event &) = delete;
  Event &operator=(const Event &) = delete;
  ~Event() { (void)cudaEventDestroy(event_); }
  void record(EbbDevice *device) const {
    must(ebb_cuda_check(cudaEventRecord(event_, stream_of(device)), "recording an event"));
  }
  double since(const Event &start) const {
    float milliseconds = 0;
    must(ebb_cuda_check(cudaEventSynchronize(event_), "waiting for an event"));
    must(ebb_cuda_check(cudaEventElapsedTime(&milliseconds, start.event_, event_),
                        "reading the time between events"));
    return double(milliseconds) * 1e-3;
  }

private:
  cudaEvent_t event_ = nullptr;
};

double seconds(EbbDevice *device, const std::function<void()> &give) {
  const Event start, end;
  start.record(device);
  give();
  end.record(device);
  return end.since(start);
}

void check(curandStatus_t status, const char *what) {
  if (status != CURAND_STATUS_SUCCESS)
    throw std::runtime_error(std::string(what) + ": cuRAND's status " + std::to_string(int(status)));
}

// cuRAND makes normal numbers in pairs; the last one of an odd size keeps what is there.
void fill(EbbDevice *device, float *memory, int64_t size) {
  curandGenerator_t generator = nullptr;
  check(curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_PHILOX4_32_10), "making a generator");
  curandStatus_t status = curandSetStream(generator, stream_of(device));
  if (status == CURAND_STATUS_SUCCESS) status = curandSetPseudoRandomGeneratorSeed(generator, 1);
  if (status == CURAND_STATUS_SUCCESS && size > 1)
    status = curandGenerateNormal(generator, memory, size_t(size - size % 2), 0.0F, 0.1F);
  const EbbStatus done = ebb_device_sync(device); // the generator's memory is in use until then
  const curandStatus_t released = curandDestroyGenerator(generator);
  must(done);
  check(status, "filling memory with random numbers");
  check(released, "releasing a generator");
}

void multiply(EbbDevice *device, const float *a, const float *b, float *c, int64_t n) {
  const EbbCudaGemm gemm = {
      {a, EBB_F32, n, 0, false}, {b, EBB_F32, n, 0, false}, c, EBB_F32, n, 0, n, n, n, 1, 1, 0};
  must(ebb_cuda_gemm(device, &gemm));
}

double multiply_add(EbbDevice *device, int rounds, float *out) {
  double operations = 0;
  must(gpu_multiply_add(device, rounds, out, &operations));
  return operations;
}

int64_t cache_bytes(EbbDevice *) {
  int index = 0;
  cudaDeviceProp properties;
  must(ebb_cuda_check(cudaGetDevice(&index), "asking for the GPU"));
  must(ebb_cuda_check(cudaGetDeviceProperties(&properties, index), "asking for the GPU's properties"));
  return properties.l2CacheSize;
}

} // namespace

extern const Gpu cuda;
const Gpu cuda = {seconds, fill, multiply, multiply_add, cache_bytes};

} // namespace ebb_bench
