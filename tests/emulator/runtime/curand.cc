/* cuRAND's generators by Philox4x32-10 (Salmon et al. 2011), queued on the generator's stream. */
#include "curand.h"
#include "device.h"
#include "operands.h"
#include "streams.h"
#include <cmath>

struct curandGenerator_st {
  cudaStream_t stream = nullptr;
  unsigned long long seed = 0, offset = 0; /* offset: in numbers */
};

namespace emulator {
namespace {

struct Four {
  uint32_t x[4];
};

Four philox(uint64_t counter, uint64_t seed) {
  uint32_t c[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0};
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c[3] ^ k1,
                        (uint32_t)p0};
    for (int i = 0; i < 4; i++) c[i] = next[i];
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c[0], c[1], c[2], c[3]}};
}

float uniform(unsigned long long index, unsigned long long seed) {
  uint32_t bits = philox(index / 4, seed).x[index % 4];
  return (float)((bits >> 8) + 1) * 0x1p-24f;
}

curandStatus_t queue(curandGenerator_t generator, float *out, size_t n, const Work &fill) {
  if (n == 0) return CURAND_STATUS_SUCCESS;
  Runs runs = {out, n * sizeof(float), 1, 0, 1, 0};
  cudaError_t error = enqueue(generator->stream, [runs, fill] {
    if (!check_written("curand", "output", runs)) return;
    fill();
    mark_written(runs);
  });
  generator->offset += n;
  return error == cudaSuccess ? CURAND_STATUS_SUCCESS : CURAND_STATUS_LAUNCH_FAILURE;
}

} // namespace
} // namespace emulator

using namespace emulator;

curandStatus_t curandCreateGenerator(curandGenerator_t *generator, curandRngType_t type) {
  Guard guard(device_mutex());
  if (type != CURAND_RNG_PSEUDO_DEFAULT && type != CURAND_RNG_PSEUDO_PHILOX4_32_10)
    return CURAND_STATUS_TYPE_ERROR;
  if (device_error() != cudaSuccess) return CURAND_STATUS_NOT_INITIALIZED;
  *generator = new curandGenerator_st;
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandDestroyGenerator(curandGenerator_t generator) {
  if (generator == nullptr) return CURAND_STATUS_NOT_INITIALIZED;
  delete generator;
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t generator, unsigned long long seed) {
  if (generator == nullptr) return CURAND_STATUS_NOT_INITIALIZED;
  generator->seed = seed;
  generator->offset = 0;
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandSetGeneratorOffset(curandGenerator_t generator, unsigned long long offset) {
  if (generator == nullptr) return CURAND_STATUS_NOT_INITIALIZED;
  generator->offset = offset;
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandSetStream(curandGenerator_t generator, cudaStream_t stream) {
  if (generator == nullptr) return CURAND_STATUS_NOT_INITIALIZED;
  generator->stream = stream;
  return CURAND_STATUS_SUCCESS;
}

curandStatus_t curandGenerateUniform(curandGenerator_t generator, float *out, size_t n) {
  Guard guard(device_mutex());
  if (generator == nullptr) return CURAND_STATUS_NOT_INITIALIZED;
  unsigned long long seed = generator->seed, first = generator->offset;
  return queue(generator, out, n, [=] {
    for (size_t i = 0; i < n; i++) out[i] = uniform(first + i, seed);
  });
}

/* Box-Muller on pairs. */
curandStatus_t curandGenerateNormal(curandGenerator_t generator, float *out, size_t n, float mean,
                                    float deviation) {
  Guard guard(device_mutex());
  if (generator == nullptr) return CURAND_STATUS_NOT_INITIALIZED;
  if (n % 2 != 0) return CURAND_STATUS_LENGTH_NOT_MULTIPLE;
  unsigned long long seed = generator->seed, first = generator->offset;
  return queue(generator, out, n, [=] {
    for (size_t i = 0; i < n; i += 2) {
      float radius = deviation * std::sqrt(-2.0f * std::log(uniform(first + i, seed)));
      float angle = 6.2831853071795865f * uniform(first + i + 1, seed);
      out[i] = mean + radius * std::cos(angle);
      out[i + 1] = mean + radius * std::sin(angle);
    }
  });
}
