// Against numbers that numpy 2.4 and torch 1.13 print.
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "ebb/numpy_random.h"

namespace {

using Items = std::vector<int64_t>;

Items head_and_tail(const Items &all, size_t head, size_t tail) {
  Items out(all.begin(), all.begin() + static_cast<int64_t>(head));
  out.insert(out.end(), all.end() - static_cast<int64_t>(tail), all.end());
  return out;
}

Items numpy_permutation(uint32_t seed, int64_t n) {
  Items out(static_cast<size_t>(n));
  ebb_numpy_permutation(seed, n, out.data());
  return out;
}

Items torch_permutation(uint32_t seed, int64_t n) {
  Items out(static_cast<size_t>(n));
  ebb_torch_permutation(seed, n, out.data());
  return out;
}

EbbPcg64 default_rng(uint64_t seed) {
  EbbPcg64 generator;
  ebb_pcg64_seed(&generator, seed);
  return generator;
}

Items choose(EbbPcg64 &generator, int64_t n, int64_t k) {
  Items out(static_cast<size_t>(k));
  EXPECT_EQ(ebb_pcg64_choose(&generator, n, k, out.data()), EBB_OK);
  return out;
}

TEST(Mt19937, WordsOfRandomState) {
  EbbMt19937 generator;
  ebb_mt19937_seed(&generator, 22222);
  for (uint32_t expected : {294195201U, 1847582594U, 1342442730U, 288109640U})
    EXPECT_EQ(ebb_mt19937_next(&generator), expected);
}

// The C++ standard gives this number.
TEST(Mt19937, TenThousandthWord) {
  EbbMt19937 generator;
  ebb_mt19937_seed(&generator, 5489);
  for (int i = 0; i < 9999; i++) ebb_mt19937_next(&generator);
  EXPECT_EQ(ebb_mt19937_next(&generator), 4123659995U);
}

TEST(Mt19937, BoundedIntegersOfRandomState) {
  EbbMt19937 generator;
  ebb_mt19937_seed(&generator, 5);
  for (uint32_t expected : {3U, 6U, 5U, 6U, 6U, 0U, 1U, 0U, 4U, 6U, 3U, 0U})
    EXPECT_EQ(ebb_mt19937_below(&generator, 7), expected);
  EbbMt19937 before = generator;
  EXPECT_EQ(ebb_mt19937_below(&generator, 1), 0U);
  EXPECT_EQ(generator.used, before.used) << "one possible value needs no draw";
  EXPECT_EQ(ebb_mt19937_below(&generator, 2), 0U);
}

TEST(Mt19937, ChoiceIsThePermutationsHead) {
  EbbMt19937 generator;
  ebb_mt19937_seed(&generator, 5);
  Items out(9);
  ebb_mt19937_permutation(&generator, 9, out.data());
  EXPECT_EQ(head_and_tail(out, 4, 0), (Items{2, 4, 8, 7}));
  EXPECT_EQ(ebb_mt19937_below(&generator, 9), 0U);
  EXPECT_EQ(ebb_mt19937_below(&generator, 2), 0U);
}

TEST(NumpyPermutation, Vector) {
  EXPECT_EQ(numpy_permutation(23489, 10), (Items{9, 5, 4, 2, 7, 1, 8, 6, 3, 0}));
  EXPECT_EQ(numpy_permutation(1, 1), Items{0});
  EXPECT_EQ(numpy_permutation(1, 0), Items{});
}

TEST(TorchPermutation, Vectors) {
  EXPECT_EQ(torch_permutation(42, 10), (Items{2, 6, 1, 8, 4, 5, 0, 9, 3, 7}));
  EXPECT_EQ(torch_permutation(7, 1), Items{0});
  Items split = torch_permutation(42, 50000);
  EXPECT_EQ(head_and_tail(split, 3, 0), (Items{37542, 44491, 216}));
  EXPECT_EQ(split[45000], 17408);
  split = torch_permutation(42, 200000);
  EXPECT_EQ(split[160000], 122036);
  EXPECT_EQ(split[180000], 143170);
}

TEST(Pcg64, WordsOfDefaultRng) {
  EbbPcg64 generator = default_rng(1111);
  for (uint64_t expected : {0xdbfdfdd6d6fab48bU, 0xa822a50efe888cabU, 0x7b5641e27861ebb6U})
    EXPECT_EQ(ebb_pcg64_next(&generator), expected);
  generator = default_rng(0);
  EXPECT_EQ(ebb_pcg64_next(&generator), 0xa30febcfd9c2825fU);
  generator = default_rng((uint64_t(1) << 32) + 7);
  EXPECT_EQ(ebb_pcg64_next(&generator), 0xc527f515dec95ccdU);
}

TEST(Pcg64, BoundedIntegers) {
  EbbPcg64 generator = default_rng(1111);
  for (uint64_t expected : {2U, 2U, 2U, 1U, 1U, 1U, 1U, 1U, 2U, 1U, 1U, 1U})
    EXPECT_EQ(ebb_pcg64_below(&generator, 3), expected);
  EXPECT_EQ(ebb_pcg64_below(&generator, 1), 0U);
  EXPECT_EQ(ebb_pcg64_below(&generator, uint64_t(1) << 40), 612761523586U);
  for (uint64_t expected : {1U, 0U, 2U}) EXPECT_EQ(ebb_pcg64_below(&generator, 3), expected);
}

TEST(Pcg64, BoundedIntegersAroundTheWordSize) {
  EbbPcg64 generator = default_rng(3);
  EXPECT_EQ(ebb_pcg64_below(&generator, uint64_t(1) << 32), 3485385464U);
  EXPECT_EQ(ebb_pcg64_below(&generator, (uint64_t(1) << 32) - 1), 367860370U);
  EXPECT_EQ(ebb_pcg64_below(&generator, uint64_t(1) << 63), 2184191404571879930U);
  EXPECT_EQ(ebb_pcg64_below(&generator, 5), 0U);
}

// Bounds of which nearly half of the words are refused.
TEST(Pcg64, RefusesBiasedWords) {
  EbbPcg64 generator = default_rng((uint64_t(1) << 31) - 1);
  for (uint64_t expected : {1751933749U, 581654748U, 414967189U, 1932789255U, 2132441371U, 1067819094U})
    EXPECT_EQ(ebb_pcg64_below(&generator, (uint64_t(1) << 31) + 1), expected);
  generator = default_rng(4);
  for (uint64_t expected : {10872696641651677328U, 11255323620474902841U, 931975902961527713U,
                            7002335996554529871U, 4340594793245378083U, 9245291461041235436U})
    EXPECT_EQ(ebb_pcg64_below(&generator, (uint64_t(1) << 63) + (uint64_t(1) << 61)), expected);
}

TEST(Pcg64, Permutation) {
  EbbPcg64 generator = default_rng(42);
  Items out(10);
  ebb_pcg64_permutation(&generator, 10, out.data());
  EXPECT_EQ(out, (Items{5, 6, 0, 7, 3, 2, 4, 9, 1, 8}));
  generator = default_rng(42);
  out.resize(25000);
  ebb_pcg64_permutation(&generator, 25000, out.data());
  EXPECT_EQ(head_and_tail(out, 3, 3), (Items{19923, 18453, 12236, 5668, 22113, 9864}));
  EXPECT_EQ(ebb_pcg64_below(&generator, 100), 4U);
}

TEST(Pcg64, ChoiceWithoutReplacement) {
  EbbPcg64 generator = default_rng(1111);
  EXPECT_EQ(choose(generator, 12, 5), (Items{6, 10, 7, 5, 9}));
  EXPECT_EQ(ebb_pcg64_below(&generator, 100), 53U);
  generator = default_rng(9);
  EXPECT_EQ(choose(generator, 6, 6), (Items{0, 2, 1, 4, 5, 3}));
  EXPECT_EQ(ebb_pcg64_below(&generator, 100), 91U);
}

TEST(Pcg64, ChoiceFromMany) {
  EbbPcg64 generator = default_rng(9);
  Items few = choose(generator, 20000, 400);
  EXPECT_EQ(head_and_tail(few, 4, 3), (Items{8406, 8341, 7963, 7121, 17567, 9085, 17058}));
  EXPECT_EQ(std::accumulate(few.begin(), few.end(), int64_t(0)), 4186855);
  EXPECT_EQ(ebb_pcg64_below(&generator, 100), 92U);
  generator = default_rng(9);
  Items many = choose(generator, 20000, 1000);
  EXPECT_EQ(head_and_tail(many, 4, 3), (Items{9255, 2726, 12188, 17252, 19218, 17404, 8430}));
  EXPECT_EQ(std::accumulate(many.begin(), many.end(), int64_t(0)), 10183904);
  EXPECT_EQ(ebb_pcg64_below(&generator, 100), 84U);
  generator = default_rng(9);
  EXPECT_EQ(head_and_tail(choose(generator, 20001, 20001), 5, 0), (Items{15398, 13438, 414, 3081, 5352}));
  EXPECT_EQ(ebb_pcg64_below(&generator, 100), 87U);
}

TEST(Pcg64, ChoiceRefusesMoreThanThereAre) {
  EbbPcg64 generator = default_rng(1);
  int64_t out[4];
  EXPECT_EQ(ebb_pcg64_choose(&generator, 3, 4, out), EBB_INVALID);
  EXPECT_STREQ(ebb_error(), "cannot choose 4 of 3 items without repeating one");
  EXPECT_EQ(ebb_pcg64_choose(&generator, 3, -1, out), EBB_INVALID);
}

} // namespace
