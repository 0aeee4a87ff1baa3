// A graph of one op over random inputs, ready to run.
#ifndef EBB_BENCH_SUPPORT_NODE_H
#define EBB_BENCH_SUPPORT_NODE_H

#include <vector>

#include "ebb/graph.h"
#include "support/bench.h"

namespace ebb_bench {

enum class Kind {
  kLayer,  // a tensor between layers, in --storage
  kKernel, // float32 always
  kTokens  // below 100
};
struct Input {
  Kind kind;
  std::vector<int64_t> dims;
};

class Node {
public:
  // config: the op's, of its size; backward: which pass `time` times.
  template <class Config>
  Node(const char *op, const Config &config, const std::vector<Input> &inputs, bool backward, int outputs = 1)
      : backward_(backward), outputs_(size_t(outputs)) {
    make(op, &config, sizeof config, inputs);
  }
  Node(const Node &) = delete;
  Node &operator=(const Node &) = delete;
  ~Node();
  // The pass alone; the seconds of one run.
  double time(benchmark::State &state);

private:
  void make(const char *op, const void *config, size_t config_size, const std::vector<Input> &inputs);
  void record(const char *op, const void *config, size_t config_size, const std::vector<Input> &inputs);
  void fill(EbbValue value, Kind kind);
  void fill_grad(EbbValue value);

  const bool backward_;
  EbbParams *params_ = nullptr;
  EbbGraph *graph_ = nullptr;
  EbbRun run_ = {device(), true, 1, 1};
  std::vector<EbbValue> inputs_, outputs_;
};

} // namespace ebb_bench

#endif
