// The reader of Pathfinder folders, and of PNG images.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "ebb/numpy_random.h"
#include "host/data/pathfinder_load.h"
#include "host/data/png_grey.h"

namespace {

namespace fs = std::filesystem;

std::string png(const std::vector<uint8_t> &pixels, int side) {
  EbbPngBuffer buffer = {};
  EXPECT_EQ(ebb_png_write_grey(pixels.data(), side, side, &buffer), EBB_OK);
  std::string bytes(reinterpret_cast<char *>(buffer.bytes), buffer.length);
  free(buffer.bytes);
  return bytes;
}

// ---- PNG ----

TEST(Png, RoundTripAndDamage) {
  std::vector<uint8_t> pixels(35 * 35), back(35 * 35);
  for (size_t i = 0; i < pixels.size(); i++) pixels[i] = static_cast<uint8_t>(i * 7);
  const std::string bytes = png(pixels, 35);
  ASSERT_EQ(ebb_png_read_grey(bytes.data(), bytes.size(), "i", 35, 35, back.data()), EBB_OK) << ebb_error();
  EXPECT_EQ(back, pixels);
  auto refuse = [&](const std::string &given, int width, const char *says) {
    EXPECT_EQ(ebb_png_read_grey(given.data(), given.size(), "i", width, 35, back.data()), EBB_FORMAT);
    EXPECT_NE(std::string(ebb_error()).find(says), std::string::npos) << ebb_error();
  };
  refuse(bytes, 34, "i: an image of 35 x 35 pixels, expected 34 x 35");
  refuse("GIF89a..", 35, "no PNG image");
  refuse("", 35, "no PNG image");
  for (size_t n = 8; n < bytes.size(); n += 5) refuse(bytes.substr(0, n), 35, "cut off");
  std::string damaged = bytes;
  damaged[bytes.size() / 2] ^= 0x40;
  refuse(damaged, 35, "i: ");
}

// An image of one pixel with alpha, by another program.
TEST(Png, OtherChannelsAreRefused) {
  const unsigned char grey_alpha[] = {0x89, 'P', 'N',  'G',  0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0,    13,  'I',
                                      'H',  'D', 'R',  0,    0,    0,    1,    0,    0, 0, 1,    8,   4,
                                      0,    0,   0,    0xb5, 0x1c, 0x0c, 0x02, 0,    0, 0, 0x0b, 'I', 'D',
                                      'A',  'T', 0x78, 0x9c, 0x63, 0xf8, 0xff, 0x1f, 0, 3, 0,    1,   0xff};
  uint8_t pixel;
  EXPECT_EQ(
      ebb_png_read_grey(reinterpret_cast<const char *>(grey_alpha), sizeof grey_alpha, "i", 1, 1, &pixel),
      EBB_FORMAT);
  EXPECT_NE(std::string(ebb_error()).find("2 colour or alpha channels with 8 bits"), std::string::npos)
      << ebb_error();
}

// ---- folders ----

class PathfinderLoad : public testing::Test {
protected:
  fs::path root;
  EbbPathfinderOptions options = {};
  EbbDataset *dataset = nullptr;
  std::string folder;

  void SetUp() override {
    root = fs::path(testing::TempDir()) / "ebb_pathfinder_load";
    fs::remove_all(root);
    folder = root.string();
    options.folder = folder.c_str();
    options.resolution = 4, options.level = EBB_CURV_CONTOUR_LENGTH_9;
    options.pool = 1, options.l_max = 16, options.val_split = 0.1;
    fs::create_directories(set() / "metadata");
  }
  void TearDown() override {
    ebb_dataset_destroy(dataset);
    fs::remove_all(root);
  }
  fs::path set() const { return root / "pathfinder4/curv_contour_length_9"; }

  static std::vector<uint8_t> pixels_of(int k) {
    std::vector<uint8_t> pixels(16);
    for (int i = 0; i < 16; i++) pixels[i] = static_cast<uint8_t>(k * 16 + i);
    return pixels;
  }
  void write(const std::string &name, const std::string &bytes) const {
    fs::create_directories((set() / name).parent_path());
    std::ofstream(set() / name, std::ios::binary) << bytes;
  }
  // Image k of the folder's order stands in file `batch`, number i.
  void image(int k, int batch, int i) const {
    write("imgs/" + std::to_string(batch) + "/sample_" + std::to_string(i) + ".png", png(pixels_of(k), 4));
  }
  static std::string row(int batch, int i, int label) {
    return "imgs/" + std::to_string(batch) + " sample_" + std::to_string(i) + ".png " + std::to_string(i) +
           " " + std::to_string(label) + " 1.8 9 3 5 2 3 1\n";
  }
  // Eight images in file 2, four in file 10, of which the numbers say the order.
  void twelve() const {
    std::string two, ten;
    for (int k = 0; k < 12; k++) {
      const int batch = k < 8 ? 2 : 10, i = k < 8 ? 7 - k : k - 8;
      image(k, batch, i);
      (k < 8 ? two : ten) += row(batch, i, k % 2);
    }
    write("metadata/2.npy", two);
    write("metadata/10.npy", ten);
    write("metadata/notes.npy", "not a batch");
  }
  void load() {
    ebb_dataset_destroy(dataset);
    ASSERT_EQ(ebb_pathfinder_load(&options, &dataset), EBB_OK) << ebb_error();
  }
  void refuse(EbbStatus code, const std::vector<std::string> &parts) {
    EXPECT_EQ(ebb_pathfinder_load(&options, &dataset), code);
    EXPECT_EQ(dataset, nullptr);
    for (const std::string &part : parts)
      EXPECT_NE(std::string(ebb_error()).find(part), std::string::npos) << ebb_error();
  }
  // The images' k in the split's order.
  std::vector<int> order(EbbSplit split) const {
    const EbbSamples &samples = dataset->split[split];
    std::vector<int> result;
    for (int64_t i = 0; i < samples.n_samples; i++) {
      const int64_t s = ebb_stored_sample(&samples, i);
      const uint8_t *raw = static_cast<const uint8_t *>(samples.raw) + samples.offset[s];
      result.push_back(raw[0] / 16);
      EXPECT_EQ(std::vector<uint8_t>(raw, raw + 16), pixels_of(raw[0] / 16));
      EXPECT_EQ(samples.labels[s], raw[0] / 16 % 2);
    }
    return result;
  }
};

TEST_F(PathfinderLoad, OrderLabelsAndSplit) {
  twelve();
  load();
  std::vector<int64_t> permutation(12);
  ebb_torch_permutation(42, 12, permutation.data());
  EXPECT_EQ(order(EBB_TRAIN), std::vector<int>(permutation.begin(), permutation.begin() + 10));
  EXPECT_EQ(order(EBB_VALIDATION), std::vector<int>({static_cast<int>(permutation[10])}));
  EXPECT_EQ(order(EBB_TEST), std::vector<int>({static_cast<int>(permutation[11])}));
  EXPECT_EQ(dataset->n_classes, 2);
  EXPECT_EQ(dataset->longest, 16);
  EXPECT_EQ(dataset->d_input, 1);
  EXPECT_FLOAT_EQ(*dataset->scale, 2.F / 255);
  EXPECT_FLOAT_EQ(*dataset->offset, -1);
  options.max_samples = 3;
  load();
  EXPECT_EQ(order(EBB_TRAIN), std::vector<int>(permutation.begin(), permutation.begin() + 3));
  EXPECT_EQ(order(EBB_TEST), std::vector<int>({static_cast<int>(permutation[11])}));
}

TEST_F(PathfinderLoad, EmptyFilesAreLeftOut) {
  twelve();
  write("imgs/2/sample_4.png", ""); // k = 3
  load();
  std::vector<int64_t> permutation(11);
  ebb_torch_permutation(42, 11, permutation.data());
  std::vector<int> expected;
  for (int i = 0; i < 9; i++) expected.push_back(static_cast<int>(permutation[i] + (permutation[i] >= 3)));
  EXPECT_EQ(order(EBB_TRAIN), expected);
}

// numpy's array of unicode strings, as the published program writes.
TEST_F(PathfinderLoad, BinaryMetadata) {
  twelve();
  load();
  const std::vector<int> expected = order(EBB_TRAIN);
  for (const char *type : {"<U13", ">U13", "|S13"}) {
    std::string header =
        std::string("{'descr': '") + type + "', 'fortran_order': False, 'shape': (4, 11), }\n";
    std::string file = std::string("\x93NUMPY\x01") + '\0' + static_cast<char>(header.size()) + '\0' + header;
    for (int k = 8; k < 12; k++) {
      const std::string i = std::to_string(k - 8);
      for (const std::string &text :
           {std::string("imgs/10"), "sample_" + i + ".png", i, std::to_string(k % 2), std::string("1.8"),
            std::string("9"), std::string("3"), std::string("5"), std::string("2"), std::string("3"),
            std::string("1")})
        for (size_t c = 0; c < 13; c++) {
          const std::string letter(1, c < text.size() ? text[c] : '\0'), zeros(3, '\0');
          file += type[1] == 'S' ? letter : type[0] == '<' ? letter + zeros : zeros + letter;
        }
    }
    write("metadata/10.npy", file);
    load();
    EXPECT_EQ(order(EBB_TRAIN), expected) << type;
    write("metadata/10.npy", file.substr(0, file.size() - 1));
    dataset = (ebb_dataset_destroy(dataset), nullptr);
    refuse(EBB_FORMAT, {"10.npy", "cut off"});
  }
}

TEST_F(PathfinderLoad, PoolsAndTokens) {
  twelve();
  options.pool = 2;
  load();
  EXPECT_EQ(dataset->longest, 4);
  const EbbSamples &samples = dataset->split[EBB_TRAIN];
  ASSERT_EQ(samples.raw_type, EBB_RAW_I16);
  const int64_t s = ebb_stored_sample(&samples, 0);
  const auto *sums = static_cast<const int16_t *>(samples.raw) + samples.offset[s];
  for (int c = 0; c < 4; c++) { // pixels 0, 1, 4, 5 of a quarter
    const int first = static_cast<int>(s) * 16 + c / 2 * 8 + c % 2 * 2;
    EXPECT_EQ(sums[c], 4 * first + 10);
  }
  EXPECT_FLOAT_EQ(*dataset->scale, 2.F / 255 / 4);
  options.pool = 1, options.tokenize = true;
  load();
  EXPECT_EQ(dataset->vocabulary, 256);
  EXPECT_EQ(dataset->d_input, 0);
  EXPECT_EQ(dataset->scale, nullptr);
  EXPECT_EQ(order(EBB_TRAIN).size(), 10U);
}

TEST_F(PathfinderLoad, ErrorsNameTheImage) {
  refuse(EBB_NOT_FOUND, {"metadata", "names images"});
  twelve();
  const std::string whole = png(pixels_of(9), 4);
  write("imgs/10/sample_1.png", whole.substr(0, whole.size() - 14));
  refuse(EBB_FORMAT, {"line 2 of", "10.npy", "imgs/10/sample_1.png", "cut off"});
  write("imgs/10/sample_1.png", png(std::vector<uint8_t>(9), 3));
  refuse(EBB_FORMAT, {"line 2 of", "3 x 3 pixels, expected 4 x 4"});
  fs::remove(set() / "imgs/2/sample_0.png"); // an earlier one
  refuse(EBB_NOT_FOUND, {"line 8 of", "2.npy", "imgs/2/sample_0.png"});
  twelve();
  write("metadata/10.npy", row(10, 0, 0) + "\nimgs/10 sample_1.png 1 2 1.8\n");
  refuse(EBB_FORMAT, {"10.npy:3: the label (column 4) is '2', neither 0 nor 1"});
  write("metadata/10.npy", "imgs/10 sample_1.png 1\n");
  refuse(EBB_FORMAT, {"10.npy:1: 3 columns"});
  write("metadata/10.npy", std::string("imgs/10 \0sample", 15));
  refuse(EBB_FORMAT, {"NUL"});
}

TEST_F(PathfinderLoad, RefusedSettings) {
  twelve();
  options.pool = 3;
  refuse(EBB_INVALID, {"pool is 3"});
  options.pool = 1, options.l_max = 15;
  refuse(EBB_INVALID, {"dataset.l_max=16"});
  options.l_max = 16, options.level = EBB_CURV_BASELINE;
  refuse(EBB_NOT_FOUND, {"ebb data pathfinder --resolution 4 --level curv_baseline"});
  options.level = EBB_CURV_CONTOUR_LENGTH_9;
  write("unfinished.txt", "x");
  refuse(EBB_STATE, {"is not finished"});
  fs::remove(set() / "unfinished.txt");
  fs::remove(set() / "metadata/2.npy");
  refuse(EBB_FORMAT, {"4 images, too few"});
}

// The second load does not look at the images: one that is spoiled in its place shows when the folder
// changes.
TEST_F(PathfinderLoad, IsPreparedOnce) {
  twelve();
  load();
  EbbConfig *config = nullptr;
  ASSERT_EQ(ebb_config_create(&config), EBB_OK);
  for (const std::string &key : std::vector<std::string>{
           "dataset._name_=pathfinder", "dataset.data_dir=" + folder, "dataset.resolution=4",
           "dataset.contours=curv_contour_length_9", "dataset.l_max=16", "dataset.cache=on"})
    ASSERT_EQ(ebb_config_override(config, key.c_str()), EBB_OK) << ebb_error();
  const std::vector<int> expected = order(EBB_TRAIN);
  for (int i = 0; i < 2; i++) {
    ebb_dataset_destroy(dataset);
    ASSERT_EQ(ebb_dataset_load(config, &dataset), EBB_OK) << ebb_error();
    EXPECT_NE(dataset->mapping, nullptr);
    EXPECT_EQ(order(EBB_TRAIN), expected);
    EXPECT_EQ(dataset->split[EBB_TRAIN].raw, dataset->split[EBB_TEST].raw);
    write("imgs/10/sample_0.png", "spoiled");
  }
  ebb_dataset_destroy(dataset);
  image(12, 10, 4);
  EXPECT_EQ(ebb_dataset_load(config, &dataset), EBB_FORMAT);
  EXPECT_EQ(dataset, nullptr);
  ebb_config_destroy(config);
}

} // namespace
