// Cells on a GPU against the CPU: every cell of the literature, and sizes around what shared memory holds.
#include <cmath>

#include "support/cell_cases.h"

using namespace ebb_test;

namespace {

// ---- programs ----

MakeCell ltc(int64_t I, int64_t H, std::function<void(EbbLtc &)> change = nullptr) {
  return [=](EbbCell **out) {
    EbbLtc config = ebb_ltc_defaults(I, H);
    if (change) change(config);
    return ebb_cell_ltc(&config, out);
  };
}

// Every third synapse is missing.
MakeCell sparse_ltc(int64_t I, int64_t H) {
  return [=](EbbCell **out) {
    Floats exists(size_t(H * H)), polarity(size_t(H * H));
    for (size_t i = 0; i < exists.size(); i++) exists[i] = i % 3 ? 1 : 0, polarity[i] = i % 2 ? 1 : -1;
    EbbLtc config = ebb_ltc_defaults(I, H);
    config.wiring.exists = exists.data(), config.wiring.polarity = polarity.data();
    return ebb_cell_ltc(&config, out);
  };
}

MakeCell aaai(int64_t I, int64_t H) {
  return [=](EbbCell **out) {
    const EbbLtcAaai config = ebb_ltc_aaai_defaults(I, H);
    return ebb_cell_ltc_aaai(&config, out);
  };
}

// On the emulated device tanh has the least accuracy that the instruction promises.
TEST(ApproximateLtc, IsNearTheExactOneAndNotIt) {
  if (!has_cuda()) GTEST_SKIP() << "no CUDA device";
  for (const int64_t H : {16, 32, 40}) {
    EbbCell *made = nullptr;
    require(ltc(3, H)(&made));
    const CellPointer cell(made, ebb_cell_destroy);
    CellCase c = {"ltc", nullptr, 2, 6, true, true, true};
    const CellResults exact = CellRun(c, cell.get(), "cuda").results();
    c.approximate = true;
    const CellResults near = CellRun(c, cell.get(), "cuda").results();
    for (const auto &[name, expected] : exact)
      EXPECT_LT(relative_error(near.at(name), expected), 5e-3) << name;
    EXPECT_GT(relative_error(near.at("y"), exact.at("y")), 1e-7);
    EXPECT_LT(relative_error(near.at("y"), exact.at("y")), 5e-4);
  }
}

// What the kernels of LTC cells note of times and lengths.
TEST(LtcFaults, AreTheSentencesOfTheCpu) {
  EbbCell *made = nullptr;
  require(ltc(3, 9)(&made));
  const CellPointer cell(made, ebb_cell_destroy);
  EbbCellConfig config = {};
  config.cell = made, config.has_elapsed = config.has_lengths = true;
  const Tensor x = random_tensor({2, 3, 3}, 1);
  const auto sentence = [&](float elapsed, int32_t length, const std::string &device) {
    OpRun run("cell", config, {x, {{2, 3}, {1, 1, 1, 1, elapsed, 1}}, integer_tensor({2}, {3, length})}, 2, 1,
              true, device);
    require(run.status);
    EXPECT_EQ(run.forward(), EBB_INVALID);
    return std::string(ebb_error());
  };
  for (const std::string &device : devices()) {
    EXPECT_NE(sentence(-1, 3, device).find("elapsed time -1 of row 1, step 1"), std::string::npos) << device;
    EXPECT_NE(sentence(1, 4, device).find("length 4 of row 1 is outside 0..3"), std::string::npos) << device;
  }
}

class Cells : public ::testing::TestWithParam<CellCase> {};

TEST_P(Cells, CudaGivesWhatTheCpuGives) {
  if (!has_cuda()) GTEST_SKIP() << "no CUDA device";
  compare_with_cpu(GetParam());
}

const CellCase kCases[] = {
    {"ltc", ltc(3, 9), 3, 5, true, true, true},
    {"ltc_16", ltc(2, 16, [](EbbLtc &c) { c.output_mapping = EBB_MAPPING_LINEAR; }), 2, 3, true, true, true},
    {"ltc_17", ltc(2, 17, [](EbbLtc &c) { c.motors = 3; }), 2, 3, true, true, false, 2},
    {"ltc_64", ltc(2, 64, [](EbbLtc &c) { c.output_mapping = EBB_MAPPING_NONE, c.unfolds = 1; }), 2, 2, true,
     true},
    {"ltc_65", ltc(2, 65), 2, 2, true, true},
    {"ltc_sparse", sparse_ltc(3, 19), 3, 4, true, true, true},
    {"ltc_aaai", aaai(3, 32), 3, 4, true, true, true},
    {"ltc_plain", ltc(1, 1), 1, 1},
    {"ltc_motors", ltc(5, 33, [](EbbLtc &c) { c.motors = 7, c.with_rate = true; }), 2, 4, false, true},
    {"ltc_memory", ltc(4, 12, [](EbbLtc &c) { c.mixed_memory = true; }), 3, 4, true, true, true},
    {"ltc_rk4", ltc(3, 8, [](EbbLtc &c) { c.solver = EBB_LTC_RK4, c.unfolds = 2; }), 2, 3, false, true},
    {"ltc_euler", ltc(3, 8, [](EbbLtc &c) { c.solver = EBB_LTC_EULER, c.unfolds = 3; }), 2, 3, false, true,
     true},
};

// h' = tanh(h w + x) elapsed on more neurons than shared memory has room for.
EbbStatus wide_cell(EbbCell **out) {
  const int64_t S = 20000;
  EbbCell *cell = nullptr;
  require(ebb_cell_create("wide", 2, &cell));
  const EbbCellRef h = ebb_cell_state(cell, S);
  EbbParamSpec spec = {};
  spec.name = "w", spec.shape = ebb_shape_from(1, &S);
  const Floats values = random_tensor({S}, 8).floats;
  const EbbCellRef w = ebb_cell_param(cell, &spec, EBB_CELL_SOFTPLUS_OF, values.data(), nullptr);
  ebb_cell_begin(cell, EBB_CELL_STEP, 1);
  const EbbCellRef x = ebb_cell_grouped(cell, EBB_CELL_REPEAT, S / 2, ebb_cell_x(cell));
  const EbbCellRef affine[] = {h, w, x};
  const EbbCellRef sum = ebb_cell_apply(cell, EBB_CELL_AFFINE, S, 3, affine);
  const EbbCellRef open[] = {ebb_cell_apply(cell, EBB_CELL_TANH, S, 1, &sum), ebb_cell_elapsed(cell)};
  ebb_cell_move(cell, h, ebb_cell_apply(cell, EBB_CELL_MULTIPLY, S, 2, open));
  *out = cell;
  return ebb_cell_finish(cell, h);
}

// Vectors, parameters and sums that shared memory does not hold; more samples than blocks; launches of
// backward one after the other.
const CellCase kSizes[] = {
    {"wide_vectors", wide_cell, 2, 2, true, true},
    {"many_repetitions",
     [](EbbCell **out) {
       EbbNeuralOde config = ebb_neural_ode_defaults(2, 40);
       config.unfolds = 1500, config.step = 1e-3, config.solver = "euler";
       return ebb_cell_neural_ode(&config, out);
     },
     1, 2},
    {"many_synapses", ltc(2, 150, [](EbbLtc &c) { c.unfolds = 2; }), 2, 2, true, true},
    {"many_samples", ltc(2, 3), 700, 2, true, true, true},
    {"many_samples_cfc", cfc(2, 3), 700, 2, true, true, true},
    // 6e-6 where products are not fused, as in debug builds.
    {"many_steps_ltc", ltc(1, 2), 1, 700, true, true, false, 0, 1e-5},
    {"many_steps",
     [](EbbCell **out) {
       EbbCtrnn config = ebb_ctrnn_defaults(1, 2);
       config.unfolds = 2;
       return ebb_cell_ctrnn(&config, out);
     },
     2, 530, true, false, true},
};

INSTANTIATE_TEST_SUITE_P(Sizes, Cells, ::testing::ValuesIn(kSizes),
                         [](const auto &test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(Dense, Cells, ::testing::ValuesIn(dense_cells()),
                         [](const auto &test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(All, Cells, ::testing::ValuesIn(kCases),
                         [](const auto &test) { return test.param.name; });

} // namespace