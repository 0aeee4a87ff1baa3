/* Errors, properties and limits of the emulated device. */
#include "device.h"
#include "arena.h"
#include "checker.h"
#include "ebb_emulator.h"
#include "streams.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emulator {
namespace {

struct ErrorRow {
  cudaError_t value;
  const char *name, *text;
};
const ErrorRow errors[] = {
#define EBB_EMULATOR_ERROR(name, value, text) {name, #name, text},
#include "errors.def"
#undef EBB_EMULATOR_ERROR
};

const ErrorRow *row_of(cudaError_t error) {
  for (const ErrorRow &row : errors)
    if (row.value == error) return &row;
  return nullptr;
}

thread_local cudaError_t last_error = cudaSuccess;
cudaError_t fault_error = cudaSuccess;
std::string fault_sentence;

int device_count() {
  static const int count = [] {
    const char *text = getenv("EBB_EMULATOR_DEVICES");
    return text != nullptr && atoi(text) == 0 ? 0 : 1;
  }();
  return count;
}

struct AttributeRow {
  cudaDeviceAttr attribute;
  int value;
};
const AttributeRow attributes[] = {
    {cudaDevAttrMaxThreadsPerBlock, (int)max_block_threads},
    {cudaDevAttrMaxSharedMemoryPerBlock, 48 * 1024},
    {cudaDevAttrWarpSize, 32},
    {cudaDevAttrClockRate, 1000000},
    {cudaDevAttrMultiProcessorCount, multiprocessors},
    {cudaDevAttrMemoryClockRate, 1000000},
    {cudaDevAttrGlobalMemoryBusWidth, 64},
    {cudaDevAttrL2CacheSize, 1 << 20},
    {cudaDevAttrMaxThreadsPerMultiProcessor, threads_per_multiprocessor},
    {cudaDevAttrComputeCapabilityMajor, 9},
    {cudaDevAttrComputeCapabilityMinor, 0},
    {cudaDevAttrMaxSharedMemoryPerMultiprocessor, (int)max_shared_bytes + 1024},
    {cudaDevAttrCooperativeLaunch, 1},
    {cudaDevAttrMaxSharedMemoryPerBlockOptin, (int)max_shared_bytes},
};

} // namespace

std::recursive_mutex &device_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

EbbEmulatorCalls &calls() {
  static EbbEmulatorCalls so_far = {};
  return so_far;
}

cudaError_t failed(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t device_error() { return fault_error; }

void device_fault(cudaError_t error, const std::string &sentence) {
  if (fault_error != cudaSuccess) return;
  fault_error = error;
  fault_sentence = sentence;
  fprintf(stderr, "emulated device: %s\n", sentence.c_str());
}

} // namespace emulator

using namespace emulator;

const char *ebb_emulator_report(void) { return fault_sentence.c_str(); }

void ebb_emulator_reset(void) {
  Guard guard(device_mutex());
  drop_everything();
  fault_error = last_error = cudaSuccess;
  fault_sentence.clear();
}

EbbEmulatorCalls ebb_emulator_calls(void) {
  Guard guard(device_mutex());
  return calls();
}

int ebb_emulator_checks(void) { return checks ? 1 : 0; }

const char *cudaGetErrorString(cudaError_t error) {
  const ErrorRow *row = row_of(error);
  return row != nullptr ? row->text : "unrecognized error code";
}

const char *cudaGetErrorName(cudaError_t error) {
  const ErrorRow *row = row_of(error);
  return row != nullptr ? row->name : "unrecognized error code";
}

cudaError_t cudaPeekAtLastError(void) { return fault_error != cudaSuccess ? fault_error : last_error; }

cudaError_t cudaGetLastError(void) {
  cudaError_t error = cudaPeekAtLastError();
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaGetDeviceCount(int *count) {
  *count = device_count();
  return failed(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device) {
  if (device_count() == 0) return failed(cudaErrorNoDevice);
  return failed(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaGetDevice(int *device) {
  *device = 0;
  return failed(device_count() > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
  if (device != 0 || device_count() == 0) return failed(cudaErrorInvalidDevice);
  for (const AttributeRow &row : attributes)
    if (row.attribute == attribute) {
      *value = row.value;
      return cudaSuccess;
    }
  return failed(cudaErrorInvalidValue);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
  if (device != 0 || device_count() == 0) return failed(cudaErrorInvalidDevice);
  size_t available, total;
  cudaError_t error = cudaMemGetInfo(&available, &total);
  if (error != cudaSuccess) return error;
  *properties = {};
  snprintf(properties->name, sizeof properties->name, "emulated CUDA device");
  properties->totalGlobalMem = total;
  properties->sharedMemPerBlock = 48 * 1024;
  properties->sharedMemPerBlockOptin = max_shared_bytes;
  properties->sharedMemPerMultiprocessor = max_shared_bytes + 1024;
  properties->regsPerBlock = 65536;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = properties->maxThreadsDim[0] = properties->maxThreadsDim[1] =
      (int)max_block_threads;
  properties->maxThreadsDim[2] = 64;
  properties->maxGridSize[0] = 2147483647;
  properties->maxGridSize[1] = properties->maxGridSize[2] = 65535;
  properties->maxThreadsPerMultiProcessor = threads_per_multiprocessor;
  properties->multiProcessorCount = multiprocessors;
  properties->major = 9;
  properties->l2CacheSize = 1 << 20;
  properties->memoryBusWidth = 64;
  properties->asyncEngineCount = properties->cooperativeLaunch = 1;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute, int value) {
  if (function == nullptr) return failed(cudaErrorInvalidDeviceFunction);
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize &&
      (value < 0 || (size_t)value > max_shared_bytes))
    return failed(cudaErrorInvalidValue);
  return failed(device_error());
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *result, const void *function) {
  if (function == nullptr) return failed(cudaErrorInvalidDeviceFunction);
  *result = {};
  result->maxThreadsPerBlock = (int)max_block_threads;
  result->maxDynamicSharedSizeBytes = (int)max_shared_bytes;
  return failed(device_error());
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *function, int block_size,
                                                          size_t shared_bytes) {
  if (function == nullptr) return failed(cudaErrorInvalidDeviceFunction);
  if (block_size <= 0) return failed(cudaErrorInvalidValue);
  int by_threads = (unsigned)block_size > max_block_threads ? 0 : threads_per_multiprocessor / block_size;
  size_t by_shared = (max_shared_bytes + 1024) / (shared_bytes + 1024);
  *blocks = (size_t)by_threads < by_shared ? by_threads : (int)by_shared;
  if (*blocks > 32) *blocks = 32;
  return failed(device_error());
}
