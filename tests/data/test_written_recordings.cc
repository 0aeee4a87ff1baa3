// Data sets whose files are not here, read from small files in the published format.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/loaded.h"

namespace {

namespace fs = std::filesystem;
using Counts = std::vector<int64_t>;
using ebb_test::Loaded;

const std::vector<std::string> kPaper = {"dataset.protocol=paper"};

class Written : public testing::Test {
protected:
  fs::path folder;
  void SetUp() override {
    folder = fs::path(testing::TempDir()) / "ebb_written";
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void TearDown() override { fs::remove_all(folder); }
  void write(const std::string &name, const std::string &text) const {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::binary) << text;
  }
  void expect_error(const std::string &set, EbbStatus status, const std::vector<std::string> &says) const {
    const Loaded data(set, folder.string(), kPaper);
    EXPECT_EQ(data.status, status);
    for (const std::string &part : says) EXPECT_NE(data.error.find(part), std::string::npos) << data.error;
  }
};

// ---- gesture ----

// Row r of a file has 1000 file + r in column 1, and twice that in column 2.
std::string gesture(int file, int rows) {
  std::string text;
  for (int i = 1; i <= 32; i++) text += std::to_string(i) + ",";
  text += "Phase\r\n";
  for (int r = 0; r < rows; r++) {
    for (int i = 1; i <= 32; i++) text += std::to_string(i * (1000 * file + r)) + ".5,";
    text += std::string(1, "DPSHR"[r % 5]) + "\r\n";
  }
  return text;
}

TEST_F(Written, GestureWindowsAreInterleaved) {
  const char *names[] = {"a3", "b1", "b3", "c1", "c3", "a2", "a1"};
  for (int i = 0; i < 7; i++) write(std::string(names[i]) + "_va3.csv", gesture(i, 330 + i));
  const Loaded paper("gesture", folder.string(), kPaper), time("gesture", folder.string());
  ASSERT_EQ(paper.status, EBB_OK) << paper.error;
  ASSERT_EQ(time.status, EBB_OK) << time.error;
  // 10 windows a file and 9 between them.
  EXPECT_EQ(paper.counts(), (Counts{133 - 13 - 19, 13, 19}));
  EXPECT_EQ(paper.set->n_classes, 5);
  // All windows together have mean 0 and deviation 1 in every column.
  for (int column : {0, 31}) {
    double sum = 0, squares = 0, n = 0;
    for (EbbSplit split : {EBB_TRAIN, EBB_VALIDATION, EBB_TEST})
      for (int64_t s = 0; s < paper.split(split).n_samples; s++)
        for (int64_t step = 0; step < 32; step++) {
          const double v = double(paper.row(split, s, step)[size_t(column)]);
          sum += v, squares += v * v, n++;
        }
    EXPECT_NEAR(sum / n, 0, 1e-5);
    EXPECT_NEAR(squares / n, 1, 1e-5);
  }
  for (int64_t i = 0; i < 32; i++) {
    const EbbSamples &s = paper.split(EBB_TRAIN);
    if (i > 0) EXPECT_EQ(s.labels[i], (s.labels[i - 1] + 1) % 5);
  }
  // In time: 330 rows give 248 + 33 + 49, windows every 16 rows.
  EXPECT_GT(time.counts()[0], 7 * 12);
  EXPECT_EQ(time.counts()[1], 7);
}

TEST_F(Written, GestureErrorsNameFileAndLine) {
  write("a3_va3.csv", gesture(0, 40));
  std::string text = gesture(1, 40);
  write("b1_va3.csv", text.substr(0, text.size() - 20));
  expect_error("gesture", EBB_FORMAT, {"b1_va3.csv:41", "fields, expected 33"});
  text.replace(text.rfind(",R"), 2, ",Q");
  write("b1_va3.csv", text);
  expect_error("gesture", EBB_FORMAT, {"b1_va3.csv:41", "'Q'", "D, P, S, H, R"});
}

// ---- har ----

std::string features(int rows) {
  std::string text;
  for (int r = 0; r < rows; r++) {
    for (int i = 0; i < 561; i++) text += (i ? "  " : " ") + std::to_string((r * 7 + i) % 11 / 11.0 - 0.5);
    text += "\n";
  }
  return text;
}

std::string labels(int rows) {
  std::string text;
  for (int r = 0; r < rows; r++) text += std::to_string(1 + r % 6) + "\n";
  return text;
}

TEST_F(Written, HumanActivity) {
  write("train/X_train.txt", features(100));
  write("train/y_train.txt", labels(100));
  write("test/X_test.txt", features(50));
  write("test/y_test.txt", labels(50));
  const Loaded paper("har", folder.string(), kPaper), time("har", folder.string());
  ASSERT_EQ(paper.status, EBB_OK) << paper.error;
  EXPECT_EQ(paper.counts(), (Counts{84 - 8, 8, 5}));
  EXPECT_EQ(paper.set->d_input, 561);
  EXPECT_EQ(paper.split(EBB_TEST).labels[7], 1);
  EXPECT_NEAR(paper.row(EBB_TEST, 0, 3)[2], 23 % 11 / 11.0 - 0.5, 1e-6);
  EXPECT_EQ(time.status, EBB_FORMAT) << "10 rows hold no window of 16";
  write("train/X_train.txt", features(300));
  expect_error("har", EBB_FORMAT, {"100 labels", "300 rows"});
  write("train/y_train.txt", labels(300));
  const Loaded longer("har", folder.string());
  ASSERT_EQ(longer.status, EBB_OK) << longer.error;
  EXPECT_EQ(longer.counts(), (Counts{254, 2, 5}));
  write("train/y_train.txt", labels(301));
  expect_error("har", EBB_FORMAT, {"y_train.txt:301", "more labels than the 300"});
}

// ---- power ----

TEST_F(Written, PowerFillsGapsWithTheLastValue) {
  std::string text =
      "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;Sub_metering_1;"
      "Sub_metering_2;Sub_metering_3\n";
  for (int r = 0; r < 1000; r++) {
    const std::string at = "16/12/2006;17:24:00;";
    if (r == 0)
      text += at + "?;?;?;?;?;?;\n"; // columns 0 to 6 count as 0 .. 6
    else if (r == 500)
      text += at + "?;?;?;?;?;?;\n"; // row 499 again
    else
      text += at + std::to_string(r % 13) + ".5;0.1;" + std::to_string(230 + r % 7) + ";18.4;0;" +
              std::to_string(r % 3) + ";17\n";
  }
  write("household_power_consumption.txt", text);
  const Loaded paper("power", folder.string(), kPaper), time("power", folder.string());
  ASSERT_EQ(paper.status, EBB_OK) << paper.error;
  ASSERT_EQ(time.status, EBB_OK) << time.error;
  EXPECT_EQ(paper.counts(), (Counts{31 - 3 - 4, 3, 4}));
  EXPECT_EQ(time.counts(), (Counts{23, 3, 4}));
  const EbbSamples &train = time.split(EBB_TRAIN);
  EXPECT_EQ(time.set->d_input, 6);
  for (int column = 0; column < 6; column++)
    EXPECT_EQ(train.values[500 * 6 + column], train.values[499 * 6 + column]);
  EXPECT_EQ(train.targets[500], train.targets[499]);
  // Row 0: the target 0 against 0.5 .. 12.5.
  EXPECT_LT(train.targets[0], train.targets[13]);
  text += "16/12/2006;17:24:00;1;1;1\n";
  write("household_power_consumption.txt", text);
  expect_error("power", EBB_FORMAT, {"household_power_consumption.txt:1002", "5 fields, expected 9"});
}

// ---- person ----

TEST_F(Written, PersonRunsAreSeries) {
  const char *tags[] = {"010-000-024-033", "010-000-030-096", "020-000-033-111", "020-000-032-221"};
  const char *activities[] = {"walking", "standing up from sitting", "sitting on the ground"};
  std::string text;
  for (int run = 0; run < 4; run++)
    for (int r = 0; r < 400; r++)
      text += std::string("A0") + std::to_string(run + 1) + "," + tags[r % 4] +
              ",633790226051280329,27.05.2009 14:03:25:127," + std::to_string(r) + ".25,1.5,-0.5," +
              activities[r % 3] + "\n";
  write("ConfLongDemo_JSI.txt", text);
  const Loaded paper("person", folder.string(), kPaper), time("person", folder.string());
  ASSERT_EQ(paper.status, EBB_OK) << paper.error;
  ASSERT_EQ(time.status, EBB_OK) << time.error;
  // 23 windows in each of the three runs that count.
  EXPECT_EQ(paper.counts(), (Counts{69 - 6 - 10, 6, 10}));
  EXPECT_EQ(time.counts(), (Counts{4 * 17, 4, 4 * 2}));
  const std::vector<float> row = time.row(EBB_TRAIN, 0, 5), expected = {0, 1, 0, 0, 5.25F, 1.5F, -0.5F};
  EXPECT_EQ(row, expected);
  const int32_t classes[] = {3, 2, 6};
  for (int i = 0; i < 32; i++) EXPECT_EQ(time.split(EBB_TRAIN).labels[i], classes[i % 3]);
  text += "A05,010-000-024-099,1,1,0,0,0,walking\n";
  write("ConfLongDemo_JSI.txt", text);
  expect_error("person", EBB_FORMAT, {"ConfLongDemo_JSI.txt:1601", "010-000-024-099"});
}

// ---- traffic ----

// Four rows a day from Monday 2012-10-01; some copies of the file write dates the other way round.
std::string traffic(bool slashes) {
  std::string text =
      "holiday,temp,rain_1h,snow_1h,clouds_all,weather_main,weather_description,date_time,traffic_volume\n";
  for (int r = 0; r < 400; r++) {
    char date[32];
    const int day = 1 + r / 4 % 28, month = 10 + r / 112 % 3, year = r < 336 ? 2012 : 2013, hour = r % 4 * 6;
    if (slashes)
      snprintf(date, sizeof date, "%02d/%02d/%04d %02d:00", day, month, year, hour);
    else
      snprintf(date, sizeof date, "%04d-%02d-%02d %02d:00:00", year, month, day, hour);
    text += std::string(r == 1 ? "Columbus Day" : "None") + ",280.5,0,0,40,Clouds,\"scattered, few\"," +
            date + "," + std::to_string(r % 50) + "\n";
  }
  return text;
}

TEST_F(Written, TrafficDatesInBothOrders) {
  const char *name = "Metro_Interstate_Traffic_Volume.csv";
  write(name, traffic(false));
  const Loaded time("traffic", folder.string()), paper("traffic", folder.string(), kPaper);
  ASSERT_EQ(time.status, EBB_OK) << time.error;
  ASSERT_EQ(paper.status, EBB_OK) << paper.error;
  EXPECT_EQ(paper.counts(), (Counts{92 - 9 - 13, 9, 13}));
  EXPECT_EQ(time.row(EBB_TRAIN, 0, 1),
            (std::vector<float>{1, 0, 0, 0, 40, 0, float(std::sin(std::acos(-1) / 4))}));
  EXPECT_EQ(time.row(EBB_TRAIN, 0, 7)[5], 1) << "Tuesday";
  EXPECT_EQ(time.row(EBB_TRAIN, 0, 27)[5], 6) << "Sunday";
  EXPECT_EQ(time.row(EBB_TRAIN, 1, 0)[0], 0);
  write(name, traffic(true));
  const Loaded other("traffic", folder.string());
  ASSERT_EQ(other.status, EBB_OK) << other.error;
  const EbbSamples &a = time.split(EBB_TEST), &b = other.split(EBB_TEST);
  ASSERT_EQ(a.n_samples, b.n_samples);
  for (int64_t i = 0; i < a.offset[a.n_samples] * 7; i++) ASSERT_EQ(a.values[i], b.values[i]) << i;
  std::string text = traffic(false);
  text.replace(text.find("2012-10-02 06"), 13, "2012-13-02 06");
  write(name, text);
  expect_error("traffic", EBB_FORMAT, {std::string(name) + ":7", "'2012-13-02 06:00:00', not a date"});
}

// ---- damaged files of the others ----

TEST_F(Written, DamagedOccupancyAndOzone) {
  const std::string head =
      "\"date\",\"Temperature\",\"Humidity\",\"Light\",\"CO2\",\"HumidityRatio\",\"Occupancy\"\n";
  const struct {
    const char *row, *says;
  } rows[] = {{"\"1\",\"2015\",1,2,3,4,5\n", "7 fields, expected 8"},
              {"\"1\",\"2015\",1,nan,3,4,5,1\n", "field 4 is 'nan', not a finite number"},
              {"\"1\",\"2015\",1,2,3,4,5,2\n", "field 8 is '2'; known are: 0, 1"},
              {"\"1\",\"2015,1,2,3,4,5,1\n", "a quote that is opened in this record is not closed"}};
  for (const auto &row : rows) {
    write("datatraining.txt", head + "\"1\",\"2015\",1,2,3,4,5,1\n" + row.row);
    expect_error("occupancy", EBB_FORMAT, {"datatraining.txt:3: ", row.says});
  }
  write("datatraining.txt", "");
  expect_error("occupancy", EBB_FORMAT, {"datatraining.txt: the file is empty"});
  write("eighthr.data", "1/1/1998,1,2,3\n");
  expect_error("ozone", EBB_FORMAT, {"eighthr.data:1", "4 fields, expected 74"});
}

std::string trace(int steps, int width, double bad_value = 0) {
  std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': (" + std::to_string(steps) + ", " +
                       std::to_string(width) + "), }\n";
  std::string text = std::string("\x93NUMPY\x01\0", 8) + char(header.size()) + '\0' + header;
  for (int i = 0; i < steps * width; i++) {
    const double value = i == width + 3 ? bad_value : i;
    text.append(reinterpret_cast<const char *>(&value), sizeof value);
  }
  return text;
}

TEST_F(Written, DamagedTraces) {
  const struct {
    std::string trace;
    EbbStatus status;
    const char *says;
  } rows[] = {{trace(50, 16), EBB_FORMAT, "a trace has 2, of which the second is 17"},
              {trace(50, 17, NAN), EBB_FORMAT, "number 3 of step 1 is not finite"},
              {trace(50, 17).substr(0, 400), EBB_FORMAT, "cut off"},
              {trace(20, 17), EBB_NOT_FOUND, "trace_0016.npy"}};
  for (const auto &row : rows) {
    write("trace_0015.npy", row.trace);
    expect_error("cheetah", row.status, {"trace_001", row.says});
  }
  for (int i = 0; i < 25; i++) {
    char name[32];
    snprintf(name, sizeof name, "trace_%04d.npy", i);
    write(name, trace(20, 17));
  }
  expect_error("cheetah", EBB_FORMAT, {"no window of 32 steps fits", "training"});
}

std::string idx(std::vector<int> dims, const std::string &bytes) {
  std::string text("\0\0\x08", 3);
  text += char(dims.size());
  for (int n : dims) text += std::string("\0\0", 2) + char(n >> 8) + char(n & 255);
  return text + bytes;
}

TEST_F(Written, DamagedDigits) {
  const int n = 6002;
  const auto images = [](int count, int side) {
    return idx({count, side, side}, std::string(size_t(count * side * side), 'x'));
  };
  const struct {
    std::string images, labels;
    const char *says;
  } rows[] = {{images(n, 14), idx({n}, std::string(n, 1)), "images of 14 x 14"},
              {images(n, 28), idx({n - 1}, std::string(n - 1, 1)), "6002 images, but 6001 labels"},
              {images(n, 28), idx({n}, std::string(n, 10)), "label 0 is 10"},
              {images(5999, 28), idx({5999}, std::string(5999, 1)), "more than the 6000 for validation"},
              {images(n, 28).substr(0, 9999), idx({n}, std::string(n, 1)), "cut off"},
              {idx({n}, std::string(n, 1)), idx({n}, std::string(n, 1)),
               "with 1 dimensions, expected bytes (8) with 3"}};
  for (const auto &row : rows) {
    write("train-images-idx3-ubyte", row.images);
    write("train-labels-idx1-ubyte", row.labels);
    expect_error("smnist", EBB_FORMAT, {"train-images-idx3-ubyte", row.says});
  }
  write("train-images-idx3-ubyte", images(n, 28));
  expect_error("fashion_mnist", EBB_NOT_FOUND, {"t10k-images-idx3-ubyte", "Fashion-MNIST"});
  write("t10k-images-idx3-ubyte", images(3, 28));
  write("t10k-labels-idx1-ubyte", idx({3}, "\1\2\3"));
  const Loaded data("fashion_mnist", folder.string());
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (Counts{2, 6000, 3}));
  EXPECT_EQ(data.row(EBB_TEST, 2, 27)[27], 'x' / 255.0F);
}

} // namespace
