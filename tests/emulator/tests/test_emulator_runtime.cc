/* Memory, streams, events and graphs of the emulated device. */
#include "device_array.h"
#include "ebb_emulator.h"
#include "kernels.h"
#include <cstdlib>
#include <cstring>

namespace {

const int n = 1000;
const std::vector<float> ones((size_t)n, 1.0f);
const size_t bytes = (size_t)n * sizeof(float);

float *pinned(float value) {
  float *memory;
  EXPECT_EQ(cudaMallocHost(reinterpret_cast<void **>(&memory), bytes), cudaSuccess);
  for (int i = 0; i < n; i++) memory[i] = value;
  return memory;
}

TEST(EmulatorMemory, StartsAlignedAndFilledWithOnes) {
  DeviceArray<float> a(3), b(100);
  EXPECT_EQ((uintptr_t)a.get() % 256, 0u);
  EXPECT_EQ((uintptr_t)b.get() % 256, 0u);
  for (float x : b.values()) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    EXPECT_EQ(bits, 0xffffffffu);
  }
}

TEST(EmulatorMemory, IsCountedAndRunsOut) {
  size_t before, after, total;
  ASSERT_EQ(cudaMemGetInfo(&before, &total), cudaSuccess);
  void *memory, *too_much;
  ASSERT_EQ(cudaMalloc(&memory, 1 << 20), cudaSuccess);
  ASSERT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
  EXPECT_EQ(before - after, 1u << 20);
  EXPECT_EQ(cudaMalloc(&too_much, after + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
  ASSERT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
  EXPECT_EQ(before, after);
}

/* Whether 12 MiB fit into 16 and another 8 do not. */
bool runs_out_at_16_mib() {
  setenv("EBB_EMULATOR_MEMORY_MIB", "16", 1);
  void *a = nullptr, *b = nullptr;
  return cudaMalloc(&a, 12 << 20) == cudaSuccess && cudaMalloc(&b, 8 << 20) == cudaErrorMemoryAllocation;
}

TEST(EmulatorMemoryDeath, TheEnvironmentLimitsIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(exit(runs_out_at_16_mib() ? 0 : 1), testing::ExitedWithCode(0), "");
}

bool hidden_device() {
  setenv("EBB_EMULATOR_DEVICES", "0", 1);
  int count = 1;
  return cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0;
}

TEST(EmulatorMemoryDeath, TheEnvironmentHidesTheDevice) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(exit(hidden_device() ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST(EmulatorMemoryDeath, TheHostMayNotTouchIt) {
  DeviceArray<float> a(ones);
  volatile float *p = a.get();
  EXPECT_DEATH(p[3] = 1.0f, "host code touched device memory: allocation of 4000 bytes, offset 12");
  EXPECT_DEATH((void)p[n + 2],
               "host code touched device memory: allocation of 4000 bytes, offset 4008|AddressSanitizer");
}

TEST(EmulatorMemory, CopiesAreChecked) {
  DeviceArray<float> a(ones);
  std::vector<float> host = ones;
  EXPECT_EQ(cudaMemcpy(host.data(), a.get(), bytes, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host.data(), a.get() + 1, bytes, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(host.data(), 0, bytes), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(a.get() + 1), cudaErrorInvalidValue);
  (void)cudaGetLastError();
}

TEST(EmulatorStreams, RunNothingBeforeASynchronisation) {
  DeviceArray<float> a(ones);
  Stream stream, other;
  ASSERT_EQ(launch_scale(a.get(), 3.0f, n, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(other), cudaSuccess);
  EXPECT_EQ(a.values()[0], 1.0f) << "a blocking copy does not wait for a stream of its own";
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(a.values()[0], 3.0f);
}

TEST(EmulatorStreams, TheLegacyStreamWaitsForBlockingOnes) {
  DeviceArray<float> a(ones);
  cudaStream_t stream;
  ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  ASSERT_EQ(launch_scale(a.get(), 3.0f, n, stream), cudaSuccess);
  EXPECT_EQ(a.values()[0], 3.0f);
  ASSERT_EQ(launch_scale(a.get(), 2.0f, n, nullptr), cudaSuccess);
  ASSERT_EQ(cudaMemsetAsync(a.get(), 0, 4, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(a.values()[0], 0.0f);
  EXPECT_EQ(a.values()[1], 6.0f);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

TEST(EmulatorStreams, EventsOrderThem) {
  DeviceArray<float> a(ones);
  Stream first, second;
  cudaEvent_t event, end;
  ASSERT_EQ(cudaEventCreate(&event), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&end), cudaSuccess);
  ASSERT_EQ(launch_scale(a.get(), 5.0f, n, first), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(event, first), cudaSuccess);
  ASSERT_EQ(launch_scale(a.get(), 0.0f, n, first), cudaSuccess);
  ASSERT_EQ(cudaStreamWaitEvent(second, event, 0), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(end, second), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(end), cudaErrorNotReady);
  float time;
  EXPECT_EQ(cudaEventElapsedTime(&time, event, end), cudaErrorNotReady);
  EXPECT_EQ(cudaEventSynchronize(end), cudaSuccess);
  EXPECT_EQ(a.values()[7], 5.0f) << "what came before the event ran, what came after it did not";
  EXPECT_EQ(cudaEventElapsedTime(&time, event, end), cudaSuccess);
  EXPECT_GE(time, 0.0f);
  EXPECT_EQ(cudaStreamSynchronize(first), cudaSuccess);
  EXPECT_EQ(a.values()[7], 0.0f);
  cudaEventDestroy(event);
  cudaEventDestroy(end);
}

TEST(EmulatorStreams, QueriesReachTheEnd) {
  DeviceArray<float> a(ones);
  Stream stream;
  for (int i = 0; i < 3; i++) ASSERT_EQ(launch_scale(a.get(), 2.0f, n, stream), cudaSuccess);
  int asked = 0;
  while (cudaStreamQuery(stream) == cudaErrorNotReady) asked++;
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(a.values()[0], 8.0f);
}

TEST(EmulatorStreams, PinnedMemoryIsReadWhenTheCopyRuns) {
  DeviceArray<float> a(ones);
  Stream stream;
  float *source = pinned(4.0f);
  ASSERT_EQ(cudaMemcpyAsync(a.get(), source, bytes, cudaMemcpyHostToDevice, stream), cudaSuccess);
  source[0] = 9.0f;
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(a.values()[0], 9.0f);
  ASSERT_EQ(cudaMemsetAsync(a.get(), 0, bytes, stream), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(source, a.get(), bytes, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  EXPECT_EQ(source[0], 9.0f);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(source[0], 0.0f);
  EXPECT_EQ(cudaFreeHost(source), cudaSuccess);
}

TEST(EmulatorStreams, PageableMemoryIsReadAtTheCall) {
  DeviceArray<float> a(ones);
  Stream stream;
  std::vector<float> source((size_t)n, 4.0f), target((size_t)n);
  ASSERT_EQ(cudaMemcpyAsync(a.get(), source.data(), bytes, cudaMemcpyHostToDevice, stream), cudaSuccess);
  source[0] = 9.0f;
  ASSERT_EQ(cudaMemcpyAsync(target.data(), a.get(), bytes, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  EXPECT_EQ(target[0], 4.0f);
}

cudaGraph_t captured(cudaStream_t stream, float *a, const float *source) {
  cudaGraph_t graph;
  EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(a, source, bytes, cudaMemcpyHostToDevice, stream), cudaSuccess);
  EXPECT_EQ(launch_scale(a, 2.0f, n, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  return graph;
}

TEST(EmulatorGraphs, ReplayWhatWasCaptured) {
  DeviceArray<float> a(ones);
  Stream stream;
  float *source = pinned(4.0f);
  cudaGraph_t graph = captured(stream, a.get(), source);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(a.values()[0], 1.0f) << "capture runs nothing";
  size_t nodes = 0;
  EXPECT_EQ(cudaGraphGetNodes(graph, nullptr, &nodes), cudaSuccess);
  EXPECT_EQ(nodes, 2u);
  cudaGraphExec_t exec;
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  for (float value : {4.0f, 7.0f}) {
    source[5] = value;
    ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(a.values()[5], 2.0f * value);
  }
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(source), cudaSuccess);
}

TEST(EmulatorGraphs, OtherStreamsJoinByEvents) {
  DeviceArray<float> a(ones), b(ones);
  Stream origin, side;
  cudaEvent_t fork, join;
  ASSERT_EQ(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&join, cudaEventDisableTiming), cudaSuccess);
  cudaGraph_t graph;
  ASSERT_EQ(cudaStreamBeginCapture(origin, cudaStreamCaptureModeGlobal), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(fork, origin), cudaSuccess);
  ASSERT_EQ(cudaStreamWaitEvent(side, fork, 0), cudaSuccess);
  ASSERT_EQ(launch_scale(b.get(), 3.0f, n, side), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(fork), cudaErrorCapturedEvent);
  ASSERT_EQ(cudaEventRecord(join, side), cudaSuccess);
  ASSERT_EQ(cudaStreamWaitEvent(origin, join, 0), cudaSuccess);
  ASSERT_EQ(launch_scale(a.get(), 2.0f, n, origin), cudaSuccess);
  ASSERT_EQ(cudaStreamEndCapture(origin, &graph), cudaSuccess);
  cudaGraphExec_t exec;
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphLaunch(exec, side), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(side), cudaSuccess);
  EXPECT_EQ(a.values()[0], 2.0f);
  EXPECT_EQ(b.values()[0], 3.0f);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaEventDestroy(fork);
  cudaEventDestroy(join);
}

TEST(EmulatorGraphs, SomeCallsEndACapture) {
  DeviceArray<float> a(ones);
  Stream stream;
  void *memory;
  cudaError_t (*const forbidden[])(cudaStream_t, void **) = {
      [](cudaStream_t, void **p) { return cudaMalloc(p, 64); },
      [](cudaStream_t s, void **) { return cudaStreamSynchronize(s); },
      [](cudaStream_t, void **) { return cudaDeviceSynchronize(); },
      [](cudaStream_t s, void **) { return cudaStreamQuery(s); },
  };
  for (auto call : forbidden) {
    cudaGraph_t graph;
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(call(stream, &memory), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(launch_scale(a.get(), 2.0f, n, stream), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
  }
  (void)cudaGetLastError();
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
}

TEST(EmulatorErrors, HaveNames) {
  EXPECT_STREQ(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
  int no_stream = 0;
  EXPECT_EQ(cudaStreamSynchronize(reinterpret_cast<cudaStream_t>(&no_stream)),
            cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaSetDevice(3), cudaErrorInvalidDevice);
  (void)cudaGetLastError();
}

} // namespace
