// Cases made here: small ones whose numbers are worked out in place, and ones that are wrong in one thing,
// which must end in a sentence that names it.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ebb/rng.h"
#include "ebb/safetensors.h"
#include "ebb/verify.h"

namespace {

using Complex = std::complex<double>;

struct Tensor {
  std::vector<int64_t> shape;
  std::vector<double> values;
};

// Numbers in (-scale, scale), others for another stream.
Tensor drawn(const std::vector<int64_t> &shape, uint64_t stream, double scale) {
  Tensor out = {shape, {}};
  int64_t size = 1;
  for (int64_t n : shape) size *= n;
  for (int64_t i = 0; i < size; i++)
    out.values.push_back(scale * (2 * double(ebb_unit_float(ebb_random(stream, 0, 0, uint64_t(i)))) - 1));
  return out;
}

struct Row {
  std::string tensor;
  double error;
  bool passed;
};

struct Outcome {
  EbbStatus status;
  std::string error;
  std::vector<Row> rows;
  bool agrees(const std::string &tensor) const {
    for (const Row &row : rows)
      if (row.tensor == tensor) return row.passed;
    ADD_FAILURE() << tensor << " was not compared";
    return false;
  }
};

struct CaseFile {
  std::map<std::string, std::string> metadata;
  std::map<std::string, Tensor> tensors;

  Outcome verify() const {
    const std::string path = testing::TempDir() + "ebb_case.safetensors";
    EbbSafetensorsWriter *writer = nullptr;
    EXPECT_EQ(ebb_safetensors_writer_create(&writer), EBB_OK);
    for (const auto &[key, value] : metadata)
      EXPECT_EQ(ebb_safetensors_writer_metadata(writer, key.c_str(), value.c_str()), EBB_OK);
    for (const auto &[name, tensor] : tensors) {
      const EbbShape shape = ebb_shape_from(int(tensor.shape.size()), tensor.shape.data());
      EXPECT_EQ(ebb_safetensors_writer_add(writer, name.c_str(), EBB_ST_F64, &shape, tensor.values.data()),
                EBB_OK);
    }
    EXPECT_EQ(ebb_safetensors_writer_commit(writer, path.c_str()), EBB_OK) << ebb_error();
    ebb_safetensors_writer_destroy(writer);
    Outcome outcome = {};
    EbbVerifyResult result = {};
    EbbVerifyReport report = {&outcome, keep, nullptr};
    outcome.status = ebb_verify_case(path.c_str(), "cpu", 1, &report, &result);
    if (outcome.status != EBB_OK) outcome.error = ebb_error();
    EXPECT_EQ(std::remove(path.c_str()), 0);
    return outcome;
  }

private:
  static void keep(void *context, const EbbVerifyRow *row) {
    static_cast<Outcome *>(context)->rows.push_back({row->tensor, row->error, row->passed});
  }
};

// ---- a layer

constexpr int64_t kB = 2, kH = 2, kL = 8, kM = 2;

// k_l = 2 Re sum_m B C dt / (1 - dt w / 2) ((1 + dt w / 2) / (1 - dt w / 2))^l
double kernel_at(const CaseFile &c, int64_t h, int64_t l, double shift) {
  const auto &t = c.tensors;
  const auto complex = [&](const char *name, int64_t i) {
    const std::vector<double> &z = t.at(name).values;
    return Complex(z[size_t(2 * i)], z[size_t(2 * i + 1)]);
  };
  const double dt = std::exp(t.at("param.kernel.log_dt").values[size_t(h)] + shift);
  Complex sum = 0;
  for (int64_t m = 0; m < kM; m++) {
    const size_t i = size_t(h * kM + m);
    const Complex x =
        0.5 * dt *
        Complex(-std::exp(t.at("param.kernel.inv_w_real").values[i]), t.at("param.kernel.w_imag").values[i]);
    const Complex lambda = (1.0 + x) / (1.0 - x);
    sum += complex("param.kernel.B", int64_t(i)) * complex("param.kernel.C", int64_t(i)) * dt / (1.0 - x) *
           std::pow(lambda, double(l));
  }
  return 2 * sum.real();
}

// y with log dt of channel `moved` shifted.
std::vector<double> mixed(const CaseFile &c, int64_t moved = -1, double shift = 0) {
  const std::vector<double> &u = c.tensors.at("input.u").values, &D = c.tensors.at("param.D").values;
  std::vector<double> y(u.size());
  for (int64_t b = 0; b < kB; b++)
    for (int64_t h = 0; h < kH; h++)
      for (int64_t t = 0; t < kL; t++) {
        const int64_t row = (b * kH + h) * kL;
        double sum = D[size_t(h)] * u[size_t(row + t)];
        for (int64_t l = 0; l <= t; l++)
          sum += kernel_at(c, h, l, h == moved ? shift : 0) * u[size_t(row + t - l)];
        y[size_t(row + t)] = sum;
      }
  return y;
}

CaseFile diagonal_layer(const std::string &keys) {
  CaseFile c;
  c.metadata = {
      {"format", "ebb-case-1"},
      {"kind", "layer"},
      {"layer", "s4"},
      {"tolerance", R"({"output": 1e-5, "grad": 5e-4})"},
      {"config",
       R"({"mode": "diag", "measure": "diag-lin", "d_model": 2, "d_state": 4, "l_max": 8, )" + keys + "}"}};
  c.tensors = {
      {"param.kernel.C", drawn({1, kH, kM, 2}, 1, 1)}, {"param.kernel.B", drawn({kH, kM, 2}, 2, 1)},
      {"param.kernel.log_dt", drawn({kH}, 3, 1)},      {"param.kernel.inv_w_real", drawn({kH, kM}, 4, 1)},
      {"param.kernel.w_imag", drawn({kH, kM}, 5, 3)},  {"param.D", drawn({1, kH}, 6, 1)},
      {"input.u", drawn({kB, kH, kL}, 7, 1)},          {"cotangent.y", drawn({kB, kH, kL}, 8, 1)}};
  c.tensors["expect.y"] = {{kB, kH, kL}, mixed(c)};
  return c;
}

CaseFile linear_layer() { return diagonal_layer(R"("linear": true)"); }

TEST(LayerCase, Agrees) {
  CaseFile c = linear_layer();
  const Outcome outcome = c.verify();
  ASSERT_EQ(outcome.status, EBB_OK) << outcome.error;
  EXPECT_TRUE(outcome.agrees("y"));
  c.tensors["expect.y"].values[3] += 0.1;
  EXPECT_FALSE(c.verify().agrees("y"));
  c.tensors["expect.y"].values[3] = NAN;
  EXPECT_FALSE(c.verify().agrees("y"));
}

// In training a learning rate of 0 saves the gradient; a layer's case compares it all the same.
TEST(LayerCase, GradientsOfFrozenParametersAreCompared) {
  CaseFile c = diagonal_layer(R"("linear": true, "lr": {"dt": 0.0, "A": 0.0, "B": 0.0})");
  const double step = 1e-6;
  Tensor grad = {{kH}, {}};
  for (int64_t h = 0; h < kH; h++) {
    const std::vector<double> more = mixed(c, h, step), less = mixed(c, h, -step);
    double sum = 0;
    for (size_t i = 0; i < more.size(); i++)
      sum += c.tensors.at("cotangent.y").values[i] * (more[i] - less[i]) / (2 * step);
    grad.values.push_back(sum);
  }
  c.tensors["expect.grad.kernel.log_dt"] = grad;
  const Outcome outcome = c.verify();
  ASSERT_EQ(outcome.status, EBB_OK) << outcome.error;
  EXPECT_TRUE(outcome.agrees("grad.kernel.log_dt"));
}

// With P = 0 the low-rank layer is the diagonal one, whose C is the plain C.
TEST(LayerCase, PlainCIsTransformedWhateverTheKernelLength) {
  CaseFile c = linear_layer();
  c.metadata["config"] =
      R"({"mode": "nplr", "measure": "legs", "d_model": 2, "d_state": 4, "l_max": 8, "linear": true})";
  c.metadata["C_form"] = "plain";
  c.metadata["kernel_length"] = "8";
  c.tensors["param.kernel.B"].shape = {1, kH, kM, 2};
  c.tensors["param.kernel.P"] = drawn({1, kH, kM, 2}, 9, 0);
  Outcome outcome = c.verify();
  ASSERT_EQ(outcome.status, EBB_OK) << outcome.error;
  EXPECT_TRUE(outcome.agrees("y"));
  c.metadata.erase("C_form");
  outcome = c.verify();
  ASSERT_EQ(outcome.status, EBB_OK) << outcome.error;
  EXPECT_FALSE(outcome.agrees("y")) << "C was transformed although it is C~";
}

// The published layer's own defaults: a state matrix a channel, a gated output, GELU.
TEST(LayerCase, AbsentKeysHaveThePublishedDefaults) {
  CaseFile c = diagonal_layer(R"("skip": true)");
  const Tensor weight = drawn({2 * kH, kH}, 10, 1), bias = drawn({2 * kH}, 11, 1);
  const std::vector<double> x = mixed(c);
  for (int64_t b = 0; b < kB; b++)
    for (int64_t t = 0; t < kL; t++) {
      double out[2 * kH];
      for (int64_t o = 0; o < 2 * kH; o++) {
        out[o] = bias.values[size_t(o)];
        for (int64_t h = 0; h < kH; h++) {
          const double v = x[size_t((b * kH + h) * kL + t)];
          out[o] += weight.values[size_t(o * kH + h)] * 0.5 * v * (1 + std::erf(v / std::sqrt(2)));
        }
      }
      for (int64_t h = 0; h < kH; h++)
        c.tensors["expect.y"].values[size_t((b * kH + h) * kL + t)] = out[h] / (1 + std::exp(-out[kH + h]));
    }
  c.tensors["param.output_linear.weight"] = weight;
  c.tensors["param.output_linear.bias"] = bias;
  const Outcome outcome = c.verify();
  ASSERT_EQ(outcome.status, EBB_OK) << outcome.error;
  EXPECT_TRUE(outcome.agrees("y"));
}

// ---- a training run; its expected numbers are none, so only that it runs is of interest

CaseFile training() {
  CaseFile c;
  c.metadata = {{"format", "ebb-case-1"},
                {"kind", "training"},
                {"tolerance", R"({"output": 1e-4, "grad": 1e-3, "param": 1e-3})"},
                {"config", R"({"encoder": ["embedding", 5], "decoder": {"d_output": 3, "mode": "pool"},
                   "loss": "cross_entropy", "optimizer": {"lr": 0.01, "weight_decay": 0}, "scheduler": null,
                   "model": {"d_model": 2, "n_layers": 1, "norm": "batch", "prenorm": true, "layer": {"mode": "diag",
                   "measure": "diag-lin", "d_state": 4, "l_max": 8, "postact": null, "lr": {"dt": 0.0}}}})"}};
  c.tensors = {{"param.encoder.weight", drawn({5, kH}, 20, 1)},
               {"param.decoder.weight", drawn({3, kH}, 21, 1)},
               {"param.decoder.bias", drawn({3}, 22, 1)},
               {"param.norm.weight", drawn({kH}, 23, 1)},
               {"param.norm.bias", drawn({kH}, 24, 1)},
               {"param.layers.0.norm.weight", drawn({kH}, 25, 1)},
               {"param.layers.0.norm.bias", drawn({kH}, 26, 1)},
               {"param.layers.0.layer.D", drawn({1, kH}, 27, 1)},
               {"param.layers.0.layer.output_linear.weight", drawn({kH, kH}, 28, 1)},
               {"param.layers.0.layer.output_linear.bias", drawn({kH}, 29, 1)},
               {"param.layers.0.layer.kernel.C", drawn({1, kH, kM, 2}, 30, 1)},
               {"param.layers.0.layer.kernel.B", drawn({kH, kM, 2}, 31, 1)},
               {"param.layers.0.layer.kernel.log_dt", drawn({kH}, 32, 1)},
               {"param.layers.0.layer.kernel.inv_w_real", drawn({kH, kM}, 33, 1)},
               {"param.layers.0.layer.kernel.w_imag", drawn({kH, kM}, 34, 1)},
               {"input.x", {{2, kB, kL}, std::vector<double>(2 * kB * kL, 3)}},
               {"input.t", {{2, kB}, std::vector<double>(2 * kB, 1)}},
               {"expect.losses", {{2}, {1, 1}}}};
  return c;
}

TEST(TrainingCase, RunsAndLeavesOutTheGradientsOfFrozenParameters) {
  CaseFile c = training();
  c.tensors["expect.grad.0.layers.0.layer.kernel.log_dt"] = drawn({kH}, 1, 1);
  c.tensors["expect.grad.0.layers.0.layer.D"] = drawn({1, kH}, 1, 1);
  c.tensors["expect.param.2.layers.0.layer.kernel.log_dt"] = c.tensors["param.layers.0.layer.kernel.log_dt"];
  const Outcome outcome = c.verify();
  ASSERT_EQ(outcome.status, EBB_OK) << outcome.error;
  EXPECT_EQ(outcome.rows.size(), 4U); /* groups, D's gradient, the unchanged dt, losses */
  EXPECT_TRUE(outcome.agrees("param.2.layers.0.layer.kernel.log_dt"));
}

// ---- files that are wrong in one thing

struct Wrong {
  const char *label;
  std::function<CaseFile()> base;
  std::function<void(CaseFile &)> change;
  std::vector<const char *> words;
};

void replace(CaseFile &c, const std::string &from, const std::string &to) {
  std::string &config = c.metadata["config"];
  const size_t at = config.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  config.replace(at, from.size(), to);
}

const std::vector<Wrong> &wrongs() {
  using C = CaseFile;
  static const std::vector<Wrong> all = {
      {"no format", linear_layer, [](C &c) { c.metadata.erase("format"); }, {"format", "missing"}},
      {"format", linear_layer, [](C &c) { c.metadata["format"] = "ebb-case-9"; }, {"ebb-case-9"}},
      {"kind", linear_layer, [](C &c) { c.metadata["kind"] = "dream"; }, {"dream", "s4"}},
      {"no kind", linear_layer, [](C &c) { c.metadata.erase("kind"); }, {"kind"}},
      {"layer", linear_layer, [](C &c) { c.metadata["layer"] = "s9"; }, {"s9"}},
      {"no layer", linear_layer, [](C &c) { c.metadata.erase("layer"); }, {"layer"}},
      {"no config", linear_layer, [](C &c) { c.metadata.erase("config"); }, {"config", "missing"}},
      {"config", linear_layer, [](C &c) { c.metadata["config"] = "{\"d_model\": "; }, {"config", "JSON"}},
      {"config list", linear_layer, [](C &c) { c.metadata["config"] = "[1]"; }, {"config", "JSON"}},
      {"no tolerance", linear_layer, [](C &c) { c.metadata.erase("tolerance"); }, {"tolerance"}},
      {"class",
       linear_layer,
       [](C &c) { c.metadata["tolerance"] = "{\"grad\": 1}"; },
       {"tolerance", "output"}},
      {"key", linear_layer, [](C &c) { replace(c, "d_state", "d_stat"); }, {"d_stat"}},
      {"type", linear_layer, [](C &c) { replace(c, "\"d_state\": 4", "\"d_state\": \"x\""); }, {"d_state"}},
      {"choice", linear_layer, [](C &c) { replace(c, "diag-lin", "diag-log"); }, {"diag-log"}},
      {"rate", linear_layer, [](C &c) { c.metadata["rate"] = "fast"; }, {"rate"}},
      {"kernel length",
       linear_layer,
       [](C &c) { c.metadata["kernel_length"] = "-3"; },
       {"kernel_length", "-3"}},
      {"kernel length text", linear_layer, [](C &c) { c.metadata["kernel_length"] = "8x"; }, {"8x"}},
      {"no parameter", linear_layer, [](C &c) { c.tensors.erase("param.kernel.C"); }, {"param.kernel.C"}},
      {"no u", linear_layer, [](C &c) { c.tensors.erase("input.u"); }, {"input.u"}},
      {"no y", linear_layer, [](C &c) { c.tensors.erase("expect.y"); }, {"expect.y"}},
      {"no cotangent", linear_layer, [](C &c) { c.tensors.erase("cotangent.y"); }, {"cotangent.y"}},
      {"u shape",
       linear_layer,
       [](C &c) {
         c.tensors["input.u"].shape = {kB * kH, kL};
       },
       {"input.u", "3"}},
      {"u channels",
       linear_layer,
       [](C &c) {
         c.tensors["input.u"] = drawn({kB, 3, kL}, 1, 1);
       },
       {"n_ssm", "3"}},
      {"empty u",
       linear_layer,
       [](C &c) {
         c.tensors["input.u"] = {{0, kH, kL}, {}};
       },
       {"u", "0"}},
      {"cotangent",
       linear_layer,
       [](C &c) { c.tensors["cotangent.y"] = drawn({1}, 1, 1); },
       {"cotangent.y", "(1)"}},
      {"y shape", linear_layer, [](C &c) { c.tensors["expect.y"] = drawn({3}, 1, 1); }, {"expect.y", "3"}},
      {"parameter", linear_layer, [](C &c) { c.tensors["param.D"] = drawn({5}, 1, 1); }, {"param.D", "5"}},
      {"huge",
       linear_layer,
       [](C &c) { c.tensors["param.D"].values[1] = 1e300; },
       {"ebb_case", "param.D", "1e+300"}},
      {"huge u", linear_layer, [](C &c) { c.tensors["input.u"].values[1] = 1e300; }, {"ebb_case", "input.u"}},
      {"more", linear_layer, [](C &c) { c.tensors["param.E"] = drawn({5}, 1, 1); }, {"param.E"}},
      {"gradient", linear_layer, [](C &c) { c.tensors["expect.grad.E"] = drawn({5}, 1, 1); }, {"'E'"}},
      {"lengths",
       linear_layer,
       [](C &c) {
         c.tensors["input.lengths"] = {{3}, {1, 2, 3}};
       },
       {"input.lengths", "(3)"}},
      {"length",
       linear_layer,
       [](C &c) {
         c.tensors["input.lengths"] = {{2}, {1, 2.5}};
       },
       {"input.lengths", "2.5"}},
      {"long length",
       linear_layer,
       [](C &c) {
         c.tensors["input.lengths"] = {{2}, {1, 1e12}};
       },
       {"input.lengths"}},
      {"no constants",
       linear_layer,
       [](C &c) { replace(c, "\"linear\"", "\"liquid_kernel\": \"polyb\", \"linear\""); },
       {"state.liquid.B"}},
      {"short rows",
       linear_layer,
       [](C &c) { replace(c, "\"linear\"", "\"liquid_kernel\": \"kb\", \"liquid_degree\": 9, \"linear\""); },
       {"degree 9"}},
      {"step of none",
       linear_layer,
       [](C &c) { c.metadata["kind"] = "step", c.tensors.erase("input.u"); },
       {"input.u"}},
      {"step y",
       linear_layer,
       [](C &c) { c.metadata["kind"] = "step", c.tensors.erase("expect.y"); },
       {"expect.y"}},
      {"step ahead",
       linear_layer,
       [](C &c) {
         c.metadata["kind"] = "step", replace(c, "\"linear\"", "\"bidirectional\": true, \"linear\"");
         c.tensors["param.kernel.C"] = drawn({2, kH, kM, 2}, 1, 1);
       },
       {"bidirectional"}},
      {"no model", training, [](C &c) { c.metadata["config"] = "{}"; }, {"encoder"}},
      {"encoder",
       training,
       [](C &c) { replace(c, "\"embedding\"", "\"wavelet\""); },
       {"wavelet", "embedding"}},
      {"vocabulary",
       training,
       [](C &c) { replace(c, "\"embedding\", 5", "\"embedding\", 1e300"); },
       {"width"}},
      {"no vocabulary", training, [](C &c) { replace(c, "\"embedding\", 5", "\"embedding\""); }, {"width"}},
      {"loss", training, [](C &c) { replace(c, "cross_entropy", "hinge"); }, {"hinge"}},
      {"decoder",
       training,
       [](C &c) { replace(c, "\"d_output\"", "\"_name_\": \"ctc\", \"d_output\""); },
       {"ctc"}},
      {"outputs", training, [](C &c) { replace(c, "\"d_output\": 3", "\"d_output\": -3"); }, {"d_output"}},
      {"mode", training, [](C &c) { replace(c, "\"pool\"", "\"most\""); }, {"most"}},
      {"optimizer", training, [](C &c) { replace(c, "\"optimizer\"", "\"optimiser\""); }, {"optimizer"}},
      {"scheduler",
       training,
       [](C &c) { replace(c, "\"scheduler\": null", "\"scheduler\": {\"_name_\": \"multistep\"}"); },
       {"multistep"}},
      {"total",
       training,
       [](C &c) { replace(c, "\"scheduler\": null", "\"scheduler\": {\"_name_\": \"cosine_warmup\"}"); },
       {"num_training_steps"}},
      {"layer key", training, [](C &c) { replace(c, "d_state", "states"); }, {"states"}},
      {"no x", training, [](C &c) { c.tensors.erase("input.x"); }, {"input.x"}},
      {"no t", training, [](C &c) { c.tensors.erase("input.t"); }, {"input.t"}},
      {"x rank", training, [](C &c) { c.tensors["input.x"] = drawn({4}, 1, 0); }, {"input.x", "3"}},
      {"t shape", training, [](C &c) { c.tensors["input.t"] = drawn({2}, 1, 0); }, {"input.t", "(2)"}},
      {"t steps",
       training,
       [](C &c) {
         c.tensors["input.t"] = drawn({1, kB}, 1, 0);
       },
       {"input.t"}},
      {"token", training, [](C &c) { c.tensors["input.x"].values[7] = 5; }, {"token 5"}},
      {"label", training, [](C &c) { c.tensors["input.t"].values[1] = 3; }, {"label 3"}},
      {"lengths rows",
       training,
       [](C &c) {
         c.tensors["input.lengths"] = {{1}, {8}};
       },
       {"input.lengths"}},
      {"no embedding",
       training,
       [](C &c) { c.tensors.erase("param.encoder.weight"); },
       {"param.encoder.weight"}},
      {"no losses", training, [](C &c) { c.tensors.erase("expect.losses"); }, {"expect.losses"}},
      {"losses",
       training,
       [](C &c) {
         c.tensors["expect.losses"] = {{3}, {1, 1, 1}};
       },
       {"expect.losses", "3"}},
      {"logits",
       training,
       [](C &c) { c.tensors["expect.logits.1"] = drawn({1}, 1, 1); },
       {"expect.logits.1"}},
      {"buffer's gradient",
       training,
       [](C &c) { c.tensors["expect.grad.0.norm.running_mean"] = drawn({kH}, 1, 1); },
       {"norm.running_mean", "no gradient"}},
      {"group",
       training,
       [](C &c) { replace(c, "\"loss\"", "\"parameter_groups\": {\"decoder.gain\": [0, 0]}, \"loss\""); },
       {"decoder.gain"}},
      {"group of a buffer",
       training,
       [](C &c) {
         replace(c, "\"loss\"", "\"parameter_groups\": {\"norm.running_mean\": [0, 0]}, \"loss\"");
       },
       {"norm.running_mean"}},
      {"groups without names",
       training,
       [](C &c) { replace(c, "\"loss\"", "\"parameter_groups\": [[0, 0]], \"loss\""); },
       {"parameter_groups", "object"}},
  };
  return all;
}

TEST(WrongCase, EndsInASentenceThatNamesTheThing) {
  for (const Wrong &wrong : wrongs()) {
    SCOPED_TRACE(wrong.label);
    CaseFile c = wrong.base();
    wrong.change(c);
    const Outcome outcome = c.verify();
    EXPECT_NE(outcome.status, EBB_OK);
    for (const char *word : wrong.words)
      EXPECT_NE(outcome.error.find(word), std::string::npos) << "'" << word << "' in: " << outcome.error;
    EXPECT_EQ(outcome.error.find('\n'), std::string::npos) << outcome.error;
    EXPECT_EQ(outcome.error.find("tensor '"), outcome.error.rfind("tensor '")) << outcome.error;
  }
}

} // namespace
