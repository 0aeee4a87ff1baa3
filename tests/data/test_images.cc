// CIFAR-10 and MNIST as sequences of pixels.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "host/data/images.h"
#include "support/files.h"
#include "support/real_data.h"
#include "support/shown.h"

namespace {

using ebb_test::Files;
using ebb_test::Loaded;
using ebb_test::show;
using Counts = std::vector<int64_t>;
using Keys = std::vector<std::string>;

// Pixel p of image i is (p, i, 7) modulo 256, its label i modulo 10.
std::string cifar_batch(int first, int n) {
  std::string bytes;
  for (int i = first; i < first + n; i++) {
    bytes += char(i % 10);
    for (int p = 0; p < 1024; p++) bytes += char(p % 256);
    for (int p = 0; p < 1024; p++) bytes += char(i);
    for (int p = 0; p < 1024; p++) bytes += char(7);
  }
  return bytes;
}

void write_cifar(const Files &files, const std::string &inner = "") {
  for (int batch = 0; batch < 5; batch++)
    files.write(inner + "data_batch_" + std::to_string(batch + 1) + ".bin", cifar_batch(2 * batch, 2));
  files.write(inner + "test_batch.bin", cifar_batch(100, 3));
}

// Which image a sample is: its green value.
int image_of(const Loaded &data, EbbSplit split, int64_t index) {
  const float value = show(data, split, index).values[1];
  return int(std::lround((double(value) * 0.243 + 0.4822) * 255));
}

TEST(Cifar, ColoursAreNormalisedAndSplitByTorchsPermutation) {
  for (const std::string inner : {"", "cifar-10-batches-bin/"}) {
    Files files;
    write_cifar(files, inner);
    const Loaded data("cifar", files.folder(), {"dataset.grayscale=false", "dataset.val_split=0.3"});
    ASSERT_EQ(data.status, EBB_OK) << data.error;
    EXPECT_EQ(data.counts(), (Counts{7, 3, 3}));
    EXPECT_EQ(data.set->d_input, 3);
    EXPECT_EQ(data.set->longest, 1024);
    // torch, seed 42, n = 10: 2 6 1 8 4 5 0 9 3 7.
    const int expected[] = {2, 6, 1, 8, 4, 5, 0, 9, 3, 7};
    for (int i = 0; i < 7; i++) EXPECT_EQ(image_of(data, EBB_TRAIN, i), expected[i]);
    for (int i = 0; i < 3; i++) EXPECT_EQ(image_of(data, EBB_VALIDATION, i), expected[7 + i]);
    for (int i = 0; i < 3; i++) EXPECT_EQ(image_of(data, EBB_TEST, i), 100 + i);
    const auto shown = show(data, EBB_TRAIN, 1);
    EXPECT_EQ(shown.labels[0], 6);
    EXPECT_NEAR(shown.values[3 * 33], (33 / 255.0 - 0.4914) / 0.247, 1e-6);
    EXPECT_NEAR(shown.values[2], (7 / 255.0 - 0.4465) / 0.261, 1e-6);
  }
}

TEST(Cifar, GreyIsPillows) {
  EXPECT_EQ(ebb_cifar_grey(59, 62, 63), 61);
  EXPECT_EQ(ebb_cifar_grey(255, 255, 255), 255);
  EXPECT_EQ(ebb_cifar_grey(255, 0, 0), 76);
  EXPECT_EQ(ebb_cifar_grey(0, 255, 0), 150);
  EXPECT_EQ(ebb_cifar_grey(0, 0, 255), 29);
  Files files;
  write_cifar(files);
  const Loaded grey("cifar", files.folder()), tokens("cifar", files.folder(), {"dataset.tokenize=true"});
  ASSERT_EQ(grey.status, EBB_OK) << grey.error;
  ASSERT_EQ(tokens.status, EBB_OK) << tokens.error;
  EXPECT_EQ(grey.counts(), (Counts{9, 1, 3}));
  EXPECT_EQ(grey.set->d_input, 1);
  EXPECT_EQ(tokens.set->vocabulary, 256);
  const auto values = show(grey, EBB_TEST, 1), ids = show(tokens, EBB_TEST, 1);
  ASSERT_EQ(values.values.size(), 1024u);
  for (unsigned p = 0; p < 1024; p++) {
    const int level = ebb_cifar_grey(p % 256, 101, 7);
    EXPECT_EQ(ids.tokens[0][p], level);
    EXPECT_NEAR(values.values[p], (level - 122.6) / 61.0, 1e-6);
  }
}

// The red channel of a test image tells a pixel's place modulo 256.
std::vector<int> shown_places(const std::string &folder, const std::string &order) {
  const Loaded data("cifar", folder, {"dataset.grayscale=false", "dataset.permute=" + order});
  EXPECT_EQ(data.status, EBB_OK) << data.error;
  const auto shown = show(data, EBB_TEST, 0);
  std::vector<int> places;
  for (size_t p = 0; p < 1024; p++)
    places.push_back(int(std::lround((double(shown.values[3 * p]) * 0.247 + 0.4914) * 255)));
  return places;
}

TEST(Cifar, Orders) {
  Files files;
  write_cifar(files);
  const auto begin = [](const std::vector<int> &places, int from, int n) {
    return std::vector<int>(places.begin() + from, places.begin() + from + n);
  };
  using Places = std::vector<int>;
  EXPECT_EQ(begin(shown_places(files.folder(), "auto"), 0, 4), (Places{0, 1, 2, 3}));
  EXPECT_EQ(begin(shown_places(files.folder(), "null"), 30, 4), (Places{30, 31, 32, 33}));
  EXPECT_EQ(begin(shown_places(files.folder(), "br"), 4, 4), (Places{128, 640 % 256, 384 % 256, 896 % 256}));
  EXPECT_EQ(begin(shown_places(files.folder(), "snake"), 31, 3), (Places{31, 63, 62}));
  // The published code's curve: 0 1 33 32 64 96 97 65 66 98 99 67.
  EXPECT_EQ(begin(shown_places(files.folder(), "hilbert"), 0, 12),
            (Places{0, 1, 33, 32, 64, 96, 97, 65, 66, 98, 99, 67}));
  // Every neighbour of a Hilbert curve is a neighbour in the image.
  const Places curve = shown_places(files.folder(), "hilbert");
  for (size_t i = 1; i < curve.size(); i++) {
    const int step = (curve[i] - curve[i - 1] + 256) % 256;
    EXPECT_TRUE(step == 1 || step == 255 || step == 32 || step == 224) << i;
  }
  const Loaded both("cifar", files.folder(), {"dataset.permute=transpose", "dataset.grayscale=false"});
  ASSERT_EQ(both.status, EBB_OK) << both.error;
  ASSERT_EQ(both.set->d_input, 6);
  const auto shown = show(both, EBB_TEST, 0);
  EXPECT_NEAR(shown.values[6 * 1], (1 / 255.0 - 0.4914) / 0.247, 1e-6);
  EXPECT_NEAR(shown.values[6 * 1 + 3], (32 / 255.0 - 0.4914) / 0.247, 1e-6);
}

TEST(Cifar, RefusesDamage) {
  Files files;
  const Loaded missing("cifar", files.folder());
  EXPECT_EQ(missing.status, EBB_NOT_FOUND);
  EXPECT_NE(missing.error.find("cifar-10-binary.tar.gz"), std::string::npos) << missing.error;
  write_cifar(files);
  const Loaded colour("cifar", files.folder(), {"dataset.grayscale=false", "dataset.tokenize=true"});
  EXPECT_EQ(colour.status, EBB_INVALID);
  files.write("data_batch_3.bin", cifar_batch(0, 2) + "x");
  const Loaded cut("cifar", files.folder());
  EXPECT_EQ(cut.status, EBB_FORMAT);
  EXPECT_NE(cut.error.find("data_batch_3.bin: 6147 bytes are no whole records"), std::string::npos)
      << cut.error;
  EXPECT_NE(cut.error.find("record 2 is cut off"), std::string::npos) << cut.error;
  std::string bytes = cifar_batch(0, 2);
  bytes[3073] = 10;
  files.write("data_batch_3.bin", bytes);
  const Loaded label("cifar", files.folder());
  EXPECT_NE(label.error.find("data_batch_3.bin: the label of record 1 is 10"), std::string::npos)
      << label.error;
  files.write("data_batch_3.bin", "");
  const Loaded empty("cifar", files.folder());
  EXPECT_EQ(empty.status, EBB_FORMAT);
}

// The pixels of the real files went through JPEG; the values are those of an independent reading.
TEST(Cifar, RealFiles) {
  REAL_DATA(folder, "cifar10");
  const Loaded grey("cifar", folder);
  ASSERT_EQ(grey.status, EBB_OK) << grey.error;
  EXPECT_EQ(grey.counts(), (Counts{45000, 5000, 10000}));
  const EbbSamples &train = grey.split(EBB_TRAIN);
  EXPECT_EQ(train.order[0], 37542);
  EXPECT_EQ(train.order[1], 44491);
  EXPECT_EQ(train.order[2], 216);
  EXPECT_EQ(grey.split(EBB_VALIDATION).order[0], 17408);
  const int labels[] = {6, 9, 9, 4, 1, 1, 2, 7, 8, 3};
  for (int i = 0; i < 10; i++) EXPECT_EQ(train.labels[i], labels[i]);
  double sum = 0, squares = 0;
  const uint8_t *pixel = static_cast<uint8_t *>(train.raw);
  for (int64_t i = 0; i < 50000 * 1024; i++) sum += pixel[i], squares += double(pixel[i]) * pixel[i];
  const double mean = sum / (50000 * 1024.0);
  EXPECT_NEAR(mean, 122.59830869, 1e-6);
  EXPECT_NEAR(std::sqrt(squares / (50000 * 1024.0) - mean * mean), 60.90773387, 1e-5);
  const int first[] = {62, 45, 45, 61};
  for (int i = 0; i < 4; i++) EXPECT_EQ(pixel[i], first[i]);
  const auto shown = show(grey, EBB_TRAIN, 0);
  EXPECT_EQ(shown.labels[0], 6);
  EXPECT_NEAR(shown.values[0], (59 - 122.6) / 61.0, 1e-6);
  const Loaded colour("cifar", folder, {"dataset.grayscale=false"});
  ASSERT_EQ(colour.status, EBB_OK) << colour.error;
  const double means[] = {0.4912503841, 0.4820902712, 0.4465209360};
  const uint8_t *bytes = static_cast<uint8_t *>(colour.split(EBB_TRAIN).raw);
  for (int channel = 0; channel < 3; channel++) {
    double total = 0;
    for (int64_t i = 0; i < 50000 * 1024; i++) total += bytes[3 * i + channel];
    EXPECT_NEAR(total / (50000 * 1024.0) / 255, means[channel], 1e-9);
  }
}

std::string idx(const std::vector<int> &shape, const std::string &bytes) {
  std::string text("\0\0\x08", 3);
  text += char(shape.size());
  for (int n : shape) text += {char(n >> 24), char(n >> 16), char(n >> 8), char(n)};
  return text + bytes;
}

// Pixel p of image i is p modulo 256 but its first one i.
void write_mnist(const Files &files, int n_train, int n_test) {
  const std::pair<std::string, int> parts[] = {{"train", n_train}, {"t10k", n_test}};
  for (const auto &[name, n] : parts) {
    std::string pixels, labels;
    for (int i = 0; i < n; i++) {
      pixels += char(i);
      for (int p = 1; p < 784; p++) pixels += char(p % 256);
      labels += char(i % 10);
    }
    files.write(name + "-images-idx3-ubyte", idx({n, 28, 28}, pixels));
    files.write(name + "-labels-idx1-ubyte", idx({n}, labels));
  }
}

TEST(Mnist, BitReversalIsTheDefault) {
  Files files;
  write_mnist(files, 10, 3);
  for (const std::string name : {"mnist", "fashion"}) {
    const Loaded data(name, files.folder());
    ASSERT_EQ(data.status, EBB_OK) << data.error;
    EXPECT_EQ(data.counts(), (Counts{9, 1, 3}));
    EXPECT_EQ(data.set->d_input, 1);
    EXPECT_EQ(data.set->longest, 784);
    const auto shown = show(data, EBB_TEST, 2);
    EXPECT_EQ(shown.labels[0], 2);
    const int order[] = {2, 512 % 256, 256 % 256, 768 % 256, 128, 640 % 256, 384 % 256, 64, 576 % 256};
    for (int t = 0; t < 9; t++) EXPECT_FLOAT_EQ(shown.values[size_t(t)], float(order[t]) / 255.0F) << t;
    EXPECT_EQ(show(data, EBB_VALIDATION, 0).labels[0], 7) << "torch's permutation of ten ends with 7";
  }
}

TEST(Mnist, OtherOrders) {
  Files files;
  write_mnist(files, 10, 3);
  const Loaded rows("mnist", files.folder(), {"dataset.permute=false"});
  ASSERT_EQ(rows.status, EBB_OK) << rows.error;
  const auto by_row = show(rows, EBB_TEST, 1);
  for (size_t p = 1; p < 784; p++) EXPECT_FLOAT_EQ(by_row.values[p], float(p % 256) / 255.0F);
  const Loaded random("mnist", files.folder(), {"dataset.permute=random"});
  ASSERT_EQ(random.status, EBB_OK) << random.error;
  const int order[] = {319, 576, 323, 107, 355, 716, 197, 20};
  const auto mixed = show(random, EBB_TEST, 1);
  for (size_t t = 0; t < 8; t++) EXPECT_FLOAT_EQ(mixed.values[t], float(order[t] % 256) / 255.0F);
  EXPECT_EQ(Loaded("mnist", files.folder(), {"dataset.permute=hilbert"}).status, EBB_INVALID);
  EXPECT_EQ(Loaded("mnist", files.folder(), {"dataset.permute=transpose"}).status, EBB_INVALID);
  const Loaded all("mnist", files.folder(), {"dataset.val_split=0", "dataset.max_samples=4"});
  ASSERT_EQ(all.status, EBB_OK) << all.error;
  EXPECT_EQ(all.counts(), (Counts{4, 0, 3}));
}

TEST(Mnist, RefusesDamage) {
  Files files;
  const Loaded missing("mnist", files.folder());
  EXPECT_EQ(missing.status, EBB_NOT_FOUND);
  write_mnist(files, 10, 3);
  files.write("t10k-labels-idx1-ubyte", idx({2}, std::string(2, '\1')));
  const Loaded count("mnist", files.folder());
  EXPECT_EQ(count.status, EBB_FORMAT);
  EXPECT_NE(count.error.find("3 images, but 2 labels"), std::string::npos) << count.error;
  files.write("t10k-images-idx3-ubyte", idx({0, 28, 28}, ""));
  files.write("t10k-labels-idx1-ubyte", idx({0}, ""));
  EXPECT_EQ(Loaded("mnist", files.folder()).status, EBB_FORMAT);
  write_mnist(files, 1, 3);
  EXPECT_EQ(Loaded("mnist", files.folder()).status, EBB_INVALID)
      << "one image cannot be training and validation";
}

TEST(Mnist, RealFiles) {
  REAL_DATA(folder, "mnist");
  const Loaded data("mnist", folder);
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (Counts{54000, 6000, 10000}));
  const EbbSamples &train = data.split(EBB_TRAIN), &test = data.split(EBB_TEST);
  EXPECT_EQ(train.order[0], 37542);
  EXPECT_EQ(train.order[1], 43087);
  EXPECT_EQ(data.split(EBB_VALIDATION).order[0], 33841);
  const int first[] = {5, 0, 4, 1, 9, 2, 1, 3, 1, 4}, tests[] = {7, 2, 1, 0, 4, 1, 4};
  for (int i = 0; i < 10; i++) EXPECT_EQ(train.labels[i], first[i]);
  for (int i = 0; i < 7; i++) EXPECT_EQ(test.labels[i], tests[i]);
  const uint8_t *bytes = static_cast<uint8_t *>(train.raw), *of_test = static_cast<uint8_t *>(test.raw);
  EXPECT_NEAR(std::accumulate(bytes, bytes + 60000 * 784, 0.0) / (60000 * 784.0) / 255, 0.13066048, 1e-8);
  EXPECT_NEAR(std::accumulate(of_test, of_test + 10000 * 784, 0.0) / (10000 * 784.0) / 255, 0.13251461, 1e-8);
  // The first test image's first strokes in bit-reversed order.
  const auto shown = show(data, EBB_TEST, 0);
  const std::pair<size_t, int> strokes[] = {{6, 44}, {8, 35}, {27, 254}, {29, 254}, {36, 205}};
  for (const auto &[step, value] : strokes) EXPECT_FLOAT_EQ(shown.values[step], float(value) / 255.0F);
  EXPECT_EQ(shown.values[7], 0.0F);
}

} // namespace
