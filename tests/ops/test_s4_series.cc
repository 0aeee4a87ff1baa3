// The degree-P expansion: published cases through dense systems, and double-precision loops of the
// definition.
#include "ebb/ops/s4_series.h"

#include <gtest/gtest.h>

#include <complex>
#include <filesystem>
#include <map>

#include "support/golden.h"
#include "support/node_run.h"
#include "support/op_check.h"
#include "support/op_run.h"
#include "support/stored.h"

using namespace ebb_test;

namespace {

using Complex = std::complex<double>;
using Vector = std::vector<Complex>;

// x of A x = b by Gaussian elimination; A row-major, not singular.
Vector solve(std::vector<Complex> A, Vector b) {
  const size_t n = b.size();
  for (size_t i = 0; i < n; i++)
    for (size_t r = i + 1; r < n; r++) {
      const Complex factor = A[r * n + i] / A[i * n + i];
      for (size_t c = i; c < n; c++) A[r * n + c] -= factor * A[i * n + c];
      b[r] -= factor * b[i];
    }
  for (size_t i = n; i-- > 0;) {
    for (size_t c = i + 1; c < n; c++) b[i] -= A[i * n + c] * b[c];
    b[i] /= A[i * n + i];
  }
  return b;
}

// The conjugate-closed vector of one channel from (.., M, 2) floats.
Vector closed(const std::vector<float> &pairs, size_t channel, size_t M) {
  Vector out(2 * M);
  for (size_t m = 0; m < M; m++) {
    out[m] = Complex(double(pairs[2 * (channel * M + m)]), double(pairs[2 * (channel * M + m) + 1]));
    out[M + m] = std::conj(out[m]);
  }
  return out;
}

// k_l = C Abar^l Bbar and ke_l = sum of Abar^l Bbar for A = diag(w) - P P*, bilinear.
void kernels(const Golden &golden, size_t h, size_t L, std::vector<float> &k, std::vector<float> &ke) {
  const auto real = golden.floats("param.kernel.inv_w_real"), imag = golden.floats("param.kernel.w_imag");
  const size_t M = real.size() / size_t(golden.number("n_ssm", 0)), N = 2 * M;
  const double dt = std::exp(double(golden.floats("param.kernel.log_dt")[h]));
  const Vector B = closed(golden.floats("param.kernel.B"), h, M),
               C = closed(golden.floats("param.kernel.C"), h, M);
  const Vector P = golden.has("param.kernel.P") ? closed(golden.floats("param.kernel.P"), h, M) : Vector(N);
  std::vector<Complex> A(N * N), implicit(N * N);
  for (size_t i = 0; i < N; i++)
    for (size_t j = 0; j < N; j++) {
      const size_t m = h * M + i % M;
      const Complex w(-std::exp(double(real[m])), i < M ? double(imag[m]) : -double(imag[m]));
      A[i * N + j] = (i == j ? w : 0.0) - P[i] * std::conj(P[j]);
      implicit[i * N + j] = (i == j ? 1.0 : 0.0) - dt / 2 * A[i * N + j];
    }
  Vector x(N);
  for (size_t i = 0; i < N; i++) x[i] = dt * B[i];
  x = solve(implicit, x);
  for (size_t l = 0; l < L; l++) {
    Complex read = 0, sum = 0;
    for (size_t i = 0; i < N; i++) read += C[i] * x[i], sum += x[i];
    k.push_back(float(read.real())), ke.push_back(float(sum.real()));
    Vector next = x;
    for (size_t i = 0; i < N; i++)
      for (size_t j = 0; j < N; j++) next[i] += dt / 2 * A[i * N + j] * x[j];
    x = solve(implicit, next);
  }
}

TEST(S4Series, PublishedLayers) {
  int cases = 0;
  for (const std::string &file : golden_files("s4", "s4_series_")) {
    SCOPED_TRACE(std::filesystem::path(file).filename().string());
    Golden golden(file);
    const auto shape = golden.shape("input.u");
    std::vector<float> k, ke;
    for (int64_t h = 0; h < shape[1]; h++) kernels(golden, size_t(h), size_t(shape[2]), k, ke);
    EbbS4SeriesConfig config = {};
    config.degree = int64_t(golden.number("liquid_degree", 0));
    for (const std::string &device : devices()) {
      NodeRun run(
          "s4_series", config,
          {{shape, golden.floats("input.u")}, {{1, shape[1], shape[2]}, k}, {{shape[1], shape[2]}, ke}}, 2,
          device);
      EXPECT_LT(relative_error(run.forward(), golden.floats("expect.y")), golden.tolerance("output"))
          << device;
      run.backward(golden.floats("cotangent.y"));
      EXPECT_LT(relative_error(run.input_grad(0), golden.floats("expect.grad.u")), golden.tolerance("grad"))
          << device;
    }
    cases++;
  }
  if (!cases) GTEST_SKIP() << "no cases under " << golden_folder("s4");
}

struct Reference {
  int64_t B, H, L, Lk, degree;
  std::vector<int32_t> lengths;
  std::vector<double> u, k, ke, D;

  std::vector<double> convolve(const std::vector<double> &taps, int64_t h,
                               const std::vector<double> &v) const {
    std::vector<double> out(static_cast<size_t>(L), 0.0);
    for (int64_t t = 0; t < L; t++)
      for (int64_t j = 0; j < Lk && j <= t; j++)
        out[size_t(t)] += taps[size_t(h * Lk + j)] * v[size_t(t - j)];
    return out;
  }
  std::vector<double> forward() const {
    std::vector<double> y;
    for (int64_t b = 0; b < B; b++)
      for (int64_t h = 0; h < H; h++) {
        std::vector<double> row(static_cast<size_t>(L), 0.0);
        for (int64_t t = 0; t < L && (lengths.empty() || t < lengths[size_t(b)]); t++)
          row[size_t(t)] = u[size_t((b * H + h) * L + t)];
        std::vector<double> v(row), total(row);
        for (int64_t q = 1; q < degree; q++) {
          const auto s = convolve(ke, h, v);
          for (int64_t t = 0; t < L; t++) v[size_t(t)] = t ? row[size_t(t)] * s[size_t(t - 1)] : 0.0;
          for (int64_t t = 0; t < L; t++) total[size_t(t)] += v[size_t(t)];
        }
        const auto x = convolve(k, h, total);
        for (int64_t t = 0; t < L; t++) y.push_back(x[size_t(t)] + D[size_t(h)] * row[size_t(t)]);
      }
    return y;
  }
};

struct Case {
  int64_t B, H, L, Lk, degree;
  bool lengths;
};

std::vector<NodeInput> inputs_of(const Case &c) {
  std::vector<NodeInput> inputs = {{{c.B, c.H, c.L}, numbers(size_t(c.B * c.H * c.L), 1)},
                                   {{1, c.H, c.Lk}, numbers(size_t(c.H * c.Lk), 2)},
                                   {{c.H, c.Lk}, numbers(size_t(c.H * c.Lk), 3, 0.4F)}};
  if (c.lengths) {
    std::vector<int32_t> lengths;
    for (int64_t b = 0; b < c.B; b++) lengths.push_back(int32_t(c.L - b * c.L / c.B));
    inputs.push_back({{c.B}, {}, lengths});
  }
  return inputs;
}

EbbS4SeriesConfig config_of(const Case &c) {
  EbbS4SeriesConfig config = {};
  config.degree = c.degree;
  config.epilogue.skip = true;
  return config;
}

double dot(const std::vector<float> &a, const std::vector<float> &b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += double(a[i]) * double(b[i]);
  return sum;
}

void check(const Case &c, const std::string &device) {
  const auto inputs = inputs_of(c);
  NodeRun run("s4_series", config_of(c), inputs, 2, device);
  const auto D = numbers(size_t(c.H), 4);
  run.set("D", D);
  Reference reference = {c.B, c.H, c.L, c.Lk, c.degree, {}, {}, {}, {}, {}};
  if (c.lengths) reference.lengths = inputs[3].integers;
  reference.u.assign(inputs[0].floats.begin(), inputs[0].floats.end());
  reference.k.assign(inputs[1].floats.begin(), inputs[1].floats.end());
  reference.ke.assign(inputs[2].floats.begin(), inputs[2].floats.end());
  reference.D.assign(D.begin(), D.end());
  EXPECT_LT(relative_error(run.forward(), reference.forward()), 1e-5);
  const auto w = numbers(inputs[0].floats.size(), 5);
  run.backward(w);
  const std::vector<std::vector<float>> grads = {run.input_grad(0), run.input_grad(1), run.input_grad(2),
                                                 run.param_grad("D")};
  for (size_t which = 0; which < grads.size(); which++) {
    const auto direction = numbers(grads[which].size(), 10 + which);
    auto loss = [&](double step) {
      Reference moved = reference;
      std::vector<double> *all[] = {&moved.u, &moved.k, &moved.ke, &moved.D};
      for (size_t i = 0; i < direction.size(); i++) (*all[which])[i] += step * double(direction[i]);
      const auto y = moved.forward();
      double sum = 0;
      for (size_t i = 0; i < y.size(); i++) sum += y[i] * double(w[i]);
      return sum;
    };
    const double h = 1e-4;
    const double numeric = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h);
    EXPECT_NEAR(numeric, dot(grads[which], direction),
                2e-5 * std::sqrt(dot(grads[which], grads[which])) + 1e-6)
        << "gradient " << which;
  }
}

TEST(S4Series, FollowsTheDefinition) {
  for (const Case &c : {Case{1, 1, 1, 1, 1, false},
                        {2, 2, 9, 9, 2, false},
                        {3, 1, 20, 7, 3, true},
                        {2, 3, 31, 31, 5, true},
                        {3, 2, 140, 130, 2, false}}) {
    SCOPED_TRACE("L " + std::to_string(c.L) + " degree " + std::to_string(c.degree));
    for (const std::string &device : devices()) check(c, device);
  }
}

// Kernels whose states stay about as large as the inputs.
std::vector<NodeInput> tame_inputs_of(const Case &c) {
  auto inputs = inputs_of(c);
  for (size_t i : {1, 2})
    for (float &tap : inputs[i].floats) tap /= std::sqrt(float(c.Lk));
  return inputs;
}

std::map<std::string, std::vector<float>> results_of(const Case &c, const EbbS4SeriesConfig &config,
                                                     const std::string &device) {
  const auto inputs = tame_inputs_of(c);
  NodeRun run("s4_series", config, inputs, 2, device);
  std::map<std::string, std::vector<float>> results;
  results["y"] = run.forward();
  run.backward(numbers(inputs[0].floats.size(), 6));
  results["du"] = run.input_grad(0), results["dk"] = run.input_grad(1), results["dke"] = run.input_grad(2);
  results["dD"] = run.param_grad("D");
  return results;
}

// Every transform length, rows that fill it and that do not, rows and groups that do not fill a block,
// kernels as long as the transform; the last three are too long for one block, the middle one of them for one
// chunk.
TEST(S4Series, GpuEqualsCpu) {
  if (devices().back() != "cuda") GTEST_SKIP() << "no CUDA device";
  for (const Case &c : {Case{9, 3, 255, 255, 3, true},
                        {5, 2, 256, 256, 2, false},
                        {3, 3, 257, 100, 4, true},
                        {3, 2, 1000, 1000, 2, false},
                        {2, 2, 1024, 1024, 3, true},
                        {2, 1, 2048, 1999, 1, false},
                        {3, 1, 4093, 4093, 2, true},
                        {2, 1, 8192, 8192, 2, false},
                        {2, 1, 9000, 8191, 3, true},
                        {3, 3, 16385, 16385, 3, true},
                        {16, 6, 17000, 17000, 2, true},
                        {1, 4, 20000, 300, 2, false}}) {
    SCOPED_TRACE("L " + std::to_string(c.L) + " degree " + std::to_string(c.degree));
    EbbS4SeriesConfig config = config_of(c);
    config.epilogue = {true, EBB_S4_GELU, 0.3, c.lengths};
    auto cpu = results_of(c, config, "cpu"), gpu = results_of(c, config, "cuda");
    for (auto &[name, expected] : cpu) EXPECT_LT(relative_error(gpu[name], expected), 2e-6) << name;
  }
}

std::map<std::string, std::vector<float>> stored_results(const Case &c, const EbbS4SeriesConfig &config,
                                                         const std::string &device, EbbDtype storage) {
  std::vector<Tensor> tensors;
  for (const NodeInput &input : tame_inputs_of(c))
    tensors.push_back({input.shape, input.floats, input.integers});
  // Numbers that bfloat16 holds exactly.
  tensors[0].floats = Stored(EBB_BF16, tensors[0].floats).floats(), tensors[0].activation = true;
  OpRun run("s4_series", config, tensors, 1, 2, true, device, storage);
  require(run.status);
  require(run.forward());
  run.backward(Stored(EBB_BF16, numbers(tensors[0].floats.size(), 6)).floats());
  std::map<std::string, std::vector<float>> results;
  results["y"] = run.output(), results["du"] = run.input_grad(0);
  results["dk"] = run.input_grad(1), results["dke"] = run.input_grad(2);
  results["dD"] = run.param_grad("D");
  return results;
}

// Without an activation only y and du are rounded, to 8 bits; with GELU also what its derivative is taken of.
TEST(S4Series, Bfloat16IsRoundedFloat32) {
  if (devices().back() != "cuda") GTEST_SKIP() << "no CUDA device";
  for (const Case &c :
       {Case{3, 3, 77, 77, 3, true}, {2, 2, 1030, 1030, 2, false}, {2, 2, 16400, 99, 3, true}})
    for (EbbS4Activation activation : {EBB_S4_IDENTITY, EBB_S4_GELU}) {
      EbbS4SeriesConfig config = config_of(c);
      config.epilogue = {true, activation, 0.3, false};
      auto exact = stored_results(c, config, "cpu", EBB_F32);
      auto half = stored_results(c, config, "cuda", EBB_BF16);
      for (auto &[name, expected] : exact) {
        const bool rounded = name == "y" || name == "du" || activation == EBB_S4_GELU;
        EXPECT_LT(relative_error(half[name], expected), rounded ? std::ldexp(1, -8) : 2e-6)
            << name << " with activation " << activation;
      }
    }
}

TEST(S4Series, RefusesWhatCannotBe) {
  auto failure = [](const Case &c) -> std::string {
    try {
      NodeRun run("s4_series", config_of(c), inputs_of(c));
    } catch (const std::runtime_error &error) {
      return error.what();
    }
    return "no failure";
  };
  EXPECT_NE(failure({1, 2, 8, 8, 0, false}).find("liquid_degree is 0"), std::string::npos);
  EXPECT_NE(failure({1, 2, 8, 8, 65, false}).find("1 to 64"), std::string::npos);
  EXPECT_NE(failure({1, 2, 8, 9, 2, false}).find("Lk at most 8"), std::string::npos);
}

// On a GPU in one kernel, and beyond that.
TEST(S4Series, PassesTheOpChecks) {
  for (int64_t L : {19, 16387})
    for (bool tie : {false, true}) {
      EbbS4SeriesConfig config = {3, {true, EBB_S4_GELU, 0.2, tie}};
      const int64_t H = L > 19 ? 1 : 5;
      OpCase test;
      test.name = "s4_series L " + std::to_string(L);
      test.op = "s4_series";
      test.config = bytes_of(config);
      test.inputs.resize(3);
      test.inputs[0].shape = {3, H, L};
      test.inputs[1].shape = {1, H, 17};
      test.inputs[2].shape = {H, 17};
      if (tie) test.inputs.push_back({{3}, EBB_I32, false, 0, 0, {int32_t(L), 8, 0}, {}});
      for (const std::string &device : devices()) check_op(test, device);
    }
}

} // namespace
