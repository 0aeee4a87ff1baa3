// One op as a graph of its own, for tests that compare values or look for errors.
#ifndef EBB_TESTS_OP_RUN_H
#define EBB_TESTS_OP_RUN_H

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebb/graph.h"
#include "ebb/rng.h"
#include "support/stored.h"

namespace ebb_test {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

struct Tensor {
  std::vector<int64_t> shape;
  Floats floats;
  std::vector<int32_t> integers = {};
  bool activation = false; // floats: stored as the graph's activations are
};

inline int64_t size_of(const std::vector<int64_t> &shape) {
  int64_t size = 1;
  for (int64_t n : shape) size *= n;
  return size;
}

// Uniform in [low, high] from a stream of its own.
inline Tensor random_tensor(std::vector<int64_t> shape, uint64_t stream, double low = -1, double high = 1) {
  Tensor t = {shape, Floats(size_t(size_of(shape)))};
  for (size_t i = 0; i < t.floats.size(); i++)
    t.floats[i] = float(low + (high - low) * ebb_unit_double(ebb_random(9, stream, 0, i)));
  return t;
}

inline Tensor integer_tensor(std::vector<int64_t> shape, std::vector<int32_t> values) {
  return {shape, {}, values};
}

class OpRun {
public:
  // `status` holds what recording gave; the rest may be used only where it is EBB_OK.
  template <class Config>
  OpRun(const char *op, const Config &config, const std::vector<Tensor> &inputs, int outputs = 1,
        int threads = 1, bool backward = true, const std::string &device = "cpu",
        EbbDtype activations = EBB_F32)
      : activations_(activations), tensors_(inputs), outputs_(size_t(outputs)) {
    must(ebb_device_open(device.c_str(), threads, &device_));
    must(ebb_params_create(device_, &params_));
    must(ebb_graph_create(params_, nullptr, backward, &graph_));
    must(ebb_graph_store_activations(graph_, activations));
    for (const Tensor &t : inputs) add_input(t, backward);
    status = ebb_graph_apply(graph_, ebb_op_find(op), "node", &config, sizeof config, inputs_.data(),
                             int(inputs_.size()), outputs_.data(), outputs);
    if (status != EBB_OK) return;
    for (EbbValue value : outputs_) must(ebb_graph_output(graph_, value));
    must(ebb_params_place(params_, 5));
    must(ebb_graph_init_params(graph_));
    must(ebb_graph_layout(graph_));
    run.device = device_;
  }
  OpRun(const OpRun &) = delete;
  OpRun &operator=(const OpRun &) = delete;
  ~OpRun() {
    ebb_graph_destroy(graph_);
    ebb_params_destroy(params_);
    ebb_device_close(device_);
  }

  EbbStatus forward() {
    for (size_t i = 0; i < inputs_.size(); i++) {
      const Stored floats(ebb_graph_dtype(graph_, inputs_[i]), tensors_[i].floats);
      must(ebb_graph_write(graph_, inputs_[i],
                           tensors_[i].integers.empty() ? floats.data() : tensors_[i].integers.data()));
    }
    EbbStatus started = ebb_graph_forward(graph_, &run);
    return started == EBB_OK ? ebb_device_sync(device_) : started;
  }
  void backward(const Floats &cotangent) {
    must(ebb_params_zero_grad(params_));
    const Stored dy(ebb_graph_dtype(graph_, outputs_[0]), cotangent);
    must(ebb_graph_write_grad(graph_, outputs_[0], static_cast<const float *>(dy.data())));
    must(ebb_graph_backward(graph_, &run));
  }
  Floats output(int i = 0) {
    Stored y(ebb_graph_dtype(graph_, outputs_[size_t(i)]), Floats(size_of_value(outputs_[size_t(i)])));
    must(ebb_graph_read(graph_, outputs_[size_t(i)], y.data()));
    return y.floats();
  }
  Floats input_grad(int i = 0) {
    Stored dx(ebb_graph_dtype(graph_, inputs_[size_t(i)]), Floats(size_of_value(inputs_[size_t(i)])));
    must(ebb_graph_read_grad(graph_, inputs_[size_t(i)], static_cast<float *>(dx.data())));
    return dx.floats();
  }
  Floats param(const std::string &name) {
    Floats host(size_t(ebb_params_at(params_, find(name))->size));
    must(ebb_params_read(params_, ("node." + name).c_str(), host.data(), int64_t(host.size())));
    return host;
  }
  void set_param(const std::string &name, const Floats &value) {
    must(ebb_params_write(params_, ("node." + name).c_str(), value.data(), int64_t(value.size())));
  }
  Floats param_grad(const std::string &name) {
    Floats host(size_t(ebb_params_at(params_, find(name))->size));
    must(ebb_device_read(device_, host.data(), ebb_params_grad(params_, find(name)),
                         host.size() * sizeof(float)));
    return host;
  }

  EbbStatus status = EBB_OK;
  EbbRun run = {nullptr, true, 11, 2};

private:
  static void must(EbbStatus got) {
    if (got != EBB_OK) throw std::runtime_error(ebb_error());
  }
  int find(const std::string &name) {
    int index = ebb_params_find(params_, ("node." + name).c_str());
    if (index < 0) throw std::runtime_error("no parameter " + name);
    return index;
  }
  void add_input(const Tensor &t, bool backward) {
    EbbValue value;
    bool integer = !t.integers.empty();
    must(ebb_graph_input(graph_, ("input" + std::to_string(inputs_.size())).c_str(),
                         integer        ? EBB_I32
                         : t.activation ? activations_
                                        : EBB_F32,
                         ebb_shape_from(int(t.shape.size()), t.shape.data()), backward && !integer, &value));
    inputs_.push_back(value);
  }

  size_t size_of_value(EbbValue value) {
    EbbShape shape = ebb_graph_shape(graph_, value);
    return size_t(ebb_shape_size(&shape));
  }

  EbbDevice *device_ = nullptr;
  EbbParams *params_ = nullptr;
  EbbGraph *graph_ = nullptr;
  EbbDtype activations_;
  std::vector<Tensor> tensors_;
  std::vector<EbbValue> inputs_, outputs_;
};

} // namespace ebb_test

#endif
