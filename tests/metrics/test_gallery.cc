// What pictures of samples show: the script that draws them, and that gnuplot takes it.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "host/metrics/gallery_internal.h"

namespace {

namespace fs = std::filesystem;

// What `put` writes.
template <class Put> std::string script_of(const Put &put) {
  char *text = nullptr;
  size_t bytes = 0;
  FILE *file = open_memstream(&text, &bytes);
  put(file);
  fclose(file);
  const std::string all(text, bytes);
  free(text);
  return all;
}

std::string quoted(const std::string &text, int most = 100) {
  return script_of([&](FILE *file) { ebb_gallery_quoted(file, text.c_str(), most); });
}

TEST(GalleryText, NothingInItIsGnuplots) {
  EXPECT_EQ(quoted("plain \"text\" `date` $x \\n"), "'plain \"text\" `date` $x \\n'");
  EXPECT_EQ(quoted("'"), "'\u2019'");
  EXPECT_EQ(quoted("don't"), "'don\u2019t'");
  EXPECT_EQ(quoted("a\nb\tc"), "'a\u21B5b\u2192c'");
  EXPECT_EQ(quoted("\x01\x7F\xC2\x85\xC0\x80."), "'????.'");
  EXPECT_EQ(quoted(""), "''");
}

TEST(GalleryText, IsCutBetweenCharacters) {
  EXPECT_EQ(quoted("\u00E9\u20AC\U0001F600x", 3), "'\u00E9\u20AC\U0001F600'");
  EXPECT_EQ(quoted("''''", 2), "'\u2019\u2019'");
  EXPECT_EQ(ebb_gallery_characters("\u00E9\u20AC\U0001F600x"), 4);
}

// One sample a class: a data set in which `fill` has set what the samples are.
struct Made {
  EbbDataset set = {};
  std::vector<int64_t> offset;
  std::vector<int32_t> labels, tokens;
  std::vector<float> values;

  Made(int64_t n, int64_t length) {
    for (int64_t s = 0; s <= n; s++) offset.push_back(s * length);
    for (int64_t s = 0; s < n; s++) labels.push_back(int32_t(s % 2));
    snprintf(set.name, sizeof set.name, "made");
    set.n_classes = set.d_output = 2, set.n_towers = 1, set.longest = length;
  }
  std::string draw(const std::string &name) {
    for (EbbSamples &split : set.split) {
      split.n_samples = int64_t(labels.size());
      split.offset = offset.data(), split.labels = labels.data();
      split.tokens = tokens.empty() ? nullptr : tokens.data();
      split.values = values.empty() ? nullptr : values.data();
    }
    const fs::path path = fs::path(testing::TempDir()) / name;
    fs::remove(path);
    if (ebb_gallery_draw(&set, EBB_TRAIN, nullptr, path.c_str()) != EBB_OK) return ebb_error();
    return fs::exists(path) && fs::file_size(path) > 1000 ? "drawn" : "empty";
  }
};

TEST(GalleryTokens, EveryTextIsDrawn) {
  const char *words[] = {"<pad>", "'",           "\"", "\\",       "`date`", "$(x)",
                         "%s",    "{/Symbol a}", "\n", "\xC0\x80", "''"};
  Made made(3, 11);
  for (int32_t i = 0; i < 33; i++) made.tokens.push_back(i % 11);
  std::vector<char *> text;
  for (const char *word : words) text.push_back(const_cast<char *>(word));
  made.set.vocabulary = 11, made.set.token_text = text.data(), made.set.variable_length = true;
  EXPECT_EQ(made.draw("tokens.svg"), "drawn");
}

TEST(GalleryImages, ColoursSpanTheirRange) {
  Made made(1, 16);
  made.set.d_input = 3;
  for (int i = 0; i < 48; i++) made.values.push_back(-2 + float(i) / 12);
  EbbGallery g = {};
  g.dataset = &made.set;
  EbbBatch batch = {};
  batch.length = 16, batch.values = made.values.data();
  std::istringstream script(script_of([&](FILE *file) { ebb_gallery_image(file, &g, &batch, 0); }));
  std::string line;
  std::getline(script, line);
  EXPECT_EQ(line, "$d0 << EOD");
  std::getline(script, line);
  EXPECT_EQ(line, "0 0 0 5 11");
  for (int i = 1; i < 16; i++) std::getline(script, line);
  EXPECT_EQ(line, "3 3 244 250 255");
  EXPECT_EQ(made.draw("image.png"), "drawn");
  made.values.assign(48, 0.5F);
  EXPECT_EQ(made.draw("image.png"), "drawn") << "of one colour";
}

TEST(GalleryMaps, FeaturesFillTheirOwnRange) {
  Made made(2, 5);
  made.set.d_input = 9;
  for (int t = 0; t < 10; t++)
    for (int i = 0; i < 9; i++) made.values.push_back(i == 8 ? 7 : float(t * (i + 1)));
  EXPECT_EQ(made.draw("map.png"), "drawn");
  std::vector<float> least(9, 0), most;
  for (int i = 0; i < 9; i++) most.push_back(float(9 * (i + 1)));
  least[8] = most[8] = 7;
  EbbGallery g = {};
  g.dataset = &made.set, g.least = least.data(), g.most = most.data();
  EbbBatch batch = {};
  int32_t length = 5;
  batch.lengths = &length, batch.length = 5, batch.values = made.values.data();
  const std::string script = script_of([&](FILE *file) { ebb_gallery_map(file, &g, &batch, 0); });
  EXPECT_EQ(script.find("$d0 << EOD\n0 0.111 0.222 0.333 0.444 \n0 0.111"), 0U) << script;
  EXPECT_NE(script.find("\n0.5 0.5 0.5 0.5 0.5 \nEOD"), std::string::npos) << "a feature that does not vary";
}

TEST(GalleryCurves, AxisEndsWithTheSample) {
  for (int length : {1, 2, 32, 16000}) {
    Made made(1, length);
    made.set.d_input = 1, made.set.per_step = true;
    made.labels.assign(size_t(length), 1);
    for (int t = 0; t < length; t++) made.values.push_back(float(t % 7));
    for (EbbSamples &split : made.set.split) split.n_samples = 1;
    EbbGallery g = {};
    g.dataset = &made.set;
    EbbBatch batch = {};
    int32_t n = length;
    batch.lengths = &n, batch.length = length, batch.values = made.values.data();
    const std::string script = script_of([&](FILE *file) { ebb_gallery_curves(file, &g, &batch, 0); });
    const std::string range = length == 1 ? "[-0.5:0.5]" : "[0:" + std::to_string(length - 1) + "]";
    EXPECT_NE(script.find("set xrange " + range), std::string::npos) << script.substr(0, 300);
  }
}

} // namespace
