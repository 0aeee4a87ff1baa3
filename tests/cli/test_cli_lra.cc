// ebb lra on tiny data sets in the published layouts.
#include <gtest/gtest.h>

#include <csignal>

#include "cli/program.h"

namespace {

using ebb_test::expect_contains;
using ebb_test::expect_failure;
using ebb_test::Outcome;
using ebb_test::Place;
using ebb_test::read_text;
namespace fs = std::filesystem;
using Words = std::vector<std::string>;

// listops, imdb, aan and cifar, of 6 to 40 samples; the experiments are those of the sources.
class LraPlace : public Place {
public:
  LraPlace() {
    fs::remove_all(path / "experiments");
    fs::create_directory_symlink(fs::path(EBB_SOURCE_DIR) / "experiments", path / "experiments");
    const Outcome made = run({"data", "listops", "data/listops", "--train", "40", "--val", "8", "--test", "8",
                              "--min-length=5", "--max-length=30", "--seed", "1"});
    EXPECT_EQ(made.code, 0) << made.err;
    for (const std::string part : {"train", "test"})
      for (int i = 0; i < 20; i++) {
        const std::string id = std::to_string(i);
        write("data/imdb/aclImdb/" + part + "/neg/" + id + "_1.txt", "bad, bad film no " + id);
        write("data/imdb/aclImdb/" + part + "/pos/" + id + "_10.txt", "good film number " + id);
      }
    std::string pairs;
    for (int i = 0; i < 20; i++)
      pairs += (i % 2 ? "1.0\ta\tb\tparsing trees " : "0.0\ta\tb\tspeech data ") + std::to_string(i) +
               "\tparsing of trees\n";
    for (const std::string part : {"train", "eval", "test"})
      write("data/aan/new_aan_pairs." + part + ".tsv", pairs);
    std::string batch;
    for (int i = 0; i < 6; i++) batch += char(i) + std::string(3072, char(40 * i));
    for (const std::string name :
         {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"})
      write("data/cifar/cifar-10-batches-bin/" + name + ".bin", batch);
  }

  Words command(const Words &more) const {
    Words words = {"lra",
                   "model.d_model=4",
                   "model.n_layers=1",
                   "model.layer.d_state=4",
                   "model.layer.l_max=null",
                   "loader.batch_size=4",
                   "loader.eval_batch_size=8",
                   "trainer.max_epochs=1",
                   "trainer.limit_train_batches=3",
                   "threads=1",
                   "device=cpu"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Outcome lra(const Words &more) const { return run(command(more)); }
};

TEST(Lra, EveryKernelTrainsOnEveryTaskWithFiles) {
  const LraPlace place;
  const Outcome outcome = place.lra(
      {"--tasks", "listops,imdb,aan,cifar", "--kernels", "null,polyb,kb,series,scan", "--seeds", "3"});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_EQ(outcome.err, "");
  for (const std::string task : {"listops", "imdb", "aan", "cifar"})
    for (const std::string kernel : {"null", "polyb", "kb", "series", "scan"}) {
      const fs::path folder = place.path / "runs/lra" / (task + "-" + kernel + "-3");
      EXPECT_TRUE(fs::exists(folder / "last.safetensors")) << folder;
      expect_contains(read_text(folder / "lra.json"), "\"finished\": true");
      expect_contains(read_text(folder / "config.yaml"), "liquid_kernel: " + kernel);
    }
  expect_contains(outcome.out, "ListOps     null      1/1");
  expect_contains(outcome.out, "62.75");
  EXPECT_EQ(outcome.out.find("average"), std::string::npos) << "two tasks are missing";
}

TEST(Lra, FixedExperimentsTrain) {
  const LraPlace place;
  const Outcome outcome = place.lra({"--tasks", "listops,imdb,aan,cifar", "--fixed"});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  for (const std::string task : {"listops-fixed", "imdb-fixed", "aan-fixed", "cifar"})
    EXPECT_TRUE(fs::exists(place.path / "runs/lra" / (task + "-polyb-2222") / "lra.json")) << task;
}

TEST(Lra, MissingDataIsNamedAndTheOthersGoOn) {
  const LraPlace place;
  fs::remove_all(place.path / "data/imdb");
  fs::remove(place.path / "data/aan/new_aan_pairs.test.tsv");
  const Outcome outcome = place.lra({"--tasks", "imdb,aan,listops", "--markdown"});
  expect_failure(
      outcome, 1,
      {"IMDB, polyb", "aclImdb_v1.tar.gz", "AAN, polyb", "new_aan_pairs.test.tsv", "2 of 3 runs failed"});
  expect_contains(outcome.out, "| ListOps | polyb | 1/1 | ");
  expect_contains(outcome.out, "| IMDB | polyb | 0/1 | - | 89.02 | - | - | - |");
  EXPECT_FALSE(fs::exists(place.path / "runs/lra/imdb-polyb-2222")) << "nothing was run there";
}

TEST(Lra, FinishedRunsAreSkippedAndOtherSettingsRefused) {
  const LraPlace place;
  const Words words = {"--tasks", "listops", "--kernels", "null", "--seeds", "1,2"};
  const Outcome first = place.lra(words);
  ASSERT_EQ(first.code, 0) << first.err;
  expect_contains(first.out, "+-");
  const std::string result = read_text(place.path / "runs/lra/listops-null-1/lra.json");
  const Outcome again = place.lra(words);
  EXPECT_EQ(again.code, 0) << again.err;
  expect_contains(again.out, "listops-null-1 (finished)");
  EXPECT_EQ(again.out.find("epoch"), std::string::npos) << again.out;
  EXPECT_EQ(read_text(place.path / "runs/lra/listops-null-1/lra.json"), result);
  EXPECT_EQ(first.out.substr(first.out.find("\ntask")), again.out.substr(again.out.find("\ntask")));
  Words changed = words;
  changed.push_back("optimizer.lr=0.5");
  expect_failure(place.lra(changed), 1, {"listops-null-1 holds a run with other settings", "--runs"});
  changed.insert(changed.end(), {"--runs", "elsewhere"});
  EXPECT_EQ(place.lra(changed).code, 0);
  EXPECT_TRUE(fs::exists(place.path / "elsewhere/listops-null-2/lra.json"));
}

TEST(Lra, StoppedRunGoesOnToTheSameEnd) {
  const LraPlace place;
  const Words words = {"--tasks",
                       "listops",
                       "--kernels",
                       "series",
                       "trainer.max_epochs=200",
                       "trainer.limit_train_batches=null"};
  const fs::path folder = place.path / "runs/lra/listops-series-2222";
  const pid_t pid = place.start(place.command(words));
  for (int i = 0; i < 600 && !fs::exists(folder / "last.safetensors"); i++) usleep(10000);
  kill(pid, SIGINT);
  const Outcome stopped = place.wait(pid);
  expect_failure(stopped, 130, {"stopped"});
  expect_contains(read_text(folder / "lra.json"), "\"finished\": false");
  const Outcome resumed = place.lra(words);
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  expect_contains(resumed.out, "to be continued");
  Words whole = words;
  whole.insert(whole.end(), {"--runs", "whole"});
  EXPECT_EQ(place.lra(whole).code, 0);
  const auto accuracy = [](const std::string &text) {
    return text.substr(text.find("\"accuracy\""), text.find("\"seconds\"") - text.find("\"accuracy\""));
  };
  EXPECT_EQ(accuracy(read_text(folder / "lra.json")),
            accuracy(read_text(place.path / "whole/listops-series-2222/lra.json")));
}

TEST(Lra, DryRunTrainsNothing) {
  const LraPlace place;
  const Outcome outcome = place.lra({"--dry-run", "--kernels", "scan", "--seeds", "5"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  expect_contains(outcome.out, "ebb train experiment=lra/s4-lra-cifar model.layer.liquid_kernel=scan "
                               "model.layer.mode=diag model.layer.measure=diag-lin "
                               "model.layer.bidirectional=false train.seed=5 run_dir=runs/lra/cifar-scan-5");
  expect_contains(outcome.out, "s4-lra-pathx");
  EXPECT_FALSE(fs::exists(place.path / "runs"));
}

TEST(Lra, RefusesWrongWords) {
  const Place place;
  expect_failure(place.run({"lra", "--tasks", "listop"}), 2,
                 {"--tasks has no 'listop'; did you mean 'listops'?"});
  expect_failure(place.run({"lra", "--tasks", "listops,listops"}), 2, {"names 'listops' twice"});
  expect_failure(place.run({"lra", "--tasks", ""}), 2, {"--tasks is ''"});
  expect_failure(place.run({"lra", "--kernels", "x"}), 2, {"--kernels has no 'x'"});
  expect_failure(place.run({"lra", "--seeds", "1,-2"}), 2, {"--seeds has '-2'"});
  expect_failure(place.run({"lra", "train.seed=1"}), 2, {"--seeds"});
  expect_failure(place.run({"lra", "experiment=lra/s4-lra-imdb"}), 2, {"--tasks"});
  expect_failure(place.run({"lra", "somewhere"}), 2, {"somewhere"});
}

} // namespace
