#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "ebb/graph.h"
#include "ebb/ops/linear.h"
#include "host/graph/graph_internal.h"
#include "support/linear_config.h"

namespace {

// A device, parameters and a graph that release themselves.
class Graph : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(ebb_device_open("cpu", 1, &device), EBB_OK) << ebb_error();
    ASSERT_EQ(ebb_params_create(device, &params), EBB_OK);
    ASSERT_EQ(ebb_graph_create(params, nullptr, true, &graph), EBB_OK);
  }
  void TearDown() override {
    ebb_graph_destroy(graph);
    ebb_params_destroy(params);
    ebb_device_close(device);
  }
  EbbValue input(const char *name, std::vector<int64_t> shape, bool grad, EbbDtype type = EBB_F32) {
    EbbValue value = EBB_NO_VALUE;
    EXPECT_EQ(
        ebb_graph_input(graph, name, type, ebb_shape_from(int(shape.size()), shape.data()), grad, &value),
        EBB_OK)
        << ebb_error();
    return value;
  }
  EbbStatus linear(const char *scope, EbbValue x, int64_t outputs, EbbValue *y) {
    const EbbLinearConfig config = ebb_test::linear_config(outputs);
    return ebb_graph_apply(graph, &ebb_linear_op, scope, &config, sizeof config, &x, 1, y, 1);
  }
  EbbValue gelu(EbbValue x) {
    EbbValue y = EBB_NO_VALUE;
    EXPECT_EQ(ebb_graph_apply(graph, &ebb_gelu_op, "gelu", nullptr, 0, &x, 1, &y, 1), EBB_OK) << ebb_error();
    return y;
  }
  void place() {
    ASSERT_EQ(ebb_params_place(params, 1), EBB_OK) << ebb_error();
    ASSERT_EQ(ebb_graph_init_params(graph), EBB_OK) << ebb_error();
    ASSERT_EQ(ebb_graph_layout(graph), EBB_OK) << ebb_error();
  }
  EbbRun run() const { return {device, true, 1, 0}; }
  static bool mentions(const char *part) { return std::string(ebb_error()).find(part) != std::string::npos; }

  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
  EbbGraph *graph = nullptr;
};

// y = gelu(x) used twice: the gradients of both uses add up in x, the second backward starts from zero again.
TEST_F(Graph, FanOutAccumulatesAndInputsAreOverwritten) {
  EbbValue x = input("x", {1, 3}, true), a = gelu(x), b = gelu(a), c = gelu(a);
  ASSERT_EQ(ebb_graph_output(graph, b), EBB_OK);
  ASSERT_EQ(ebb_graph_output(graph, c), EBB_OK);
  place();
  const float values[3] = {-1, 0.5F, 2}, ones[3] = {1, 1, 1};
  EbbRun at = run();
  std::vector<float> first(3), second(3);
  for (std::vector<float> *grad : {&first, &second}) {
    ASSERT_EQ(ebb_graph_write(graph, x, values), EBB_OK);
    ASSERT_EQ(ebb_graph_forward(graph, &at), EBB_OK);
    ASSERT_EQ(ebb_graph_write_grad(graph, b, ones), EBB_OK);
    ASSERT_EQ(ebb_graph_write_grad(graph, c, ones), EBB_OK);
    ASSERT_EQ(ebb_graph_backward(graph, &at), EBB_OK);
    ASSERT_EQ(ebb_graph_read_grad(graph, x, grad->data()), EBB_OK);
  }
  for (int i = 0; i < 3; i++) {
    float inner = ebb_gelu(values[i]);
    EXPECT_NEAR(first[i], 2 * ebb_gelu_grad(inner) * ebb_gelu_grad(values[i]), 1e-5);
    EXPECT_EQ(first[i], second[i]);
  }
}

TEST_F(Graph, GradientOfAnOutputThatNobodyWroteIsZero) {
  EbbValue x = input("x", {1, 2}, true), a = gelu(x);
  ASSERT_EQ(ebb_graph_output(graph, a), EBB_OK);
  place();
  const float values[2] = {1, 2};
  float grad[2] = {7, 7};
  EbbRun at = run();
  ASSERT_EQ(ebb_graph_write(graph, x, values), EBB_OK);
  ASSERT_EQ(ebb_graph_forward(graph, &at), EBB_OK);
  ASSERT_EQ(ebb_graph_backward(graph, &at), EBB_OK);
  ASSERT_EQ(ebb_graph_read_grad(graph, x, grad), EBB_OK);
  EXPECT_EQ(grad[0], 0);
  EXPECT_EQ(grad[1], 0);
}

TEST_F(Graph, ShapeErrorsNameTheNode) {
  EbbValue tokens = input("tokens", {2, 3}, false, EBB_I32), y = EBB_NO_VALUE;
  EXPECT_EQ(linear("decoder", tokens, 4, &y), EBB_SHAPE);
  EXPECT_TRUE(mentions("decoder (linear)") && mentions("tokens") && mentions("i32")) << ebb_error();
  int nodes = ebb_graph_nodes(graph);
  EXPECT_EQ(nodes, 0) << "a node that failed is not recorded";
}

TEST_F(Graph, OneNameOneShape) {
  EbbValue x = input("x", {2, 3}, false), y = EBB_NO_VALUE;
  ASSERT_EQ(linear("layer", x, 4, &y), EBB_OK) << ebb_error();
  EXPECT_EQ(linear("layer", x, 5, &y), EBB_SHAPE);
  EXPECT_TRUE(mentions("layer.weight") && mentions("(4, 3)") && mentions("(5, 3)")) << ebb_error();
  EXPECT_EQ(linear("layer", x, 4, &y), EBB_OK) << "the same name and shape is the same parameter";
  place();
  EbbGraph *later = nullptr;
  ASSERT_EQ(ebb_graph_create(params, nullptr, false, &later), EBB_OK);
  std::swap(graph, later);
  EbbValue z = input("x", {7, 3}, false);
  EXPECT_EQ(linear("layer", z, 4, &y), EBB_OK) << "another batch size shares the parameters";
  EXPECT_EQ(linear("other", z, 4, &y), EBB_STATE);
  EXPECT_TRUE(mentions("other.weight")) << ebb_error();
  std::swap(graph, later);
  ebb_graph_destroy(later);
}

TEST_F(Graph, CallsOutOfOrderAreRefused) {
  EbbValue x = input("x", {1, 2}, false), a = gelu(x);
  EXPECT_EQ(ebb_graph_layout(graph), EBB_STATE);
  place();
  float value[2];
  EXPECT_EQ(ebb_graph_read(graph, a, value), EBB_STATE) << "not an output";
  EXPECT_TRUE(mentions("ebb_graph_output")) << ebb_error();
  EXPECT_EQ(ebb_graph_read_grad(graph, x, value), EBB_STATE);
  EXPECT_EQ(ebb_params_place(params, 1), EBB_STATE);
}

// A chain of activations shares memory; blocks that live together never overlap.
TEST_F(Graph, PlanSharesMemoryWithoutOverlap) {
  EbbValue x = input("x", {64, 64}, false);
  for (int i = 0; i < 20; i++) x = gelu(x);
  ASSERT_EQ(ebb_graph_output(graph, x), EBB_OK);
  place();
  EbbMemoryPlan plan = ebb_graph_memory(graph);
  EXPECT_LT(plan.values_and_saved, plan.values_unshared / 4);
  for (int a = 0; a < graph->n_values; a++)
    for (int b = 0; b < a; b++) {
      const Block &p = graph->value[a].value_block, &q = graph->value[b].value_block;
      bool together = p.birth <= q.death && q.birth <= p.death;
      bool overlap = p.offset < q.offset + q.bytes && q.offset < p.offset + p.bytes;
      EXPECT_FALSE(together && overlap) << a << " and " << b;
    }
}

TEST(Plan, RandomBlocksNeverOverlap) {
  uint32_t state = 1;
  auto random = [&](uint32_t n) { return (state = state * 1664525U + 1013904223U) / 65536U % n; };
  for (int round = 0; round < 50; round++) {
    std::vector<Block> blocks(60);
    std::vector<Block *> pointers;
    for (Block &block : blocks) {
      block.bytes = 256 * (1 + random(20));
      block.birth = int(random(40));
      block.death = block.birth + int(random(10));
      pointers.push_back(&block);
    }
    int64_t total = ebb_plan_blocks(pointers.data(), int(pointers.size()));
    for (size_t a = 0; a < blocks.size(); a++) {
      const Block &p = blocks[a];
      EXPECT_LE(p.offset + p.bytes, total);
      for (size_t b = 0; b < a; b++) {
        const Block &q = blocks[b];
        bool together = p.birth <= q.death && q.birth <= p.death;
        EXPECT_TRUE(!together || p.offset + p.bytes <= q.offset || q.offset + q.bytes <= p.offset);
      }
    }
  }
}

TEST_F(Graph, NamesTheNodeThatMadeANaN) {
  EbbValue x = input("x", {1, 2}, false), y = EBB_NO_VALUE;
  ASSERT_EQ(linear("first", x, 2, &y), EBB_OK);
  ASSERT_EQ(linear("second", y, 2, &y), EBB_OK);
  ASSERT_EQ(ebb_graph_output(graph, y), EBB_OK);
  place();
  const float values[2] = {1, 2}, bad[4] = {0, NAN, 0, 0};
  EbbRun at = run();
  ASSERT_EQ(ebb_graph_write(graph, x, values), EBB_OK);
  EXPECT_EQ(ebb_graph_find_nonfinite(graph, &at), EBB_OK) << ebb_error();
  ASSERT_EQ(ebb_params_write(params, "second.weight", bad, 4), EBB_OK);
  EXPECT_EQ(ebb_graph_find_nonfinite(graph, &at), EBB_NUMERIC);
  EXPECT_TRUE(mentions("second (linear)")) << ebb_error();
}

// Two graphs over one workspace: the larger one moves it, the smaller one follows.
TEST_F(Graph, SharedWorkspaceMayMove) {
  EbbWorkspace *workspace = nullptr;
  ASSERT_EQ(ebb_workspace_create(device, &workspace), EBB_OK);
  EbbGraph *small = nullptr, *large = nullptr;
  EbbValue xs[2], ys[2];
  int64_t rows[2] = {1, 50000};
  EbbGraph **graphs[2] = {&small, &large};
  for (int g = 0; g < 2; g++) {
    ASSERT_EQ(ebb_graph_create(params, workspace, false, graphs[g]), EBB_OK);
    const int64_t shape[2] = {rows[g], 2};
    ASSERT_EQ(ebb_graph_input(*graphs[g], "x", EBB_F32, ebb_shape_from(2, shape), false, &xs[g]), EBB_OK);
    ASSERT_EQ(ebb_graph_apply(*graphs[g], &ebb_gelu_op, "g", nullptr, 0, &xs[g], 1, &ys[g], 1), EBB_OK);
    ASSERT_EQ(ebb_graph_output(*graphs[g], ys[g]), EBB_OK);
  }
  ASSERT_EQ(ebb_params_place(params, 0), EBB_OK);
  EbbRun at = run();
  for (int turn = 0; turn < 4; turn++) {
    int g = turn % 2;
    std::vector<float> x(size_t(2 * rows[g]), 1.5F), y(x.size());
    ASSERT_EQ(ebb_graph_write(*graphs[g], xs[g], x.data()), EBB_OK);
    ASSERT_EQ(ebb_graph_forward(*graphs[g], &at), EBB_OK);
    ASSERT_EQ(ebb_graph_read(*graphs[g], ys[g], y.data()), EBB_OK);
    for (float v : y) ASSERT_EQ(v, ebb_gelu(1.5F));
  }
  ebb_graph_destroy(small);
  ebb_graph_destroy(large);
  ebb_workspace_destroy(workspace);
}

TEST_F(Graph, AbsurdSizesAreRefusedBeforeTheyAreTouched) {
  EbbValue x = input("x", {int64_t(1) << 30, 1 << 10}, false);
  ASSERT_EQ(ebb_graph_output(graph, gelu(x)), EBB_OK);
  ASSERT_EQ(ebb_params_place(params, 1), EBB_OK);
  EXPECT_EQ(ebb_graph_layout(graph), EBB_MEMORY);
  EXPECT_TRUE(mentions("GiB")) << ebb_error();
}

} // namespace
