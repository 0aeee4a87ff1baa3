// Pathfinder images: primitives against exact vectors, sets against the statistics of the published program.
#include <gtest/gtest.h>
#include <omp.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "ebb/pathfinder.h"
#include "host/data/lanczos.h"
#include "host/data/pathfinder_folder.h"
#include "host/data/pathfinder_paddles.h"
#include "host/data/png_grey.h"
#include "host/data/strokes.h"

namespace {

namespace fs = std::filesystem;

// ---- primitives ----

// Lines as Pillow 13's ImageDraw draws them.
TEST(Strokes, LinesOfEveryWidth) {
  const struct {
    EbbPoint from, to;
    int width;
    std::vector<std::string> rows;
  } cases[] = {
      {{2, 2},
       {4, 6},
       1,
       {".........", ".........", "..#......", "...##....", ".....##..", ".........", ".........",
        ".........", "........."}},
      {{6, 2},
       {3, 7},
       2,
       {"..........", "..........", "..........", "......#...", "....####..", "...###....", ".####.....",
        "..#.......", "..........", ".........."}},
      {{2, 2},
       {5, 8},
       3,
       {"...........", "..#........", "..###......", "..#####....", "....#####..", "......###..",
        "........#..", "...........", "...........", "...........", "..........."}},
      {{2, 8},
       {7, 3},
       4,
       {"............", ".......#....", "......###...", ".....#####..", "....#####...", "...#####....",
        "..#####.....", "...###......", "....#.......", "............", "............", "............"}},
      {{1, 1}, {1, 1}, 3, {"...", ".#.", "..."}},
      {{1, 1}, {1, 9}, 1, {"...", ".##", "..."}}, // what lies outside is left out
  };
  for (const auto &row : cases) {
    const int side = static_cast<int>(row.rows.size());
    std::vector<uint8_t> canvas(side * side, 0);
    ebb_stroke_line(canvas.data(), side, row.from, row.to, row.width);
    for (int y = 0; y < side; y++) {
      std::string drawn;
      for (int x = 0; x < side; x++) drawn += canvas[y * side + x] == 255 ? '#' : '.';
      EXPECT_EQ(drawn, row.rows[y]) << "width " << row.width << ", row " << y;
    }
  }
}

TEST(Strokes, DilationIsTheDiscAroundAPixel) {
  std::vector<uint8_t> from(49, 0), to(49, 1);
  from[3 * 7 + 3] = 200, from[0] = 9;
  ebb_stroke_dilate(from.data(), to.data(), 7, 2);
  for (int y = 0; y < 7; y++)
    for (int x = 0; x < 7; x++) {
      const int near = (y - 3) * (y - 3) + (x - 3) * (x - 3) <= 4 ? 200 : 0;
      const int corner = y * y + x * x <= 4 ? 9 : 0;
      EXPECT_EQ(to[y * 7 + x], std::max(near, corner)) << y << " " << x;
    }
}

std::vector<uint8_t> reduced(const std::vector<uint8_t> &from, int in, int out) {
  EbbLanczos lanczos;
  EXPECT_EQ(ebb_lanczos_create(in, out, &lanczos), EBB_OK);
  std::vector<uint8_t> to(out * out), scratch(ebb_lanczos_scratch(&lanczos));
  ebb_lanczos_reduce(&lanczos, from.data(), to.data(), scratch.data());
  ebb_lanczos_release(&lanczos);
  return to;
}

// The weights from the definition: sinc(v) sinc(v / 3), normalised where the image ends.
TEST(Lanczos, Weights) {
  EbbLanczos lanczos;
  ASSERT_EQ(ebb_lanczos_create(17, 9, &lanczos), EBB_OK);
  const double scale = 17. / 9;
  for (int j = 0; j < 9; j++) {
    double sum = 0;
    int64_t fixed = 0;
    auto weight = [&](int i) {
      const double v = M_PI * (i + 0.5 - (j + 0.5) * scale) / scale;
      return std::fabs(v) >= 3 * M_PI ? 0 : v == 0 ? 1 : std::sin(v) / v * std::sin(v / 3) / (v / 3);
    };
    for (int i = 0; i < 17; i++) sum += weight(i);
    for (int i = 0; i < lanczos.count[j]; i++) {
      const int32_t value = lanczos.weight[j * lanczos.taps + i];
      EXPECT_NEAR(value, weight(lanczos.first[j] + i) / sum * (1 << 22), 0.51) << j << " " << i;
      fixed += value;
    }
    EXPECT_NEAR(static_cast<double>(fixed), 1 << 22, 8);
  }
  ebb_lanczos_release(&lanczos);
}

// Blocks reduced by Pillow 13.
TEST(Lanczos, ReductionOfKnownBlocks) {
  std::vector<uint8_t> from(81);
  for (int y = 0; y < 9; y++)
    for (int x = 0; x < 9; x++) from[y * 9 + x] = static_cast<uint8_t>(37 * (y * 9 + x) + y * y * 11);
  EXPECT_EQ(reduced(from, 9, 5),
            (std::vector<uint8_t>{64,  120, 161, 122, 74,  157, 119, 134, 82,  170, 128, 90, 96,
                                  144, 124, 130, 162, 128, 77,  134, 54,  125, 228, 83,  48}));
  std::vector<uint8_t> point(64, 0);
  point[3 * 8 + 4] = 255;
  EXPECT_EQ(reduced(point, 8, 4), (std::vector<uint8_t>{0, 0, 0, 0, 0, 15, 50, 0, 0, 5, 15, 0, 0, 0, 0, 0}));
  EXPECT_EQ(reduced(std::vector<uint8_t>(36, 77), 6, 3), std::vector<uint8_t>(9, 77));
  EXPECT_EQ(reduced({5}, 1, 1), (std::vector<uint8_t>{5}));
}

// The directions in which the published program finds a place for a contour's first paddle.
TEST(PathfinderPaddles, DirectionsThatSurroundTheOrigin) {
  const struct {
    int resolution, margin, count;
    std::vector<int> inside, outside; // degrees
  } rows[] = {{32, 1, 30, {-150, -121, -135}, {-151, -120, 0, 135}},
              {64, 1, 95, {-180, -136, -134, -85}, {-135, -84, 0, 179}},
              {128, 2, 354, {0, 90}, {-55}},
              {128, 3, 360, {0}, {}}};
  for (const auto &row : rows) {
    EbbPathfinderConfig config = {};
    config.resolution = row.resolution, config.level = EBB_CURV_CONTOUR_LENGTH_14;
    EbbPathfinderRules rules;
    EbbPathfinderPaddles paddles;
    ASSERT_EQ(ebb_pathfinder_rules(&config, &rules), EBB_OK);
    ASSERT_EQ(ebb_pathfinder_paddles_create(&rules, row.margin, &paddles), EBB_OK);
    int count = 0;
    for (const EbbPaddleKernel &kernel : paddles.kernel) count += kernel.surrounds;
    EXPECT_EQ(count, row.count) << row.resolution;
    for (int degree : row.inside) EXPECT_TRUE(paddles.kernel[degree + 180].surrounds) << degree;
    for (int degree : row.outside) EXPECT_FALSE(paddles.kernel[degree + 180].surrounds) << degree;
    for (int j = 0; j < paddles.n_turns; j++) { // a contour that goes straight on is the likeliest
      const double *weight = paddles.weight + static_cast<long>(360 + j) * paddles.n_turns;
      EXPECT_DOUBLE_EQ(weight[j], 1);
      EXPECT_EQ(*std::max_element(weight, weight + paddles.n_turns), weight[j]);
    }
    ebb_pathfinder_paddles_release(&paddles);
  }
}

// ---- sets of images ----

struct Set {
  std::vector<uint8_t> pixels;
  std::vector<EbbPathfinderFacts> facts;
};

EbbPathfinderConfig config_of(int resolution, bool any_direction = false) {
  EbbPathfinderConfig config = {};
  config.resolution = resolution, config.level = EBB_CURV_CONTOUR_LENGTH_14;
  config.any_direction = any_direction, config.seed = 3;
  return config;
}

Set draw(const EbbPathfinderConfig &config, int64_t first, int64_t n) {
  const size_t area = static_cast<size_t>(config.resolution) * config.resolution;
  Set set = {std::vector<uint8_t>(area * n), std::vector<EbbPathfinderFacts>(n)};
  EXPECT_EQ(ebb_pathfinder_draw(&config, first, n, set.pixels.data(), set.facts.data()), EBB_OK)
      << ebb_error();
  return set;
}

// Tolerances are four standard errors of these samples and of the published numbers' rounding.
TEST(Pathfinder, StatisticsOfThePublishedProgram) {
  const struct {
    int resolution, n;
    bool any_direction;
    double attempts, distractors, mean, deviation, above_0, above_half, distance;
    double d_distractors, d_mean, d_distance;
  } rows[] = {
      {32, 1500, false, 1 / .0031, 1.17, 20.2, 51.1, .342, .085, 13.4, .11, .35, .9},
      {128, 60, false, 1 / .0028, 7.7, 7.9, 35.6, .137, .030, 75, .4, .2, 20},
      {256, 100, false, 1 / .12, 7.0, 2.95, 24.1, .039, .011, 124, .1, .06, 30},
      {32, 600, true, 0, 4.6, 27.6, 57.6, .450, .111, 13.2, .12, .5, 1.5},
  };
  for (const auto &row : rows) {
    const Set set = draw(config_of(row.resolution, row.any_direction), 0, row.n);
    double attempts = 0, distractors = 0, distance = 0, sum = 0, squares = 0, above_0 = 0, above_half = 0;
    int labels = 0;
    for (const EbbPathfinderFacts &facts : set.facts) {
      attempts += static_cast<double>(facts.attempts) / row.n;
      distractors += static_cast<double>(facts.n_distractors) / row.n;
      labels += facts.label;
      if (facts.label) // the markers are the two ends of one contour
        distance +=
            std::hypot(facts.marker[0][0] - facts.marker[1][0], facts.marker[0][1] - facts.marker[1][1]);
    }
    for (uint8_t pixel : set.pixels)
      sum += pixel, squares += pixel * pixel, above_0 += pixel > 0, above_half += pixel > 127;
    const double n = static_cast<double>(set.pixels.size()), mean = sum / n;
    SCOPED_TRACE(row.resolution);
    EXPECT_EQ(2 * labels, row.n);
    if (row.attempts > 0) EXPECT_NEAR(attempts / row.attempts, 1, .04 + 4 / std::sqrt(row.n));
    EXPECT_NEAR(distractors, row.distractors, row.d_distractors);
    EXPECT_NEAR(mean, row.mean, row.d_mean);
    EXPECT_NEAR(std::sqrt(squares / n - mean * mean), row.deviation, .02 * row.deviation);
    EXPECT_NEAR(above_0 / n, row.above_0, .03 * row.above_0);
    EXPECT_NEAR(above_half / n, row.above_half, .0015);
    EXPECT_NEAR(distance / labels, row.distance, row.d_distance);
    EXPECT_EQ(*std::max_element(set.pixels.begin(), set.pixels.end()), 255);
  }
}

TEST(Pathfinder, ASampleDependsOnSeedAndNumberAlone) {
  const int threads = omp_get_max_threads();
  EbbPathfinderConfig config = config_of(32);
  omp_set_num_threads(1);
  const Set alone = draw(config, 0, 40);
  omp_set_num_threads(3);
  const Set many = draw(config, 0, 40), later = draw(config, 30, 10);
  config.seed = 4;
  const Set other = draw(config, 0, 40);
  omp_set_num_threads(threads);
  EXPECT_EQ(alone.pixels, many.pixels);
  EXPECT_TRUE(std::equal(later.pixels.begin(), later.pixels.end(), alone.pixels.begin() + 30 * 1024));
  for (int i = 0; i < 10; i++) EXPECT_EQ(later.facts[i].label, alone.facts[30 + i].label);
  EXPECT_NE(alone.pixels, other.pixels);
  for (int i = 0; i < 40; i += 2) EXPECT_NE(alone.facts[i].label, alone.facts[i + 1].label);
}

// The Lanczos window rings: the middle of a disc of radius 2.5 is 248, not 255.
TEST(Pathfinder, MarkersAreBrightSpots) {
  const Set set = draw(config_of(64, true), 0, 6);
  for (int i = 0; i < 6; i++)
    for (const auto &marker : set.facts[i].marker)
      for (int x = marker[1] - 1; x <= marker[1] + 1; x++)
        EXPECT_GE(set.pixels[(i * 64 + marker[0]) * 64 + x], x == marker[1] ? 248 : 240);
}

TEST(Pathfinder, OtherSettings) {
  EbbPathfinderConfig config = config_of(300);
  config.level = EBB_CURV_BASELINE;
  EXPECT_GT(draw(config, 0, 2).facts[0].n_distractors, 5);
  config = config_of(32, true);
  const Set plain = draw(config, 0, 4);
  config.single_paddles = true;
  const Set filled = draw(config, 0, 4);
  auto bright = [](const Set &set) {
    return std::count_if(set.pixels.begin(), set.pixels.end(), [](uint8_t pixel) { return pixel > 127; });
  };
  EXPECT_GT(bright(filled), bright(plain));
  config.resolution = 33;
  EXPECT_EQ(ebb_pathfinder_draw(&config, 0, 0, nullptr, nullptr), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("32, 64, 128, 256 or 300"), std::string::npos);
}

// ---- folders ----

class PathfinderFolder : public testing::Test {
protected:
  fs::path root;
  EbbPathfinderConfig config = config_of(32);
  void SetUp() override {
    root = fs::path(testing::TempDir()) / "ebb_pathfinder";
    fs::remove_all(root);
    config.n_samples = 1100;
  }
  void TearDown() override { fs::remove_all(root); }
  fs::path set() const { return root / "pathfinder32/curv_contour_length_14"; }
  EbbStatus generate() const { return ebb_pathfinder_generate(root.c_str(), &config); }
};

std::string bytes_of(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<uint8_t> image_of(const fs::path &path) {
  const std::string bytes = bytes_of(path);
  std::vector<uint8_t> pixels(1024);
  EXPECT_EQ(ebb_png_read_grey(bytes.data(), bytes.size(), path.c_str(), 32, 32, pixels.data()), EBB_OK)
      << ebb_error();
  return pixels;
}

TEST_F(PathfinderFolder, PublishedLayout) {
  ASSERT_EQ(generate(), EBB_OK) << ebb_error();
  const Set set_of = draw(config, 0, 1100);
  for (int i : {0, 1, 999, 1000, 1099}) {
    const std::string b = std::to_string(i / 1000), k = std::to_string(i % 1000);
    const std::vector<uint8_t> pixels = image_of(set() / "imgs" / b / ("sample_" + k + ".png"));
    EXPECT_TRUE(std::equal(pixels.begin(), pixels.end(), set_of.pixels.begin() + i * 1024L)) << i;
    std::istringstream lines(bytes_of(set() / "metadata" / (b + ".npy")));
    std::string line;
    for (int n = 0; n <= i % 1000; n++) std::getline(lines, line);
    EXPECT_EQ(line, "imgs/" + b + " sample_" + k + ".png " + k + " " + std::to_string(set_of.facts[i].label) +
                        " 1.0 14 4 2 0.5 1 1");
  }
  EXPECT_FALSE(fs::exists(set() / "unfinished.txt"));
  EXPECT_EQ(generate(), EBB_STATE);
  EXPECT_NE(std::string(ebb_error()).find("exists already"), std::string::npos) << ebb_error();
}

TEST_F(PathfinderFolder, GoesOnAfterAStop) {
  ASSERT_EQ(generate(), EBB_OK) << ebb_error();
  const std::string last = bytes_of(set() / "imgs/1/sample_99.png"), row = bytes_of(set() / "metadata/0.npy");
  fs::remove_all(root);
  int64_t done = 0;
  config.context = &done;
  config.progress = [](void *context, int64_t n, int64_t) { *static_cast<int64_t *>(context) = n; };
  config.stop = [](void *context) { return *static_cast<int64_t *>(context) > 1010; };
  EXPECT_EQ(generate(), EBB_INTERRUPTED);
  EXPECT_TRUE(fs::exists(set() / "unfinished.txt"));
  EXPECT_TRUE(fs::exists(set() / "metadata/0.npy"));
  EXPECT_FALSE(fs::exists(set() / "metadata/1.npy"));
  config.stop = nullptr;
  config.seed++;
  EXPECT_EQ(generate(), EBB_STATE);
  EXPECT_NE(std::string(ebb_error()).find("other settings"), std::string::npos) << ebb_error();
  config.seed--;
  std::ofstream(set() / "imgs/0/sample_5.png", std::ios::trunc); // as a power cut leaves it
  const auto kept = fs::last_write_time(set() / "metadata/0.npy");
  EXPECT_EQ(generate(), EBB_OK) << ebb_error();
  EXPECT_NE(fs::last_write_time(set() / "metadata/0.npy"), kept);
  EXPECT_GT(fs::file_size(set() / "imgs/0/sample_5.png"), 0U);
  EXPECT_EQ(bytes_of(set() / "imgs/1/sample_99.png"), last);
  EXPECT_EQ(bytes_of(set() / "metadata/0.npy"), row);
  EXPECT_TRUE(fs::exists(set() / "generated.txt"));
}

// One of two makes the images; a process that was killed holds nothing up.
TEST_F(PathfinderFolder, OneProcessAtATime) {
  EbbPathfinderFolder first, second;
  fs::create_directories(root);
  ASSERT_EQ(ebb_pathfinder_folder_open(root.c_str(), &config, &first), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_pathfinder_folder_open(root.c_str(), &config, &second), EBB_STATE);
  EXPECT_NE(std::string(ebb_error()).find("another process is making"), std::string::npos) << ebb_error();
  ebb_pathfinder_folder_close(&second);
  ebb_pathfinder_folder_close(&first);
  const pid_t child = fork();
  if (child == 0) {
    EbbPathfinderFolder folder;
    if (ebb_pathfinder_folder_open(root.c_str(), &config, &folder) != EBB_OK) _exit(1);
    raise(SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  ASSERT_EQ(ebb_pathfinder_folder_open(root.c_str(), &config, &first), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_pathfinder_folder_finish(&first), EBB_OK) << ebb_error();
  ebb_pathfinder_folder_close(&first);
  EXPECT_EQ(ebb_pathfinder_folder_open(root.c_str(), &config, &second), EBB_STATE) << "it is finished";
  ebb_pathfinder_folder_close(&second);
}

// A limit of the file size stands in for a full disk.
TEST_F(PathfinderFolder, FullDiskIsNamedAndNotTakenForWhole) {
  struct rlimit old, low;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  low = old;
  low.rlim_cur = 300; // the settings fit, images do not
  auto *handler = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  EXPECT_EQ(generate(), EBB_IO);
  const std::string says = ebb_error();
  EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, handler);
  EXPECT_NE(says.find(".png: cannot write the image: File too large"), std::string::npos) << says;
  EXPECT_TRUE(fs::exists(set() / "unfinished.txt"));
  EXPECT_FALSE(fs::exists(set() / "metadata/0.npy"));
}

TEST_F(PathfinderFolder, RefusesWhatItCannotMake) {
  config.n_samples = 0;
  EXPECT_EQ(generate(), EBB_INVALID);
  config.n_samples = 5;
  fs::create_directories(set() / "imgs");
  EXPECT_EQ(generate(), EBB_STATE);
  EXPECT_EQ(ebb_pathfinder_generate("/proc/ebb", &config), EBB_IO);
}

} // namespace
