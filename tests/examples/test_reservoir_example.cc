// examples/reservoir.c goes on with a series that it has learnt.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace {

std::string output_of(const std::string &arguments, int *status) {
  std::string text;
  FILE *pipe = popen((std::string(EBB_RESERVOIR_EXAMPLE) + " " + arguments + " 2>&1").c_str(), "r");
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) text += char(c);
  *status = pclose(pipe);
  return text;
}

TEST(ReservoirExample, PredictsAChaoticSeries) {
  int status = -1;
  const std::string text = output_of("200", &status), said = "relative error over 100 steps: ";
  EXPECT_EQ(status, 0) << text;
  const size_t at = text.find(said);
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_LT(std::stod(text.substr(at + said.size())), 0.1);
}

TEST(ReservoirExample, SaysWhatIsWrong) {
  int status = 0;
  const std::string text = output_of("0", &status);
  EXPECT_NE(status, 0);
  EXPECT_EQ(text.rfind("reservoir: a reservoir of 0 units", 0), 0U) << text;
}

} // namespace
