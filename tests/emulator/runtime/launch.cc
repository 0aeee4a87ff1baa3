/* Launches: checks their configuration as CUDA does and queues them. */
#include "block.h"
#include "device.h"
#include "streams.h"

namespace emulator {
namespace {

bool is_configuration(dim3 grid, dim3 block) {
  size_t threads = (size_t)block.x * block.y * block.z;
  return threads > 0 && threads <= max_block_threads && block.z <= 64 && grid.x > 0 && grid.y > 0 &&
         grid.z > 0 && grid.x <= 2147483647u && grid.y <= 65535 && grid.z <= 65535;
}

cudaError_t check(dim3 grid, dim3 block, size_t shared_bytes, bool cooperative) {
  if (!is_configuration(grid, block)) return cudaErrorInvalidConfiguration;
  if (shared_bytes > max_shared_bytes) return cudaErrorInvalidValue;
  if (!cooperative) return cudaSuccess;
  int blocks;
  static const char any = 0;
  cudaError_t error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(
      &blocks, (const void *)&any, (int)(block.x * block.y * block.z), shared_bytes);
  if (error != cudaSuccess) return error;
  size_t total = (size_t)grid.x * grid.y * grid.z;
  return total <= (size_t)blocks * multiprocessors ? cudaSuccess : cudaErrorCooperativeLaunchTooLarge;
}

cudaError_t launch(const Launch &wanted, cudaStream_t stream) {
  Guard guard(device_mutex());
  cudaError_t error = device_error();
  if (error == cudaSuccess) error = check(wanted.grid, wanted.block, wanted.shared_bytes, wanted.cooperative);
  if (!is_capturing(stream)) calls().kernels++;
  return failed(error == cudaSuccess ? enqueue(stream, [wanted] { run_launch(wanted); }) : error);
}

} // namespace
} // namespace emulator

cudaError_t ebb_emulator_launch(const char *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                                cudaStream_t stream, const EbbEmulatorKernel &body) {
  return emulator::launch({kernel, grid, block, shared_bytes, body, false}, stream);
}

cudaError_t ebb_emulator_launch_cooperative(const char *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                                            cudaStream_t stream, const EbbEmulatorKernel &body) {
  return emulator::launch({kernel, grid, block, shared_bytes, body, true}, stream);
}
