// Truncated backpropagation through time is the same as pieces of the sequence after each other, each from
// the state that the one before left.
#include <gtest/gtest.h>

#include "ebb/cells.h"
#include "ebb/ops/cell.h"
#include "support/expect_near.h"
#include "support/op_check.h"
#include "support/op_run.h"

namespace ebb_test {
namespace {

constexpr int64_t B = 3, T = 10, K = 4, I = 3, H = 5;

// Rows (B, T, width) from step `from` on, `steps` of them.
Floats piece(const Floats &all, int64_t width, int64_t from, int64_t steps) {
  Floats out;
  for (int64_t b = 0; b < B; b++)
    for (int64_t i = 0; i < steps * width; i++) out.push_back(all[size_t((b * T + from) * width + i)]);
  return out;
}

// The same place of all rows set to what a piece holds.
void put(Floats &all, const Floats &from_piece, int64_t width, int64_t from, int64_t steps) {
  for (int64_t b = 0; b < B; b++)
    for (int64_t i = 0; i < steps * width; i++)
      all[size_t((b * T + from) * width + i)] = from_piece[size_t(b * steps * width + i)];
}

class Truncated : public testing::TestWithParam<std::string> {};

TEST_P(Truncated, EqualsPiecesOfTheSequence) {
  EbbCell *cell = nullptr;
  EbbLtc ltc = ebb_ltc_defaults(I, H);
  ASSERT_EQ(ebb_cell_ltc(&ltc, &cell), EBB_OK) << ebb_error();
  EbbCellConfig config = {};
  config.cell = cell, config.has_state = config.has_lengths = true, config.truncate = K;
  const Tensor x = random_tensor({B, T, I}, 1), state = random_tensor({B, H}, 2);
  const Tensor dy = random_tensor({B, T, H}, 3);
  const std::vector<int32_t> lengths = {T, 6, 9};
  {
    OpRun whole("cell", config, {x, state, integer_tensor({B}, lengths)}, 2, 1, true, GetParam());
    ASSERT_EQ(whole.status, EBB_OK) << ebb_error();
    ASSERT_EQ(whole.forward(), EBB_OK) << ebb_error();
    whole.backward(dy.floats);

    Floats before = state.floats, dx(x.floats.size()), dw(size_t(H * H)), dstate;
    for (int64_t from = 0; from < T; from += K) {
      const int64_t steps = std::min(K, T - from);
      std::vector<int32_t> left;
      for (int32_t length : lengths)
        left.push_back(std::max(0, std::min(length - int32_t(from), int32_t(steps))));
      config.truncate = 0;
      OpRun part(
          "cell", config,
          {{{B, steps, I}, piece(x.floats, I, from, steps)}, {{B, H}, before}, integer_tensor({B}, left)}, 2,
          1, true, GetParam());
      ASSERT_EQ(part.status, EBB_OK) << ebb_error();
      for (const char *name : {"w", "sigma", "mu", "erev", "gleak", "vleak", "cm", "sensory_w", "sensory_mu"})
        part.set_param(name, whole.param(name));
      for (const char *name : {"sensory_sigma", "sensory_erev", "input_w", "input_b", "output_w", "output_b"})
        part.set_param(name, whole.param(name));
      ASSERT_EQ(part.forward(), EBB_OK) << ebb_error();
      part.backward(piece(dy.floats, H, from, steps));
      put(dx, part.input_grad(0), I, from, steps);
      const Floats more = part.param_grad("w"), states = part.output(1);
      for (size_t i = 0; i < dw.size(); i++) dw[i] += more[i];
      if (from == 0) dstate = part.input_grad(1);
      for (int64_t b = 0; b < B; b++)
        for (int64_t h = 0; h < H; h++)
          before[size_t(b * H + h)] = states[size_t(((b * steps) + steps - 1) * H + h)];
    }
    expect_near(whole.input_grad(0), dx, 1e-5, "dx");
    expect_near(whole.param_grad("w"), dw, 1e-5, "dw");
    expect_near(whole.input_grad(1), dstate, 1e-5, "dstate");
  }
  ebb_cell_destroy(cell);
}

INSTANTIATE_TEST_SUITE_P(Devices, Truncated, testing::ValuesIn(devices()),
                         [](const auto &named) { return named.param; });

} // namespace
} // namespace ebb_test
