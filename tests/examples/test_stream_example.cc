// The example program streams the first expression of the test split.
#include "cli/program.h"

using namespace ebb_test;

TEST(StreamExample, ReadsAnExpressionTokenByToken) {
  TinyPlace place(1);
  ASSERT_EQ(place.train({"run_dir=run"}).code, 0);
  Outcome outcome = place.shell(EBB_STREAM_EXAMPLE " run/best.safetensors");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::stringstream text(outcome.out);
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  ASSERT_GT(lines.size(), 5u) << outcome.out;
  EXPECT_EQ(lines.front().front(), '[') << "an expression begins with an operator";
  EXPECT_EQ(lines[lines.size() - 2].rfind("<eos>", 0), 0u) << outcome.out;
  std::ifstream tsv(place.path / "data/listops/basic_test.tsv");
  std::string row;
  std::getline(tsv, row);
  std::getline(tsv, row);
  EXPECT_EQ(lines.back(), std::string("label     ") + row.at(row.find('\t') + 1));
}

TEST(StreamExample, RefusesModelsThatAreNotCausal) {
  TinyPlace place(1);
  ASSERT_EQ(place.train({"run_dir=run", "model.layer.liquid_kernel=polyb"}).code, 0);
  Outcome outcome = place.shell(EBB_STREAM_EXAMPLE " run/best.safetensors");
  EXPECT_EQ(outcome.code, 1);
  expect_contains(outcome.err, "causal");
}
