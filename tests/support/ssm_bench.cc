#include "support/ssm_bench.h"

#include <cjson/cJSON.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <stdexcept>

#include "ebb/safetensors.h"

namespace ebb_test {
namespace {

void must(EbbStatus status) {
  if (status != EBB_OK) throw std::runtime_error(ebb_error());
}

std::string golden_path(const std::string &name) {
  return std::string(EBB_SOURCE_DIR) + "/../shared/golden/s4/" + name + ".safetensors";
}

double number(const cJSON *json, const char *key, double otherwise) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
  return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

std::string text(const cJSON *json, const char *key, const std::string &otherwise) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
  return cJSON_IsString(item) ? item->valuestring : otherwise;
}

EbbSsmMeasure measure_of(const std::string &name) {
  const std::map<std::string, EbbSsmMeasure> names = {
      {"legs", EBB_SSM_LEGS},         {"fourier", EBB_SSM_FOURIER},   {"hippo", EBB_SSM_HIPPO},
      {"diag-lin", EBB_SSM_DIAG_LIN}, {"diag-inv", EBB_SSM_DIAG_INV}, {"diag-legs", EBB_SSM_DIAG_LEGS}};
  return names.at(name);
}

void read_config(SsmGolden &golden, const char *config_text, const char *tolerance_text) {
  cJSON *json = cJSON_Parse(config_text), *tolerance = cJSON_Parse(tolerance_text);
  golden.diagonal = text(json, "mode", "nplr") == "diag";
  EbbSsmConfig &config = golden.config;
  config = ssm_config(golden.diagonal);
  config.H = int64_t(number(json, "d_model", 0));
  config.N = int64_t(number(json, "d_state", 0));
  config.n_ssm = int64_t(number(json, "n_ssm", 0));
  config.l_max = int64_t(number(json, "l_max", 0));
  config.channels = cJSON_IsTrue(cJSON_GetObjectItem(json, "bidirectional")) ? 2 : 1;
  config.measure = measure_of(text(json, "measure", "legs"));
  config.disc = text(json, "disc", "bilinear") == "zoh" ? EBB_SSM_ZOH : EBB_SSM_BILINEAR;
  golden.output_tolerance = number(tolerance, "output", 0);
  golden.grad_tolerance = number(tolerance, "grad", 0);
  cJSON_Delete(json);
  cJSON_Delete(tolerance);
}

} // namespace

EbbSsmConfig ssm_config(bool diagonal) {
  EbbSsmConfig config{};
  config.H = 4, config.N = 8, config.channels = 1, config.length = 32, config.l_max = 32, config.rate = 1;
  config.measure = diagonal ? EBB_SSM_DIAG_LIN : EBB_SSM_LEGS;
  config.dt_min = 0.01, config.dt_max = 0.3;
  config.lr_dt = config.lr_A = config.lr_B = NAN;
  return config;
}

SsmBench::SsmBench(bool diagonal, const EbbSsmConfig &config, int threads, bool backward,
                   const std::string &device) {
  try {
    build(diagonal, config, threads, backward, device);
  } catch (...) { // a constructor that throws runs no destructor
    close();
    throw;
  }
}

void SsmBench::build(bool diagonal, const EbbSsmConfig &config, int threads, bool backward,
                     const std::string &device) {
  must(ebb_device_open(device.c_str(), threads, &device_));
  must(ebb_params_create(device_, &params_));
  must(ebb_graph_create(params_, nullptr, backward, &graph_));
  outputs_ = config.readout == EBB_SSM_NO_READOUT ? 1 : 2;
  must(ebb_graph_apply(graph_, diagonal ? ebb_op_find("ssm_diag") : ebb_op_find("ssm_nplr"), "node", &config,
                       sizeof config, nullptr, 0, output_, outputs_));
  for (int i = 0; i < outputs_; i++) must(ebb_graph_output(graph_, output_[i]));
  for (int which = EBB_SSM_P_LIQUID_B; config.liquid_buffers && which <= EBB_SSM_P_LIQUID_LOG_DT; which++) {
    EbbParamSpec spec = ebb_ssm_spec(&config, diagonal, EbbSsmParam(which));
    int index;
    must(ebb_params_declare(params_, "node", &spec, &index));
  }
  must(ebb_params_place(params_, 5));
  must(ebb_graph_init_params(graph_));
  run_ = {device_, true, 1, 1};
}

SsmBench::~SsmBench() { close(); }

void SsmBench::close() {
  ebb_graph_destroy(graph_);
  ebb_params_destroy(params_);
  ebb_device_close(device_);
}

void SsmBench::set(const std::string &name, const Doubles &value) {
  std::vector<float> floats(value.begin(), value.end());
  must(ebb_params_write(params_, ("node." + name).c_str(), floats.data(), int64_t(floats.size())));
  if (name == "kernel.L") ebb_params_bump(params_);
}

Doubles SsmBench::get(const std::string &name) const {
  int index = ebb_params_find(params_, ("node." + name).c_str());
  if (index < 0) throw std::runtime_error("no parameter " + name);
  std::vector<float> value(size_t(ebb_params_at(params_, index)->size));
  must(ebb_params_read(params_, ("node." + name).c_str(), value.data(), int64_t(value.size())));
  return Doubles(value.begin(), value.end());
}

Doubles SsmBench::grad(const std::string &name) const {
  int index = ebb_params_find(params_, ("node." + name).c_str());
  if (index < 0) throw std::runtime_error("no parameter " + name);
  std::vector<float> value(size_t(ebb_params_at(params_, index)->size));
  must(ebb_device_read(device_, value.data(), ebb_params_grad(params_, index), value.size() * sizeof(float)));
  return Doubles(value.begin(), value.end());
}

void SsmBench::forward() {
  must(ebb_graph_forward(graph_, &run_));
  for (int i = 0; i < outputs_; i++) {
    EbbShape shape = ebb_graph_shape(graph_, output_[i]);
    std::vector<float> value(size_t(ebb_shape_size(&shape)));
    must(ebb_graph_read(graph_, output_[i], value.data()));
    (i ? ke : k).assign(value.begin(), value.end());
  }
}

void SsmBench::backward(const Doubles &dk, const Doubles &dke) {
  must(ebb_params_zero_grad(params_));
  for (int i = 0; i < outputs_; i++) {
    std::vector<float> floats((i ? dke : dk).begin(), (i ? dke : dk).end());
    if (floats.empty()) floats.assign((i ? ke : k).size(), 0);
    must(ebb_graph_write_grad(graph_, output_[i], floats.data()));
  }
  must(ebb_graph_backward(graph_, &run_));
}

std::vector<Complex> closed(std::vector<Complex> z) {
  size_t M = z.size();
  for (size_t m = 0; m < M; m++) z.push_back(std::conj(z[m]));
  return z;
}

std::vector<Complex> DenseSystem::apply(const std::vector<Complex> &x) const {
  std::vector<Complex> y(n);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) y[i] += A[i * n + j] * x[j];
  return y;
}

std::vector<Complex> DenseSystem::apply_left(const std::vector<Complex> &c) const {
  std::vector<Complex> y(n);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) y[j] += c[i] * A[i * n + j];
  return y;
}

Doubles DenseSystem::kernel(const std::vector<Complex> &c, size_t length) const {
  Doubles out;
  std::vector<Complex> x = B;
  for (size_t l = 0; l < length; l++) {
    Complex sum = 0;
    for (size_t i = 0; i < n; i++) sum += c[i] * x[i];
    out.push_back(sum.real());
    x = apply(x);
  }
  return out;
}

// Solves X a = b in place for each column of b by Gauss-Jordan elimination with pivoting.
static void solve(std::vector<Complex> a, size_t n, std::vector<Complex> &b, size_t columns) {
  for (size_t i = 0; i < n; i++) {
    size_t pivot = i;
    for (size_t r = i; r < n; r++)
      if (std::abs(a[r * n + i]) > std::abs(a[pivot * n + i])) pivot = r;
    for (size_t j = 0; j < n; j++) std::swap(a[i * n + j], a[pivot * n + j]);
    for (size_t j = 0; j < columns; j++) std::swap(b[i * columns + j], b[pivot * columns + j]);
    for (size_t r = 0; r < n; r++) {
      if (r == i) continue;
      Complex f = a[r * n + i] / a[i * n + i];
      for (size_t j = i; j < n; j++) a[r * n + j] -= f * a[i * n + j];
      for (size_t j = 0; j < columns; j++) b[r * columns + j] -= f * b[i * columns + j];
    }
  }
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < columns; j++) b[i * columns + j] /= a[i * n + i];
}

DenseSystem dense_bilinear(const std::vector<Complex> &w, const std::vector<Complex> &B,
                           const std::vector<Complex> &P, double dt) {
  std::vector<Complex> W = closed(w);
  std::vector<std::vector<Complex>> columns;
  for (auto at = P.begin(); at != P.end(); at += std::ptrdiff_t(w.size()))
    columns.push_back(closed({at, at + std::ptrdiff_t(w.size())}));
  DenseSystem out;
  out.n = W.size();
  size_t n = out.n;
  std::vector<Complex> minus(n * n);
  out.A.resize(n * n);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) {
      Complex a = i == j ? W[i] : 0.0;
      for (const auto &p : columns) a -= p[i] * std::conj(p[j]);
      out.A[i * n + j] = (i == j ? 1.0 : 0.0) + 0.5 * dt * a;
      minus[i * n + j] = (i == j ? 1.0 : 0.0) - 0.5 * dt * a;
    }
  out.B = closed(B);
  for (Complex &b : out.B) b *= dt;
  solve(minus, n, out.A, n);
  solve(minus, n, out.B, 1);
  return out;
}

static std::vector<Complex> pairs(const Doubles &value, size_t first, size_t count) {
  std::vector<Complex> out;
  for (size_t i = first; i < first + count; i++) out.emplace_back(value[2 * i], value[2 * i + 1]);
  return out;
}

ChannelValues channel_values(const SsmBench &bench, const EbbSsmConfig &config, bool diagonal, int64_t h,
                             int64_t c) {
  size_t M = size_t(ebb_ssm_modes(&config)), copy = size_t(h % ebb_ssm_copies(&config)) * M;
  ChannelValues out;
  Doubles re = bench.get("kernel.inv_w_real"), im = bench.get("kernel.w_imag");
  for (size_t m = copy; m < copy + M; m++)
    out.w.emplace_back(ebb_ssm_real(config.real_type, diagonal ? 1e-4 : 0, re[m]), im[m]);
  out.B = pairs(bench.get("kernel.B"), copy, M);
  for (int64_t i = 0; !diagonal && i < ebb_ssm_rank(&config); i++) {
    std::vector<Complex> column =
        pairs(bench.get("kernel.P"), size_t(i * ebb_ssm_copies(&config)) * M + copy, M);
    out.P.insert(out.P.end(), column.begin(), column.end());
  }
  out.C = pairs(bench.get("kernel.C"), size_t(c * config.H + h) * M, M);
  out.dt = std::exp(bench.get("kernel.log_dt")[size_t(h)]) * config.rate;
  return out;
}

bool ssm_golden_present() { return std::ifstream(golden_path("s4_nplr_legs")).good(); }

SsmGolden ssm_golden(const std::string &name) {
  EbbSafetensors *file;
  must(ebb_safetensors_open(golden_path(name).c_str(), &file));
  SsmGolden golden;
  for (int64_t i = 0; i < ebb_safetensors_count(file); i++) {
    const EbbStoredTensor *stored = ebb_safetensors_at(file, i);
    Doubles value(size_t(ebb_shape_size(&stored->shape)));
    must(ebb_stored_doubles(stored, value.data(), int64_t(value.size())));
    golden.tensor[stored->name] = value;
    golden.shape[stored->name].assign(stored->shape.dim, stored->shape.dim + stored->shape.rank);
  }
  read_config(golden, ebb_safetensors_metadata(file, "config"), ebb_safetensors_metadata(file, "tolerance"));
  const char *length = ebb_safetensors_metadata(file, "kernel_length");
  const char *rate = ebb_safetensors_metadata(file, "rate"), *form = ebb_safetensors_metadata(file, "C_form");
  golden.kernel_length = length ? std::stod(length) : 0;
  golden.config.rate = rate ? std::stod(rate) : 1;
  golden.plain_C = form && std::string(form) == "plain";
  golden.config.length = golden.shape.at("input.u")[2];
  ebb_safetensors_close(file);
  return golden;
}

void ssm_load(SsmBench &bench, const SsmGolden &golden) {
  for (auto &[name, value] : golden.tensor)
    if (name.rfind("param.kernel.", 0) == 0) bench.set(name.substr(6), value);
  if (!golden.diagonal) bench.set("kernel.L", {golden.plain_C ? 0 : golden.kernel_length});
}

Doubles kernel_cotangent(const SsmGolden &golden) {
  const Doubles &u = golden.tensor.at("input.u"), &W = golden.tensor.at("cotangent.y");
  std::vector<int64_t> s = golden.shape.at("input.u");
  int64_t H = s[1], L = s[2], Lk = ebb_ssm_kernel_length(&golden.config), C = golden.config.channels;
  Doubles dk(size_t(C * H * Lk));
  for (int64_t b = 0; b < s[0]; b++)
    for (int64_t h = 0; h < H; h++)
      for (int64_t t = 0; t < L; t++)
        for (int64_t l = 0; l < Lk; l++) {
          size_t row = size_t((b * H + h) * L);
          if (t >= l) dk[size_t(h * Lk + l)] += W[row + size_t(t)] * u[row + size_t(t - l)];
          if (C == 2 && t + 1 + l < L)
            dk[size_t((H + h) * Lk + l)] += W[row + size_t(t)] * u[row + size_t(t + 1 + l)];
        }
  return dk;
}

double relative_error(const Doubles &a, const Doubles &b) {
  if (a.size() != b.size() || a.empty()) return std::numeric_limits<double>::infinity();
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); i++) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  double error = std::sqrt(difference / (norm + 1e-300));
  return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
}

} // namespace ebb_test
