#include "ebb/metrics.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "host/metrics/progress_text.h"
#include "metrics_support.h"

using namespace metrics_support;

static const EbbProgressState state = {"epoch 3/40", "batch", "loss 1.234  acc 0.456", 1234, 8000, 45.2};

static std::string text(const EbbProgressState &s, int width, bool utf8) {
  char line[EBB_PROGRESS_BYTES];
  return ebb_progress_text(&s, width, utf8, line);
}

static int columns(const std::string &line) {
  int n = 0;
  for (unsigned char c : line) n += (c & 0xC0) != 0x80;
  return n;
}

TEST(ProgressText, Plain) {
  EXPECT_EQ(text(state, 0, true),
            "epoch 3/40  1234/8000 batch   15%  45.2 batch/s  2m30s left  loss 1.234  acc 0.456");
}

TEST(ProgressText, FitsTheWidth) {
  EXPECT_EQ(
      text(state, 100, false),
      "epoch 3/40 [##.............]  1234/8000 batch   15%  45.2 batch/s  2m30s left  loss 1.234  acc 0.456");
  EXPECT_EQ(text(state, 79, false),
            "epoch 3/40 [##............]  1234/8000   15%  2m30s left  loss 1.234  acc 0.456");
  EXPECT_EQ(text(state, 50, false), "epoch 3/40   15%  loss 1.234  acc 0.456");
  for (int width = 1; width < 200; width++)
    for (bool utf8 : {false, true}) EXPECT_LE(columns(text(state, width, utf8)), width);
  EXPECT_EQ(columns(text(state, 100, true)), 100) << "the bar takes the room that is left";
}

TEST(ProgressText, KeepsLabelAndNoteLongest) {
  EXPECT_EQ(text(state, 33, false), "epoch 3/40  loss 1.234  acc 0.456");
  EXPECT_EQ(text(state, 15, false), "epoch 3/40  los");
}

TEST(ProgressText, BarIsEmptyAtZeroAndFullAtTheEnd) {
  EbbProgressState s = {"a", "", "", 0, 10, 0};
  EXPECT_EQ(text(s, 22, false), "a [.....]   0/10    0%");
  s.done = 10;
  EXPECT_EQ(text(s, 24, false), "a [#######]  10/10  100%");
  EXPECT_EQ(text(s, 24, true).find("▕█"), 2U);
  s.done = 99;
  EXPECT_LE(columns(text(s, 40, true)), 40) << "more done than the total";
}

TEST(ProgressText, UnknownTotalShowsTheCountAlone) {
  EbbProgressState s = {"reading", "line", nullptr, 12, 0, 0.25};
  EXPECT_EQ(text(s, 80, true), "reading  12 line  4.00 s/line");
}

TEST(ProgressText, TimeLeftInTwoUnits) {
  EbbProgressState s = {"", "", "", 0, 45, 1};
  EXPECT_TRUE(contains(text(s, 0, false), "  45s left"));
  s.total = 3725;
  EXPECT_TRUE(contains(text(s, 0, false), "  1h02m left"));
  s.total = 200000;
  EXPECT_TRUE(contains(text(s, 0, false), "  2d07h left"));
  s.rate = 1e-300;
  EXPECT_FALSE(contains(text(s, 0, false), "left"));
}

TEST(Progress, PlainLinesInAFile) {
  std::string path = fresh_folder("out") + "/log";
  FILE *out = fopen(path.c_str(), "w");
  EbbProgress *progress = nullptr;
  ASSERT_EQ(ebb_progress_create(out, 0, &progress), EBB_OK);
  for (int i = 1; i <= 3; i++) ebb_progress_update(progress, "epoch 1/2", i, 3, "batch", "loss 1.0");
  ebb_progress_line(progress, "epoch 1: val loss %.2f", 0.5);
  ebb_progress_destroy(progress);
  fclose(out);
  std::string log = read_all(path);
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 4);
  EXPECT_EQ(log.rfind("epoch 1/2  1/3 batch   33%  loss 1.0\n", 0), 0U) << log;
  EXPECT_TRUE(contains(log, "\nepoch 1: val loss 0.50\n")) << log;
  for (char c : log) EXPECT_TRUE(c == '\n' || (c >= ' ' && c <= '~')) << int(c);
}

TEST(Progress, PlainLinesWaitForTheirTime) {
  std::string path = fresh_folder("out") + "/log";
  FILE *out = fopen(path.c_str(), "w");
  EbbProgress *progress = nullptr;
  ASSERT_EQ(ebb_progress_create(out, 3600, &progress), EBB_OK);
  for (int i = 1; i <= 1000; i++) ebb_progress_update(progress, "epoch 1/2", i, 1000, "batch", nullptr);
  ebb_progress_destroy(progress);
  ebb_progress_destroy(nullptr);
  fclose(out);
  EXPECT_EQ(read_all(path), "");
}

class Terminal {
public:
  Terminal(int width, const char *kind) : master_(posix_openpt(O_RDWR | O_NOCTTY)) {
    grantpt(master_);
    unlockpt(master_);
    out = fopen(ptsname(master_), "w");
    winsize size = {24, static_cast<unsigned short>(width), 0, 0};
    ioctl(master_, TIOCSWINSZ, &size);
    setenv("TERM", kind, 1);
  }
  ~Terminal() {
    if (out) fclose(out);
    close(master_);
  }
  /* Everything that was shown; the kernel passes it on late, and ends it once the writer is closed. */
  std::string read() {
    fclose(out);
    out = nullptr;
    std::string all;
    char bytes[4096];
    for (ssize_t n; (n = ::read(master_, bytes, sizeof bytes)) > 0;) all.append(bytes, n);
    return all;
  }
  FILE *out;

private:
  int master_;
};

TEST(Progress, RedrawsOneLineOnATerminal) {
  setenv("LC_ALL", "C", 1);
  Terminal terminal(60, "xterm");
  ASSERT_NE(terminal.out, nullptr);
  EbbProgress *progress = nullptr;
  ASSERT_EQ(ebb_progress_create(terminal.out, 0, &progress), EBB_OK);
  auto begin = std::chrono::steady_clock::now();
  for (int i = 1; i <= 2000; i++) ebb_progress_update(progress, "epoch 1/2", i, 4000, "batch", "loss 1.0");
  std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  ebb_progress_destroy(progress);
  std::string screen = terminal.read();
  EXPECT_LE(std::count(screen.begin(), screen.end(), '['), 2 * (2 + 10 * passed.count()))
      << "a bar and an erase sequence hold a bracket each";
  EXPECT_EQ(screen.rfind("\repoch 1/2 [", 0), 0U) << screen;
  EXPECT_TRUE(contains(screen, " 50%")) << "the latest state stays: " << screen;
  EXPECT_EQ(std::count(screen.begin(), screen.end(), '\n'), 1);
  for (unsigned char c : screen) EXPECT_LT(c, 0x80) << "block characters outside a UTF-8 locale";
}

TEST(Progress, LineClearsTheBar) {
  setenv("LC_ALL", "C.UTF-8", 1);
  Terminal terminal(100, "xterm");
  ASSERT_NE(terminal.out, nullptr);
  EbbProgress *progress = nullptr;
  ASSERT_EQ(ebb_progress_create(terminal.out, 0, &progress), EBB_OK);
  ebb_progress_update(progress, "epoch 1/2", 1, 2, "batch", nullptr);
  ebb_progress_line(progress, "done");
  ebb_progress_destroy(progress);
  std::string screen = terminal.read();
  EXPECT_TRUE(contains(screen, "█")) << screen;
  EXPECT_TRUE(contains(screen, "\x1b[K\r\x1b[Kdone\r\n")) << screen;
}

TEST(Progress, DumbTerminalGetsPlainLines) {
  Terminal terminal(80, "dumb");
  ASSERT_NE(terminal.out, nullptr);
  EbbProgress *progress = nullptr;
  ASSERT_EQ(ebb_progress_create(terminal.out, 0, &progress), EBB_OK);
  ebb_progress_update(progress, "epoch 1/2", 1, 2, "batch", nullptr);
  ebb_progress_destroy(progress);
  EXPECT_EQ(terminal.read(), "epoch 1/2  1/2 batch   50%\r\n");
}
