// The CUDA device itself, without ops: memory, uploads, recordings, matrix products, Fourier transforms.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <string>
#include <vector>

#include "ebb/rng.h"
#include "host/device/cuda.h"
#include "host/device/device_internal.h"

namespace {

using Floats = std::vector<float>;

Floats random_floats(size_t count, uint64_t stream) {
  Floats out(count);
  for (size_t i = 0; i < count; i++) out[i] = 2 * ebb_unit_float(ebb_random(7, stream, 0, i)) - 1;
  return out;
}

class CudaDevice : public testing::Test {
protected:
  void SetUp() override {
    if (ebb_device_open("cuda", 1, &device) != EBB_OK) GTEST_SKIP() << ebb_error();
  }
  void TearDown() override {
    for (void *memory : taken) ebb_device_free(device, memory);
    ebb_device_close(device);
  }
  float *take(size_t count) {
    void *memory = nullptr;
    EXPECT_EQ(ebb_device_alloc(device, count * sizeof(float), "a test", &memory), EBB_OK) << ebb_error();
    taken.push_back(memory);
    return static_cast<float *>(memory);
  }
  float *send(const Floats &host) {
    float *memory = take(host.size());
    EXPECT_EQ(ebb_device_upload(device, memory, host.data(), host.size() * sizeof(float)), EBB_OK);
    return memory;
  }
  Floats fetch(const float *memory, size_t count) {
    Floats host(count);
    EXPECT_EQ(ebb_device_read(device, host.data(), memory, count * sizeof(float)), EBB_OK) << ebb_error();
    return host;
  }
  EbbDevice *device = nullptr;
  std::vector<void *> taken;
};

TEST_F(CudaDevice, MemoryStartsAsZero) { EXPECT_EQ(fetch(take(1000), 1000), Floats(1000, 0.0F)); }

// The host's memory is free at once, and the ring of uploads is walked through several times.
TEST_F(CudaDevice, UploadsKeepTheirOrderAndTheirContent) {
  std::vector<float *> places;
  std::vector<Floats> sent;
  Floats host;
  for (uint64_t i = 0; i < 200; i++) {
    const size_t size = i % 7 == 0 ? 300000 : 1 + i * 13;
    host = random_floats(size, i);
    sent.push_back(host);
    places.push_back(send(host));
    host.assign(size, NAN);
  }
  for (size_t i = 0; i < places.size(); i++) ASSERT_EQ(fetch(places[i], sent[i].size()), sent[i]) << i;
}

TEST_F(CudaDevice, AnUploadLargerThanTheRingArrives) {
  const Floats large = random_floats(3'000'000, 1);
  float *small = send({1, 2, 3}), *memory = send(large);
  EXPECT_EQ(fetch(memory, large.size()), large);
  EXPECT_EQ(fetch(small, 3), Floats({1, 2, 3}));
}

// Each upload to one place is seen by the copy that follows it, not by the one before.
TEST_F(CudaDevice, UploadsToOnePlaceAreOrderedWithOtherWork) {
  float *place = take(1), *copies = take(100);
  for (int i = 0; i < 100; i++) {
    const float value = float(i);
    ASSERT_EQ(ebb_device_upload(device, place, &value, sizeof value), EBB_OK);
    ASSERT_EQ(ebb_device_copy(device, copies + i, place, sizeof value), EBB_OK);
  }
  const Floats seen = fetch(copies, 100);
  for (int i = 0; i < 100; i++) EXPECT_EQ(seen[size_t(i)], float(i));
}

TEST_F(CudaDevice, RecordedWorkRunsWhenItIsReplayed) {
  float *from = send({1, 2}), *to = take(2);
  EbbRecording *recording = nullptr;
  ASSERT_EQ(ebb_device_record_begin(device), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_device_record_begin(device), EBB_STATE);
  ASSERT_EQ(ebb_device_copy(device, to, from, 2 * sizeof(float)), EBB_OK);
  ASSERT_EQ(ebb_device_record_end(device, true, &recording), EBB_OK) << ebb_error();
  EXPECT_EQ(fetch(to, 2), Floats({0, 0}));
  ASSERT_EQ(ebb_device_replay(device, recording), EBB_OK);
  EXPECT_EQ(fetch(to, 2), Floats({1, 2}));
  const Floats other = {3, 4};
  ASSERT_EQ(ebb_device_upload(device, from, other.data(), 2 * sizeof(float)), EBB_OK);
  ASSERT_EQ(ebb_device_replay(device, recording), EBB_OK);
  EXPECT_EQ(fetch(to, 2), other);
  ebb_device_release(device, recording);
}

TEST_F(CudaDevice, ADroppedRecordingLeavesTheDeviceUsable) {
  EbbRecording *recording = nullptr;
  float *memory = send({5});
  ASSERT_EQ(ebb_device_record_begin(device), EBB_OK);
  ASSERT_EQ(ebb_device_zero(device, memory, sizeof(float)), EBB_OK);
  ASSERT_EQ(ebb_device_record_end(device, false, &recording), EBB_OK);
  EXPECT_EQ(recording, nullptr);
  EXPECT_EQ(fetch(memory, 1), Floats({5}));
}

TEST_F(CudaDevice, AFaultIsToldOnceAtTheNextWait) {
  const EbbFault fault = {EBB_FAULT_LABEL, 0, {9, 4, 6, 0}};
  ASSERT_EQ(ebb_device_upload(device, ebb_cuda_fault(device), &fault, sizeof fault), EBB_OK);
  EXPECT_EQ(ebb_device_sync(device), EBB_INVALID);
  EXPECT_STREQ(ebb_error(), "cross_entropy: the label 9 of row 4 is outside 0..6");
  EXPECT_EQ(ebb_device_sync(device), EBB_OK);
}

TEST_F(CudaDevice, TooMuchMemoryNamesWhatWasAskedAndWhatIsFree) {
  void *memory = nullptr;
  EXPECT_EQ(ebb_device_alloc(device, size_t(1) << 50, "the graph's activations", &memory), EBB_MEMORY);
  const std::string sentence = ebb_error();
  for (const char *part : {"the graph's activations", "cuda:0", "1048576.000 GiB asked", "GiB free"})
    EXPECT_NE(sentence.find(part), std::string::npos) << sentence;
  EXPECT_EQ(fetch(send({1}), 1), Floats({1}));
}

TEST_F(CudaDevice, OtherIndicesAreNamed) {
  EbbDevice *other = nullptr;
  EXPECT_EQ(ebb_device_open("cuda:97", 1, &other), EBB_NOT_FOUND);
  EXPECT_NE(std::string(ebb_error()).find("cuda:0"), std::string::npos) << ebb_error();
  EXPECT_EQ(ebb_device_open("cuda:x", 1, &other), EBB_INVALID);
}

double product(const Floats &a, const Floats &b, bool ta, bool tb, int64_t m, int64_t n, int64_t k, int64_t i,
               int64_t j) {
  double sum = 0;
  for (int64_t l = 0; l < k; l++)
    sum += double(a[size_t(ta ? l * m + i : i * k + l)]) * double(b[size_t(tb ? j * k + l : l * n + j)]);
  return sum;
}

TEST_F(CudaDevice, MatrixProductsAreRowMajorAndBatched) {
  const int64_t m = 5, n = 7, k = 11, batch = 3;
  for (bool ta : {false, true})
    for (bool tb : {false, true}) {
      const Floats a = random_floats(size_t(m * k), 1), b = random_floats(size_t(batch * k * n), 2);
      float *c = send(Floats(size_t(batch * m * n), 1.0F));
      const EbbCudaGemm gemm = {{send(a), EBB_F32, ta ? m : k, 0, ta},
                                {send(b), EBB_F32, tb ? k : n, k * n, tb},
                                c,
                                EBB_F32,
                                n,
                                m * n,
                                m,
                                n,
                                k,
                                batch,
                                2,
                                0.5F};
      ASSERT_EQ(ebb_cuda_gemm(device, &gemm), EBB_OK) << ebb_error();
      const Floats got = fetch(c, size_t(batch * m * n));
      for (int64_t r = 0; r < batch; r++) {
        const Floats part(b.begin() + r * k * n, b.begin() + (r + 1) * k * n);
        for (int64_t i = 0; i < m; i++)
          for (int64_t j = 0; j < n; j++)
            ASSERT_NEAR(got[size_t((r * m + i) * n + j)], 0.5 + 2 * product(a, part, ta, tb, m, n, k, i, j),
                        1e-5)
                << ta << tb << " batch " << r << " element " << i << " " << j;
      }
    }
}

TEST_F(CudaDevice, LowerPrecisionRoundsTheOperandsOnly) {
  const int64_t n = 64;
  const Floats a = random_floats(size_t(n * n), 3), b = random_floats(size_t(n * n), 4);
  float *from = send(a), *by = send(b), *to = take(size_t(n * n));
  const struct {
    EbbPrecision precision;
    double least, most;
  } rows[] = {
      {EBB_PRECISION_FLOAT32, 0, 1e-6}, {EBB_PRECISION_TF32, 1e-5, 2e-3}, {EBB_PRECISION_BF16, 1e-4, 1e-2}};
  for (const auto &row : rows) {
    ebb_device_set_precision(device, row.precision);
    const EbbCudaGemm gemm = {
        {from, EBB_F32, n, 0, false}, {by, EBB_F32, n, 0, false}, to, EBB_F32, n, 0, n, n, n, 1, 1, 0};
    ASSERT_EQ(ebb_cuda_gemm(device, &gemm), EBB_OK) << ebb_error();
    const Floats got = fetch(to, size_t(n * n));
    double error = 0, norm = 0;
    for (int64_t i = 0; i < n * n; i++) {
      const double exact = product(a, b, false, false, n, n, n, i / n, i % n);
      error += (got[size_t(i)] - exact) * (got[size_t(i)] - exact), norm += exact * exact;
    }
    EXPECT_GE(std::sqrt(error / norm), row.least) << row.precision;
    EXPECT_LE(std::sqrt(error / norm), row.most) << row.precision;
  }
}

TEST_F(CudaDevice, FourierTransformsOfRowsWithGaps) {
  const int64_t n = 15, rows = 4, stride = 20, bins = n / 2 + 1;
  const Floats x = random_floats(size_t(rows * stride), 5);
  float *from = send(x), *spectrum = take(size_t(2 * rows * bins)), *back = take(size_t(rows * stride));
  const EbbCudaFftSpec forward = {EBB_FFT_R2C, n, rows, stride, bins},
                       inverse = {EBB_FFT_C2R, n, rows, stride, bins};
  const EbbCudaFft *plan = nullptr, *again = nullptr, *plan_back = nullptr;
  ASSERT_EQ(device->ops->cuda_fft(device, &forward, &plan), EBB_OK) << ebb_error();
  ASSERT_EQ(device->ops->cuda_fft(device, &forward, &again), EBB_OK);
  EXPECT_EQ(plan, again);
  ASSERT_EQ(device->ops->cuda_fft(device, &inverse, &plan_back), EBB_OK);
  auto *bins_of = reinterpret_cast<EbbC32 *>(spectrum);
  ASSERT_EQ(ebb_cuda_fft_r2c(device, plan, from, bins_of), EBB_OK);
  const Floats got = fetch(spectrum, size_t(2 * rows * bins));
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < bins; j++) {
      std::complex<double> sum = 0;
      for (int64_t t = 0; t < n; t++)
        sum += double(x[size_t(r * stride + t)]) * std::polar(1.0, -2 * M_PI * double(j * t) / double(n));
      ASSERT_NEAR(got[size_t(2 * (r * bins + j))], sum.real(), 1e-5) << r << " " << j;
      ASSERT_NEAR(got[size_t(2 * (r * bins + j) + 1)], sum.imag(), 1e-5) << r << " " << j;
    }
  ASSERT_EQ(ebb_cuda_fft_c2r(device, plan_back, bins_of, back), EBB_OK);
  const Floats round_trip = fetch(back, size_t(rows * stride));
  for (int64_t r = 0; r < rows; r++)
    for (int64_t t = 0; t < n; t++)
      ASSERT_NEAR(round_trip[size_t(r * stride + t)], double(n) * double(x[size_t(r * stride + t)]), 1e-4);
}

} // namespace
