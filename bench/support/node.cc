#include "support/node.h"

#include <cstring>

#include "ebb/rng.h"
#include "support/gpu.h"

namespace ebb_bench {

namespace {

EbbDtype type_of(Kind kind) {
  if (kind == Kind::kTokens) return EBB_I32;
  return kind == Kind::kLayer ? options().storage : EBB_F32;
}

// `size` numbers as a value of this type stores them; 0.1 where they are to be constant.
std::vector<char> stored(EbbDtype type, int64_t size, bool constant) {
  const size_t bytes = ebb_dtype_size(type);
  std::vector<char> out(size_t(size) * bytes);
  for (int64_t i = 0; i < size; i++) {
    const uint32_t word = ebb_random(1, 2, 0, uint64_t(i));
    const float real = constant ? 0.1F : 0.2F * (ebb_unit_float(word) - 0.5F);
    const int32_t token = int32_t(ebb_below(word, 100));
    const char *from =
        type == EBB_I32 ? reinterpret_cast<const char *>(&token) : reinterpret_cast<const char *>(&real);
    // A bfloat16 is the upper half of a float32, which comes second in memory.
    std::memcpy(&out[size_t(i) * bytes], from + (type == EBB_BF16 ? 2 : 0), bytes);
  }
  return out;
}

} // namespace

void Node::make(const char *op, const void *config, size_t config_size, const std::vector<Input> &inputs) {
  must(ebb_params_create(device(), &params_));
  must(ebb_graph_create(params_, nullptr, true, &graph_));
  if (options().storage != EBB_F32) must(ebb_graph_store_activations(graph_, options().storage));
  record(op, config, config_size, inputs);
  must(ebb_params_place(params_, 1));
  must(ebb_graph_init_params(graph_));
  must(ebb_graph_layout(graph_));
  for (size_t i = 0; i < inputs.size(); i++) fill(inputs_[i], inputs[i].kind);
  must(ebb_graph_forward(graph_, &run_));
  for (EbbValue output : outputs_)
    if (backward_) fill_grad(output);
}

Node::~Node() {
  ebb_graph_destroy(graph_);
  ebb_params_destroy(params_);
}

void Node::record(const char *op, const void *config, size_t config_size, const std::vector<Input> &inputs) {
  for (const Input &input : inputs) {
    const EbbDtype type = type_of(input.kind);
    const std::string name = "input" + std::to_string(inputs_.size());
    EbbValue value = EBB_NO_VALUE;
    must(ebb_graph_input(graph_, name.c_str(), type,
                         ebb_shape_from(int(input.dims.size()), input.dims.data()), type != EBB_I32, &value));
    inputs_.push_back(value);
  }
  must(ebb_graph_apply(graph_, ebb_op_find(op), "node", config, config_size, inputs_.data(),
                       int(inputs_.size()), outputs_.data(), int(outputs_.size())));
  // Forward zeroes the gradients of a graph's outputs, which is none of the op's work.
  for (EbbValue output : outputs_)
    if (backward_) must(ebb_graph_output(graph_, output));
}

void Node::fill(EbbValue value, Kind kind) {
  const EbbShape shape = ebb_graph_shape(graph_, value);
  const int64_t size = ebb_shape_size(&shape);
  if (on_gpu() && type_of(kind) == EBB_F32) {
    const void *memory = nullptr;
    must(ebb_graph_memory_of(graph_, value, &memory));
    gpu()->fill(device(), static_cast<float *>(const_cast<void *>(memory)), size);
  } else {
    must(ebb_graph_write(graph_, value, stored(type_of(kind), size, false).data()));
  }
}

void Node::fill_grad(EbbValue value) {
  const EbbShape shape = ebb_graph_shape(graph_, value);
  const std::vector<char> grad = stored(ebb_graph_dtype(graph_, value), ebb_shape_size(&shape), true);
  must(ebb_graph_write_grad(graph_, value, reinterpret_cast<const float *>(grad.data())));
}

double Node::time(benchmark::State &state) {
  const auto pass = backward_ ? ebb_graph_backward : ebb_graph_forward;
  return time_repeated(state, {[&] { must(pass(graph_, &run_)); }, nullptr});
}

} // namespace ebb_bench
