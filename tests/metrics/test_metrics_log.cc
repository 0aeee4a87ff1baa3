#include "ebb/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>

#include "host/metrics/metrics_line.h"
#include "metrics_support.h"

using namespace metrics_support;

static void write_steps(EbbMetricsLog *log, int64_t first, int64_t last) {
  for (int64_t step = first; step <= last; step++) {
    EbbMetric metrics[] = {{"train/loss", 1.0 / static_cast<double>(step)}, {"train/lr", 1e-3}};
    ASSERT_EQ(ebb_metrics_write(log, step, 1 + step / 4, metrics, 2), EBB_OK) << ebb_error();
  }
}

TEST(MetricsLog, LineIsExact) {
  std::string folder = fresh_folder("run");
  EbbMetricsLog *log = nullptr;
  ASSERT_EQ(ebb_metrics_open(folder.c_str(), -1, &log), EBB_OK) << ebb_error();
  const double infinity = std::numeric_limits<double>::infinity();
  EbbMetric metrics[] = {{"train/loss", 0.1},     {"a \"b\"\n", 1.0 / 3}, {"n", std::nan("")},
                         {"p", infinity},         {"m", -infinity},       {"zero", 0.0},
                         {"float", double(0.1F)}, {"tiny", 5e-324}};
  ASSERT_EQ(ebb_metrics_write(log, 7, 2, metrics, 8), EBB_OK) << ebb_error();
  ASSERT_EQ(ebb_metrics_flush(log), EBB_OK) << ebb_error();
  ebb_metrics_close(log);
  EXPECT_EQ(read_all(folder + "/metrics.jsonl"),
            "{\"step\":7,\"epoch\":2,\"train/loss\":0.1,\"a \\\"b\\\"\\n\":0.3333333333333333,\"n\":\"NaN\","
            "\"p\":\"Infinity\",\"m\":\"-Infinity\",\"zero\":0,\"float\":0.10000000149011612,"
            "\"tiny\":4.94065645841247e-324}\n");
}

TEST(MetricsLog, NumbersReadBackExactly) {
  uint64_t state = 1;
  for (int i = 0; i < 20000; i++) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    double value;
    memcpy(&value, &state, sizeof value);
    if (!std::isfinite(value)) continue;
    char text[EBB_NUMBER_BYTES];
    EXPECT_EQ(strtod(ebb_number_text(value, text), nullptr), value) << text;
  }
}

TEST(MetricsLog, EqualNamesAreRefused) {
  std::string folder = fresh_folder("run");
  EbbMetricsLog *log = nullptr;
  ASSERT_EQ(ebb_metrics_open(folder.c_str(), -1, &log), EBB_OK);
  EbbMetric twice[] = {{"val/loss", 1}, {"val/loss", 2}}, step = {"step", 1};
  EXPECT_EQ(ebb_metrics_write(log, 1, 1, twice, 2), EBB_INVALID);
  EXPECT_TRUE(contains(ebb_error(), "val/loss")) << ebb_error();
  EXPECT_EQ(ebb_metrics_write(log, 1, 1, &step, 1), EBB_INVALID);
  ebb_metrics_close(log);
  EXPECT_EQ(read_all(folder + "/metrics.jsonl"), "");
}

/* Killed at step 9 in the middle of a line, resumed from the checkpoint of step 5. */
TEST(MetricsLog, ResumedRunLeavesTheSameBytes) {
  std::string unbroken = fresh_folder("unbroken"), resumed = fresh_folder("resumed");
  EbbMetricsLog *log = nullptr;
  ASSERT_EQ(ebb_metrics_open(unbroken.c_str(), -1, &log), EBB_OK);
  write_steps(log, 1, 12);
  ebb_metrics_close(log);

  ASSERT_EQ(ebb_metrics_open(resumed.c_str(), -1, &log), EBB_OK);
  write_steps(log, 1, 8);
  ebb_metrics_close(log);
  std::ofstream(resumed + "/metrics.jsonl", std::ios::app) << "{\"step\":9,\"epoch\":3,\"tra";
  ASSERT_EQ(ebb_metrics_open(resumed.c_str(), 5, &log), EBB_OK) << ebb_error();
  write_steps(log, 6, 12);
  ebb_metrics_close(log);
  EXPECT_EQ(read_all(resumed + "/metrics.jsonl"), read_all(unbroken + "/metrics.jsonl"));
}

TEST(MetricsLog, ResumeKeepsEverythingUpToItsStep) {
  std::string folder = fresh_folder("run"), path = folder + "/metrics.jsonl";
  const std::string kept =
      "{\"step\":4,\"epoch\":1,\"train/loss\":1}\n{\"step\":4,\"epoch\":1,\"val/loss\":\"NaN\"}\n";
  EbbMetricsLog *log = nullptr;
  write_all(path, kept + "{\"step\":5,\"epo"); /* a partial last line alone */
  ASSERT_EQ(ebb_metrics_open(folder.c_str(), 100, &log), EBB_OK) << ebb_error();
  ebb_metrics_close(log);
  EXPECT_EQ(read_all(path), kept);
  write_all(path, kept + "{\"step\":5,\"epoch\":1}\nnonsense beyond the cut\n");
  ASSERT_EQ(ebb_metrics_open(folder.c_str(), 4, &log), EBB_OK) << ebb_error();
  ebb_metrics_close(log);
  EXPECT_EQ(read_all(path), kept);
  ASSERT_EQ(ebb_metrics_open(folder.c_str(), -1, &log), EBB_OK) << ebb_error();
  ebb_metrics_close(log);
  EXPECT_EQ(read_all(path), "");
}

TEST(MetricsLog, MalformedLineIsNamedAndLeftAlone) {
  const std::string good = "{\"step\":1,\"epoch\":1,\"train/loss\":1}\n",
                    later = "{\"step\":3,\"epoch\":1}\n";
  const std::string bad[] = {"{\"step\":2,\"epoch\":1,\"train/loss\":}",
                             "[]",
                             "",
                             "{\"epoch\":1}",
                             "{\"step\":2}",
                             "{\"step\":1.5,\"epoch\":1}",
                             "{\"step\":1e300,\"epoch\":1}",
                             "{\"step\":2,\"epoch\":1} tail",
                             "{\"step\":2,\"epoch\":1,\"x\":\"much\"}",
                             "{\"step\":2,\"epoch\":1,\"x\":{}}",
                             std::string("{\"step\":2,\"epoch\":1}\0", 21),
                             "{\"step\":\"2\",\"epoch\":1}",
                             std::string(5000, '[')};
  std::string folder = fresh_folder("run"), path = folder + "/metrics.jsonl";
  for (const std::string &line : bad) {
    write_all(path, good + line + "\n" + later);
    EbbMetricsLog *log = nullptr;
    EXPECT_EQ(ebb_metrics_open(folder.c_str(), 10, &log), EBB_FORMAT) << line;
    EXPECT_EQ(log, nullptr);
    EXPECT_TRUE(contains(ebb_error(), path + ":2: ")) << ebb_error();
    EXPECT_EQ(read_all(path), good + line + "\n" + later);
  }
}

TEST(MetricsLog, FolderMustExist) {
  std::string folder = fresh_folder("run") + "/absent";
  EbbMetricsLog *log = nullptr;
  EXPECT_EQ(ebb_metrics_open(folder.c_str(), -1, &log), EBB_IO);
  EXPECT_TRUE(contains(ebb_error(), folder)) << ebb_error();
  ebb_metrics_close(nullptr);
}

TEST(MetricsLog, FullDeviceIsToldWithThePath) {
  std::string folder = fresh_folder("run"), path = folder + "/metrics.jsonl";
  std::filesystem::create_symlink("/dev/full", path);
  EbbMetricsLog *log = nullptr;
  ASSERT_EQ(ebb_metrics_open(folder.c_str(), -1, &log), EBB_OK) << ebb_error();
  EbbMetric loss = {"train/loss", 1};
  EXPECT_EQ(ebb_metrics_write(log, 1, 1, &loss, 1), EBB_IO);
  EXPECT_TRUE(contains(ebb_error(), "'" + path + "': the disk is full")) << ebb_error();
  ebb_metrics_close(log);
}

TEST(MetricsLog, LineThatDoesNotFitLeavesNothingBehind) {
  std::string folder = fresh_folder("run"), path = folder + "/metrics.jsonl";
  EbbMetricsLog *log = nullptr;
  ASSERT_EQ(ebb_metrics_open(folder.c_str(), -1, &log), EBB_OK);
  write_steps(log, 1, 1);
  std::string before = read_all(path);
  signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit, limit;
  getrlimit(RLIMIT_FSIZE, &old_limit);
  limit = old_limit;
  limit.rlim_cur = before.size() + 20;
  setrlimit(RLIMIT_FSIZE, &limit);
  EbbMetric loss = {"train/loss", 0.5};
  EbbStatus status = ebb_metrics_write(log, 2, 1, &loss, 1);
  std::string sentence = ebb_error();
  setrlimit(RLIMIT_FSIZE, &old_limit);
  EXPECT_EQ(status, EBB_IO);
  EXPECT_TRUE(contains(sentence, path)) << sentence;
  EXPECT_EQ(read_all(path), before);
  write_steps(log, 2, 3);
  ebb_metrics_close(log);
  std::string after = read_all(path);
  EXPECT_EQ(std::count(after.begin(), after.end(), '\n'), 3);
}
