// The readers of file formats that data sets share: separated values, .npy, IDX, gzip.
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "host/data/csv.h"
#include "host/data/gunzip.h"
#include "host/data/idx.h"
#include "host/data/npy.h"

namespace {

using Record = std::vector<std::string>;
using Records = std::vector<Record>;

// ---- separated values ----

struct Read {
  Records records;
  std::vector<int64_t> lines;
  EbbStatus status = EBB_OK;
};

Read read_csv(std::string text, char delimiter = EBB_CSV_GUESS) {
  Read read;
  EbbCsv csv;
  const size_t length = text.size();
  text.push_back('x'); // what is behind the text must not matter
  ebb_csv_open(&csv, &text[0], length, "t", delimiter);
  for (bool end = false;;) {
    read.status = ebb_csv_next(&csv, &end);
    if (read.status != EBB_OK || end) break;
    read.records.emplace_back(csv.field, csv.field + csv.n_fields);
    read.lines.push_back(csv.line);
  }
  ebb_csv_close(&csv);
  return read;
}

TEST(Csv, RecordsAndFields) {
  const struct {
    std::string text;
    Records records;
  } rows[] = {
      {"a,b\n1,2\n", {{"a", "b"}, {"1", "2"}}},
      {"a,b\r\n1,2", {{"a", "b"}, {"1", "2"}}},
      {"\xEF\xBB\xBF"
       "a,b\n",
       {{"a", "b"}}},
      {"\n\r\na\n\n", {{"a"}}},
      {"", {}},
      {",\n", {{"", ""}}},
      {"a,", {{"a", ""}}},
      {"\"a,1\",\"say \"\"so\"\"\"\n\"two\nlines\",2\n", {{"a,1", "say \"so\""}, {"two\nlines", "2"}}},
      {"\"\",x\n", {{"", "x"}}},
      {"\"a\"", {{"a"}}},
      {"a;b,c;d\n1;2;3\n", {{"a", "b,c", "d"}, {"1", "2", "3"}}},
      {"a\tb\n", {{"a", "b"}}},
      {"\"x,y,z\";2\n", {{"x,y,z", "2"}}},
      {"5 o'clock \"sharp\",1\n", {{"5 o'clock \"sharp\"", "1"}}},
  };
  for (const auto &row : rows) {
    const Read read = read_csv(row.text);
    EXPECT_EQ(read.status, EBB_OK) << row.text << ebb_error();
    EXPECT_EQ(read.records, row.records) << row.text;
  }
  EXPECT_EQ(read_csv("  1   2\t3 \n\n 4\n   \n", EBB_CSV_BLANKS).records, (Records{{"1", "2", "3"}, {"4"}}));
  EXPECT_EQ(read_csv("1 2", EBB_CSV_BLANKS).records, (Records{{"1", "2"}}));
}

TEST(Csv, LinesAreThoseOfTheText) {
  EXPECT_EQ(read_csv("a\n\n\"b\nc\"\nd\n").lines, (std::vector<int64_t>{1, 3, 5}));
}

TEST(Csv, DamagedTextIsRefused) {
  const struct {
    std::string text, says;
  } rows[] = {{"a\n\"b,c\nd\n", "t:2: a quote that is opened"},
              {"a\n\"b\"c,d\n", "t:2: text follows the closing quote"},
              {std::string("a\nb\0c\n", 6), "t:2: a NUL byte"},
              {std::string("a\n\"b\nc\0\"\n", 9), "t:2: a NUL byte"}};
  for (const auto &row : rows) {
    EXPECT_EQ(read_csv(row.text).status, EBB_FORMAT);
    EXPECT_NE(std::string(ebb_error()).find(row.says), std::string::npos) << ebb_error();
  }
}

TEST(Csv, NumbersAndMissingValues) {
  std::string text = "1.5, -2e3 ,nan,inf,0x10,1e999,  ,7x,-.5";
  EbbCsv csv;
  bool end;
  ebb_csv_open(&csv, &text[0], text.size(), "t", ',');
  ASSERT_EQ(ebb_csv_next(&csv, &end), EBB_OK);
  const double good[] = {1.5, -2000, 0, 0, 0, 0, 0, 0, -0.5};
  for (int i = 0; i < 9; i++) {
    double value = 0;
    const bool fine = i < 2 || i == 8;
    EXPECT_EQ(ebb_csv_number(&csv, i, &value), fine ? EBB_OK : EBB_FORMAT) << csv.field[i];
    if (fine) EXPECT_EQ(value, good[i]);
    if (!fine)
      EXPECT_NE(std::string(ebb_error()).find("t:1: field " + std::to_string(i + 1)), std::string::npos);
  }
  ebb_csv_close(&csv);
  for (const char *missing : {"", "?", "NA", " n/a ", "NaN", "null", "None"})
    EXPECT_TRUE(ebb_csv_is_missing(missing));
  for (const char *there : {"0", "x", "NAN1", "-"}) EXPECT_FALSE(ebb_csv_is_missing(there));
}

// ---- .npy ----

std::string npy(const std::string &header, const std::string &elements, char version = 1) {
  std::string text = std::string("\x93NUMPY") + version + '\0';
  const size_t n = header.size();
  text += char(n & 255);
  text += char(n >> 8);
  if (version > 1) text += std::string(2, '\0');
  return text + header + elements;
}

template <class T> std::string elements(const std::vector<T> &values, bool swap = false) {
  std::string text;
  for (T value : values) {
    char bytes[sizeof value];
    memcpy(bytes, &value, sizeof value);
    text += swap ? std::string(std::make_reverse_iterator(bytes + sizeof value),
                               std::make_reverse_iterator(bytes))
                 : std::string(bytes, sizeof value);
  }
  return text;
}

std::vector<float> parse(const std::string &text, std::vector<int64_t> shape) {
  EbbNpy npy;
  EXPECT_EQ(ebb_npy_parse(text.data(), text.size(), "t", &npy), EBB_OK) << ebb_error();
  EXPECT_EQ(std::vector<int64_t>(npy.dim, npy.dim + npy.rank), shape);
  std::vector<float> values(npy.values, npy.values + npy.size);
  ebb_npy_release(&npy);
  return values;
}

std::string dict(const std::string &type, const std::string &shape, bool fortran = false) {
  return "{'descr': '" + type + "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }   \n";
}

TEST(Npy, TypesOrdersAndShapes) {
  const std::vector<float> expected = {1, -2, 3, 4, 5, 6};
  EXPECT_EQ(parse(npy(dict("<f8", "(2, 3)"), elements<double>({1, -2, 3, 4, 5, 6})), {2, 3}), expected);
  EXPECT_EQ(parse(npy(dict(">f8", "(2, 3)"), elements<double>({1, -2, 3, 4, 5, 6}, true)), {2, 3}), expected);
  EXPECT_EQ(parse(npy(dict("<f4", "(6,)"), elements<float>({1, -2, 3, 4, 5, 6}), 2), {6}), expected);
  EXPECT_EQ(parse(npy(dict("<f8", "(2, 3)", true), elements<double>({1, 4, -2, 5, 3, 6})), {2, 3}), expected);
  EXPECT_EQ(parse(npy(dict("|i1", "(3,)"), elements<int8_t>({-128, -1, 127})), {3}),
            (std::vector<float>{-128, -1, 127}));
  EXPECT_EQ(parse(npy(dict("<i8", "(2,)"), elements<int64_t>({-5, 1}), 3), {2}), (std::vector<float>{-5, 1}));
  EXPECT_EQ(parse(npy(dict(">u2", "(2,)"), elements<uint16_t>({65535, 1}, true)), {2}),
            (std::vector<float>{65535, 1}));
  EXPECT_EQ(parse(npy(dict("|b1", "(2,)"), elements<uint8_t>({1, 0})), {2}), (std::vector<float>{1, 0}));
  // 1, -2, the smallest subnormal, and infinity in half precision.
  const std::vector<float> half =
      parse(npy(dict("<f2", "(4,)"), elements<uint16_t>({0x3C00, 0xC000, 1, 0x7C00})), {4});
  EXPECT_EQ(half, (std::vector<float>{1, -2, 5.9604645e-8F, INFINITY}));
  EXPECT_EQ(parse(npy(dict("<f4", "()"), elements<float>({7})), {}), (std::vector<float>{7}));
  EXPECT_EQ(parse(npy(dict("<f4", "(0, 3)"), ""), {0, 3}).size(), 0U);
}

TEST(Npy, BadFilesAreRefused) {
  const std::string good = npy(dict("<f8", "(2,)"), elements<double>({1, 2}));
  const struct {
    std::string text;
    EbbStatus status;
    const char *says;
  } rows[] = {
      {"", EBB_FORMAT, "no .npy file"},
      {good.substr(0, 30), EBB_FORMAT, "header is cut off"},
      {good.substr(0, good.size() - 1), EBB_FORMAT,
       "15 bytes of elements, but its header says 16; the file is cut off"},
      {good + "x", EBB_FORMAT, "longer than it should be"},
      {npy(dict("|O", "(2,)"), ""), EBB_UNSUPPORTED, "pickled"},
      {npy(dict("<U5", "(2,)"), ""), EBB_UNSUPPORTED, "'<U5'"},
      {npy(dict("<c8", "(2,)"), ""), EBB_UNSUPPORTED, "'<c8'"},
      {npy(dict("<f3", "(2,)"), ""), EBB_UNSUPPORTED, "'<f3'"},
      {npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2,)}", ""), EBB_UNSUPPORTED,
       "records"},
      {npy(dict("<f8", "(99999999999999999999,)"), ""), EBB_FORMAT, "absurdly large"},
      {npy(dict("<f8", "(1000000000, 1000000000)"), ""), EBB_FORMAT, "absurdly large"},
      {npy(dict("<f8", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), ""), EBB_FORMAT, "more than 8 dimensions"},
      {npy(dict("<f8", "(-1,)"), ""), EBB_FORMAT, "no list of numbers"},
      {npy("{'descr': '<f8', 'shape': (2,)}", ""), EBB_FORMAT, "lacks descr"},
      {npy("{'descr': '<f8', 'evil': 1}", ""), EBB_FORMAT, "'evil'"},
      {npy(dict("<f8", "(2,)"), "", 9), EBB_FORMAT, "version 9"},
  };
  for (const auto &row : rows) {
    EbbNpy npy;
    EXPECT_EQ(ebb_npy_parse(row.text.data(), row.text.size(), "t", &npy), row.status) << row.says;
    EXPECT_NE(std::string(ebb_error()).find(row.says), std::string::npos) << ebb_error();
    ebb_npy_release(&npy);
  }
}

// ---- IDX ----

TEST(Idx, DimensionsAndBytes) {
  const std::string text("\0\0\x08\x02\0\0\0\x02\0\0\0\x03"
                         "abcdef",
                         18);
  EbbIdx idx;
  ASSERT_EQ(ebb_idx_parse(text.data(), text.size(), "t", 2, &idx), EBB_OK) << ebb_error();
  EXPECT_EQ(idx.dim[0], 2);
  EXPECT_EQ(idx.dim[1], 3);
  EXPECT_EQ(idx.bytes[5], 'f');
  EXPECT_EQ(ebb_idx_parse(text.data(), text.size(), "t", 3, &idx), EBB_FORMAT);
  for (size_t length : {size_t{0}, size_t{3}, size_t{11}, size_t{17}})
    EXPECT_EQ(ebb_idx_parse(text.data(), length, "t", 2, &idx), EBB_FORMAT) << length;
  const std::string huge("\0\0\x08\x02\xff\xff\xff\xff\xff\xff\xff\xff"
                         "ab",
                         14);
  EXPECT_EQ(ebb_idx_parse(huge.data(), huge.size(), "t", 2, &idx), EBB_FORMAT);
}

// ---- gzip ----

std::string pack(const std::string &text) {
  z_stream z = {};
  EXPECT_EQ(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&z, text.size()), 0);
  z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
  z.avail_in = unsigned(text.size());
  z.next_out = reinterpret_cast<Bytef *>(&out[0]);
  z.avail_out = unsigned(out.size());
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - z.avail_out);
  deflateEnd(&z);
  return out;
}

EbbStatus unpack(const std::string &packed, std::string *out, size_t most = 1 << 22) {
  char *bytes = nullptr;
  size_t length = 0;
  const EbbStatus status = ebb_gunzip(packed.data(), packed.size(), most, "t", &bytes, &length);
  if (bytes) out->assign(bytes, length);
  free(bytes);
  return status;
}

TEST(Gunzip, MembersAndDamage) {
  std::string big, out;
  for (int i = 0; i < 200000; i++) big += std::to_string(i * 7919 % 1000);
  ASSERT_EQ(unpack(pack(big), &out), EBB_OK) << ebb_error();
  EXPECT_EQ(out, big);
  ASSERT_EQ(unpack(pack("one") + pack("two"), &out), EBB_OK);
  EXPECT_EQ(out, "onetwo");
  ASSERT_EQ(unpack(pack(""), &out), EBB_OK);
  EXPECT_EQ(out, "");
  const std::string packed = pack(big);
  EXPECT_EQ(unpack(packed.substr(0, packed.size() / 2), &out), EBB_FORMAT);
  EXPECT_NE(std::string(ebb_error()).find("cut off"), std::string::npos) << ebb_error();
  EXPECT_EQ(unpack("", &out), EBB_FORMAT);
  EXPECT_EQ(unpack("no gzip at all", &out), EBB_FORMAT);
  EXPECT_EQ(unpack(pack("one") + "tail", &out), EBB_FORMAT);
  EXPECT_EQ(unpack(packed, &out, 1000), EBB_FORMAT);
  EXPECT_NE(std::string(ebb_error()).find("more than 1000 bytes"), std::string::npos) << ebb_error();
  EXPECT_EQ(unpack(packed, &out, big.size()), EBB_OK) << ebb_error();
  EXPECT_EQ(unpack(packed, &out, big.size() - 1), EBB_FORMAT);
}

} // namespace
