/* cuBLAS, cuFFT and cuRAND on the emulated device against sums written out. */
#include "cublas_v2.h"
#include "cuda_bf16.h"
#include "cufft.h"
#include "curand.h"
#include "device_array.h"
#include "ebb_emulator.h"
#include <cmath>
#include <complex>

namespace {

const int m = 5, n = 3, k = 7, batch = 2;

std::vector<float> sines(size_t count, float step) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; i++) values[i] = std::sin(step * (float)i + 0.3f);
  return values;
}

class Blas : public testing::Test {
protected:
  Blas() { EXPECT_EQ(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS); }
  ~Blas() override {
    cublasDestroy(handle);
    ebb_emulator_reset();
  }
  cublasHandle_t handle;
};

/* C of one matrix of the batch in float64, column-major. */
double product(const std::vector<float> &a, const std::vector<float> &b, bool ta, bool tb, int z, int i,
               int j) {
  double sum = 0;
  for (int l = 0; l < k; l++)
    sum += (double)a[(size_t)(z * m * k + (ta ? i * k + l : l * m + i))] *
           (double)b[(size_t)(z * k * n + (tb ? l * n + j : j * k + l))];
  return sum;
}

TEST_F(Blas, ProductsOfAllLayouts) {
  std::vector<float> a = sines(batch * m * k, 0.7f), b = sines(batch * k * n, 1.1f),
                     c = sines(batch * m * n, 0.2f);
  DeviceArray<float> da(a), db(b);
  float alpha = 1.5f, beta = -0.5f;
  for (int layout = 0; layout < 4; layout++) {
    bool ta = (layout & 1) != 0, tb = (layout & 2) != 0;
    DeviceArray<float> dc(c);
    ASSERT_EQ(cublasSgemmStridedBatched(handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N,
                                        tb ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, k, &alpha, da.get(), ta ? k : m,
                                        m * k, db.get(), tb ? n : k, k * n, &beta, dc.get(), m, m * n, batch),
              CUBLAS_STATUS_SUCCESS);
    std::vector<float> got = dc.values();
    for (int z = 0; z < batch; z++)
      for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
          size_t at = (size_t)(z * m * n + j * m + i);
          EXPECT_NEAR(got[at], 1.5 * product(a, b, ta, tb, z, i, j) - 0.5 * (double)c[at], 1e-5);
        }
  }
}

TEST_F(Blas, OperandsInHalfPrecision) {
  std::vector<float> a = sines(m * k, 0.7f), b = sines(k * n, 1.1f);
  std::vector<uint16_t> ha, hb;
  for (float &x : a) ha.push_back(ebb_emulator_bf16_bits(x)), x = ebb_emulator_bf16_value(ha.back());
  for (float &x : b) hb.push_back(ebb_emulator_bf16_bits(x)), x = ebb_emulator_bf16_value(hb.back());
  DeviceArray<uint16_t> da(ha), db(hb);
  DeviceArray<float> dc(m * n);
  float one = 1.0f, zero = 0.0f;
  ASSERT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, da.get(), CUDA_R_16BF, m, db.get(),
                         CUDA_R_16BF, k, &zero, dc.get(), CUDA_R_32F, m, CUBLAS_COMPUTE_32F,
                         CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_SUCCESS);
  std::vector<float> got = dc.values();
  for (int j = 0; j < n; j++)
    for (int i = 0; i < m; i++)
      EXPECT_NEAR(got[(size_t)(j * m + i)], product(a, b, false, false, 0, i, j), 1e-5);
}

TEST_F(Blas, Tf32RoundsTheOperands) {
  float one = 1.0f, zero = 0.0f;
  DeviceArray<float> x(std::vector<float>{1.0f + 0x1p-12f}), y(std::vector<float>{1.0f}), z(1);
  const struct {
    cublasComputeType_t compute;
    float expected;
  } rows[] = {{CUBLAS_COMPUTE_32F, 1.0f + 0x1p-12f}, {CUBLAS_COMPUTE_32F_FAST_TF32, 1.0f}};
  for (auto row : rows) {
    ASSERT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, x.get(), CUDA_R_32F, 1, y.get(),
                           CUDA_R_32F, 1, &zero, z.get(), CUDA_R_32F, 1, row.compute, CUBLAS_GEMM_DEFAULT),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(z.values()[0], row.expected);
  }
}

TEST_F(Blas, OperandsMustBeOnTheDevice) {
  std::vector<float> host(4, 1.0f);
  DeviceArray<float> x(host);
  float one = 1.0f, zero = 0.0f;
  ASSERT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, x.get(), 2, host.data(), 2, &zero,
                        x.get(), 2),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  EXPECT_NE(std::string(ebb_emulator_report()).find("operand B"), std::string::npos) << ebb_emulator_report();
  EXPECT_EQ(
      cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, x.get(), 1, x.get(), 2, &zero, x.get(), 2),
      CUBLAS_STATUS_INVALID_VALUE)
      << "a leading dimension below the rows";
}

TEST_F(Blas, OperandsMustHaveBeenWritten) {
  DeviceArray<float> x(std::vector<float>(4, 1.0f)), unwritten(4), y(4);
  float one = 1.0f, zero = 0.0f;
  ASSERT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, unwritten.get(), 2, x.get(), 2,
                        &zero, y.get(), 2),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cudaDeviceSynchronize(), ebb_emulator_checks() != 0 ? cudaErrorIllegalAddress : cudaSuccess);
}

std::complex<double> transform(const std::vector<float> &x, int start, int length, int bin) {
  std::complex<double> sum = 0;
  for (int i = 0; i < length; i++)
    sum += (double)x[(size_t)(start + i)] * std::polar(1.0, -2.0 * M_PI * bin * i / length);
  return sum;
}

TEST(EmulatorFft, RealTransformsThereAndBack) {
  for (int length : {1, 2, 9, 16}) {
    int half = length / 2 + 1, rows = 3;
    std::vector<float> x = sines((size_t)(rows * length), 0.37f);
    DeviceArray<float> time(x);
    DeviceArray<float2> bins((size_t)(rows * half));
    cufftHandle forward, inverse;
    ASSERT_EQ(cufftPlanMany(&forward, 1, &length, nullptr, 1, 0, nullptr, 1, 0, CUFFT_R2C, rows),
              CUFFT_SUCCESS);
    ASSERT_EQ(cufftPlan1d(&inverse, length, CUFFT_C2R, rows), CUFFT_SUCCESS);
    ASSERT_EQ(cufftExecR2C(forward, time.get(), bins.get()), CUFFT_SUCCESS);
    std::vector<float2> got = bins.values();
    for (int r = 0; r < rows; r++)
      for (int b = 0; b < half; b++) {
        std::complex<double> want = transform(x, r * length, length, b);
        EXPECT_NEAR(got[(size_t)(r * half + b)].x, want.real(), 1e-5);
        EXPECT_NEAR(got[(size_t)(r * half + b)].y, want.imag(), 1e-5);
      }
    ASSERT_EQ(cufftExecC2R(inverse, bins.get(), time.get()), CUFFT_SUCCESS);
    std::vector<float> back = time.values();
    for (size_t i = 0; i < x.size(); i++) EXPECT_NEAR(back[i], x[i] * (float)length, 1e-5f * (float)length);
    EXPECT_EQ(cufftDestroy(forward), CUFFT_SUCCESS);
    EXPECT_EQ(cufftDestroy(inverse), CUFFT_SUCCESS);
  }
}

TEST(EmulatorFft, ADistanceBetweenRowsAndAWorkAreaOfOnesOwn) {
  int length = 6, embed[] = {8}, out_embed[] = {4};
  std::vector<float> x = sines(16, 0.9f);
  DeviceArray<float> time(x);
  DeviceArray<float2> bins(8);
  cufftHandle plan;
  size_t bytes = 0;
  ASSERT_EQ(cufftCreate(&plan), CUFFT_SUCCESS);
  ASSERT_EQ(cufftSetAutoAllocation(plan, 0), CUFFT_SUCCESS);
  ASSERT_EQ(cufftMakePlanMany(plan, 1, &length, embed, 1, 8, out_embed, 1, 4, CUFFT_R2C, 2, &bytes),
            CUFFT_SUCCESS);
  EXPECT_EQ(cufftExecR2C(plan, time.get(), bins.get()), CUFFT_NO_WORKSPACE);
  DeviceArray<char> work(bytes);
  ASSERT_EQ(cufftSetWorkArea(plan, work.get()), CUFFT_SUCCESS);
  ASSERT_EQ(cufftExecR2C(plan, time.get(), bins.get()), CUFFT_SUCCESS);
  std::vector<float2> got = bins.values();
  for (int r = 0; r < 2; r++)
    for (int b = 0; b < 4; b++)
      EXPECT_NEAR(got[(size_t)(4 * r + b)].x, transform(x, 8 * r, 6, b).real(), 1e-5);
  cufftDestroy(plan);
}

TEST(EmulatorFft, ComplexTransformsInPlace) {
  int length = 8;
  std::vector<float2> x;
  for (int i = 0; i < 2 * length; i++) x.push_back(make_float2(std::cos(0.3f * (float)i), 0.1f * (float)i));
  DeviceArray<float2> data(x);
  cufftHandle plan;
  ASSERT_EQ(cufftPlan1d(&plan, length, CUFFT_C2C, 2), CUFFT_SUCCESS);
  ASSERT_EQ(cufftExecC2C(plan, data.get(), data.get(), CUFFT_FORWARD), CUFFT_SUCCESS);
  ASSERT_EQ(cufftExecC2C(plan, data.get(), data.get(), CUFFT_INVERSE), CUFFT_SUCCESS);
  std::vector<float2> got = data.values();
  for (size_t i = 0; i < x.size(); i++) {
    EXPECT_NEAR(got[i].x, 8.0f * x[i].x, 1e-4f);
    EXPECT_NEAR(got[i].y, 8.0f * x[i].y, 1e-4f);
  }
  cufftDestroy(plan);
}

TEST(EmulatorRandom, MomentsAndRepetition) {
  const size_t count = 20000;
  DeviceArray<float> a(count), b(count);
  curandGenerator_t generator;
  ASSERT_EQ(curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_PHILOX4_32_10), CURAND_STATUS_SUCCESS);
  ASSERT_EQ(curandSetPseudoRandomGeneratorSeed(generator, 7), CURAND_STATUS_SUCCESS);
  ASSERT_EQ(curandGenerateUniform(generator, a.get(), count), CURAND_STATUS_SUCCESS);
  ASSERT_EQ(curandGenerateNormal(generator, b.get(), count, 2.0f, 3.0f), CURAND_STATUS_SUCCESS);
  std::vector<float> uniform = a.values(), normal = b.values();
  double mean = 0, centre = 0, spread = 0;
  for (float x : uniform) {
    EXPECT_GT(x, 0.0f);
    EXPECT_LE(x, 1.0f);
    mean += x / (double)count;
  }
  for (float x : normal) centre += x / (double)count;
  for (float x : normal) spread += (x - centre) * (x - centre) / (double)count;
  EXPECT_NEAR(mean, 0.5, 0.01);
  EXPECT_NEAR(centre, 2.0, 0.1);
  EXPECT_NEAR(std::sqrt(spread), 3.0, 0.1);
  ASSERT_EQ(curandSetPseudoRandomGeneratorSeed(generator, 7), CURAND_STATUS_SUCCESS);
  ASSERT_EQ(curandGenerateUniform(generator, a.get(), count), CURAND_STATUS_SUCCESS);
  EXPECT_EQ(a.values(), uniform);
  EXPECT_EQ(curandGenerateNormal(generator, a.get(), 3, 0.0f, 1.0f), CURAND_STATUS_LENGTH_NOT_MULTIPLE);
  curandDestroyGenerator(generator);
}

} // namespace
