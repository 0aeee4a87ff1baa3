// One op run as a graph of its own on given inputs and parameters, for tests that compare with references.
#ifndef EBB_TESTS_NODE_RUN_H
#define EBB_TESTS_NODE_RUN_H

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebb/graph.h"
#include "ebb/rng.h"

namespace ebb_test {

struct NodeInput {
  std::vector<int64_t> shape;
  std::vector<float> floats;
  std::vector<int32_t> integers = {}; // not empty: an int32 input
};

inline void require(EbbStatus status) {
  if (status != EBB_OK) throw std::runtime_error(ebb_error());
}

class NodeRun {
public:
  template <class Config>
  NodeRun(const char *op, const Config &config, std::vector<NodeInput> inputs, int threads = 2,
          const std::string &device = "cpu")
      : inputs_(std::move(inputs)) {
    try {
      build(op, &config, sizeof config, threads, device);
    } catch (...) {
      release();
      throw;
    }
  }
  NodeRun(const NodeRun &) = delete;
  NodeRun &operator=(const NodeRun &) = delete;
  ~NodeRun() { release(); }

  void set(const std::string &name, const std::vector<float> &value) {
    require(ebb_params_write(params_, ("node." + name).c_str(), value.data(), int64_t(value.size())));
  }
  std::vector<float> get(const std::string &name) {
    std::vector<float> value(size_t(param(name)->size));
    require(ebb_params_read(params_, ("node." + name).c_str(), value.data(), int64_t(value.size())));
    return value;
  }

  std::vector<float> forward(bool training = true) {
    run_ = {device_, training, 4711, 5};
    for (size_t i = 0; i < inputs_.size(); i++)
      require(ebb_graph_write(graph_, values_[i],
                              inputs_[i].integers.empty()
                                  ? static_cast<const void *>(inputs_[i].floats.data())
                                  : inputs_[i].integers.data()));
    require(ebb_graph_forward(graph_, &run_));
    std::vector<float> y(size(output_));
    require(ebb_graph_read(graph_, output_, y.data()));
    return y;
  }
  void backward(const std::vector<float> &cotangent) {
    require(ebb_params_zero_grad(params_));
    require(ebb_graph_write_grad(graph_, output_, cotangent.data()));
    require(ebb_graph_backward(graph_, &run_));
  }
  std::vector<float> input_grad(size_t i) {
    std::vector<float> grad(size(values_[i]));
    require(ebb_graph_read_grad(graph_, values_[i], grad.data()));
    return grad;
  }
  std::vector<float> param_grad(const std::string &name) {
    std::vector<float> grad(size_t(param(name)->size));
    require(ebb_device_read(device_, grad.data(), ebb_params_grad(params_, find(name)),
                            grad.size() * sizeof(float)));
    return grad;
  }
  NodeInput &input(size_t i) { return inputs_[i]; }

private:
  void build(const char *op, const void *config, size_t config_size, int threads, const std::string &device) {
    require(ebb_device_open(device.c_str(), threads, &device_));
    require(ebb_params_create(device_, &params_));
    require(ebb_graph_create(params_, nullptr, true, &graph_));
    for (const NodeInput &input : inputs_) {
      EbbValue value;
      const bool floats = input.integers.empty();
      require(ebb_graph_input(graph_, ("input" + std::to_string(values_.size())).c_str(),
                              floats ? EBB_F32 : EBB_I32,
                              ebb_shape_from(int(input.shape.size()), input.shape.data()), floats, &value));
      values_.push_back(value);
    }
    require(ebb_graph_apply(graph_, ebb_op_find(op), "node", config, config_size, values_.data(),
                            int(values_.size()), &output_, 1));
    require(ebb_graph_output(graph_, output_));
    require(ebb_params_place(params_, 1));
    require(ebb_graph_init_params(graph_));
    require(ebb_graph_layout(graph_));
  }
  void release() {
    ebb_graph_destroy(graph_);
    ebb_params_destroy(params_);
    ebb_device_close(device_);
  }
  int find(const std::string &name) {
    const int index = ebb_params_find(params_, ("node." + name).c_str());
    if (index < 0) throw std::runtime_error("no parameter " + name);
    return index;
  }
  const EbbParam *param(const std::string &name) { return ebb_params_at(params_, find(name)); }
  size_t size(EbbValue value) {
    EbbShape shape = ebb_graph_shape(graph_, value);
    return size_t(ebb_shape_size(&shape));
  }

  std::vector<NodeInput> inputs_;
  std::vector<EbbValue> values_;
  EbbDevice *device_ = nullptr;
  EbbParams *params_ = nullptr;
  EbbGraph *graph_ = nullptr;
  EbbValue output_ = EBB_NO_VALUE;
  EbbRun run_ = {};
};

// norm(x - reference) / norm(reference); infinite where sizes differ or something is not finite.
template <class T> double relative_error(const std::vector<float> &x, const std::vector<T> &reference) {
  if (x.size() != reference.size()) return INFINITY;
  double error = 0, norm = 0;
  for (size_t i = 0; i < x.size(); i++) {
    const double difference = double(x[i]) - double(reference[i]);
    error += difference * difference, norm += double(reference[i]) * double(reference[i]);
  }
  return std::isfinite(error) ? std::sqrt(error / (norm + 1e-30)) : INFINITY;
}

// Reproducible numbers in [-1, 1).
inline std::vector<float> numbers(size_t count, uint64_t stream, float scale = 1.0F) {
  std::vector<float> out(count);
  for (size_t i = 0; i < count; i++)
    out[i] = scale * (2.0F * ebb_unit_float(ebb_random(99, stream, 0, i)) - 1.0F);
  return out;
}

} // namespace ebb_test

#endif
