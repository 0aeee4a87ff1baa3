#include "ebb/metrics.h"

#include <sys/stat.h>

#include <cmath>
#include <cstdlib>

#include "host/metrics/plot_curves.h"
#include "metrics_support.h"

using namespace metrics_support;

/* A program in place of gnuplot for as long as the object lives. */
class Path {
public:
  explicit Path(const std::string &value) : before_(getenv("PATH")) { setenv("PATH", value.c_str(), 1); }
  ~Path() { setenv("PATH", before_.c_str(), 1); }

private:
  std::string before_;
};

static std::string fake_gnuplot(const std::string &body) {
  std::string folder = fresh_folder("bin"), program = folder + "/gnuplot";
  write_all(program, "#!/bin/sh\n" + body + "\n");
  chmod(program.c_str(), 0755);
  return folder;
}

static std::string write_run(const std::string &name, int steps, const char *score, bool with_nan) {
  std::string folder = fresh_folder(name);
  EbbMetricsLog *log = nullptr;
  EXPECT_EQ(ebb_metrics_open(folder.c_str(), -1, &log), EBB_OK) << ebb_error();
  std::string train = std::string("train/") + score, val = std::string("val/") + score,
              test = std::string("test/") + score;
  for (int step = 1; step <= steps; step++) {
    double loss = with_nan && step % 7 == 0 ? std::nan("") : 2 * std::exp(-step / 50.0);
    EbbMetric metrics[] = {{"train/loss", loss}, {train.c_str(), 1 / (1 + loss)}, {"train/lr", 1e-3}};
    EXPECT_EQ(ebb_metrics_write(log, step, 1 + (step - 1) / 10, metrics, 3), EBB_OK);
    EbbMetric held[] = {{"val/loss", loss + 0.1}, {val.c_str(), 0.5}};
    if (step % 10 == 0) {
      EXPECT_EQ(ebb_metrics_write(log, step, 1 + (step - 1) / 10, held, 2), EBB_OK);
    }
  }
  EbbMetric last[] = {{"test/loss", 0.2}, {test.c_str(), 0.75}};
  EXPECT_EQ(ebb_metrics_write(log, steps, 1 + (steps - 1) / 10, last, 2), EBB_OK);
  ebb_metrics_close(log);
  return folder;
}

static EbbStatus plot(const std::vector<std::string> &runs, const std::string &picture) {
  std::vector<const char *> folders;
  for (const std::string &run : runs) folders.push_back(run.c_str());
  return ebb_plot_runs(folders.data(), static_cast<int>(folders.size()), picture.c_str());
}

static void expect_png(const std::string &path) {
  std::string png = read_all(path);
  ASSERT_GT(png.size(), 1000U);
  EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  EXPECT_EQ(png.substr(12, 4), "IHDR");
  EXPECT_EQ(png.substr(16, 8), std::string("\0\0\x05\x78\0\0\x02\x58", 8)) << "1400 x 600";
  EXPECT_EQ(png.substr(png.size() - 8, 4), "IEND");
}

TEST(Plot, OneRunIsAPngOfTheRightSize) {
  std::string run = write_run("run", 200, "accuracy", false), out = fresh_folder("out");
  ASSERT_EQ(plot({run}, out + "/curves.png"), EBB_OK) << ebb_error();
  expect_png(out + "/curves.png");
  EXPECT_EQ(names_in(out).size(), 1U) << "a temporary file was left";
}

TEST(Plot, AwkwardNamesNansAndSinglePoints) {
  std::string awkward =
      write_run("it's \"a\" `touch injected` @x {y}_z^w $(b) \\ %d é", 100, "accuracy", true);
  std::string single = write_run("single", 1, "accuracy", false), rmse = write_run("rmse", 40, "rmse", false);
  std::string out = fresh_folder("out");
  for (const std::string &run : {awkward, single, rmse})
    EXPECT_EQ(plot({run}, out + "/one.png"), EBB_OK) << ebb_error();
  ASSERT_EQ(plot({awkward, single, rmse}, out + "/all.png"), EBB_OK) << ebb_error();
  expect_png(out + "/all.png");
  EXPECT_FALSE(std::filesystem::exists("injected"));
}

TEST(Plot, SvgHoldsTheNamesAndScores) {
  std::string run = write_run("a<b>'s run_1", 100, "accuracy", true), out = fresh_folder("out");
  ASSERT_EQ(plot({run}, out + "/curves.svg"), EBB_OK) << ebb_error();
  std::string svg = read_all(out + "/curves.svg");
  for (const char *text :
       {"<svg", "run_1", "val (best 50)", "test (75)", "step (about 10 an epoch)", "accuracy (%)"})
    EXPECT_TRUE(contains(svg, text)) << text;
}

TEST(Plot, ManyRunsAreToldApart) {
  std::vector<std::string> runs;
  for (int i = 0; i < 16; i++) runs.push_back(write_run("run-" + std::to_string(i), 30, "accuracy", false));
  std::string out = fresh_folder("out");
  ASSERT_EQ(plot(runs, out + "/curves.svg"), EBB_OK) << ebb_error();
  std::string svg = read_all(out + "/curves.svg");
  for (int i = 0; i < 16; i++) EXPECT_TRUE(contains(svg, "run-" + std::to_string(i) + "  (best val"));
}

TEST(Plot, RunsInProgressAndNumbersAreReadAsWritten) {
  std::string run = fresh_folder("run");
  write_all(run + "/metrics.jsonl", "{\"step\":10,\"epoch\":1,\"train/loss\":2,\"other\":1}\n"
                                    "{\"step\":20,\"epoch\":1,\"train/loss\":\"NaN\"}\n"
                                    "{\"step\":30,\"epoch\":2,\"train/loss\":1}\n"
                                    "{\"step\":60,\"epoch\":4,\"train/loss\":1,\"val/rmse\":0.5}\n"
                                    "{\"step\":70,\"epoch\":4,\"train/lo");
  EbbRunCurves curves;
  ASSERT_EQ(ebb_curves_read((run + "/.").c_str(), &curves), EBB_OK) << ebb_error();
  EXPECT_STREQ(curves.name, "run");
  const EbbCurve &loss = curves.curve[EBB_LOSS][EBB_TRAIN_SPLIT];
  ASSERT_EQ(loss.n, 4U);
  EXPECT_EQ(loss.n_finite, 3U);
  EXPECT_EQ(loss.point[2].step, 30);
  EXPECT_EQ(loss.point[2].value, 1);
  EXPECT_TRUE(std::isnan(loss.point[1].value));
  EXPECT_TRUE(std::isnan(loss.point[1].smooth));
  EXPECT_EQ(curves.curve[EBB_RMSE][EBB_VAL_SPLIT].n, 1U);
  EXPECT_EQ(curves.steps_per_epoch, 15);
  ebb_curves_free(&curves);
}

TEST(Plot, EpochsAreMeasuredFromTheirEnds) {
  std::string run = fresh_folder("run");
  write_all(run + "/metrics.jsonl", "{\"step\":50,\"epoch\":0,\"train/batch_loss\":2}\n"
                                    "{\"step\":78,\"epoch\":0,\"train/loss\":2}\n"
                                    "{\"step\":100,\"epoch\":1,\"train/batch_loss\":2}\n"
                                    "{\"step\":156,\"epoch\":1,\"train/loss\":1}\n"
                                    "{\"step\":200,\"epoch\":2,\"train/batch_loss\":1}\n"
                                    "{\"step\":234,\"epoch\":2,\"train/loss\":1}\n");
  EbbRunCurves curves;
  ASSERT_EQ(ebb_curves_read(run.c_str(), &curves), EBB_OK) << ebb_error();
  EXPECT_EQ(curves.steps_per_epoch, 78);
  ebb_curves_free(&curves);
}

/* The mean of a constant is the constant, from the first point on. */
TEST(Plot, SmoothingHasNoBias) {
  std::string run = fresh_folder("run"), text;
  for (int i = 1; i <= 500; i++)
    text += "{\"step\":" + std::to_string(i) + ",\"epoch\":1,\"train/loss\":3}\n";
  write_all(run + "/metrics.jsonl", text);
  EbbRunCurves curves;
  ASSERT_EQ(ebb_curves_read(run.c_str(), &curves), EBB_OK);
  const EbbCurve &loss = curves.curve[EBB_LOSS][EBB_TRAIN_SPLIT];
  ASSERT_EQ(loss.n, 500U);
  for (size_t i = 0; i < loss.n; i++) EXPECT_NEAR(loss.point[i].smooth, 3, 1e-12);
  ebb_curves_free(&curves);
}

TEST(Plot, RunWithoutMetricsOrCurvesIsNamed) {
  std::string empty = fresh_folder("empty"), bare = fresh_folder("bare"), out = fresh_folder("out");
  write_all(bare + "/metrics.jsonl", "{\"step\":1,\"epoch\":1,\"train/loss\":\"NaN\",\"train/lr\":0.1}\n");
  for (const std::string &run : {empty, bare, empty + "/absent"}) {
    EXPECT_EQ(plot({run}, out + "/curves.png"), EBB_NOT_FOUND);
    EXPECT_TRUE(contains(ebb_error(), "'" + run + "'")) << ebb_error();
  }
  EXPECT_TRUE(names_in(out).empty());
}

TEST(Plot, MalformedLineIsNamed) {
  std::string run = fresh_folder("run"), out = fresh_folder("out");
  write_all(run + "/metrics.jsonl", "{\"step\":1,\"epoch\":1,\"train/loss\":1}\n{\"step\":2,\"epo\n");
  EXPECT_EQ(plot({run}, out + "/curves.png"), EBB_FORMAT);
  EXPECT_TRUE(contains(ebb_error(), run + "/metrics.jsonl:2: '{\"step\":2,\"epo'")) << ebb_error();
}

TEST(Plot, PictureNameAndFolderAreChecked) {
  std::string run = write_run("run", 20, "accuracy", false), out = fresh_folder("out");
  for (const char *name : {"/curves.gif", "/curves", "/png", "/curves.png.txt"}) {
    EXPECT_EQ(plot({run}, out + name), EBB_INVALID) << name;
    EXPECT_TRUE(contains(ebb_error(), ".png or .svg")) << ebb_error();
  }
  EXPECT_EQ(plot({}, out + "/curves.png"), EBB_INVALID);
  EXPECT_EQ(plot({run}, out + "/absent/curves.png"), EBB_IO);
  EXPECT_TRUE(contains(ebb_error(), out + "/absent/curves.png")) << ebb_error();
}

TEST(Plot, MissingGnuplotNamesThePackage) {
  std::string run = write_run("run", 20, "accuracy", false), out = fresh_folder("out");
  Path path(fresh_folder("bin"));
  EXPECT_EQ(plot({run}, out + "/curves.png"), EBB_NOT_FOUND);
  EXPECT_TRUE(contains(ebb_error(), "install gnuplot-nox")) << ebb_error();
  EXPECT_TRUE(names_in(out).empty());
}

TEST(Plot, FailingGnuplotIsQuotedAndLosesNothing) {
  std::string run = write_run("run", 20, "accuracy", false), out = fresh_folder("out");
  write_all(out + "/curves.png", "the old picture");
  const struct {
    const char *program, *words;
  } rows[] = {{"echo partial; echo '  no such\n\tterminal' >&2; exit 1", ": no such terminal"},
              {"kill -9 $$", "no reason"},
              {"exit 0", "no reason"}};
  for (const auto &row : rows) {
    Path path(fake_gnuplot(row.program) + ":" + getenv("PATH"));
    EXPECT_EQ(plot({run}, out + "/curves.png"), EBB_DEVICE) << row.program;
    EXPECT_TRUE(contains(ebb_error(), row.words)) << ebb_error();
    EXPECT_EQ(read_all(out + "/curves.png"), "the old picture");
    EXPECT_EQ(names_in(out).size(), 1U);
  }
}

TEST(Plot, ScriptDrawsEveryCurve) {
  std::string run = write_run("run's", 50, "accuracy", true), out = fresh_folder("out");
  Path path(fake_gnuplot("cat") + ":" + getenv("PATH"));
  ASSERT_EQ(plot({run}, out + "/script.png"), EBB_OK) << ebb_error();
  std::string script = read_all(out + "/script.png");
  for (const char *part : {"title 'run''s'", "$d0_0_0 << EOD\n1 1.96039735 1.96039735\n", "\n7 NaN NaN\n",
                           "\nEOD\n$d0_0_1 <<", "$d0_1_2 << EOD\n50 75 75\nEOD", "title 'val (best 50)'"})
    EXPECT_TRUE(contains(script, part)) << part;
}
