// A user's arrays and series, and BIDMC: small files in the published layouts.
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "host/data/npz.h"
#include "support/loaded.h"
#include "support/wav_file.h"

namespace {

namespace fs = std::filesystem;
using namespace ebb_test;
using Keys = std::vector<std::string>;
using Floats = std::vector<float>;

// A .npy of float32 or int64.
std::string npy_header(const std::string &type, const std::vector<int> &shape) {
  std::string dict = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (";
  for (int n : shape) dict += std::to_string(n) + ",";
  dict += "), }";
  dict += std::string(64 - (10 + dict.size() + 1) % 64, ' ') + "\n";
  return std::string("\x93NUMPY\x01\0", 8) + little_endian(dict.size(), 2) + dict;
}
std::string npy(const std::vector<int> &shape, const Floats &values) {
  return npy_header("<f4", shape) + bytes_of(values);
}
std::string whole_npy(const std::vector<int> &shape, const std::vector<int64_t> &values) {
  return npy_header("<i8", shape) + bytes_of(values);
}

// 0, 1, 2, ...
Floats counted(int n) {
  Floats values;
  for (int i = 0; i < n; i++) values.push_back(float(i));
  return values;
}

class Arrays : public testing::Test {
protected:
  fs::path root;
  void SetUp() override {
    root = fs::path(testing::TempDir()) / "ebb_arrays";
    fs::remove_all(root);
    fs::create_directories(root);
  }
  void TearDown() override { fs::remove_all(root); }
  std::string folder() const { return root.string(); }
  void write(const std::string &name, const std::string &bytes) const { write_file(root / name, bytes); }
  void refuses(const std::string &set, const Keys &keys, const std::string &text,
               EbbStatus status = EBB_FORMAT) const {
    const Loaded data(set, folder(), keys);
    EXPECT_EQ(data.status, status) << text;
    EXPECT_NE(data.error.find(text), std::string::npos) << data.error;
  }
};

const Keys as_is = {"dataset.normalise=false"};

// Numbers of stored sample s.
Floats sample(const Loaded &data, int64_t s) {
  const EbbSamples &all = data.split(EBB_TRAIN);
  return Floats(all.values + all.offset[s] * data.set->d_input,
                all.values + all.offset[s + 1] * data.set->d_input);
}

// ---- .npy ----

TEST_F(Arrays, ClassesAndSplits) {
  write("trainx.npy", npy({4, 3, 2}, counted(24)));
  write("trainy.npy", whole_npy({4}, {0, 2, 1, 0}));
  write("validx.npy", npy({1, 3, 2}, counted(6)));
  write("validy.npy", whole_npy({1}, {2}));
  write("testx.npy", npy({2, 3, 2}, counted(12)));
  write("testy.npy", whole_npy({2}, {1, 1}));
  const Loaded data("npy", folder(), as_is);
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (std::vector<int64_t>{4, 1, 2}));
  EXPECT_EQ(data.set->n_classes, 3);
  EXPECT_EQ(data.set->d_input, 2);
  EXPECT_FALSE(data.set->per_step);
  const EbbSamples &test = data.split(EBB_TEST);
  EXPECT_EQ(test.labels[test.order[0]], 1);
  EXPECT_EQ(sample(data, test.order[1]), (Floats{6, 7, 8, 9, 10, 11}));
  write("testy.npy", whole_npy({2}, {1, 3}));
  refuses("npy", {}, "testy: target 1 is 3, not a class from 0 to 2");
  write("testx.npy", npy({2, 3}, counted(6)));
  refuses("npy", {}, "testx: 1 channels; training has 2");
  fs::remove(root / "validy.npy");
  refuses("npy", {}, "validy.npy", EBB_NOT_FOUND);
}

TEST_F(Arrays, NumbersAndSplitsSetAside) {
  write("trainx.npy", npy({10, 3}, counted(30)));
  write("trainy.npy", npy({10, 2}, counted(20)));
  const Loaded data("npy", folder(), {"dataset.val_split=0.2", "dataset.test_split=0.3"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (std::vector<int64_t>{5, 2, 3}));
  EXPECT_EQ(data.set->n_classes, 0);
  EXPECT_EQ(data.set->d_output, 2);
  // torch.randperm(10) of seed 42.
  const EbbSamples &train = data.split(EBB_TRAIN), &test = data.split(EBB_TEST);
  EXPECT_EQ(std::vector<int64_t>(train.order, train.order + 5), (std::vector<int64_t>{2, 6, 1, 8, 4}));
  EXPECT_EQ(std::vector<int64_t>(test.order, test.order + 3), (std::vector<int64_t>{9, 3, 7}));
  EXPECT_EQ(test.targets[2 * test.order[0] + 1], 19);
  double sum = 0, squares = 0;
  for (int i = 0; i < 5; i++)
    for (float value : sample(data, train.order[i])) sum += value, squares += value * value;
  EXPECT_NEAR(sum, 0, 1e-5);
  EXPECT_NEAR(squares, 15, 1e-4) << "z-score by the training samples";
}

TEST_F(Arrays, TargetsOfSteps) {
  write("trainx.npy", npy({4, 3}, counted(12)));
  write("trainy.npy", whole_npy({4, 3}, {0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0}));
  const Loaded classes("npy", folder(), as_is);
  ASSERT_EQ(classes.status, EBB_OK) << classes.error;
  EXPECT_TRUE(classes.set->per_step);
  EXPECT_EQ(classes.set->n_classes, 2);
  EXPECT_EQ(classes.split(EBB_TRAIN).labels[4], 1);
  write("trainy.npy", npy({4, 3, 2}, counted(24)));
  const Loaded numbers("npy", folder(), as_is);
  ASSERT_EQ(numbers.status, EBB_OK) << numbers.error;
  EXPECT_TRUE(numbers.set->per_step);
  EXPECT_EQ(numbers.set->d_output, 2);
  EXPECT_EQ(numbers.split(EBB_TRAIN).targets[23], 23);
  write("trainy.npy", npy({4, 2, 2}, counted(16)));
  refuses("npy", {}, "trainy: 2 targets a sample for 3 steps in trainx");
}

TEST_F(Arrays, ClassesAsFloatsAndWholeNumbersAsTargets) {
  write("trainx.npy", npy({4, 3}, counted(12)));
  write("trainy.npy", npy({4}, {1, 0, 1, 0}));
  EXPECT_EQ(Loaded("npy", folder()).set->n_classes, 0);
  const Loaded classes("npy", folder(), {"dataset.classes=3"});
  ASSERT_EQ(classes.status, EBB_OK) << classes.error;
  EXPECT_EQ(classes.set->n_classes, 3);
  write("trainy.npy", whole_npy({4}, {1, 0, -1, 0}));
  refuses("npy", {}, "trainy: target 2 is -1, not a class");
  const Loaded numbers("npy", folder(), {"dataset.classes=0"});
  ASSERT_EQ(numbers.status, EBB_OK) << numbers.error;
  EXPECT_EQ(numbers.split(EBB_TRAIN).targets[2], -1);
  write("trainy.npy", npy({3}, {1, 0, 1}));
  refuses("npy", {}, "trainy: 3 targets in 1 dimensions for 4 samples");
  write("trainx.npy", npy({12}, counted(12)));
  refuses("npy", {}, "trainx: 1 dimensions");
}

TEST_F(Arrays, MissingNumbers) {
  write("trainx.npy", npy({3, 3, 2}, {1, 2, 3, NAN, NAN, NAN, 1, 1, 1, 1, 1, 1, NAN, 5, NAN, 6, 7, 8}));
  write("trainy.npy", npy({3}, {1, 2, 3}));
  refuses("npy", as_is,
          "trainx[0]: the number of step 2, channel 2 is missing; dataset.missing=last or zero");
  const Loaded last("npy", folder(), {"dataset.normalise=false", "dataset.missing=last"});
  ASSERT_EQ(last.status, EBB_OK) << last.error;
  EXPECT_TRUE(last.set->variable_length);
  EXPECT_EQ(sample(last, 0), (Floats{1, 2, 3, 2})) << "NaN in all channels at the end is padding";
  EXPECT_EQ(sample(last, 2), (Floats{0, 5, 0, 6, 7, 8}));
  const Loaded zero("npy", folder(), {"dataset.normalise=false", "dataset.missing=zero"});
  EXPECT_EQ(sample(zero, 0), (Floats{1, 2, 3, 0}));
  write("trainx.npy", npy({1, 2}, {1, INFINITY}));
  write("trainy.npy", npy({1}, {1}));
  refuses("npy", {}, "trainx[0]: the number of step 2, channel 1 is not finite");
  write("trainx.npy", npy({1, 2}, {NAN, NAN}));
  refuses("npy", {}, "trainx[0]: the sample has no numbers");
}

// ---- .npz ----

struct Member {
  std::string name, bytes;
  bool deflated = false;
};

// A ZIP archive as numpy writes it: a 64-bit extra field in every local header.
std::string zip(const std::vector<Member> &members) {
  std::string archive, list;
  for (const Member &m : members) {
    const auto crc = crc32(0, reinterpret_cast<const Bytef *>(m.bytes.data()), uInt(m.bytes.size()));
    std::string packed = m.bytes;
    if (m.deflated) {
      packed.resize(compressBound(uLong(m.bytes.size())) + 64);
      z_stream stream = {};
      deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
      stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(m.bytes.data()));
      stream.avail_in = uInt(m.bytes.size());
      stream.next_out = reinterpret_cast<Bytef *>(&packed[0]), stream.avail_out = uInt(packed.size());
      EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
      packed.resize(stream.total_out);
      deflateEnd(&stream);
    }
    const std::string common = little_endian(0, 2) + little_endian(m.deflated ? 8 : 0, 2) +
                               little_endian(0, 4) + little_endian(crc, 4) + little_endian(packed.size(), 4) +
                               little_endian(m.bytes.size(), 4) + little_endian(m.name.size() + 4, 2);
    list += "PK\x01\x02" + little_endian(45, 2) + little_endian(45, 2) + common + std::string(12, '\0') +
            little_endian(archive.size(), 4) + m.name + ".npy";
    archive += "PK\x03\x04" + little_endian(45, 2) + common + little_endian(20, 2) + m.name + ".npy" +
               std::string(20, 'e') + packed;
  }
  return archive + list + "PK\x05\x06" + std::string(4, '\0') + little_endian(members.size(), 2) +
         little_endian(members.size(), 2) + little_endian(list.size(), 4) + little_endian(archive.size(), 4) +
         little_endian(0, 2);
}

TEST_F(Arrays, Npz) {
  for (const bool deflated : {false, true}) {
    write("all.npz", zip({{"trainx", npy({4, 3}, counted(12)), deflated},
                          {"trainy", whole_npy({4}, {0, 1, 1, 0}), deflated},
                          {"testx", npy({2, 3}, counted(6)), deflated},
                          {"testy", whole_npy({2}, {1, 0}), deflated}}));
    const Loaded data("npz", folder(),
                      {"dataset.file=all.npz", "dataset.normalise=false", "dataset.val_split=0.25"});
    ASSERT_EQ(data.status, EBB_OK) << data.error;
    EXPECT_EQ(data.counts(), (std::vector<int64_t>{3, 1, 2}));
    EXPECT_EQ(sample(data, 1), (Floats{3, 4, 5}));
    EXPECT_EQ(sample(data, 5), (Floats{3, 4, 5}));
  }
  write("part.npz", zip({{"trainx", npy({4, 3}, counted(12))}}));
  refuses("npz", {"dataset.file=part.npz"}, "there is no array 'trainy'");
  refuses("npz", {}, "needs dataset.file", EBB_INVALID);
}

TEST(Npz, DamagedArchivesAreRefused) {
  for (const bool deflated : {false, true}) {
    const std::string good = zip({{"a", npy({3}, {1, 2, 3})}, {"b", npy({300}, counted(300)), deflated}});
    const auto status = [](const std::string &bytes) {
      EbbNpy array;
      bool found;
      const EbbStatus read = ebb_npz_read(bytes.data(), bytes.size(), "f.npz", "b", &found, &array);
      const bool whole = read == EBB_OK && found && array.size == 300 && array.values[299] == 299;
      ebb_npy_release(&array);
      return whole ? EBB_OK : read == EBB_OK ? EBB_NOT_FOUND : read;
    };
    EXPECT_EQ(status(good), EBB_OK) << ebb_error();
    for (size_t n = 0; n < good.size(); n++) EXPECT_EQ(status(good.substr(0, n)), EBB_FORMAT) << n;
    for (size_t at = 260; at < good.size() - 180; at += 7) { // inside the array
      std::string bad = good;
      bad[at] = char(bad[at] ^ 0x40);
      EXPECT_EQ(status(bad), EBB_FORMAT) << at;
    }
  }
}

// ---- .ts, .arff, UCR text ----

const char *const ts_header =
    "# comment\n@problemName t\n@timeStamps false\n@missing false\n@univariate false\n"
    "@dimensions 2\n@equalLength false\n@classLabel true walk Run\n@data\n";

TEST_F(Arrays, TsClasses) {
  write("a.ts", std::string(ts_header) + "1,2,3:4,5,6:Run\n\n7 , 8:9,1e1:walk\r\n");
  write("b.ts", std::string(ts_header) + "1,2:3,4:walk\n");
  const Loaded data(
      "ts", folder(),
      {"dataset.file=a.ts", "dataset.val_file=b.ts", "dataset.test_file=b.ts", "dataset.normalise=false"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (std::vector<int64_t>{2, 1, 1}));
  EXPECT_EQ(data.set->n_classes, 2);
  EXPECT_TRUE(data.set->variable_length);
  EXPECT_EQ(sample(data, 0), (Floats{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(sample(data, 1), (Floats{7, 9, 8, 10}));
  EXPECT_EQ(data.split(EBB_TRAIN).labels[0], 1) << "in the order of the header";
  EXPECT_EQ(data.split(EBB_TRAIN).labels[2], 0);
}

TEST_F(Arrays, TsTargetsAndTimes) {
  write("a.ts", "@PROBLEMNAME t\n@TimeStamps TRUE\n@targetLabel true\n@data\n"
                "(2004-01-01 10:00:00,1.5),(2004-01-01 11:00:00,?):-2.5\n(0,1),(1,2):3\n(0,1),(1,2):4\n");
  const Loaded data("ts", folder(), {"dataset.file=a.ts", "dataset.normalise=false", "dataset.missing=last"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.set->n_classes, 0);
  EXPECT_EQ(sample(data, 0), (Floats{1.5})) << "a missing end is padding";
  EXPECT_EQ(sample(data, 1), (Floats{1, 2}));
  EXPECT_EQ(data.split(EBB_TRAIN).targets[0], -2.5);
}

TEST_F(Arrays, TsErrorsNameTheLine) {
  const struct {
    std::string text, says;
    EbbStatus status = EBB_FORMAT;
  } rows[] = {
      {"1,2,x:1,2,3:Run\n", "bad.ts:10: number 3 of channel 1 is 'x'"},
      {"1,2:1,2,3:Run\n", "bad.ts:10: channel 2 has 3 numbers, the first one 2"},
      {"1,2:Run\n", "bad.ts:10: 1 channels; @dimensions says 2"},
      {"1,2:1,2:run\n", "bad.ts:10: the class 'run' is not among those that the header names"},
      {"1,2,3\n", "bad.ts:10: no colon"},
      {"1,,3:1,2,3:Run\n", "bad.ts:10: number 2 of channel 1 is ''"},
      {"1,?,2:1,2,3:Run\n", "bad.ts:10: the number of step 2, channel 1 is missing"},
      {"1,1e99:1,2:Run\n", "bad.ts:10: number 2 of channel 1 is '1e99'"},
      {"", "no cases"},
  };
  for (const auto &row : rows) {
    write("bad.ts", ts_header + row.text);
    refuses("ts", {"dataset.file=bad.ts"}, row.says, row.status);
  }
  const struct {
    std::string text, says;
  } headers[] = {
      {"@timeStamps maybe\n", "bad.ts:1: 'maybe' where true or false"},
      {"@problemName x\n@data\n1:1\n", "bad.ts:2: neither @classLabel true nor @targetLabel true"},
      {"1,2:3\n", "bad.ts:1: '1,2:3' stands before @data"},
      {"@problemName x\n", "there is no @data"},
      {"@timestamps true\n@targetlabel true\n@data\n(1,2),3:4\n", "bad.ts:4: '3' where (time,number)"},
      {"@targetlabel true\n@data\n1,2:x\n", "bad.ts:3: the target is 'x'"}};
  for (const auto &row : headers) {
    write("bad.ts", row.text);
    refuses("ts", {"dataset.file=bad.ts"}, row.says);
  }
  write("a.ts", std::string(ts_header) + "1:2:Run\n1:2:walk\n");
  write("b.ts", "@classLabel true walk Run fly\n@data\n1:2:fly\n");
  refuses("ts", {"dataset.file=a.ts", "dataset.test_file=b.ts"},
          "b.ts:1: the training file has no class 'fly'");
}

TEST_F(Arrays, ArffOfOneChannel) {
  write("a.arff", "% comment\n@RELATION 'two words'\n@attribute att0 numeric\n@attribute 'att 1' REAL\n"
                  "@attribute target {-1,'1 a'}\n\n@data\n1.5,2,-1\n3,?,'1 a'\n5, 6 ,-1\n");
  const Loaded data("ts", folder(),
                    {"dataset.file=a.arff", "dataset.normalise=false", "dataset.missing=zero"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.set->n_classes, 2);
  EXPECT_EQ(sample(data, 0), (Floats{1.5, 2}));
  EXPECT_EQ(sample(data, 1), (Floats{3}));
  EXPECT_EQ(data.split(EBB_TRAIN).labels[1], 1);
}

TEST_F(Arrays, ArffOfManyChannels) {
  write("a.arff", "@relation x\n@attribute rel relational\n  @attribute t1 numeric\n  @attribute t2 numeric\n"
                  "@end rel\n@attribute class {a,b}\n@data\n'1,2\\n3,4',b\n\"5,6\\n7,8\",a\n'1,2\\n3,4',b\n");
  const Loaded data("ts", folder(), {"dataset.file=a.arff", "dataset.normalise=false"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.set->d_input, 2);
  EXPECT_EQ(sample(data, 0), (Floats{1, 3, 2, 4}));
  EXPECT_EQ(data.split(EBB_TRAIN).labels[0], 1);
}

TEST_F(Arrays, ArffErrorsNameTheLine) {
  const std::string header =
      "@relation x\n@attribute a numeric\n@attribute b numeric\n@attribute c {u,v}\n@data\n";
  const struct {
    std::string text, says;
    EbbStatus status = EBB_FORMAT;
  } rows[] = {
      {header + "1,u\n", "bad.arff:6: number 2 of channel 1 is 'u'"},
      {header + "1\n", "bad.arff:6: 1 values; the header declares 3"},
      {header + "1,2\n", "bad.arff:6: the case has fewer values"},
      {header + "1,2,u,3\n", "bad.arff:6: the case has more values"},
      {header + "1,2,w\n", "bad.arff:6: the class 'w'"},
      {header + "1,2,'u\n", "bad.arff:6: the case has fewer values"},
      {header + "{0 1, 2 u}\n", "bad.arff:6: sparse rows", EBB_UNSUPPORTED},
      {"@relation x\n@attribute a string\n", "bad.arff:2: attributes of type 'string'", EBB_UNSUPPORTED},
      {"@relation x\n@attribute a\n", "bad.arff:2: an attribute without name or type"},
      {"@relation x\n@attribute a {u,v\n", "bad.arff:2: the list of classes is not closed"},
      {"@relation x\n@data\n", "bad.arff:2: the attributes are not numbers"},
      {"@relation x\n@attribute r relational\n@attribute a numeric\n@data\n",
       "bad.arff:4: the attributes are not"},
      {"1,2,3\n", "bad.arff:1: '1,2,3' stands before @data"},
      {"@relation x\n", "there is no @data"},
  };
  for (const auto &row : rows) {
    write("bad.arff", row.text);
    refuses("ts", {"dataset.file=bad.arff"}, row.says, row.status);
  }
}

TEST_F(Arrays, UcrText) {
  const std::vector<std::string> files = {"10\t1.5\t2\tNaN\n-1\t3\t4\t5\n2\t6\t7\t8\n",
                                          "10,1.5,2,NaN\n-1,3,4,5\n2,6,7,8\n",
                                          "  10 1.5  2 NaN\n -1 3 4 5\n 2 6 7 8\n"};
  for (const std::string &text : files) {
    write("a.txt", text);
    const Loaded data("ts", folder(), {"dataset.file=a.txt", "dataset.normalise=false"});
    ASSERT_EQ(data.status, EBB_OK) << data.error;
    EXPECT_EQ(sample(data, 0), (Floats{1.5, 2}));
    EXPECT_EQ(sample(data, 1), (Floats{3, 4, 5}));
    const int32_t *labels = data.split(EBB_TRAIN).labels;
    EXPECT_EQ(std::vector<int32_t>(labels, labels + 3), (std::vector<int32_t>{2, 0, 1}))
        << "sorted as numbers";
  }
  write("b.txt", "3,1,2\n");
  refuses("ts", {"dataset.file=a.txt", "dataset.test_file=b.txt"},
          "b.txt:1: the class '3' is not among those of the training");
  write("a.txt", "1,2,x\n");
  refuses("ts", {"dataset.file=a.txt"}, "a.txt:1: number 2 of channel 1 is 'x'");
}

// ---- BIDMC ----

std::string bidmc_cases(int first, int n) {
  std::string text =
      "@problemName BIDMC32HR\n@timeStamps false\n@univariate false\n@targetLabel true\n@data\n";
  for (int i = first; i < first + n; i++) {
    const std::string number = std::to_string(i);
    text += number + "," + number + ",0:1,2,3:" + number + ".5\n";
  }
  return text;
}

std::vector<int> values_of(const Loaded &data, EbbSplit which) {
  const EbbSamples &split = data.split(which);
  std::vector<int> found;
  for (int64_t i = 0; i < split.n_samples; i++) {
    const int64_t at = split.order[i];
    EXPECT_EQ(split.targets[at], split.values[2 * split.offset[at]] + 0.5F);
    found.push_back(int(split.values[2 * split.offset[at]]));
  }
  return found;
}

TEST_F(Arrays, BidmcOfTheArchive) {
  write("BIDMC32HR_TRAIN.ts", bidmc_cases(0, 30));
  write("BIDMC32HR_TEST.ts", bidmc_cases(30, 11));
  const Loaded dealt("bidmc", folder(), {"dataset.target=HR"});
  ASSERT_EQ(dealt.status, EBB_OK) << dealt.error;
  EXPECT_EQ(dealt.set->n_classes, 0);
  EXPECT_EQ(dealt.set->d_input, 2);
  // The same 41 as in the test of scikit-learn's split.
  EXPECT_EQ(values_of(dealt, EBB_VALIDATION), (std::vector<int>{11, 38, 30, 36, 20, 31}));
  EXPECT_EQ(values_of(dealt, EBB_TEST), (std::vector<int>{29, 4, 10, 28, 35, 27, 25}));
  EXPECT_EQ(values_of(dealt, EBB_TRAIN).size(), 28U);
  const Loaded kept("bidmc", folder(), {"dataset.target=HR", "dataset.reshuffle=false"});
  ASSERT_EQ(kept.status, EBB_OK) << kept.error;
  EXPECT_EQ(kept.counts(), (std::vector<int64_t>{26, 4, 11}));
  EXPECT_EQ(values_of(kept, EBB_VALIDATION), (std::vector<int>{26, 27, 28, 29}));
  refuses("bidmc", {"dataset.target=RR"}, "BIDMC32RR_TRAIN.ts' does not exist", EBB_NOT_FOUND);
}

TEST_F(Arrays, BidmcPrepared) {
  const fs::path at = root / "SpO2" / "original";
  for (const char *part : {"train", "valid", "test"}) {
    write_file(at / (std::string(part) + "x.npy"), npy({2, 4, 2}, counted(16)));
    write_file(at / (std::string(part) + "y.npy"), whole_npy({2}, {97, 99}));
  }
  const Loaded data("bidmc", folder(), {"dataset.target=SpO2", "dataset.reshuffle=false"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (std::vector<int64_t>{2, 2, 2}));
  EXPECT_EQ(data.set->n_classes, 0) << "whole numbers are targets here too";
  EXPECT_EQ(data.split(EBB_TEST).targets[5], 99);
  EXPECT_EQ(sample(data, 0), counted(8)) << "not normalised";
}

} // namespace
