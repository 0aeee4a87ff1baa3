#include "support/op_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

#include "ebb/rng.h"
#include "host/graph/graph_internal.h"

namespace ebb_test {
namespace {

constexpr uint64_t kSeed = 12345;

#define OK_OR_THROW(call)                                                                                    \
  do {                                                                                                       \
    if ((call) != EBB_OK) throw std::runtime_error(std::string(#call ": ") + ebb_error());                   \
  } while (0)

double uniform(uint64_t stream, uint64_t i, double low, double high) {
  return low + (high - low) * ebb_unit_double(ebb_random(kSeed, stream, 0, i));
}

double normal(uint64_t stream, uint64_t i) {
  EbbRandom4 r = ebb_random4(kSeed, stream, 1, i);
  return ebb_normal(r.word[0], r.word[1]);
}

// One op as a graph of its own, with host copies of all that can be varied.
class Bench {
public:
  Bench(const OpCase &test, const std::string &device, int threads, bool mark_inputs) : test_(test) {
    OK_OR_THROW(ebb_device_open(device.c_str(), threads, &device_));
    OK_OR_THROW(ebb_params_create(device_, &params_));
    OK_OR_THROW(ebb_graph_create(params_, nullptr, true, &graph_));
    run_ = {device_, test.training, kSeed, 3};
    for (size_t i = 0; i < test.inputs.size(); i++) add_input(i, mark_inputs);
    const EbbOp *op = ebb_op_find(test.op.c_str());
    if (!op) throw std::runtime_error("no op " + test.op);
    outputs_.resize(test.outputs);
    OK_OR_THROW(ebb_graph_apply(graph_, op, "node", test.config.data(), test.config.size(), inputs_.data(),
                                int(inputs_.size()), outputs_.data(), test.outputs));
    for (EbbValue value : outputs_) OK_OR_THROW(ebb_graph_output(graph_, value));
    OK_OR_THROW(ebb_params_place(params_, 77));
    OK_OR_THROW(ebb_graph_init_params(graph_));
    if (test.adjust) test.adjust(params_);
    OK_OR_THROW(ebb_graph_layout(graph_));
    read_params();
  }
  Bench(const Bench &) = delete;
  Bench &operator=(const Bench &) = delete;
  ~Bench() {
    ebb_graph_destroy(graph_);
    ebb_params_destroy(params_);
    ebb_device_close(device_);
  }

  // Forward from poisoned memory; returns sum over differentiable outputs of output * cotangent.
  double forward() {
    poison();
    for (auto &[name, value] : params)
      OK_OR_THROW(ebb_params_write(params_, name.c_str(), value.data(), int64_t(value.size())));
    for (size_t i = 0; i < inputs_.size(); i++)
      OK_OR_THROW(ebb_graph_write(graph_, inputs_[i],
                                  integers_[i].empty() ? static_cast<const void *>(inputs[i].data())
                                                       : integers_[i].data()));
    OK_OR_THROW(ebb_graph_forward(graph_, &run_));
    double loss = 0;
    results.clear();
    for (size_t o = 0; o < outputs_.size(); o++) {
      results.push_back(read(outputs_[o]));
      for (int d : test_.differentiable)
        if (d == int(o))
          for (size_t i = 0; i < results[o].size(); i++) loss += double(results[o][i]) * cotangent(o, i);
    }
    return loss;
  }

  void backward(const std::vector<float> *initial_input_grad = nullptr) {
    for (int o : test_.differentiable) {
      std::vector<float> w(results[o].size());
      for (size_t i = 0; i < w.size(); i++) w[i] = cotangent(o, i);
      OK_OR_THROW(ebb_graph_write_grad(graph_, outputs_[o], w.data()));
    }
    for (size_t i = 0; initial_input_grad && i < inputs_.size(); i++)
      if (test_.inputs[i].grad) {
        std::vector<float> start(inputs[i].size(), (*initial_input_grad)[0]);
        OK_OR_THROW(ebb_graph_write_grad(graph_, inputs_[i], start.data()));
      }
    OK_OR_THROW(ebb_graph_backward(graph_, &run_));
  }

  void zero_grad() { OK_OR_THROW(ebb_params_zero_grad(params_)); }

  std::vector<float> input_grad(size_t i) {
    std::vector<float> grad(inputs[i].size());
    OK_OR_THROW(ebb_graph_read_grad(graph_, inputs_[i], grad.data()));
    return grad;
  }

  std::vector<float> param_grad(const std::string &name) {
    int index = ebb_params_find(params_, name.c_str());
    std::vector<float> grad(params[name].size());
    OK_OR_THROW(
        ebb_device_read(device_, grad.data(), ebb_params_grad(params_, index), grad.size() * sizeof(float)));
    return grad;
  }

  bool trained(const std::string &name) const {
    for (const std::string &frozen : test_.frozen)
      if (name == "node." + frozen) return false;
    const EbbParam *param = ebb_params_at(params_, ebb_params_find(params_, name.c_str()));
    return param->group >= 0 && !(param->spec.own_lr && param->spec.lr == 0);
  }

  std::vector<std::vector<float>> inputs, results;
  std::map<std::string, std::vector<float>> params; // buffers too

private:
  static float cotangent(size_t output, size_t i) { return float(normal(100 + output, i)); }

  void add_input(size_t i, bool mark) {
    const OpInput &input = test_.inputs[i];
    EbbShape shape = ebb_shape_from(int(input.shape.size()), input.shape.data());
    EbbValue value;
    OK_OR_THROW(ebb_graph_input(graph_, ("input" + std::to_string(i)).c_str(), input.type, shape, input.grad,
                                &value));
    if (mark && input.type == EBB_F32) OK_OR_THROW(ebb_graph_output(graph_, value));
    inputs_.push_back(value);
    size_t size = size_t(ebb_shape_size(&shape));
    std::vector<float> floats;
    std::vector<int32_t> integers;
    for (size_t e = 0; e < size; e++) {
      if (input.type == EBB_I32)
        integers.push_back(input.integers[e % input.integers.size()]);
      else
        floats.push_back(input.floats.empty() ? float(uniform(200 + i, e, input.low, input.high))
                                              : input.floats[e % input.floats.size()]);
    }
    inputs.push_back(floats);
    integers_.push_back(integers);
  }

  void read_params() {
    for (int p = 0; p < ebb_params_count(params_); p++) {
      const EbbParam *param = ebb_params_at(params_, p);
      std::vector<float> value(static_cast<size_t>(param->size));
      OK_OR_THROW(ebb_params_read(params_, param->name, value.data(), param->size));
      params[param->name] = value;
    }
  }

  // All bytes 0xFF: floats read NaN, integers -1.
  void poison() {
    std::vector<unsigned char> bytes(size_t(graph_->workspace->bytes), 0xFF);
    OK_OR_THROW(ebb_device_write(device_, graph_->workspace->memory, bytes.data(), bytes.size()));
  }

  std::vector<float> read(EbbValue value) {
    EbbShape shape = ebb_graph_shape(graph_, value);
    std::vector<float> host(size_t(ebb_shape_size(&shape)));
    OK_OR_THROW(ebb_graph_read(graph_, value, host.data()));
    return host;
  }

  const OpCase &test_;
  EbbDevice *device_ = nullptr;
  EbbParams *params_ = nullptr;
  EbbGraph *graph_ = nullptr;
  EbbRun run_ = {};
  std::vector<EbbValue> inputs_, outputs_;
  std::vector<std::vector<int32_t>> integers_;
};

bool same_bits(const std::vector<float> &a, const std::vector<float> &b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct Gradients {
  std::map<size_t, std::vector<float>> input;
  std::map<std::string, std::vector<float>> param;
};

Gradients collect(Bench &bench, const OpCase &test) {
  Gradients all;
  for (size_t i = 0; i < test.inputs.size(); i++)
    if (test.inputs[i].grad && test.inputs[i].type == EBB_F32) all.input[i] = bench.input_grad(i);
  for (auto &entry : bench.params)
    if (bench.trained(entry.first)) all.param[entry.first] = bench.param_grad(entry.first);
  return all;
}

void expect_same(const Gradients &a, const Gradients &b, const std::string &what) {
  for (auto &[i, grad] : a.input)
    EXPECT_TRUE(same_bits(grad, b.input.at(i))) << what << ": gradient of input " << i;
  for (auto &[name, grad] : a.param)
    EXPECT_TRUE(same_bits(grad, b.param.at(name))) << what << ": gradient of " << name;
}

// Fourth-order central difference along a random direction against <gradient, direction>.
void check_direction(Bench &bench, std::vector<float> &x, const std::vector<float> &grad, const OpCase &test,
                     const std::string &what) {
  std::vector<float> saved = x;
  std::vector<double> direction(x.size());
  double analytic = 0, norm2 = 0, scale = 0;
  for (float v : x) scale = std::max(scale, double(std::fabs(v)));
  const double h = test.step * std::max(scale, 1e-2);
  for (size_t i = 0; i < x.size(); i++) {
    direction[i] = normal(300, i);
    analytic += direction[i] * grad[i];
    norm2 += double(grad[i]) * grad[i];
  }
  auto at = [&](double t) {
    for (size_t i = 0; i < x.size(); i++) x[i] = float(saved[i] + t * direction[i]);
    return bench.forward();
  };
  double numeric = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
  x = saved;
  EXPECT_NEAR(numeric, analytic, test.tolerance * std::sqrt(norm2) + 1e-6) << what;
}

void check_additions(const OpCase &test, const std::string &device, const Gradients &reference) {
  Bench bench(test, device, 1, true);
  bench.forward();
  bench.zero_grad();
  const std::vector<float> start = {0.5F};
  bench.backward(&start);
  for (auto &[i, grad] : reference.input) {
    std::vector<float> sum = bench.input_grad(i);
    for (size_t e = 0; e < sum.size(); e++)
      ASSERT_NEAR(sum[e], grad[e] + 0.5F, 1e-5 * (1 + std::fabs(grad[e])))
          << "input " << i << " element " << e;
  }
  bench.forward();
  bench.backward();
  for (auto &[name, grad] : reference.param) {
    std::vector<float> twice = bench.param_grad(name);
    for (size_t e = 0; e < twice.size(); e++)
      ASSERT_NEAR(twice[e], 2 * grad[e], 1e-5 * (1 + std::fabs(grad[e]))) << name << " element " << e;
  }
}

} // namespace

void check_op(const OpCase &test, const std::string &device) {
  SCOPED_TRACE(test.name + " on " + device);
  try {
    Bench bench(test, device, 1, false);
    bench.forward();
    std::vector<std::vector<float>> results = bench.results;
    for (size_t o = 0; o < results.size(); o++)
      for (float v : results[o]) ASSERT_TRUE(std::isfinite(v)) << "output " << o;
    bench.zero_grad();
    bench.backward();
    Gradients reference = collect(bench, test);
    bench.forward();
    bench.zero_grad();
    bench.backward();
    expect_same(reference, collect(bench, test), "rerun");
    for (auto &[i, grad] : reference.input)
      check_direction(bench, bench.inputs[i], grad, test, "input " + std::to_string(i));
    for (auto &[name, grad] : reference.param) check_direction(bench, bench.params[name], grad, test, name);
    check_additions(test, device, reference);
    Bench threaded(test, device, 3, false);
    threaded.forward();
    for (size_t o = 0; o < results.size(); o++)
      EXPECT_TRUE(same_bits(results[o], threaded.results[o])) << "three threads: output " << o;
    threaded.zero_grad();
    threaded.backward();
    expect_same(reference, collect(threaded, test), "three threads");
  } catch (const std::exception &error) {
    FAIL() << error.what();
  }
}

std::vector<std::string> devices() {
  const char *only = std::getenv("EBB_TEST_DEVICES");
  std::vector<std::string> found;
  for (const char *name : {"cpu", "cuda"}) {
    if (only && !std::strstr(only, name)) continue;
    EbbDevice *device = nullptr;
    if (ebb_device_open(name, 1, &device) == EBB_OK) found.push_back(name);
    ebb_device_close(device);
  }
  if (found.empty()) throw std::runtime_error("no device of EBB_TEST_DEVICES can be opened");
#ifdef EBB_CUDA_EMULATED
  // Here the device is always there: without it the tests of CUDA would pass by being skipped.
  if (!only && found.back() != "cuda")
    throw std::runtime_error(std::string("emulated device: ") + ebb_error());
#endif
  return found;
}

} // namespace ebb_test
