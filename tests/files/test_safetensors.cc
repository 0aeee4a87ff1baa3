#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "ebb/safetensors.h"

namespace {

struct Reader {
  EbbSafetensors *file = nullptr;
  EbbStatus status;
  explicit Reader(const std::string &path) : status(ebb_safetensors_open(path.c_str(), &file)) {}
  Reader(const std::string &bytes, const char *origin)
      : status(ebb_safetensors_parse(bytes.data(), bytes.size(), origin, &file)) {}
  Reader(const Reader &) = delete;
  Reader &operator=(const Reader &) = delete;
  ~Reader() { ebb_safetensors_close(file); }
};

struct Writer {
  EbbSafetensorsWriter *writer = nullptr;
  Writer() { EXPECT_EQ(ebb_safetensors_writer_create(&writer), EBB_OK); }
  Writer(const Writer &) = delete;
  Writer &operator=(const Writer &) = delete;
  ~Writer() { ebb_safetensors_writer_destroy(writer); }
  EbbStatus add(const char *name, EbbStored type, const std::vector<int64_t> &dim, const void *data) {
    EbbShape shape = ebb_shape_from(static_cast<int>(dim.size()), dim.data());
    return ebb_safetensors_writer_add(writer, name, type, &shape, data);
  }
};

/* A folder of this process, removed at its end. */
struct Scratch {
  std::string folder = testing::TempDir() + "ebb_safetensors_" + std::to_string(getpid());
  Scratch() { std::filesystem::create_directories(folder); }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  ~Scratch() { std::filesystem::remove_all(folder); }
};

std::string scratch(const std::string &name) {
  static const Scratch root;
  return root.folder + "/" + name;
}

std::string contents(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

/* The bytes of a file with this header, however wrong. */
std::string file_of(const std::string &header, size_t data_bytes) {
  uint64_t n = header.size();
  std::string bytes(reinterpret_cast<const char *>(&n), sizeof n);
  return bytes + header + std::string(data_bytes, '\1');
}

/* The error of a header, which must be a FORMAT one and name the file. */
std::string error_of(const std::string &header, size_t data_bytes) {
  Reader reader(file_of(header, data_bytes), "run/broken.safetensors");
  EXPECT_EQ(reader.status, EBB_FORMAT) << header;
  EXPECT_EQ(reader.file, nullptr);
  EXPECT_EQ(std::string(ebb_error()).rfind("run/broken.safetensors: ", 0), 0U) << ebb_error();
  return ebb_error();
}

std::string entry(const std::string &name, const std::string &type, const std::string &shape,
                  const std::string &offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}";
}

std::string error_of_entry(const std::string &type, const std::string &shape, const std::string &offsets,
                           size_t data) {
  return error_of("{" + entry("layer.w", type, shape, offsets) + "}", data);
}

void expect_contains(const std::string &text, const std::vector<std::string> &parts) {
  for (const std::string &part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is missing in: " << text;
}

std::vector<double> doubles(const EbbSafetensors *file, const char *name) {
  const EbbStoredTensor *tensor = ebb_safetensors_find(file, name);
  if (!tensor) return {};
  std::vector<double> values(static_cast<size_t>(ebb_shape_size(&tensor->shape)));
  EXPECT_EQ(ebb_stored_doubles(tensor, values.data(), static_cast<int64_t>(values.size())), EBB_OK)
      << ebb_error();
  return values;
}

} // namespace

TEST(Safetensors, EveryTypeComesBack) {
  const std::string path = scratch("types.safetensors");
  const double f64[] = {1.5, -2e300, std::numeric_limits<double>::infinity()};
  const float f32[] = {0.1F, -3.0F};
  const uint16_t f16[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0xfc00, 0x0400, 0x8000};
  const uint16_t bf16[] = {0x3f80, 0xc000, 0x7f80};
  const int64_t i64[] = {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), 7};
  const int32_t i32[] = {-5, 2147483647};
  const int16_t i16[] = {-32768, 12};
  const int8_t i8[] = {-128, 127, 3};
  const uint8_t u8[] = {0, 255}, flags[] = {0, 1, 1};
  {
    Writer w;
    EXPECT_EQ(w.add("f64", EBB_ST_F64, {3}, f64), EBB_OK);
    EXPECT_EQ(w.add("f32", EBB_ST_F32, {1, 2}, f32), EBB_OK);
    EXPECT_EQ(w.add("f16", EBB_ST_F16, {2, 2, 2}, f16), EBB_OK);
    EXPECT_EQ(w.add("bf16", EBB_ST_BF16, {3}, bf16), EBB_OK);
    EXPECT_EQ(w.add("i64", EBB_ST_I64, {3}, i64), EBB_OK);
    EXPECT_EQ(w.add("i32", EBB_ST_I32, {2}, i32), EBB_OK);
    EXPECT_EQ(w.add("i16", EBB_ST_I16, {2}, i16), EBB_OK);
    EXPECT_EQ(w.add("i8", EBB_ST_I8, {3}, i8), EBB_OK);
    EXPECT_EQ(w.add("u8", EBB_ST_U8, {2}, u8), EBB_OK);
    EXPECT_EQ(w.add("bool", EBB_ST_BOOL, {3}, flags), EBB_OK);
    EXPECT_EQ(w.add("scalar", EBB_ST_F32, {}, f32), EBB_OK);
    EXPECT_EQ(w.add("empty", EBB_ST_F32, {4, 0}, nullptr), EBB_OK);
    ASSERT_EQ(ebb_safetensors_writer_commit(w.writer, path.c_str()), EBB_OK) << ebb_error();
  }
  Reader r(path);
  ASSERT_EQ(r.status, EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_safetensors_count(r.file), 12);
  EXPECT_EQ(doubles(r.file, "f64"), std::vector<double>(f64, f64 + 3));
  EXPECT_EQ(doubles(r.file, "f32"), std::vector<double>(f32, f32 + 2));
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(doubles(r.file, "f16"),
            (std::vector<double>{1, -2, std::ldexp(1, -24), 65504, inf, -inf, std::ldexp(1, -14), 0}));
  EXPECT_TRUE(std::signbit(doubles(r.file, "f16")[7]));
  EXPECT_EQ(doubles(r.file, "bf16"), (std::vector<double>{1, -2, inf}));
  EXPECT_EQ(doubles(r.file, "i32"), (std::vector<double>{-5, 2147483647}));
  EXPECT_EQ(doubles(r.file, "i16"), (std::vector<double>{-32768, 12}));
  EXPECT_EQ(doubles(r.file, "i8"), (std::vector<double>{-128, 127, 3}));
  EXPECT_EQ(doubles(r.file, "u8"), (std::vector<double>{0, 255}));
  EXPECT_EQ(doubles(r.file, "bool"), (std::vector<double>{0, 1, 1}));
  EXPECT_EQ(doubles(r.file, "scalar").size(), 1U);
  EXPECT_EQ(doubles(r.file, "empty").size(), 0U);
  int64_t whole[3];
  EXPECT_EQ(ebb_stored_integers(ebb_safetensors_find(r.file, "i64"), whole, 3), EBB_OK);
  EXPECT_EQ(0, std::memcmp(whole, i64, sizeof whole));
  float single[2];
  EXPECT_EQ(ebb_stored_floats(ebb_safetensors_find(r.file, "f32"), single, 2), EBB_OK);
  EXPECT_EQ(std::vector<float>(single, single + 2), std::vector<float>(f32, f32 + 2));
  EXPECT_EQ(ebb_safetensors_find(r.file, "f3"), nullptr);
  EXPECT_EQ(ebb_safetensors_find(r.file, "f64")->shape.rank, 1);
}

/* Every one of the 65536 halves against the definition of the format, by way of exact powers of two. */
TEST(Safetensors, AllHalfFloats) {
  std::string data(65536 * 2, '\0');
  for (uint32_t i = 0; i < 65536; i++) {
    data[2 * i] = static_cast<char>(i & 255);
    data[2 * i + 1] = static_cast<char>(i >> 8);
  }
  std::string bytes = file_of("{" + entry("h", "F16", "[65536]", "[0,131072]") + "}", 0) + data;
  Reader r(bytes, "halves");
  ASSERT_EQ(r.status, EBB_OK) << ebb_error();
  std::vector<double> values = doubles(r.file, "h");
  ASSERT_EQ(values.size(), 65536U);
  for (int sign = 0; sign < 2; sign++) {
    int base = sign << 15;
    for (int i = 0; i < 0x7c00; i++) {
      double step = std::pow(2.0, std::max(i >> 10, 1) - 25);
      double expected = i < 1024 ? i * step : (1024 + (i & 1023)) * step;
      ASSERT_EQ(values[base + i], sign ? -expected : expected) << i;
    }
    EXPECT_TRUE(std::isinf(values[base + 0x7c00]));
    for (int i = 0x7c01; i < 0x8000; i++) ASSERT_TRUE(std::isnan(values[base + i])) << i;
  }
}

TEST(Safetensors, TensorsInNameOrderWhateverTheOrderOfWriting) {
  const float x[] = {1, 2, 3};
  const uint8_t b[] = {9, 8, 7};
  std::string bytes[2];
  for (int turn = 0; turn < 2; turn++) {
    const std::string path = scratch("order" + std::to_string(turn));
    Writer w;
    EXPECT_EQ(turn ? w.add("b", EBB_ST_F32, {3}, x) : w.add("a", EBB_ST_U8, {3}, b), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_metadata(w.writer, turn ? "step" : "seed", turn ? "12" : "3"), EBB_OK);
    EXPECT_EQ(turn ? w.add("a", EBB_ST_U8, {3}, b) : w.add("b", EBB_ST_F32, {3}, x), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_metadata(w.writer, turn ? "seed" : "step", turn ? "3" : "12"), EBB_OK);
    ASSERT_EQ(ebb_safetensors_writer_commit(w.writer, path.c_str()), EBB_OK) << ebb_error();
    bytes[turn] = contents(path);
    ASSERT_EQ(ebb_safetensors_writer_commit(w.writer, path.c_str()), EBB_OK)
        << "a second commit writes the same";
    EXPECT_EQ(contents(path), bytes[turn]);
  }
  EXPECT_EQ(bytes[0], bytes[1]);
  uint64_t header;
  std::memcpy(&header, bytes[0].data(), sizeof header);
  EXPECT_EQ(header % 8, 0U);
  EXPECT_LT(bytes[0].find("\"a\""), bytes[0].find("\"b\""));
  Reader r(bytes[0], "order");
  ASSERT_EQ(r.status, EBB_OK) << ebb_error();
  EXPECT_STREQ(ebb_safetensors_at(r.file, 0)->name, "a");
  EXPECT_STREQ(ebb_safetensors_at(r.file, 1)->name, "b");
  EXPECT_STREQ(ebb_safetensors_metadata(r.file, "step"), "12");
  EXPECT_STREQ(ebb_safetensors_metadata(r.file, "seed"), "3");
  EXPECT_EQ(ebb_safetensors_metadata(r.file, "Step"), nullptr);
  EXPECT_EQ((static_cast<const char *>(ebb_safetensors_find(r.file, "b")->data) - bytes[0].data()) % 4, 0)
      << "wide elements come first, so that data is aligned";
}

TEST(Safetensors, ReadingAndRewritingGivesTheSameBytes) {
  const std::string first = scratch("first"), second = scratch("second");
  const double x[] = {1, 2, 3, 4, 5, 6};
  const int16_t y[] = {1};
  {
    Writer w;
    EXPECT_EQ(w.add("m.\"quoted\"\n\xc3\xa9", EBB_ST_F64, {2, 3}, x), EBB_OK);
    EXPECT_EQ(w.add("short", EBB_ST_I16, {}, y), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_metadata(w.writer, "config", "lr: 0.1\n\"a\\u0000\"\t\xe2\x82\xac"),
              EBB_OK);
    ASSERT_EQ(ebb_safetensors_writer_commit(w.writer, first.c_str()), EBB_OK) << ebb_error();
  }
  Reader r(first);
  ASSERT_EQ(r.status, EBB_OK) << ebb_error();
  EXPECT_STREQ(ebb_safetensors_metadata(r.file, "config"), "lr: 0.1\n\"a\\u0000\"\t\xe2\x82\xac");
  ASSERT_NE(ebb_safetensors_find(r.file, "m.\"quoted\"\n\xc3\xa9"), nullptr);
  Writer w;
  for (int64_t i = 0; i < ebb_safetensors_count(r.file); i++) {
    const EbbStoredTensor *tensor = ebb_safetensors_at(r.file, i);
    EXPECT_EQ(ebb_safetensors_writer_add(w.writer, tensor->name, tensor->type, &tensor->shape, tensor->data),
              EBB_OK);
  }
  EXPECT_EQ(ebb_safetensors_writer_metadata(w.writer, "config", ebb_safetensors_metadata(r.file, "config")),
            EBB_OK);
  ASSERT_EQ(ebb_safetensors_writer_commit(w.writer, second.c_str()), EBB_OK) << ebb_error();
  EXPECT_EQ(contents(first), contents(second));
}

TEST(Safetensors, AnEmptyFileHasNoTensors) {
  Writer w;
  const std::string path = scratch("none");
  ASSERT_EQ(ebb_safetensors_writer_commit(w.writer, path.c_str()), EBB_OK) << ebb_error();
  Reader r(path);
  ASSERT_EQ(r.status, EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_safetensors_count(r.file), 0);
  EXPECT_EQ(ebb_safetensors_find(r.file, "x"), nullptr);
  EXPECT_EQ(ebb_safetensors_metadata(r.file, "x"), nullptr);
}

TEST(Safetensors, DataMayLieUnaligned) {
  std::string header = "{" + entry("a", "U8", "[1]", "[0,1]") + "," + entry("x", "F64", "[1]", "[1,9]") + "}";
  std::string bytes = "?" + file_of(header, 1);
  const double value = -1.25e-7;
  bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
  EbbSafetensors *file;
  ASSERT_EQ(ebb_safetensors_parse(bytes.data() + 1, bytes.size() - 1, "odd", &file), EBB_OK) << ebb_error();
  EXPECT_EQ(doubles(file, "x"), std::vector<double>{value});
  ebb_safetensors_close(file);
}

TEST(Safetensors, ConversionsRefuseWhatTheyCannotHold) {
  const double values[] = {1, 2.5, 1e300, std::nan("")};
  const std::string path = scratch("odd_values");
  {
    Writer w;
    EXPECT_EQ(w.add("half", EBB_ST_F64, {2}, values), EBB_OK);
    EXPECT_EQ(w.add("large", EBB_ST_F64, {}, values + 2), EBB_OK);
    EXPECT_EQ(w.add("nan", EBB_ST_F64, {}, values + 3), EBB_OK);
    ASSERT_EQ(ebb_safetensors_writer_commit(w.writer, path.c_str()), EBB_OK) << ebb_error();
  }
  Reader r(path);
  ASSERT_EQ(r.status, EBB_OK) << ebb_error();
  int64_t whole[2];
  float single[2];
  EXPECT_EQ(ebb_stored_integers(ebb_safetensors_find(r.file, "half"), whole, 2), EBB_NUMERIC);
  expect_contains(ebb_error(), {"'half'", "element 1", "2.5"});
  EXPECT_EQ(ebb_stored_integers(ebb_safetensors_find(r.file, "large"), whole, 1), EBB_NUMERIC);
  EXPECT_EQ(ebb_stored_integers(ebb_safetensors_find(r.file, "nan"), whole, 1), EBB_NUMERIC);
  EXPECT_EQ(ebb_stored_floats(ebb_safetensors_find(r.file, "large"), single, 1), EBB_NUMERIC);
  expect_contains(ebb_error(), {"'large'", "1e+300", "32-bit"});
  EXPECT_EQ(ebb_stored_floats(ebb_safetensors_find(r.file, "nan"), single, 1), EBB_OK);
  EXPECT_TRUE(std::isnan(single[0]));
  EXPECT_EQ(ebb_stored_floats(ebb_safetensors_find(r.file, "half"), single, 3), EBB_SHAPE);
  expect_contains(ebb_error(), {"'half'", "(2)", "3 elements"});
}

TEST(Safetensors, FilesThatCannotBeOpened) {
  EXPECT_EQ(Reader(scratch("absent")).status, EBB_NOT_FOUND);
  expect_contains(ebb_error(), {"absent", "No such file"});
  EXPECT_EQ(Reader(scratch("")).status, EBB_IO);
  expect_contains(ebb_error(), {"is a folder"});
  EXPECT_EQ(Reader(std::string("/dev/null")).status, EBB_IO);
  expect_contains(ebb_error(), {"/dev/null", "not a regular file"});
  const std::string path = scratch("zero_bytes");
  std::ofstream(path).close();
  EXPECT_EQ(Reader(path).status, EBB_FORMAT);
  expect_contains(ebb_error(), {"zero_bytes", "0 bytes"});
}

TEST(Safetensors, BrokenLengths) {
  EXPECT_EQ(Reader(std::string("1234567"), "short").status, EBB_FORMAT);
  expect_contains(ebb_error(), {"short: ", "7 bytes"});
  std::string bytes = file_of("{}", 0);
  bytes[0] = 100;
  EXPECT_EQ(Reader(bytes, "long").status, EBB_FORMAT);
  expect_contains(ebb_error(), {"100 bytes", "only 2 follow"});
  EXPECT_EQ(Reader(std::string(64, '\xff'), "noise").status, EBB_FORMAT);
  expect_contains(ebb_error(), {"noise: ", "18446744073709551615", "not a safetensors file"});
}

TEST(Safetensors, BrokenJson) {
  expect_contains(error_of("", 0), {"begin with '{'"});
  expect_contains(error_of("[]", 0), {"begin with '{'"});
  expect_contains(error_of("{\"a\":}", 0), {"invalid JSON at byte"});
  expect_contains(error_of("{\"a\"", 0), {"invalid JSON at byte"});
  expect_contains(error_of("{} {}", 0), {"more text", "byte 3"});
  expect_contains(error_of(std::string("{\0}", 3), 0), {"0x00", "byte 1"});
  expect_contains(error_of(std::string("{\"a\0b\":{}}", 10), 0), {"0x00", "byte 3"});
  expect_contains(error_of("{\"a\\u0000b\":{}}", 0), {"NUL", "byte 3"});
  expect_contains(error_of("{\"a\nb\":{}}", 0), {"0x0a", "byte 3"});
  expect_contains(error_of(std::string(5000, '['), 0), {"begin with '{'"});
  expect_contains(error_of("{\"a\":" + std::string(100000, '['), 0), {"invalid JSON"});
}

TEST(Safetensors, BrokenEntries) {
  expect_contains(error_of("{\"w\":3}", 0), {"'w'", "not an object"});
  expect_contains(error_of("{\"w\":{}}", 0), {"'w'", "no field 'dtype'"});
  expect_contains(error_of("{\"w\":{\"dtype\":\"F32\",\"shape\":[]}}", 0), {"no field 'data_offsets'"});
  expect_contains(error_of("{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0), {"'dtype' twice"});
  expect_contains(error_of("{\"w\":{\"Dtype\":\"F32\"}}", 0), {"unknown field 'Dtype'"});
  expect_contains(error_of("{\"w\":{\"dtype\":4}}", 0), {"'dtype'", "not a string"});
  expect_contains(error_of("{\"w\":{\"dtype\":\"F32\",\"shape\":4}}", 0), {"'shape'", "not an array"});
  expect_contains(error_of_entry("F8_E4M3", "[4]", "[0,4]", 4), {"'layer.w'", "'F8_E4M3'", "expected F64"});
  expect_contains(error_of_entry("f32", "[1]", "[0,4]", 4), {"'f32'"});
  const std::string twice = entry("w", "U8", "[1]", "[0,1]") + "," + entry("w", "U8", "[1]", "[1,2]");
  expect_contains(error_of("{" + twice + "}", 2), {"'w'", "twice"});
}

TEST(Safetensors, BrokenShapes) {
  expect_contains(error_of_entry("U8", "[2,-3]", "[0,6]", 6), {"'layer.w'", "shape[1] = -3"});
  expect_contains(error_of_entry("U8", "[1.5]", "[0,1]", 1), {"shape[0] = 1.5"});
  expect_contains(error_of_entry("U8", "[9007199254740992]", "[0,1]", 1), {"9007199254740992", "2^53"});
  expect_contains(error_of_entry("U8", "[1e999]", "[0,1]", 1), {"shape[0] = inf"});
  expect_contains(error_of_entry("U8", "[\"2\"]", "[0,2]", 2), {"shape[0]", "not a number"});
  expect_contains(error_of_entry("U8", "[1,1,1,1,1,1,1]", "[0,1]", 1), {"7 dimensions", "at most 6"});
  expect_contains(error_of_entry("F64", "[4294967296,4294967296]", "[0,0]", 0),
                  {"2^53", "shape[1] = 4294967296"});
  expect_contains(error_of_entry("F64", "[4294967296,4294967296,0]", "[0,0]", 0), {"2^53"});
  expect_contains(error_of_entry("F32", "[2,3]", "[0,20]", 20), {"F32", "(2, 3)", "24 bytes", "span 20"});
}

TEST(Safetensors, BrokenOffsets) {
  expect_contains(error_of_entry("U8", "[1]", "[0]", 1), {"'layer.w'", "two numbers"});
  expect_contains(error_of_entry("U8", "[1]", "[0,1,2]", 1), {"two numbers"});
  expect_contains(error_of_entry("U8", "[1]", "{}", 1), {"two numbers"});
  expect_contains(error_of_entry("U8", "[1]", "[-1,0]", 1), {"data_offsets[0] = -1"});
  expect_contains(error_of_entry("U8", "[1]", "[0,1.25]", 1), {"data_offsets[1] = 1.25"});
  expect_contains(error_of_entry("U8", "[1]", "[0,null]", 1), {"data_offsets[1]", "not a number"});
  expect_contains(error_of_entry("U8", "[1]", "[1,0]", 1), {"begins at byte 1", "end at byte 0"});
  expect_contains(error_of_entry("U8", "[9]", "[0,9]", 8), {"ends at byte 9", "8 bytes", "cut short"});
  expect_contains(error_of_entry("U8", "[2]", "[0,2]", 5), {"5 bytes of data", "end at byte 2"});
  const std::string a = entry("a", "U8", "[4]", "[0,4]");
  expect_contains(error_of("{" + a + "," + entry("b", "U8", "[4]", "[2,6]") + "}", 6),
                  {"'b'", "overlaps", "'a'"});
  expect_contains(error_of("{" + a + "," + entry("b", "U8", "[4]", "[0,4]") + "}", 4), {"overlaps"});
  expect_contains(error_of("{" + a + "," + entry("b", "U8", "[1]", "[6,7]") + "}", 7),
                  {"'b'", "hole after byte 4"});
  expect_contains(error_of("{" + entry("b", "U8", "[1]", "[1,2]") + "}", 2), {"'b'", "hole after byte 0"});
}

TEST(Safetensors, BrokenMetadata) {
  expect_contains(error_of("{\"__metadata__\":[]}", 0), {"__metadata__", "object of strings"});
  expect_contains(error_of("{\"__metadata__\":{\"step\":3}}", 0), {"'step'", "not a string"});
  expect_contains(error_of("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0), {"'a'", "twice"});
  expect_contains(error_of("{\"__metadata__\":{},\"__metadata__\":{}}", 0), {"__metadata__", "twice"});
}

TEST(Safetensors, LongNamesLeaveRoomForTheReason) {
  expect_contains(error_of("{" + entry(std::string(100000, 'n'), "U8", "[2]", "[0,1]") + "}", 1), {"span 1"});
}

/* A shorter copy lies at the end of its own allocation, where reading on is caught by the sanitizers. */
TEST(Safetensors, EveryTruncationIsAnError) {
  const std::string path = scratch("whole");
  const float x[] = {1, 2, 3};
  {
    Writer w;
    EXPECT_EQ(w.add("x", EBB_ST_F32, {3}, x), EBB_OK);
    EXPECT_EQ(w.add("y", EBB_ST_U8, {3}, x), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_metadata(w.writer, "k", "v"), EBB_OK);
    ASSERT_EQ(ebb_safetensors_writer_commit(w.writer, path.c_str()), EBB_OK) << ebb_error();
  }
  const std::string whole = contents(path);
  ASSERT_GT(whole.size(), 8U);
  for (size_t n = 0; n < whole.size(); n++) {
    std::vector<char> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    part.shrink_to_fit();
    EbbSafetensors *file;
    EXPECT_EQ(ebb_safetensors_parse(part.data(), n, "part", &file), EBB_FORMAT) << n;
    EXPECT_EQ(file, nullptr);
  }
}

/* Every byte of a small file set to every value: an error or a file whose tensors can all be converted. */
TEST(Safetensors, EveryChangedByteIsSurvived) {
  const std::string whole =
      file_of("{" + entry("a", "F16", "[2]", "[0,4]") + "," + entry("b", "I8", "[1]", "[4,5]") + "}", 5);
  int accepted = 0;
  for (size_t i = 0; i < whole.size(); i++)
    for (int value = 0; value < 256; value++) {
      std::string changed = whole;
      changed[i] = static_cast<char>(value);
      Reader r(changed, "changed");
      if (r.status != EBB_OK) continue;
      accepted++;
      for (int64_t k = 0; k < ebb_safetensors_count(r.file); k++)
        doubles(r.file, ebb_safetensors_at(r.file, k)->name);
    }
  EXPECT_GT(accepted, 5 * 256) << "at least all changes of data are well formed";
}

TEST(SafetensorsWriter, RefusesBadTensors) {
  const float x[] = {1};
  Writer w;
  EXPECT_EQ(w.add("w", EBB_ST_F32, {1}, x), EBB_OK);
  EXPECT_EQ(w.add("w", EBB_ST_F32, {1}, x), EBB_INVALID);
  expect_contains(ebb_error(), {"'w'", "twice"});
  EXPECT_EQ(w.add("", EBB_ST_F32, {1}, x), EBB_INVALID);
  EXPECT_EQ(w.add("__metadata__", EBB_ST_F32, {1}, x), EBB_INVALID);
  expect_contains(ebb_error(), {"__metadata__"});
  EXPECT_EQ(w.add("v", EBB_ST_F32, {2, -1}, x), EBB_SHAPE);
  expect_contains(ebb_error(), {"'v'", "(2, -1)"});
  EXPECT_EQ(w.add("v", EBB_ST_F64, {int64_t{1} << 31, int64_t{1} << 31}, x), EBB_SHAPE);
  EXPECT_EQ(w.add("v", EBB_ST_F32, {1}, nullptr), EBB_INVALID);
  EXPECT_EQ(ebb_safetensors_writer_metadata(w.writer, "k", "1"), EBB_OK);
  EXPECT_EQ(ebb_safetensors_writer_metadata(w.writer, "k", "2"), EBB_INVALID);
  expect_contains(ebb_error(), {"'k'", "twice"});
  EXPECT_EQ(ebb_safetensors_writer_commit(w.writer, scratch("absent/file").c_str()), EBB_IO);
  expect_contains(ebb_error(), {"absent/file", "No such file"});
}
