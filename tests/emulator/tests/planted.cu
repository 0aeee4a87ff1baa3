/* Kernels that each contain one bug, and with bug = false do not. */
#include "kernel_mma.h"
#include "kernels.h"
#include <string.h>

namespace {

__device__ int global_index() { return (int)(blockIdx.x * blockDim.x + threadIdx.x); }
__device__ float *shared_floats() { return static_cast<float *>(ebb_emulator_shared()); }

__global__ void divergent_barrier(bool bug) {
  if (!bug || threadIdx.x < 16) __syncthreads();
}

__global__ void mixed_barriers(bool bug) {
  if (!bug || threadIdx.x < 16)
    __syncthreads();
  else
    __syncthreads_count(1);
}

__global__ void missing_lanes(bool bug, float *out) {
  float x = (float)threadIdx.x;
  if (!bug || threadIdx.x % 32 < 16) x = __shfl_down_sync(0xffffffffu, x, 1);
  out[global_index()] = x;
}

__global__ void missing_lanes_of_product(bool bug, float *out) {
  uint32_t a[4] = {}, b[2] = {};
  float d[4] = {};
  if (!bug || threadIdx.x % 32 < 16) ebb_emulator_mma_tf32(d, a, b);
  out[global_index()] = d[0];
}

__global__ void lane_outside_mask(bool bug, float *out) {
  float x = (float)threadIdx.x;
  unsigned mask = threadIdx.x % 32 < 16 ? 0x0000ffffu : 0xffff0000u;
  out[global_index()] = __shfl_xor_sync(mask, x, bug ? 16 : 8);
}

__global__ void missing_barrier(bool bug, float *out) {
  float *s = shared_floats();
  int t = (int)threadIdx.x, other = (t + 33) % planted_threads;
  s[t] = (float)t;
  __syncthreads();
  float x = s[other];
  if (!bug) __syncthreads();
  s[t] = x;
  out[global_index()] = x;
}

__global__ void two_writers(bool bug) {
  float *s = shared_floats();
  s[bug ? threadIdx.x % 32 : threadIdx.x] = 1.0f;
}

__global__ void missing_syncwarp(bool bug, float *out) {
  float *s = shared_floats();
  int t = (int)threadIdx.x;
  s[t] = (float)t;
  __syncthreads();
  if (t < 32) {
    float x = s[t] + s[t + 32];
    __syncwarp();
    s[t] = x;
    if (!bug) __syncwarp();
    if (t < 16) s[t] += s[t + 16];
    __syncwarp();
    if (t == 0) out[blockIdx.x] = s[0];
  }
}

__global__ void shared_read_outside(bool bug, float *out) {
  float *s = shared_floats();
  s[threadIdx.x] = 1.0f;
  __syncthreads();
  out[global_index()] = s[threadIdx.x + (bug ? 1 : 0)];
}

__global__ void shared_write_outside(bool bug) {
  float *s = shared_floats();
  s[threadIdx.x + (bug ? 1 : 0)] = 1.0f;
}

__global__ void global_read_outside(bool bug, const float *in, float *out) {
  int i = global_index();
  out[i] = in[i + (bug ? 1 : 0)];
}

__global__ void global_write_outside(bool bug, float *out) { out[global_index() + (bug ? 1 : 0)] = 1.0f; }

__global__ void copy_outside(bool bug, const float *in, float *out) {
  int i = global_index();
  if (i == planted_n - 8) memcpy(out + i, in + i, (bug ? 9 : 8) * sizeof(float));
}

__global__ void shared_unwritten(bool bug, float *out) {
  float *s = shared_floats();
  if (!bug || threadIdx.x != 5) s[threadIdx.x] = 1.0f;
  __syncthreads();
  out[global_index()] = s[(threadIdx.x + 1) % planted_threads];
}

__global__ void global_unwritten(bool bug, const float *in, const float *unwritten, float *out) {
  int i = global_index();
  out[i] = (bug && i == 70 ? unwritten : in)[i];
}

__global__ void after_free(bool bug, const float *in, const float *freed, float *out) {
  int i = global_index();
  out[i] = (bug ? freed : in)[i];
}

__global__ void host_pointer(bool bug, const float *in, const float *host, float *out) {
  int i = global_index();
  out[i] = (bug ? host : in)[i];
}

__global__ void blocks_race(bool bug, float *out) { out[bug ? (int)threadIdx.x : global_index()] = 1.0f; }

__global__ void reader_races(bool bug, float *out) {
  int i = global_index();
  float x = out[bug && i == 3 ? 9 : i];
  out[i] = x + 1.0f;
}

__global__ void plain_and_atomic(bool bug, float *out) {
  if (bug && global_index() == 7)
    out[0] += 1.0f;
  else
    atomicAdd(out, 1.0f);
}

__global__ void misaligned(bool bug, const float *in, float *out) {
  int i = 2 * (int)threadIdx.x;
  if (blockIdx.x > 0 || i + 4 > planted_n) return;
  const volatile unsigned long long *wide = (const volatile unsigned long long *)(in + i + (bug ? 1 : 0));
  out[i] = (float)(*wide & 1);
}

__global__ void own_stack_only(bool bug, float *out) {
  float local = (float)threadIdx.x;
  float **held = reinterpret_cast<float **>(ebb_emulator_shared());
  if (threadIdx.x == 0) held[0] = &local;
  __syncthreads();
  float *p = bug ? held[0] : &local;
  out[global_index()] = *p;
  __syncthreads();
}

constexpr size_t shared_bytes = planted_threads * sizeof(float);

#define PLANTED(kernel, ...)                                                                                 \
  [](bool bug, [[maybe_unused]] PlantedMemory m, cudaStream_t stream) {                                      \
    return EBB_TEST_LAUNCH(kernel, dim3(planted_blocks), dim3(planted_threads), shared_bytes, stream,        \
                           __VA_ARGS__);                                                                     \
  }

} // namespace

const Planted planted_bugs[] = {
    {"DivergentBarrier",
     "deadlock|'divergent_barrier'|block (0,0,0)|thread (0,0,0) and 15 others wait in __syncthreads|"
     "thread (16,0,0) and 47 others have ended",
     cudaErrorLaunchTimeout, true, false, PLANTED(divergent_barrier, bug)},
    {"MixedBarriers",
     "divergent barrier|'mixed_barriers'|block (0,0,0)|thread (63,0,0)|different kind of barrier",
     cudaErrorLaunchTimeout, true, false, PLANTED(mixed_barriers, bug)},
    {"MissingLanes",
     "deadlock|'missing_lanes'|block (0,0,0)|thread (0,0,0) and 31 others wait in __shfl_down_sync",
     cudaErrorLaunchTimeout, true, false, PLANTED(missing_lanes, bug, m.out)},
    {"MissingLanesOfProduct",
     "deadlock|'missing_lanes_of_product'|block (0,0,0)|thread (0,0,0) and 31 others wait in "
     "mma.m16n8k8.tf32",
     cudaErrorLaunchTimeout, true, false, PLANTED(missing_lanes_of_product, bug, m.out)},
    {"LaneOutsideMask",
     "warp operation __shfl_xor_sync|'lane_outside_mask'|block (0,0,0), thread (0,0,0)|mask: 16",
     cudaErrorLaunchTimeout, true, false, PLANTED(lane_outside_mask, bug, m.out)},
    {"MissingBarrier",
     "race: read of 4 bytes|'missing_barrier'|block (0,0,0), thread (31,0,0)|planted.cu:|after the write by "
     "block "
     "(0,0,0), thread (0,0,0)|shared byte 0 of 256",
     cudaErrorLaunchFailure, false, false, PLANTED(missing_barrier, bug, m.out)},
    {"TwoWriters",
     "race: write of 4 bytes|'two_writers'|block (0,0,0), thread (32,0,0)|planted.cu:|after the write by "
     "block "
     "(0,0,0), thread (0,0,0)|shared byte 0 of 256",
     cudaErrorLaunchFailure, false, false, PLANTED(two_writers, bug)},
    {"MissingSyncwarp",
     "race: |'missing_syncwarp'|block (0,0,0), thread (16,0,0)|planted.cu:|by block (0,0,0), thread (0,0,0)|"
     "shared byte 64 of 256",
     cudaErrorLaunchFailure, false, false, PLANTED(missing_syncwarp, bug, m.out)},
    {"SharedReadOutside",
     "out of bounds: read of 4 bytes|'shared_read_outside'|block (0,0,0), thread (63,0,0)|planted.cu:|shared "
     "byte 256 "
     "of 256",
     cudaErrorIllegalAddress, false, true, PLANTED(shared_read_outside, bug, m.out)},
    {"SharedWriteOutside",
     "out of bounds: write of 4 bytes|'shared_write_outside'|block (0,0,0), thread "
     "(63,0,0)|planted.cu:|shared byte "
     "256 of 256",
     cudaErrorIllegalAddress, false, true, PLANTED(shared_write_outside, bug)},
    {"GlobalReadOutside",
     "out of bounds: read of 4 bytes|'global_read_outside'|block (1,0,0), thread "
     "(63,0,0)|planted.cu:|allocation of "
     "512 bytes, offset 512",
     cudaErrorIllegalAddress, false, true, PLANTED(global_read_outside, bug, m.in, m.out)},
    {"GlobalWriteOutside",
     "out of bounds: write of 4 bytes|'global_write_outside'|block (1,0,0), thread "
     "(63,0,0)|planted.cu:|allocation of "
     "512 bytes, offset 512",
     cudaErrorIllegalAddress, false, true, PLANTED(global_write_outside, bug, m.out)},
    {"CopyOutside",
     "out of bounds: read of 36 bytes|'copy_outside'|block (1,0,0), thread (56,0,0)|planted.cu:|allocation "
     "of 512 "
     "bytes, offset 512",
     cudaErrorIllegalAddress, false, true, PLANTED(copy_outside, bug, m.in, m.out)},
    {"SharedUnwritten",
     "uninitialised: read of 4 bytes|'shared_unwritten'|block (0,0,0), thread (4,0,0)|planted.cu:|shared "
     "byte 20 of "
     "256",
     cudaErrorLaunchFailure, false, false, PLANTED(shared_unwritten, bug, m.out)},
    {"GlobalUnwritten",
     "uninitialised: read of 4 bytes|'global_unwritten'|block (1,0,0), thread (6,0,0)|planted.cu:|allocation "
     "of 512 "
     "bytes, offset 280",
     cudaErrorLaunchFailure, false, false, PLANTED(global_unwritten, bug, m.in, m.unwritten, m.out)},
    {"AfterFree",
     "use after free: read of 4 bytes|'after_free'|block (0,0,0), thread (0,0,0)|planted.cu:|freed "
     "allocation of 512 "
     "bytes, offset 0",
     cudaErrorIllegalAddress, false, true, PLANTED(after_free, bug, m.in, m.freed, m.out)},
    {"HostPointer",
     "illegal address: read of 4 bytes|'host_pointer'|block (0,0,0), thread (0,0,0)|planted.cu:|host",
     cudaErrorIllegalAddress, false, false, PLANTED(host_pointer, bug, m.in, m.host, m.out)},
    {"BlocksRace",
     "race: write of 4 bytes|'blocks_race'|block (1,0,0), thread (0,0,0)|planted.cu:|after the write by "
     "block (0,0,0), "
     "thread (0,0,0)|allocation of 512 bytes, offset 0",
     cudaErrorLaunchFailure, false, false, PLANTED(blocks_race, bug, m.out)},
    {"ReaderRaces",
     "race: write of 4 bytes|'reader_races'|block (0,0,0), thread (9,0,0)|planted.cu:|after the read by "
     "block (0,0,0), "
     "thread (3,0,0)|allocation of 512 bytes, offset 36",
     cudaErrorLaunchFailure, false, false, PLANTED(reader_races, bug, m.out)},
    {"PlainAndAtomic",
     "race: read of 4 bytes|'plain_and_atomic'|block (0,0,0), thread (7,0,0)|planted.cu:|after the write by "
     "block "
     "(0,0,0), thread (6,0,0)",
     cudaErrorLaunchFailure, false, false, PLANTED(plain_and_atomic, bug, m.out)},
    {"Misaligned",
     "misaligned: read of 8 bytes|'misaligned'|block (0,0,0), thread (0,0,0)|planted.cu:|offset 4",
     cudaErrorMisalignedAddress, false, false, PLANTED(misaligned, bug, m.in, m.out)},
    {"OwnStackOnly",
     "illegal address: read of 4 bytes|'own_stack_only'|block (0,0,0), thread (1,0,0)|planted.cu:|local "
     "memory of "
     "another thread",
     cudaErrorIllegalAddress, false, false, PLANTED(own_stack_only, bug, m.out)},
};
const int planted_count = (int)(sizeof planted_bugs / sizeof *planted_bugs);
