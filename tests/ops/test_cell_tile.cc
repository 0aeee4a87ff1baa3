// Cells whose steps run by tiles of samples: against the CPU in every precision, and when they do.
#include <cmath>
#include <cstdlib>

#include "host/ops/cell_gpu.h"
#include "support/cell_cases.h"
#include "support/cell_programs.h"

using namespace ebb_test;

namespace {

struct Mode {
  const char *name;
  EbbPrecision precision;
  int64_t B;
  // Of results and gradients against float32. Rounding an operand of a product costs 2^-12 (tf32) or 2^-9
  // (bf16) of it; steps and sub-steps carry that on. A wrong element shows as 0.1 and more.
  double tolerance;
};
const Mode kModes[] = {{"float32_one_sample", EBB_PRECISION_FLOAT32, 1, 5e-6},
                       {"float32_one_tile", EBB_PRECISION_FLOAT32, 8, 5e-6},
                       {"float32_one_more", EBB_PRECISION_FLOAT32, 9, 5e-6},
                       {"tf32", EBB_PRECISION_TF32, 13, 2e-3},
                       {"bf16", EBB_PRECISION_BF16, 13, 2e-2}};

// Slices that start anywhere, a transposed matrix, moves in all sections, groups, rates, x in a step, a
// parameter that a product multiplies.
EbbStatus everything(EbbCell **out) {
  const int64_t I = 21, H = 19;
  EbbCell *cell = nullptr;
  require(ebb_cell_create("everything", I, &cell));
  const auto param = [&](const char *name, std::vector<int64_t> shape, double low, double high) {
    EbbParamSpec spec = {};
    spec.name = name, spec.shape = ebb_shape_from(int(shape.size()), shape.data());
    spec.draw = EBB_DRAW_RANGE, spec.a = low, spec.b = high;
    return ebb_cell_param(cell, &spec, EBB_CELL_AS_IS, nullptr, nullptr);
  };
  const auto apply = [&](EbbCellCode code, std::vector<EbbCellRef> from) {
    return ebb_cell_apply(cell, code, from[0].width, int(from.size()), from.data());
  };
  const EbbCellRef x = ebb_cell_x(cell), h = ebb_cell_state(cell, H), c = ebb_cell_state(cell, 2 * H);
  const EbbCellRef Wt = param("Wt", {3 * H, 2 * H}, -0.3, 0.3), W = param("W", {H, H}, -0.5, 0.5),
                   Wp = param("Wp", {H, H}, -0.3, 0.3), p = param("p", {H}, 0.5, 1.5),
                   Wx = param("Wx", {2 * H, H}, -0.3, 0.3);
  const EbbCellRef elapsed = ebb_cell_elapsed(cell);

  ebb_cell_begin(cell, EBB_CELL_STEP, 1);
  const EbbCellRef driven = ebb_cell_linear(cell, ebb_cell_matrix(cell, Wx, 2 * H, H, false, 0, H),
                                            ebb_cell_slice(cell, x, 1, H), ebb_cell_absent());
  const EbbCellRef gates =
      ebb_cell_linear(cell, ebb_cell_matrix(cell, Wt, 2 * H, 3 * H, true, H, 2 * H), c, driven);
  const EbbCellRef soft = ebb_cell_grouped(cell, EBB_CELL_GROUP_SOFTMAX, 2, gates);
  const EbbCellRef constant =
      ebb_cell_linear(cell, ebb_cell_matrix(cell, Wp, H, H, false, 0, H), p, ebb_cell_absent());
  ebb_cell_move(cell, c, apply(EBB_CELL_ADD, {soft, c}));

  ebb_cell_begin(cell, EBB_CELL_BODY, 3);
  const EbbCellMatrix square = ebb_cell_matrix(cell, W, H, H, false, 0, H);
  const EbbCellRef first =
      ebb_cell_linear(cell, square, h, ebb_cell_grouped(cell, EBB_CELL_GROUP_SUM, 2, soft));
  const EbbCellRef second = ebb_cell_linear(cell, square, apply(EBB_CELL_TANH, {first}), constant);
  const EbbCellRef leak = apply(EBB_CELL_LEAK, {second, h, p});
  const double weights[] = {0.05, 0.2};
  const EbbCellRef terms[] = {leak, ebb_cell_slice(cell, c, 1, H)};
  ebb_cell_move(cell, h, ebb_cell_combine(cell, h, elapsed, 2, weights, terms));
  cell->rate = apply(EBB_CELL_VECTOR_RATE, {p, apply(EBB_CELL_SIGMOID, {first})}), cell->rate_limit = 2;

  ebb_cell_begin(cell, EBB_CELL_TAIL, 1);
  const EbbCellRef spread = ebb_cell_grouped(cell, EBB_CELL_REPEAT, 2, h);
  const EbbCellRef result = apply(EBB_CELL_TANH, {spread});
  ebb_cell_move(cell, c, apply(EBB_CELL_AFFINE, {c, ebb_cell_constant(0.25), result}));
  *out = cell;
  return ebb_cell_finish(cell, result);
}

std::vector<CellCase> tiled_cells() {
  std::vector<CellCase> cases = dense_cells();
  cases.push_back({"everything", everything, 3, 4, true, true, true, 2});
  cases.push_back(
      {"cfc_wide", cfc(5, 40, [](EbbCfc &c) { c.backbone_units = 130; }), 2, 3, true, true, true});
  return cases;
}

class Tiles : public ::testing::TestWithParam<std::tuple<CellCase, Mode>> {};

TEST_P(Tiles, GiveWhatTheCpuGives) {
  if (!has_cuda()) GTEST_SKIP() << "no CUDA device";
  CellCase c = std::get<0>(GetParam());
  const Mode mode = std::get<1>(GetParam());
  c.engine = EBB_CELL_BY_TILE, c.precision = mode.precision, c.B = mode.B, c.tolerance = mode.tolerance;
  compare_with_cpu(c);
}

INSTANTIATE_TEST_SUITE_P(All, Tiles,
                         ::testing::Combine(::testing::ValuesIn(tiled_cells()), ::testing::ValuesIn(kModes)),
                         [](const auto &test) {
                           return std::get<0>(test.param).name + "_" + std::get<1>(test.param).name;
                         });

// One product a step: h' = W h.
EbbStatus product_cell(int64_t S, EbbCell **out) {
  EbbCell *cell = nullptr;
  require(ebb_cell_create("product", 1, &cell));
  const EbbCellRef h = ebb_cell_state(cell, S);
  const std::vector<int64_t> shape = {S, S};
  EbbParamSpec spec = {};
  spec.name = "W", spec.shape = ebb_shape_from(2, shape.data());
  const Floats values = random_tensor({S, S}, 5).floats;
  const EbbCellRef W = ebb_cell_param(cell, &spec, EBB_CELL_AS_IS, values.data(), nullptr);
  ebb_cell_begin(cell, EBB_CELL_STEP, 1);
  ebb_cell_move(cell, h,
                ebb_cell_linear(cell, ebb_cell_matrix(cell, W, S, S, false, 0, S), h, ebb_cell_absent()));
  *out = cell;
  return ebb_cell_finish(cell, h);
}

// The largest error of W h and of W^T g, a part of the sum of the terms' magnitudes.
struct Errors {
  double forward, back;
};
Errors errors_of_product(EbbPrecision precision, int64_t S) {
  const int64_t B = 9;
  CellCase c = {"product", [=](EbbCell **out) { return product_cell(S, out); }, B, 1, true};
  c.engine = EBB_CELL_BY_TILE, c.precision = precision;
  EbbCell *made = nullptr;
  require(c.make(&made));
  const CellPointer cell(made, ebb_cell_destroy);
  const CellResults got = CellRun(c, made, "cuda").results();
  const Floats W = random_tensor({S, S}, 5).floats, h = random_tensor({B, S}, 2).floats,
               dy = random_tensor({B * S}, 20).floats, dstates = random_tensor({B * S}, 21).floats;
  Errors most = {0, 0};
  for (size_t b = 0; b < size_t(B); b++)
    for (size_t i = 0; i < size_t(S); i++) {
      double sum = 0, size = 0, back = 0, back_size = 0;
      for (size_t k = 0; k < size_t(S); k++) {
        const double term = double(W[i * size_t(S) + k]) * double(h[b * size_t(S) + k]);
        const double g =
            double(W[k * size_t(S) + i]) * double(dy[b * size_t(S) + k] + dstates[b * size_t(S) + k]);
        sum += term, size += std::abs(term), back += g, back_size += std::abs(g);
      }
      const size_t at = b * size_t(S) + i;
      most.forward = std::max(most.forward, std::abs(double(got.at("states")[at]) - sum) / size);
      most.back = std::max(most.back, std::abs(double(got.at("dstate")[at]) - back) / back_size);
    }
  return most;
}

// Measured on the emulated device, which adds a product's terms in float32: 1.3e-7 (float32), 1.3e-4 (tf32)
// and 1.1e-3 (bf16) of the sum of the terms' magnitudes.
TEST(TileProducts, AreAsExactAsTheirPrecision) {
  if (!has_cuda()) GTEST_SKIP() << "no CUDA device";
  const struct {
    EbbPrecision precision;
    double least, most;
  } rows[] = {
      {EBB_PRECISION_FLOAT32, 0, 3e-7}, {EBB_PRECISION_TF32, 1e-5, 3e-4}, {EBB_PRECISION_BF16, 1e-4, 3e-3}};
  for (const auto &row : rows) {
    const Errors errors = errors_of_product(row.precision, 100);
    EXPECT_GT(errors.forward, row.least) << row.precision;
    EXPECT_LT(errors.forward, row.most) << row.precision;
    EXPECT_GT(errors.back, row.least) << row.precision;
    EXPECT_LT(errors.back, row.most) << row.precision;
  }
}

// Sizes around a block's 16, and more blocks than warps: a wrong element is off by 1 of the terms'
// magnitudes.
TEST(TileProducts, HoldForEverySize) {
  if (!has_cuda()) GTEST_SKIP() << "no CUDA device";
  for (const int64_t S : {1, 2, 7, 15, 16, 17, 31, 33, 65, 270})
    for (const EbbPrecision precision : {EBB_PRECISION_FLOAT32, EBB_PRECISION_TF32, EBB_PRECISION_BF16}) {
      const double most = precision == EBB_PRECISION_FLOAT32 ? 1e-6 : 1e-2;
      const Errors errors = errors_of_product(precision, S);
      EXPECT_LT(errors.forward, most) << S << ", " << precision;
      EXPECT_LT(errors.back, most) << S << ", " << precision;
    }
}

// ---- more than one launch, more than shared memory holds ----

MakeCell lstm(int64_t I, int64_t H) {
  return [=](EbbCell **out) { return ebb_cell_lstm(I, H, out); };
}

const Mode kWide[] = {{"float32", EBB_PRECISION_FLOAT32, 9, 5e-6}, {"bf16", EBB_PRECISION_BF16, 9, 2e-2}};
INSTANTIATE_TEST_SUITE_P(WeightsInDeviceMemory, Tiles,
                         ::testing::Combine(::testing::Values(CellCase{"lstm", lstm(3, 130), 9, 2, true,
                                                                       false, true}),
                                            ::testing::ValuesIn(kWide)),
                         [](const auto &test) { return std::string(std::get<1>(test.param).name); });

const Mode kLong[] = {{"float32", EBB_PRECISION_FLOAT32, 10, 2e-5}};
INSTANTIATE_TEST_SUITE_P(ManySteps, Tiles,
                         ::testing::Combine(::testing::Values(CellCase{"lstm", lstm(1, 3), 10, 530, true,
                                                                       false, true, 7}),
                                            ::testing::ValuesIn(kLong)),
                         [](const auto &test) { return std::string(std::get<1>(test.param).name); });

TEST(TileFaults, AreTheSentencesOfTheCpu) {
  const auto sentence = [&](float elapsed, int32_t length, bool unstable, const std::string &device) {
    EbbLtcVector vector = ebb_ltc_vector_defaults(3, 9);
    vector.with_rate = true;
    EbbCell *made = nullptr;
    require(ebb_cell_ltc_vector(&vector, &made));
    const CellPointer cell(made, ebb_cell_destroy);
    EbbCellConfig config = {};
    config.cell = made, config.has_elapsed = config.has_lengths = true, config.engine = EBB_CELL_BY_TILE;
    config.unstable_fails = unstable;
    made->rate_limit = unstable ? 1e-3F : made->rate_limit;
    Tensor times = random_tensor({10, 3}, 2, 0.5, 1);
    times.floats[9 * 3 + 1] = elapsed;
    OpRun run(
        "cell", config,
        {random_tensor({10, 3, 3}, 1), times, integer_tensor({10}, {3, 3, 3, 3, 3, 3, 3, 3, 0, length})}, 3,
        1, true, device);
    require(run.status);
    EXPECT_NE(run.forward(), EBB_OK);
    return std::string(ebb_error());
  };
  for (const std::string &device : devices()) {
    EXPECT_NE(sentence(-1, 3, false, device).find("elapsed time -1 of row 9, step 1"), std::string::npos)
        << device;
    EXPECT_NE(sentence(1, 4, false, device).find("length 4 of row 9 is outside 0..3"), std::string::npos)
        << device;
    EXPECT_NE(sentence(1, 3, true, device).find("rate"), std::string::npos) << device;
  }
}

// What stands in the padding reaches nothing, also not by way of a tile's other samples.
TEST(TilePadding, MayHoldAnything) {
  if (!has_cuda()) GTEST_SKIP() << "no CUDA device";
  EbbCell *made = nullptr;
  require(everything(&made));
  const CellPointer cell(made, ebb_cell_destroy);
  EbbCellConfig config = {};
  config.cell = made, config.has_elapsed = config.has_lengths = true, config.engine = EBB_CELL_BY_TILE;
  const auto results = [&](float padding) {
    Tensor x = random_tensor({3, 4, made->inputs}, 1), elapsed = random_tensor({3, 4}, 2, 0.5, 1);
    const std::vector<int32_t> lengths = {2, 4, 0};
    for (size_t b = 0; b < 3; b++)
      for (size_t row = 4 * b + size_t(lengths[b]); row < 4 * b + 4; row++) {
        elapsed.floats[row] = padding;
        std::fill_n(x.floats.begin() + int64_t(row) * made->inputs, made->inputs, padding);
      }
    OpRun run("cell", config, {x, elapsed, integer_tensor({3}, lengths)}, 3, 1, true, "cuda");
    require(run.status);
    require(run.forward());
    CellResults r = {{"y", run.output(0)}, {"states", run.output(1)}};
    run.backward(random_tensor({int64_t(r["y"].size())}, 3).floats);
    r["dx"] = run.input_grad(0), r["delapsed"] = run.input_grad(1);
    for (const char *name : {"W", "Wt", "Wp", "p", "Wx"}) r[name] = run.param_grad(name);
    return r;
  };
  const CellResults zeros = results(0), nans = results(NAN);
  for (const auto &[name, expected] : zeros) {
    EXPECT_EQ(nans.at(name), expected) << name;
    EXPECT_TRUE(std::all_of(expected.begin(), expected.end(), [](float v) { return std::isfinite(v); }))
        << name;
  }
}

// ---- when ----

// Why a cell's steps do not run by tiles, "" where they do, on an H100.
std::string refusal(const MakeCell &make, int64_t B, EbbPrecision precision, bool back = false,
                    EbbCellEngine engine = EBB_CELL_BY_SIZE, int32_t *away = nullptr) {
  EbbCell *made = nullptr;
  require(make(&made));
  const CellPointer cell(made, ebb_cell_destroy);
  EbbCellArgs args = {};
  args.cell = made, args.B = B, args.S = made->states, args.engine = engine;
  const auto writer = std::make_unique<EbbCellWriter>();
  require(ebb_cell_writer_begin(writer.get(), made, &args.cuda));
  ebb_cell_writer_end(writer.get());
  const EbbCellGpu gpu = {132, 227 * 1024 / 4, precision};
  if (away) *away = args.cuda.tiling.blocks - ebb_cell_tile_places(&args, &gpu, back).resident;
  const char *why = ebb_cell_tile_refusal(&args, &gpu, back);
  return why ? why : "";
}

MakeCell cfc_of(int64_t H, int64_t backbone) {
  return cfc(32, H, [=](EbbCfc &c) { c.backbone_units = backbone; });
}

TEST(TileRule, TakesTilesWhereTheyAreFasterByTheCount) {
  for (const EbbPrecision p : {EBB_PRECISION_FLOAT32, EBB_PRECISION_TF32, EBB_PRECISION_BF16})
    for (const bool back : {false, true}) {
      EXPECT_EQ(refusal(cfc_of(64, 128), 1024, p, back), "");
      EXPECT_EQ(refusal(lstm(32, 32), 1024, p, back), "");
      // Not all weights fit on chip, neither way.
      EXPECT_EQ(refusal(lstm(32, 256), 1024, p, back), "");
      EXPECT_EQ(refusal(cfc_of(64, 128), 7, p, back), "the samples do not fill a tile");
      EXPECT_EQ(refusal(cfc_of(64, 128), 1, p, back, EBB_CELL_BY_TILE), "");
      EXPECT_EQ(refusal(cfc_of(64, 128), 1024, p, back, EBB_CELL_BY_SAMPLE), "tiles are not wanted");
      // A multiprocessor a sample, and little to multiply.
      EXPECT_EQ(refusal(lstm(32, 32), 64, p, back), "a sample a block takes fewer clocks");
    }
  EXPECT_EQ(refusal(cfc_of(64, 128), 64, EBB_PRECISION_FLOAT32), "a sample a block takes fewer clocks");
  EXPECT_EQ(refusal(cfc_of(64, 128), 64, EBB_PRECISION_BF16), "");
}

TEST(TileRule, RefusesWhatTilesCannotDo) {
  const MakeCell memory = [](EbbCell **out) {
    EbbLtc config = ebb_ltc_defaults(4, 12);
    config.mixed_memory = true;
    return ebb_cell_ltc(&config, out);
  };
  EXPECT_EQ(refusal(memory, 4096, EBB_PRECISION_BF16, false, EBB_CELL_BY_TILE), "the steps have synapses");
  const MakeCell elementwise = [](EbbCell **out) {
    *out = formula_cell(EBB_CELL_TANH, 4).release();
    return EBB_OK;
  };
  EXPECT_EQ(refusal(elementwise, 4096, EBB_PRECISION_BF16, false, EBB_CELL_BY_TILE),
            "the steps multiply no matrix");
  const MakeCell ctrnn = [](EbbCell **out) {
    EbbCtrnn config = ebb_ctrnn_defaults(4, 3000);
    return ebb_cell_ctrnn(&config, out);
  };
  EXPECT_EQ(refusal(ctrnn, 4096, EBB_PRECISION_BF16, true, EBB_CELL_BY_TILE),
            "the vectors of a tile do not fit in shared memory");
}

TEST(TileRule, KeepsWeightsOnChipWhereTheyFit) {
  int32_t away = -1;
  refusal(cfc_of(64, 128), 1024, EBB_PRECISION_FLOAT32, false, EBB_CELL_BY_SIZE, &away);
  EXPECT_EQ(away, 0);
  refusal(lstm(32, 128), 1024, EBB_PRECISION_FLOAT32, false, EBB_CELL_BY_SIZE, &away);
  EXPECT_GT(away, 0);
  refusal(lstm(32, 128), 1024, EBB_PRECISION_BF16, false, EBB_CELL_BY_SIZE, &away);
  EXPECT_EQ(away, 0);
}

// The device's kernels go by the rule: a tile rounds its products, a sample does not.
TEST(TileRule, IsWhatTheKernelsGoBy) {
  if (!has_cuda()) GTEST_SKIP() << "no CUDA device";
  EbbCell *made = nullptr;
  require(product_cell(100, &made));
  const CellPointer cell(made, ebb_cell_destroy);
  const auto states = [&](int64_t B, EbbCellEngine engine) {
    CellCase c = {"product", nullptr, B, 1, true};
    c.engine = engine, c.precision = EBB_PRECISION_BF16;
    return CellRun(c, made, "cuda").results().at("states");
  };
  for (const int64_t B : {7, 2000}) {
    const Floats by_size = states(B, EBB_CELL_BY_SIZE), by_tile = states(B, EBB_CELL_BY_TILE),
                 by_sample = states(B, EBB_CELL_BY_SAMPLE);
    EXPECT_NE(by_tile, by_sample);
    EXPECT_EQ(by_size, B == 7 ? by_sample : by_tile);
  }
}

} // namespace
