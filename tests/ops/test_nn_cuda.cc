// The ops around the state-space layer: a CUDA device against the CPU, at sizes around the borders of the
// kernels' tiles, with activations in float32 and in bfloat16.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "ebb/ops/cross_entropy.h"
#include "ebb/ops/embedding.h"
#include "ebb/ops/encode_linear.h"
#include "ebb/ops/gelu.h"
#include "ebb/ops/linear.h"
#include "ebb/ops/mse.h"
#include "ebb/ops/pool.h"
#include "ebb/ops/retrieval.h"
#include "ebb/ops/s4_out.h"
#include "ebb/ops/transpose.h"
#include "support/expect_near.h"
#include "support/has_cuda.h"
#include "support/linear_config.h"
#include "support/no_config.h"
#include "support/node_run.h"
#include "support/op_check.h"
#include "support/op_run.h"

namespace {

using ebb_test::expect_near;
using ebb_test::Floats;
using ebb_test::integer_tensor;
using ebb_test::NoConfig;
using ebb_test::OpRun;
using ebb_test::random_tensor;
using ebb_test::relative_error;
using ebb_test::Stored;
using ebb_test::Tensor;

struct Result {
  std::string what;
  Floats values;
};
using Results = std::vector<Result>;

struct Case {
  std::string name;
  std::function<Results(const std::string &device, EbbDtype storage)> run;
};

// Tensors of (B, H, L) hold numbers that both storages can hold, so that devices start from the same ones.
Tensor activation(std::vector<int64_t> shape, uint64_t stream) {
  Tensor t = random_tensor(std::move(shape), stream);
  t.floats = Stored(EBB_BF16, t.floats).floats(), t.activation = true;
  return t;
}

// Outputs, gradients of float inputs, gradients of parameters.
template <class Config>
Results results_of(const std::string &op, const Config &config, const std::vector<Tensor> &inputs,
                   const std::vector<std::string> &params, const std::string &device, EbbDtype storage) {
  const int outputs = op == "cross_entropy" || op == "mse" ? 2 : 1;
  OpRun run(op.c_str(), config, inputs, outputs, 2, true, device, device == "cpu" ? EBB_F32 : storage);
  if (run.status != EBB_OK) throw std::runtime_error(ebb_error());
  for (const std::string &name : params) run.set_param(name, Stored(EBB_BF16, run.param(name)).floats());
  if (run.forward() != EBB_OK) throw std::runtime_error(ebb_error());
  Results all;
  for (int i = 0; i < outputs; i++) all.push_back({"output " + std::to_string(i), run.output(i)});
  const std::vector<int64_t> size = {int64_t(all[0].values.size())};
  run.backward(Stored(EBB_BF16, random_tensor(size, 50, -1, 1.5).floats).floats());
  for (size_t i = 0; i < inputs.size(); i++)
    if (inputs[i].integers.empty() && (i == 0 || op == "s4_out"))
      all.push_back({"gradient of input " + std::to_string(i), run.input_grad(int(i))});
  for (const std::string &name : params) all.push_back({"gradient of " + name, run.param_grad(name)});
  return all;
}

template <class Config>
Case one(const std::string &op, const std::string &detail, const Config &config, std::vector<Tensor> inputs,
         std::vector<std::string> params = {}) {
  return {op + ", " + detail, [=](const std::string &device, EbbDtype storage) {
            return results_of(op, config, inputs, params, device, storage);
          }};
}

std::string text_of(const std::vector<int64_t> &sizes) {
  std::string text;
  for (int64_t n : sizes) text += (text.empty() ? "" : " x ") + std::to_string(n);
  return text;
}

Tensor integers(int64_t size, int32_t least, int32_t most, uint64_t stream) {
  std::vector<int32_t> values;
  for (float v : random_tensor({size}, stream, 0, 1).floats)
    values.push_back(least + int32_t(double(v) * (most - least + 1)));
  return integer_tensor({size}, values);
}

// Half of the tokens are padding.
Case embedding(int64_t V, int64_t B, int64_t H, int64_t L) {
  Tensor tokens = integers(B * L, 0, int32_t(V - 1), 31);
  for (size_t i = 0; i < tokens.integers.size(); i++)
    if (i % 7 > 3) tokens.integers[i] = 0;
  tokens.shape = {B, L};
  return one("embedding", text_of({V, B, H, L}), EbbEmbeddingConfig{V, H}, {tokens}, {"weight"});
}

Case encode_linear(int64_t I, int64_t B, int64_t H, int64_t L) {
  return one("encode_linear", text_of({I, B, H, L}), EbbEncodeLinearConfig{I, H},
             {random_tensor({B, L, I}, 32)}, {"weight", "bias"});
}

Case pool(EbbPoolKind kind, int64_t B, int64_t H, int64_t L) {
  return one("pool", std::string(kind == EBB_POOL_LAST ? "last " : "mean ") + text_of({B, H, L}),
             EbbPoolConfig{kind}, {activation({B, H, L}, 33), integers(B, 1, int32_t(L), 34)});
}

Case s4_out(const EbbS4OutConfig &config, int64_t B, int64_t H, int64_t L) {
  const std::string detail = text_of({B, H, L}) + (config.glu ? ", glu" : "") + (config.tie ? ", tied" : "");
  return one("s4_out", detail, config, {activation({B, H, L}, 35), activation({B, H, L}, 36)},
             {"output_linear.weight", "output_linear.bias"});
}

Case linear(int64_t R, int64_t I, int64_t O) {
  return one("linear", text_of({R, I, O}), ebb_test::linear_config(O), {random_tensor({R, I}, 37)},
             {"weight", "bias"});
}

Case cross_entropy(int64_t B, int64_t V) {
  Tensor weights = random_tensor({B}, 38, 0.1, 2);
  for (size_t b = 1; b < weights.floats.size(); b += 3) weights.floats[b] = 0;
  return one("cross_entropy", text_of({B, V}), EbbCrossEntropyConfig{},
             {random_tensor({B, V}, 39, -5, 5), integers(B, 0, int32_t(V - 1), 40), weights});
}

Case transpose(int64_t B, int64_t R, int64_t C) {
  return one("transpose", text_of({B, R, C}), EbbTransposeConfig{true, false}, {activation({B, R, C}, 46)});
}

Case mse(int64_t B, int64_t O) {
  return one("mse", text_of({B, O}), NoConfig{},
             {random_tensor({B, O}, 41), random_tensor({B, O}, 42), random_tensor({B}, 43, 0, 2)});
}

// Ops whose tensors of (B, H, L) follow the graph's storage.
std::vector<Case> stored_cases() {
  const EbbS4OutConfig glu = {true, 0.25F, true}, untied = {true, 0.25F, false}, plain = {false, 0, true};
  const EbbS4OutConfig dropped = {false, 0.25F, false};
  return {embedding(1, 1, 1, 1),
          embedding(17, 3, 33, 70),
          embedding(135, 2, 64, 256),
          embedding(256, 1, 32, 32),
          embedding(257, 2, 65, 100),
          embedding(700, 3, 8, 33),
          encode_linear(1, 1, 1, 1),
          encode_linear(1, 2, 64, 128),
          encode_linear(1, 3, 35, 601),
          encode_linear(3, 2, 65, 129),
          encode_linear(4, 1, 33, 260),
          encode_linear(16, 2, 32, 124),
          encode_linear(17, 2, 70, 132),
          encode_linear(40, 1, 5, 257),
          pool(EBB_POOL_MEAN, 1, 1, 1),
          pool(EBB_POOL_MEAN, 3, 5, 31),
          pool(EBB_POOL_MEAN, 3, 2, 128),
          pool(EBB_POOL_MEAN, 2, 3, 1025),
          pool(EBB_POOL_MEAN, 2, 3, 4096),
          pool(EBB_POOL_LAST, 3, 43, 33),
          pool(EBB_POOL_LAST, 2, 3, 1024),
          s4_out(glu, 1, 1, 1),
          s4_out(glu, 3, 5, 37),
          s4_out(untied, 2, 33, 128),
          s4_out(untied, 2, 7, 2049),
          s4_out(plain, 2, 3, 2048),
          s4_out(dropped, 1, 2, 4100),
          s4_out(glu, 65, 2, 5),
          transpose(1, 1, 1),
          transpose(3, 33, 65),
          transpose(2, 32, 31),
          s4_out(glu, 130, 1, 4)};
}

std::vector<Case> float_cases() {
  std::vector<Case> all = {linear(1, 1, 1),
                           linear(33, 65, 10),
                           linear(1025, 3, 70),
                           linear(100, 200, 70),
                           cross_entropy(1, 2),
                           cross_entropy(128, 10),
                           cross_entropy(129, 2),
                           cross_entropy(300, 40),
                           cross_entropy(3, 20001),
                           mse(1, 1),
                           mse(7, 5),
                           mse(40, 33),
                           mse(7000, 3)};
  for (int64_t n : {1, 3, 1023, 1024, 1028})
    all.push_back(one("gelu", text_of({n}), NoConfig{}, {random_tensor({n}, 44, -4, 4)}));
  for (int64_t H : {1, 63, 64, 65})
    all.push_back(one("retrieval", text_of({H}), NoConfig{}, {random_tensor({6, H}, 45)}));
  return all;
}

bool is_sum(const Result &result) {
  return result.what.find("gradient of input") != 0 && result.what[0] == 'g';
}

// tolerance: of every element of what has the activations' shape; sums: of a parameter's gradient as a whole,
// whose elements are sums of up to some thousand terms.
void compare(const Case &test, EbbDtype storage, double tolerance, double sums) {
  SCOPED_TRACE(test.name);
  const Results cpu = test.run("cpu", storage), cuda = test.run("cuda", storage);
  ASSERT_EQ(cpu.size(), cuda.size());
  for (size_t i = 0; i < cpu.size(); i++)
    if (is_sum(cpu[i]))
      EXPECT_LT(relative_error(cuda[i].values, cpu[i].values), sums) << cpu[i].what;
    else
      expect_near(cuda[i].values, cpu[i].values, tolerance, cpu[i].what.c_str());
}

class NnCuda : public testing::Test {
protected:
  void SetUp() override {
    if (!ebb_test::has_cuda()) GTEST_SKIP() << "needs a GPU";
  }
};

TEST_F(NnCuda, GivesWhatTheCpuGives) {
  for (const Case &test : float_cases()) compare(test, EBB_F32, 1e-5, 2e-6);
  for (const Case &test : stored_cases()) compare(test, EBB_F32, 1e-5, 2e-6);
}

// Results are rounded to 8 significant bits, which moves them by up to 2^-9 of their value. s4_out rounds the
// projection and its gradient too, and dh and the gradients of the parameters are sums of what is rounded.
TEST_F(NnCuda, Bfloat16DiffersByItsRounding) {
  for (const Case &test : stored_cases()) {
    const bool several = test.name.find("s4_out") == 0;
    compare(test, EBB_BF16, std::ldexp(several ? 3 : 1, -9) + 1e-5, several ? std::ldexp(1, -8) : 2e-6);
  }
}

} // namespace
