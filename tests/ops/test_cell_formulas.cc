#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "ebb/cell_formulas.h"

namespace {

using Formula = float (*)(const float *);
using FormulaGrad = void (*)(const float *, float, float, float *);
struct FormulaRow {
  const char *name;
  int operands;
  Formula value;
  FormulaGrad grad;
};
#define EBB_CELL_FORMULA(CODE, name, operands)                                                               \
  float value_##name(const float *in) { return ebb_cell_##name(in); }                                        \
  void grad_##name(const float *in, float out, float g, float *d) { ebb_cell_##name##_grad(in, out, g, d); }
#define EBB_CELL_MOTION(CODE, name)
#include "ebb/cell_codes.def"
#undef EBB_CELL_FORMULA
const FormulaRow kFormulas[] = {
#define EBB_CELL_FORMULA(CODE, name, operands) {#name, operands, value_##name, grad_##name},
#include "ebb/cell_codes.def"
#undef EBB_CELL_FORMULA
#undef EBB_CELL_MOTION
};

// Where a formula divides, its divisors are positive here; no operand is near a kink.
TEST(CellFormulas, DerivativesAgreeWithDifferences) {
  const float positive[][9] = {{0.4F, 0.7F, 1.1F, 0.9F, 0.6F, 1.3F, 0.8F, 0.5F, 0.3F},
                               {1.7F, 0.2F, 0.6F, 1.4F, 1.9F, 0.4F, 1.2F, 1.1F, 0.7F}};
  const float mixed[][9] = {
      {-0.4F, 0.7F, -1.1F, 0.9F}, {1.7F, -0.2F, 0.6F, -1.4F}, {-2.0F, -0.9F, -0.3F, 0.8F}};
  for (const FormulaRow &row : kFormulas) {
    const bool divides = row.operands > 4 || std::string(row.name) == "leak" ||
                         std::string(row.name) == "ltc_rate" || std::string(row.name) == "vector_rate";
    std::vector<const float *> points = {positive[0], positive[1]};
    if (!divides) points.insert(points.end(), {mixed[0], mixed[1], mixed[2]});
    for (const float *point : points) {
      float in[9], d[9] = {};
      std::copy(point, point + 9, in);
      row.grad(in, row.value(in), 1.5F, d);
      for (int k = 0; k < row.operands; k++) {
        const auto at = [&](float by) {
          float moved[9];
          std::copy(in, in + 9, moved);
          moved[k] += by;
          return double(row.value(moved));
        };
        const float h = 0.01F;
        const double numeric = 1.5 * (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * double(h));
        const bool bound = std::string(row.name) == "clamp" && k > 0; // limits have no gradient
        EXPECT_NEAR(d[k], bound ? 0 : numeric, 1e-3 * (1 + std::fabs(numeric)))
            << row.name << ", operand " << k;
      }
    }
  }
}

TEST(CellFormulas, SoftplusIsAccurateEverywhere) {
  for (float x = -86; x < 90; x += 0.0137F) {
    const double expected = std::log1p(std::exp(double(x)));
    EXPECT_NEAR(ebb_softplusf(x) / expected, 1, 4e-7) << x;
  }
  EXPECT_EQ(ebb_softplusf(1000), 1000);
  EXPECT_EQ(ebb_softplusf(-1000), 0);
  EXPECT_TRUE(std::isnan(ebb_softplusf(std::numeric_limits<float>::quiet_NaN())));
}

} // namespace
