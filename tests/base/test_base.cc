#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "ebb/complex.h"
#include "ebb/rng.h"
#include "ebb/shape.h"
#include "ebb/status.h"

TEST(Status, SentenceAndContext) {
  EXPECT_EQ(ebb_fail(EBB_SHAPE, "weight has %d rows", 3), EBB_SHAPE);
  EXPECT_EQ(ebb_fail_within(EBB_SHAPE, "layer '%s'", "encoder"), EBB_SHAPE);
  EXPECT_STREQ(ebb_error(), "layer 'encoder': weight has 3 rows");
  EXPECT_STREQ(ebb_status_name(EBB_NUMERIC), "NUMERIC");
  EXPECT_STREQ(ebb_status_name(static_cast<EbbStatus>(999)), "UNKNOWN");
}

TEST(Status, LongSentenceIsCut) {
  std::string text(10000, 'x');
  ebb_fail(EBB_IO, "%s", text.c_str());
  EXPECT_LT(std::string(ebb_error()).size(), 4096U);
}

TEST(Status, SentencesAreOneLineWithoutControlCharacters) {
  ebb_fail(EBB_FORMAT, "label '%s'", "\x1b[31mred\n");
  EXPECT_STREQ(ebb_error(), "label '?[31mred?'");
}

TEST(Shape, ChecksRankDimensionsAndSize) {
  const int64_t good[] = {2, 3, 4}, zero[] = {2, 0}, huge[] = {int64_t(1) << 40, int64_t(1) << 40};
  EbbShape shape = ebb_shape_from(3, good);
  EXPECT_EQ(ebb_shape_check(&shape), EBB_OK);
  EXPECT_EQ(ebb_shape_size(&shape), 24);
  shape = ebb_shape_from(2, zero);
  EXPECT_EQ(ebb_shape_check(&shape), EBB_SHAPE);
  shape = ebb_shape_from(2, huge);
  EXPECT_EQ(ebb_shape_check(&shape), EBB_SHAPE);
  EXPECT_NE(std::string(ebb_error()).find("1099511627776"), std::string::npos);
}

/* Known answers of the Philox paper's implementation: counter and key all ones, all zeros, and digits of pi.
 */
TEST(Rng, PhiloxKnownAnswers) {
  struct Row {
    uint32_t counter[4], key[2], expected[4];
  } rows[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Row &row : rows) {
    EbbRandom4 r = ebb_philox(row.counter, row.key);
    for (int i = 0; i < 4; i++) EXPECT_EQ(r.word[i], row.expected[i]);
  }
}

TEST(Rng, NormalMoments) {
  double sum = 0, squares = 0;
  const int n = 20000;
  for (int i = 0; i < n; i++) {
    EbbRandom4 r = ebb_random4(7, 0, 1, i);
    double x = ebb_normal(r.word[0], r.word[1]);
    sum += x, squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0, 0.03);
  EXPECT_NEAR(squares / n, 1, 0.04);
}

TEST(Scalar, AgreesWithTheMathLibrary) {
  for (double x = -9; x <= 9; x += 0.00317) {
    float f = static_cast<float>(x);
    double d = f;
    EXPECT_NEAR(ebb_erff(f), std::erf(d), 3e-7) << f;
    EXPECT_NEAR(ebb_expf(f) / std::exp(d), 1, 3e-7) << f;
    EXPECT_NEAR(ebb_tanhf(f), std::tanh(d), 3e-7) << f;
    EXPECT_NEAR(ebb_sigmoidf(f), 1 / (1 + std::exp(-d)), 3e-7) << f;
    double phi = std::exp(-d * d / 2) / std::sqrt(2 * M_PI), Phi = 0.5 * (1 + std::erf(d / std::sqrt(2.0)));
    EXPECT_NEAR(ebb_gelu(f), d * Phi, 1e-6) << f;
    EXPECT_NEAR(ebb_gelu_grad(f), Phi + d * phi, 2e-6) << f;
  }
  EXPECT_EQ(ebb_expf(-1000.0F), 0.0F);
  EXPECT_TRUE(std::isnan(ebb_expf(NAN)));
  EXPECT_TRUE(std::isnan(ebb_gelu(NAN)));
}

TEST(Complex, FieldIdentities) {
  EbbC64 a = {1.5, -2.0}, b = {-0.3, 0.7};
  EbbC64 q = ebb_c64_mul(ebb_c64_div(a, b), b);
  EXPECT_NEAR(q.re, a.re, 1e-15);
  EXPECT_NEAR(q.im, a.im, 1e-15);
  EbbC64 e = ebb_c64_mul(ebb_c64_exp(a), ebb_c64_exp(b)), sum = ebb_c64_exp(ebb_c64_add(a, b));
  EXPECT_NEAR(e.re, sum.re, 1e-14);
  EXPECT_NEAR(e.im, sum.im, 1e-14);
}
