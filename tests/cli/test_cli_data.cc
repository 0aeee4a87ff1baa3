// ebb data pathfinder and ebb data describe.
#include "cli/program.h"

namespace {

using namespace ebb_test;

std::string png_of(const fs::path &path) { return read_text(path).substr(0, 4); }

TEST(CliData, PathfinderIsMadeReadAndDrawn) {
  Place place;
  Outcome made = place.run({"data", "pathfinder", "--samples", "60", "--seed", "2", "--any-direction"});
  ASSERT_EQ(made.code, 0) << made.err;
  expect_contains(made.out, "pathfinder32/curv_contour_length_14: 60 images");
  Outcome again = place.run({"data", "pathfinder", "--samples", "60"});
  expect_failure(again, 1, {"exists already"});

  Outcome described =
      place.run({"data", "describe", "dataset._name_=pathfinder", "-o", "samples.png", "--split=test"});
  ASSERT_EQ(described.code, 0) << described.err;
  for (const char *part :
       {"features     1 a step", "one of 2 classes a sample", "samples      48, 49,152 steps",
        "samples      6, 6,144 steps", "length       1,024", "values       -1 to 1, mean -0.7"})
    expect_contains(described.out, part);
  EXPECT_EQ(png_of(place.path / "samples.png"), "\x89PNG");
  Outcome tokens = place.run({"data", "describe", "dataset._name_=pathfinder", "dataset.tokenize=true",
                              "dataset.pool=4", "-o", "t.svg"});
  ASSERT_EQ(tokens.code, 0) << tokens.err;
  expect_contains(tokens.out, "tokens       256 different ones");
  expect_contains(tokens.out, "length       64");
  expect_contains(read_text(place.path / "t.svg"), "<svg");
  Outcome longer = place.run({"data", "describe", "dataset._name_=pathx"});
  expect_failure(longer, 1, {"dataset.l_max=16384"});
}

// A limit of the size of files is an error with a sentence, not a death by signal; nothing half written
// stays.
TEST(CliData, FilesThatMayNotGrowAreAnError) {
  Place place;
  const std::string program = EBB_PROGRAM;
  Outcome listops = place.shell("ulimit -f 16; exec " + program +
                                " data listops lists --train 2000 --min-length 10 --max-length 100");
  expect_failure(listops, 1, {"lists/basic_train.tsv", "File too large"});
  EXPECT_EQ(listops.signal, 0);
  EXPECT_TRUE(fs::is_empty(place.path / "lists"));
  ASSERT_EQ(
      place.run({"data", "listops", "lists", "--train", "2000", "--min-length", "10", "--max-length", "100"})
          .code,
      0);
  Outcome cached =
      place.shell("ulimit -f 16; exec " + program +
                  " data describe dataset._name_=listops dataset.data_dir=lists dataset.cache=on");
  EXPECT_EQ(cached.code, 1) << cached.err;
  for (const char *part : {"make room", "dataset.cache=off", "File too large"})
    expect_contains(cached.err, part);
  EXPECT_TRUE(fs::is_empty(place.path / "lists/cache"));
}

TEST(CliData, Sheet) {
  Place place;
  Outcome drawn = place.run({"data", "pathfinder", "--any-direction", "--sheet", "sheet.png"});
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_EQ(drawn.out, "sheet.png\n");
  EXPECT_EQ(png_of(place.path / "sheet.png"), "\x89PNG");
  EXPECT_FALSE(fs::exists(place.path / "data/pathfinder"));
  expect_failure(place.run({"data", "pathfinder", "--sheet", "sheet.gif"}), 1, {"ends in .png or .svg"});
}

TEST(CliData, DescribesTokensAndRefusesNothing) {
  TinyPlace place;
  Outcome outcome = place.run({"data", "describe", "experiment=tiny", "-o", "samples.png"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char *part : {"data set     listops", "18 different ones", "one of 10 classes a sample",
                           "samples      300, ", "quartiles", "token ids    2 to 17"})
    expect_contains(outcome.out, part);
  EXPECT_EQ(png_of(place.path / "samples.png"), "\x89PNG");
  expect_failure(place.run({"data", "describe"}), 2, {"needs experiment=NAME"});
  expect_failure(place.run({"data", "describe", "dataset._name_=cheetah"}), 1, {"does not exist"});
  expect_failure(place.run({"data", "pathfinder", "--resolution", "33"}), 2, {"32|64|128|256|300"});
}

} // namespace
