// Whole runs: data, training, evaluation, curves; stopped, killed and resumed; and runs that cannot be.
#include <csignal>
#include <cstring>
#include <random>

#include "cli/program.h"
#include "support/golden.h"

using namespace ebb_test;

namespace {

struct DeleteJson {
  void operator()(cJSON *json) const { cJSON_Delete(json); }
};
using Json = std::unique_ptr<cJSON, DeleteJson>;

double number(const Json &json, const char *key) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(json.get(), key);
  EXPECT_TRUE(cJSON_IsNumber(item)) << key;
  return item ? item->valuedouble : NAN;
}

std::vector<Json> lines(const fs::path &path) {
  std::ifstream file(path);
  std::vector<Json> result;
  for (std::string line; std::getline(file, line);) result.emplace_back(cJSON_Parse(line.c_str()));
  return result;
}

// The share of the most frequent label, counted from the file itself.
double majority_of(const fs::path &tsv) {
  std::ifstream file(tsv);
  std::string line;
  std::getline(file, line);
  std::vector<int> count(10);
  int all = 0;
  for (; std::getline(file, line); all++) count[size_t(line.at(line.find('\t') + 1) - '0')]++;
  return *std::max_element(count.begin(), count.end()) / double(all);
}

const std::vector<std::string> run_files = {"config.yaml", "metrics.jsonl", "last.safetensors",
                                            "best.safetensors"};

void expect_equal_runs(const fs::path &a, const fs::path &b,
                       const std::vector<std::string> &files = run_files) {
  for (const std::string &file : files) {
    ASSERT_TRUE(fs::exists(a / file) && fs::exists(b / file)) << file;
    EXPECT_TRUE(read_text(a / file) == read_text(b / file)) << file << " differs";
  }
}

// The tensors of a checkpoint, without its header.
std::string tensors_of(const fs::path &checkpoint) {
  std::string text = read_text(checkpoint);
  uint64_t header = 0;
  std::memcpy(&header, text.data(), sizeof header);
  return text.substr(sizeof header + header);
}

ino_t inode(const fs::path &path) {
  struct stat found;
  return stat(path.c_str(), &found) == 0 ? found.st_ino : 0;
}

// Waits until the file has been replaced `times`, or the process has ended: true where it still runs.
bool await_replacements(pid_t pid, const fs::path &path, int times) {
  ino_t last = inode(path);
  for (siginfo_t info{}; times > 0; usleep(300)) {
    ino_t now = inode(path);
    times -= now && now != last;
    last = now;
    if (waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid) return false;
  }
  return true;
}

const std::vector<std::string> often = {"trainer.checkpoint_every_n_steps=3"};

} // namespace

TEST(CliRun, TrainsEvaluatesAndPlots) {
  TinyPlace place;
  Outcome train = place.train({"wandb=null"});
  ASSERT_EQ(train.code, 0) << train.err;
  for (const char *part :
       {"300 training, 60 validation, 60 test", "baseline", "parameters", "2 epochs", "runs/tiny-1",
        "epoch 1/2", "epoch 2/2", "ebb eval runs/tiny-1", "ebb plot runs/tiny-1"})
    expect_contains(train.out, part);
  fs::path run = place.path / "runs/tiny-1";
  for (const std::string &file : run_files) EXPECT_TRUE(fs::exists(run / file)) << file;

  Outcome test = place.run({"eval", "runs/tiny-1", "--json"});
  ASSERT_EQ(test.code, 0) << test.err;
  Json scores(cJSON_Parse(test.out.c_str()));
  EXPECT_EQ(number(scores, "samples"), 60);
  EXPECT_DOUBLE_EQ(number(scores, "majority"), majority_of(place.path / "data/listops/basic_test.tsv"));
  // Training ends with the same evaluation.
  char tested[64];
  snprintf(tested, sizeof tested, "%.2f %% accuracy with the checkpoint", 100 * number(scores, "accuracy"));
  expect_contains(train.out, tested);
  Outcome text = place.run({"eval", "runs/tiny-1/"});
  for (const char *part : {"accuracy ", "baseline ", "difference ", "points", "60 of split test"})
    expect_contains(text.out, part);

  // The best checkpoint's validation score is the best that training saw.
  double best = -1;
  for (const Json &line : lines(run / "metrics.jsonl")) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line.get(), "val/accuracy");
    if (item) best = std::max(best, item->valuedouble);
  }
  Outcome val = place.run({"eval", "runs/tiny-1", "--split", "val", "--json"});
  EXPECT_DOUBLE_EQ(number(Json(cJSON_Parse(val.out.c_str())), "accuracy"), best);

  Outcome info = place.run({"info", "runs/tiny-1/last.safetensors"});
  for (const char *part : {"encoder.weight", "(18, 8)", "2 done", "adamw.m."})
    expect_contains(info.out, part);
  expect_contains(place.run({"info", "runs/tiny-1", "--settings"}).out, "d_model: 8\n");

  Outcome plot = place.run({"plot", "runs/tiny-1"});
  EXPECT_EQ(plot.code, 0) << plot.err;
  EXPECT_EQ(read_text(run / "curves.png").substr(1, 3), "PNG");
  EXPECT_EQ(place.run({"plot", "runs/tiny-1", "-o", "two.svg"}).code, 0);
  EXPECT_TRUE(fs::exists(place.path / "two.svg"));
}

TEST(CliRun, FoldersAreNumberedAndKept) {
  TinyPlace place(1);
  ASSERT_EQ(place.train().code, 0);
  std::string first = read_text(place.path / "runs/tiny-1/last.safetensors");
  ASSERT_EQ(place.train({"train.seed=7"}).code, 0);
  EXPECT_NE(first, read_text(place.path / "runs/tiny-2/last.safetensors"));
  expect_failure(place.train({"run_dir=runs/tiny-1", "train.seed=8"}), 1, {"runs/tiny-1", "--resume"});
  EXPECT_EQ(first, read_text(place.path / "runs/tiny-1/last.safetensors"));
}

TEST(CliRun, AFinishedRunIsContinuedOnlyWithMoreEpochs) {
  TinyPlace longer(3), place(2);
  ASSERT_EQ(place.train().code, 0);
  expect_failure(place.run({"train", "--resume", "runs/tiny-1"}), 1,
                 {"finished after 2 epochs", "trainer.max_epochs"});
  expect_failure(place.run({"train", "--resume", "runs/tiny-1", "run_dir=other"}), 2, {"run_dir"});
  Outcome more = place.run({"train", "--resume", "runs/tiny-1/", "trainer.max_epochs=3"});
  EXPECT_EQ(more.code, 0) << more.err;
  ASSERT_EQ(longer.train().code, 0);
  // The best checkpoint may be an epoch before the change and keep the configuration of then.
  expect_equal_runs(place.path / "runs/tiny-1", longer.path / "runs/tiny-1",
                    {"config.yaml", "metrics.jsonl", "last.safetensors"});
}

TEST(CliRun, SignalsStopAfterACheckpointAndTheRunEndsAsIfUnbroken) {
  TinyPlace unbroken(6), place(6);
  ASSERT_EQ(unbroken.train(often).code, 0);
  fs::path last = place.path / "runs/tiny-1/last.safetensors";
  std::vector<std::string> command = {"train", "experiment=tiny", often[0]};
  for (int signal : {SIGINT, SIGTERM}) {
    pid_t pid = place.start(command);
    ASSERT_TRUE(await_replacements(pid, last, 4));
    kill(pid, signal);
    Outcome stopped = place.wait(pid);
    EXPECT_EQ(stopped.code, 130) << stopped.err;
    expect_contains(stopped.err, "stopping after a checkpoint");
    expect_contains(stopped.err, "--resume runs/tiny-1");
    command = {"train", "--resume", "runs/tiny-1"};
  }
  Outcome resumed = place.run(command);
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  expect_equal_runs(place.path / "runs/tiny-1", unbroken.path / "runs/tiny-1");
}

TEST(CliRun, AStoppedGeneratorLeavesNoFile) {
  Place place;
  pid_t pid = place.start({"data", "listops", "big", "--train", "10000000"});
  while (!fs::exists(place.path / "big") || fs::is_empty(place.path / "big")) usleep(300);
  kill(pid, SIGINT);
  Outcome stopped = place.wait(pid);
  EXPECT_EQ(stopped.code, 130) << stopped.err;
  expect_contains(stopped.err, "nothing is kept");
  EXPECT_TRUE(fs::is_empty(place.path / "big"));
}

TEST(CliRun, ARunThatMaxStepsSplitsEndsAsIfUnbroken) {
  TinyPlace unbroken(4), place(4);
  std::vector<std::string> settings = {"scheduler._name_=plateau", "scheduler.patience=0", "run_dir=run",
                                       "trainer.accumulate_grad_batches=4"};
  ASSERT_EQ(unbroken.train(settings).code, 0);
  settings.push_back("trainer.max_steps=3");
  ASSERT_EQ(place.train(settings).code, 0);
  ASSERT_EQ(place.run({"train", "--resume", "run", "trainer.max_steps=null"}).code, 0);
  EXPECT_TRUE(tensors_of(place.path / "run/last.safetensors") ==
              tensors_of(unbroken.path / "run/last.safetensors"));
}

TEST(CliRun, AStopDuringValidationComesWithTheCheckpointOfTheEpoch) {
  TinyPlace place(500);
  // An epoch is one training batch and a validation of 60 batches, so most stops fall into the latter.
  for (const std::vector<std::string> &command :
       {std::vector<std::string>{"train", "experiment=tiny", "trainer.limit_train_batches=1",
                                 "loader.eval_batch_size=1"},
        {"train", "--resume", "runs/tiny-1"},
        {"train", "--resume", "runs/tiny-1"}}) {
    pid_t pid = place.start(command);
    ASSERT_TRUE(await_replacements(pid, place.path / "runs/tiny-1/last.safetensors", 2));
    kill(pid, SIGINT);
    Outcome stopped = place.wait(pid);
    EXPECT_EQ(stopped.code, 130) << stopped.err;
    expect_contains(stopped.err, "last.safetensors is written");
    Outcome info = place.run({"info", "runs/tiny-1/last.safetensors"});
    expect_contains(info.out, " done\n");
  }
}

TEST(CliRun, KilledAtAnyMomentItEndsAsIfUnbroken) {
  TinyPlace unbroken(6), place(6);
  ASSERT_EQ(unbroken.train(often).code, 0);
  fs::path run = place.path / "runs/tiny-1";
  std::mt19937 random(std::random_device{}());
  std::vector<std::string> command = {"train", "experiment=tiny", often[0]};
  int killed = 0;
  for (int i = 0; i < 6; i++) {
    pid_t pid = place.start(command);
    bool running = i ? await_replacements(pid, run / "last.safetensors", 1 + int(random() % 3))
                     : await_replacements(pid, run / "config.yaml", 1);
    usleep(random() % 8000);
    kill(pid, SIGKILL);
    killed += place.wait(pid).signal == SIGKILL;
    if (!running) break;
    command = {"train", "--resume", "runs/tiny-1"};
  }
  EXPECT_GE(killed, 1);
  Outcome resumed = place.run({"train", "--resume", "runs/tiny-1"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  expect_equal_runs(run, unbroken.path / "runs/tiny-1");
  for (const auto &entry : fs::directory_iterator(run))
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
}

TEST(CliRun, TwoProcessesDoNotTrainInOneFolder) {
  TinyPlace place(200);
  pid_t pid = place.start({"train", "experiment=tiny"}, "first");
  ASSERT_TRUE(await_replacements(pid, place.path / "runs/tiny-1/last.safetensors", 1));
  expect_failure(place.run({"train", "--resume", "runs/tiny-1"}), 1, {"another process", "runs/tiny-1"});
  kill(pid, SIGKILL);
  place.wait(pid, "first");
}

TEST(CliBadInput, DataThatIsMissingOrMalformed) {
  TinyPlace place;
  fs::path train = place.path / "data/listops/basic_train.tsv";
  std::string good = read_text(train);
  const struct {
    const char *line;
    std::vector<std::string> parts;
  } cases[] = {{"( [MAX 1 2 ] )\n", {"basic_train.tsv:302"}},
               {"( [MAX 1 2 ] )\t12\n", {"basic_train.tsv:302", "12"}},
               {"( [MAX 1 banana ] )\t2\n", {"basic_train.tsv:302", "banana"}}};
  for (const auto &c : cases) {
    place.write("data/listops/basic_train.tsv", good + c.line);
    expect_failure(place.train(), 1, c.parts);
  }
  place.write("data/listops/basic_train.tsv", "");
  expect_failure(place.train(), 1, {"basic_train.tsv"});
  fs::remove(train);
  expect_failure(place.train(), 1, {"basic_train.tsv", "ebb data listops"});
  EXPECT_FALSE(fs::exists(place.path / "runs"));
}

TEST(CliBadInput, SettingsThatDoNotFitEachOther) {
  TinyPlace place;
  const struct {
    std::vector<std::string> settings, parts;
  } cases[] = {{{"model.layer.bidirectional=true"}, {"series", "model.layer.bidirectional=false"}},
               {{"model.layer.liquid_kernel=scan"}, {"model.layer.mode=diag"}},
               {{"model.layer.measure=diag-lin"}, {"model.layer.measure", "model.layer.mode=diag"}},
               {{"model.layer.n_ssm=3"}, {"model.layer.n_ssm 3", "model.d_model 8"}},
               {{"model.layer.dt_min=2", "model.layer.dt_max=1"},
                {"model.layer.dt_min", "model.layer.dt_max", "2 and 1"}},
               {{"train.monitor=val/rmse"}, {"train.monitor", "classes"}},
               {{"task.metrics=mse"}, {"task.metrics", "classes"}},
               {{"task.loss=mse"}, {"task.loss", "classes"}},
               {{"dataset.l_max=1"}, {"dataset.l_max 1"}},
               {{"trainer.max_steps=0"}, {"trainer.max_steps", "from 1"}},
               {{"trainer.max_epochs=0"}, {"trainer.max_epochs", "from 1"}}};
  for (const auto &c : cases) expect_failure(place.train(c.settings), 1, c.parts);
  EXPECT_FALSE(fs::exists(place.path / "runs"));
  expect_failure(place.train({"scheduler._name_=plateau", "trainer.limit_val_batches=0"}), 1,
                 {"scheduler._name_=plateau", "trainer.limit_val_batches"});
}

TEST(CliRun, ClosedStreamsAreNoFiles) {
  TinyPlace place(1);
  const std::string program = EBB_PROGRAM;
  Outcome trained = place.shell("exec " + program + " train experiment=tiny run_dir=run <&- >&-");
  expect_failure(trained, 1, {"output"});
  EXPECT_EQ(place.run({"eval", "run"}).code, 0);
  EXPECT_NE(lines(place.path / "run/metrics.jsonl").back(), nullptr);
  Outcome drawn = place.shell("exec " + program + " plot run <&-");
  EXPECT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_TRUE(fs::exists(place.path / "run/curves.png"));
}

TEST(CliRun, WithoutValidationThereIsNoBestCheckpoint) {
  TinyPlace place;
  Outcome trained = place.train({"trainer.limit_val_batches=0", "run_dir=run"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(trained.out.find("best"), std::string::npos) << trained.out;
  EXPECT_FALSE(fs::exists(place.path / "run/best.safetensors"));
  Outcome evaluated = place.run({"eval", "run", "--split", "val"});
  EXPECT_EQ(evaluated.code, 0) << evaluated.err;
  expect_contains(evaluated.out, "60 of split val");
  EXPECT_EQ(evaluated.out.find("nan"), std::string::npos) << evaluated.out;
}

TEST(CliRun, ABatchBeyondTheDataHoldsTheDataAndNoMore) {
  TinyPlace place;
  Outcome huge = place.train({"loader.batch_size=1048576", "loader.drop_last=false"});
  EXPECT_EQ(huge.code, 0) << huge.err;
}

TEST(CliBadInput, RunFoldersThatCannotBeWritten) {
  TinyPlace place(1);
  place.write("file", "");
  expect_failure(place.train({"run_dir=file/run"}), 1, {"file"});
  expect_failure(place.train({"run_dir=/proc/ebb"}), 1, {"/proc/ebb"});
  // No file may grow beyond a block: as on a full disk, whichever write meets it.
  Outcome full = place.shell("trap '' XFSZ; ulimit -f 1; exec " + std::string(EBB_PROGRAM) +
                             " train experiment=tiny run_dir=full");
  expect_failure(full, 1, {"full/"});
  EXPECT_FALSE(fs::exists(place.path / "full/last.safetensors"));
  for (const auto &entry : fs::directory_iterator(place.path / "full"))
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
}

TEST(CliBadInput, CheckpointsOfOtherModelsAndBrokenOnes) {
  TinyPlace place(1);
  ASSERT_EQ(place.train({"run_dir=run"}).code, 0);
  expect_failure(place.run({"eval", "run", "model.d_model=16"}), 1,
                 {"run/best.safetensors", "'decoder.weight'", "(10, 8)", "(10, 16)"});
  expect_failure(place.run({"eval", "run", "experiment=tiny"}), 2, {"experiment=tiny"});
  expect_failure(place.run({"train", "--resume", "run", "trainer.max_epochs=2", "model.n_layers=2"}), 1,
                 {"run/last.safetensors", "layers.1."});
  std::string best = read_text(place.path / "run/best.safetensors");
  place.write("run/best.safetensors", best.substr(0, best.size() - 1));
  expect_failure(place.run({"eval", "run"}), 1, {"run/best.safetensors"});
  std::string last = read_text(place.path / "run/last.safetensors");
  place.write("run/last.safetensors", last.substr(0, 100));
  expect_failure(place.run({"train", "--resume", "run", "trainer.max_epochs=2"}), 1,
                 {"run/last.safetensors"});
}

TEST(CliBadInput, NaNStopsAndKeepsTheCheckpoint) {
  TinyPlace place(1);
  Outcome nan = place.train(
      {"run_dir=run", "optimizer.lr=1000", "model.layer.lr.dt=1000", "trainer.checkpoint_every_n_steps=1"});
  expect_failure(nan, 1, {"step 1", "layers.0.layer"});
  EXPECT_EQ(place.run({"info", "run"}).code, 0);
}
