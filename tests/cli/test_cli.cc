// The program's frame: help, misuse, and what it says to bad input.
#include <algorithm>
#include <map>

#include "cli/program.h"
#include "support/golden.h"

using namespace ebb_test;

namespace {

// What the help of each command tells.
const std::map<std::string, std::vector<std::string>> commands = {
    {"train", {"--resume RUN", "--config FILE"}},
    {"eval", {"--split SPLIT", "train|val|test; default test", "--json"}},
    {"info", {"--config FILE", "--all", "--settings"}},
    {"plot", {"-o, --output PICTURE", "wiring"}},
    {"plot wiring", {"--inputs N", "-o, --output PICTURE", "autoncp(...)", "sparsity=0.5"}},
    {"verify", {"--device DEVICE", "--threads N", "-q, --quiet", "default auto"}},
    {"import", {"-o, --output CHECKPOINT", "--config FILE"}},
    {"keys", {}},
    {"data", {"listops"}},
    {"data listops",
     {"--train N", "default 96000", "--val N", "--test N", "--max-depth D", "--max-args A", "--min-length L",
      "default 500", "--max-length L", "--seed S"}},
};

std::vector<std::string> words(const std::string &text, const std::vector<std::string> &more = {}) {
  std::stringstream stream(text);
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  result.insert(result.end(), more.begin(), more.end());
  return result;
}

} // namespace

TEST(Cli, HelpNamesEveryCommandAndOption) {
  Place place;
  Outcome top = place.run({"--help"});
  EXPECT_EQ(top.code, 0);
  for (const auto &[command, options] : commands) {
    if (command.find(' ') == std::string::npos) expect_contains(top.out, "\n  " + command + " ");
    Outcome help = place.run(words(command, {"--help"}));
    EXPECT_EQ(help.code, 0) << command;
    EXPECT_EQ(help.err, "") << command;
    expect_contains(help.out, "usage: ebb " + command);
    for (const std::string &option : options) expect_contains(help.out, option);
    EXPECT_EQ(place.run(words(command, {"-h"})).out, help.out);
  }
}

TEST(Cli, HelpFitsEightyColumns) {
  Place place;
  for (const auto &[command, options] : commands) {
    std::stringstream text(place.run(words(command, {"--help"})).out);
    for (std::string line; std::getline(text, line);) EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(Cli, VersionIsPrinted) {
  Place place;
  Outcome version = place.run({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out.rfind("ebb ", 0), 0u);
}

TEST(Cli, MisuseExitsWithTwoAndNamesTheNearest) {
  Place place;
  expect_failure(place.run({"trian"}), 2, {"no command 'trian'", "did you mean 'train'?", "ebb --help"});
  expect_failure(place.run({"data", "listop", "x"}), 2, {"'listop'", "did you mean 'listops'?"});
  expect_failure(place.run({"train", "--resum", "x"}), 2, {"no option --resum", "did you mean --resume?"});
  expect_failure(place.run({"eval", "x", "--jsn"}), 2, {"--jsn", "did you mean --json?"});
  expect_failure(place.run({"eval", "x", "--split", "tset"}), 2, {"'tset'", "train|val|test"});
  expect_failure(place.run({"eval", "x", "--json=1"}), 2, {"--json takes no value"});
  expect_failure(place.run({"eval"}), 2, {"needs", "CHECKPOINT"});
  expect_failure(place.run({"eval", "x", "y"}), 2, {"does not take 'y'"});
  expect_failure(place.run({"train"}), 2, {"experiment=NAME"});
  expect_failure(place.run({"train", "tiny"}), 2, {"'tiny'", "KEY=VALUE"});
  expect_failure(place.run({"train", "--resume"}), 2, {"--resume needs a value: RUN"});
  expect_failure(place.run({"train", "--resume", "x", "--resume", "y"}), 2, {"--resume is given twice"});
  expect_failure(place.run({"train", "--resume", "x", "experiment=tiny"}), 2, {"experiment=tiny"});
  expect_failure(place.run({"plot"}), 2, {"RUN"});
  expect_failure(place.run({"verify"}), 2, {"CASE"});
  for (const char *bad : {"0", "-4", "12x", "", "99999999999999999999"})
    expect_failure(place.run({"data", "listops", "x", "--train", bad}), 2, {"--train", "from 1 to"});
  EXPECT_EQ(place.run({}).code, 2);
}

TEST(Cli, UnknownExperimentAndKeyNameTheNearest) {
  Place place;
  expect_failure(place.run({"train", "experiment=quickstart/listop"}), 1,
                 {"no experiment 'quickstart/listop'", "quickstart/listops"});
  for (const char *command : {"train", "info"}) {
    expect_failure(place.run({command, "experiment=quickstart/listops", "model.layr.d_state=4"}), 1,
                   {"model.layr.d_state", "model.layer.d_state"});
    expect_failure(place.run({command, "experiment=quickstart/listops", "model.n_layers=0"}), 1,
                   {"model.n_layers"});
  }
  expect_failure(place.run({"train", "--config", "absent.yaml"}), 1, {"absent.yaml"});
}

TEST(Cli, FullOutputIsAnError) {
  Place place;
  Outcome keys = place.shell(std::string(EBB_PROGRAM) + " keys > /dev/full");
  expect_failure(keys, 1, {"output"});
}

TEST(Cli, KeysListsTheSettings) {
  Place place;
  Outcome keys = place.run({"keys"});
  EXPECT_EQ(keys.code, 0);
  expect_contains(keys.out, "model.layer.liquid_kernel=null\n");
}

TEST(Cli, ListopsDependsOnItsOptionsAlone) {
  Place place;
  std::vector<std::string> made = {"data", "listops",      "a", "--train",      "50", "--val", "10", "--test",
                                   "10",   "--min-length", "5", "--max-length", "30"};
  EXPECT_EQ(place.run(made).code, 0);
  made[2] = "b";
  EXPECT_EQ(place.run(made).code, 0);
  expect_failure(place.run(made), 1, {"b/basic_train.tsv exists", "--replace"});
  made.push_back("--replace");
  EXPECT_EQ(place.run(made).code, 0);
  made[2] = "c";
  made.insert(made.end(), {"--seed", "5"});
  EXPECT_EQ(place.run(made).code, 0);
  std::string text = read_text(place.path / "a/basic_train.tsv");
  EXPECT_EQ(text, read_text(place.path / "b/basic_train.tsv"));
  EXPECT_NE(text, read_text(place.path / "c/basic_train.tsv"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 51); // and the header
}

TEST(Cli, InfoOfAnExperimentReadsNoData) {
  Place place;
  Outcome info = place.run({"info", "experiment=quickstart/listops", "model.d_model=16", "model.n_layers=2",
                            "dataset.l_max=64", "threads=1", "loader.batch_size=4"});
  ASSERT_EQ(info.code, 0) << info.err;
  for (const char *part : {"18 tokens", "10 classes", "encoder ", "layers.1.layer ", "embedding",
                           "(4, 16, 64)", "log_dt", "memory", "KiB"})
    expect_contains(info.out, part);
  // Embedding 18 x 16, decoder 10 x 16 + 10, three norms of 2 x 16; per layer D 16, GLU 32 x 16 + 32, C 16 x
  // 8 x 2, log_dt 16, B and P 8 x 2, two spectra of 8.
  int64_t expected = 18 * 16 + 170 + 3 * 32 + 2 * (16 + 544 + 256 + 16 + 2 * 16 + 2 * 8);
  std::string digits = std::to_string(expected);
  expect_contains(info.out, digits.substr(0, digits.size() - 3) + "," + digits.substr(digits.size() - 3));
}

TEST(Cli, InfoPrintsTheResolvedSettings) {
  Place place;
  Outcome info = place.run({"info", "experiment=quickstart/listops", "model.d_model=16", "--settings"});
  EXPECT_EQ(info.code, 0);
  expect_contains(info.out, "  d_model: 16\n");
}

TEST(Cli, FilesThatAreNoneOfOurs) {
  Place place;
  place.write("short", "abc");
  place.write("liar", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10));
  for (const char *file : {"short", "liar"}) {
    expect_failure(place.run({"info", file}), 1, {file});
    expect_failure(place.run({"eval", file}), 1, {file});
    Outcome verified = place.run({"verify", file});
    expect_failure(verified, 1, {"1 of 1 cases failed"});
    expect_contains(verified.out, file);
  }
  for (const char *command : {"info", "eval"})
    expect_failure(place.run({command, "absent"}), 1, {"'absent' does not exist"});
  expect_failure(place.run({"eval", "data"}), 1, {"'data'", "best.safetensors"});
  expect_failure(place.run({"plot", "data"}), 1, {"data"});
  expect_failure(place.run({"verify", "data"}), 1, {"'data' has no case"});
  expect_failure(place.run({"train", "--resume", "data"}), 1, {"data/config.yaml"});
}

TEST(CliVerify, TellsTensorsCasesAndTotals) {
  std::vector<std::string> cases = golden_files("s4", "s4_series_nplr_d1");
  if (cases.empty()) GTEST_SKIP() << "no conformance cases in " << golden_folder("s4");
  Place place;
  Outcome good = place.run({"verify", cases[0], "--device", "cpu", "--threads", "1"});
  EXPECT_EQ(good.code, 0) << good.out << good.err;
  expect_contains(good.out, "  grad.u ");
  expect_contains(good.out, "1 of 1 cases");
  EXPECT_EQ(good.out.find("FAILED"), std::string::npos);

  // A folder with the case and a copy whose last number is another.
  std::string bytes = read_text(cases[0]);
  place.write("cases/a.safetensors", bytes);
  bytes[bytes.size() - 1] = char(bytes[bytes.size() - 1] ^ 0x40);
  place.write("cases/b.safetensors", bytes);
  Outcome bad = place.run({"verify", "cases", "--quiet"});
  expect_failure(bad, 1, {"1 of 2 cases failed"});
  expect_contains(bad.out, "cases/b.safetensors");
  expect_contains(bad.out, "FAILED");
  EXPECT_EQ(bad.out.find("  grad.u "), std::string::npos) << "quiet prints what agrees:\n" << bad.out;

  place.write("cut.safetensors", bytes.substr(0, bytes.size() / 2));
  expect_failure(place.run({"verify", "cut.safetensors"}), 1, {"1 of 1 cases failed"});
}
