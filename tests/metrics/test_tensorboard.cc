#include <cmath>
#include <cstring>
#include <map>

#include "host/metrics/tensorboard.h"
#include "metrics_support.h"

using namespace metrics_support;

/* A reader of the wire format written from its specification, so that it shares nothing with the writer. */
struct Field {
  uint64_t number = 0; /* varints and fixed-width values */
  std::string bytes;   /* length-delimited values */
  uint32_t wire = 0;
};

static uint64_t varint(const std::string &s, size_t &at) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    uint8_t byte = static_cast<uint8_t>(s.at(at++));
    value |= uint64_t(byte & 0x7F) << shift;
    if (!(byte & 0x80)) return value;
  }
}

static uint64_t fixed(const std::string &s, size_t &at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value |= uint64_t(uint8_t(s.at(at++))) << (8 * i);
  return value;
}

static std::multimap<uint64_t, Field> message(const std::string &s) {
  std::multimap<uint64_t, Field> fields;
  for (size_t at = 0; at < s.size();) {
    uint64_t key = varint(s, at);
    Field field;
    field.wire = key & 7;
    if (field.wire == 0) field.number = varint(s, at);
    if (field.wire == 1) field.number = fixed(s, at, 8);
    if (field.wire == 5) field.number = fixed(s, at, 4);
    if (field.wire == 2) {
      size_t size = varint(s, at);
      field.bytes = s.substr(at, size);
      EXPECT_EQ(field.bytes.size(), size);
      at += size;
    }
    fields.emplace(key >> 3, field);
  }
  return fields;
}

static std::vector<std::string> records(const std::string &file) {
  std::vector<std::string> all;
  for (size_t at = 0; at < file.size();) {
    std::string head = file.substr(at, 8);
    size_t size = fixed(file, at, 8);
    EXPECT_EQ(fixed(file, at, 4), ebb_crc32c_masked(head.data(), 8));
    all.push_back(file.substr(at, size));
    at += size;
    EXPECT_EQ(fixed(file, at, 4), ebb_crc32c_masked(all.back().data(), size));
  }
  return all;
}

static double as_double(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float as_float(uint64_t bits) {
  uint32_t low = static_cast<uint32_t>(bits);
  float value;
  memcpy(&value, &low, sizeof value);
  return value;
}

static std::string event_file(const std::string &folder) {
  for (const std::string &name : names_in(folder))
    if (name.rfind("events.out.tfevents.", 0) == 0) return folder + "/" + name;
  return "";
}

/* RFC 3720 B.4, and the check value of the CRC catalogue. */
TEST(Tensorboard, Crc32cKnownAnswers) {
  std::string zeros(32, '\0'), ones(32, '\xFF'), up, down;
  for (int i = 0; i < 32; i++) up.push_back(char(i)), down.push_back(char(31 - i));
  EXPECT_EQ(ebb_crc32c(zeros.data(), 32), 0x8A9136AAU);
  EXPECT_EQ(ebb_crc32c(ones.data(), 32), 0x62A8AB43U);
  EXPECT_EQ(ebb_crc32c(up.data(), 32), 0x46DD794EU);
  EXPECT_EQ(ebb_crc32c(down.data(), 32), 0x113FDB5CU);
  EXPECT_EQ(ebb_crc32c("123456789", 9), 0xE3069283U);
  EXPECT_EQ(ebb_crc32c("", 0), 0U);
  /* 0xE3069283 rotated right by 15 is 0x2507C60D. */
  EXPECT_EQ(ebb_crc32c_masked("123456789", 9), 0x2507C60DU + 0xA282EAD8U);
}

TEST(Tensorboard, EventsReadBack) {
  std::string folder = fresh_folder("run");
  EbbMetricsLog *log = nullptr;
  ASSERT_EQ(ebb_metrics_open(folder.c_str(), -1, &log), EBB_OK) << ebb_error();
  EbbMetric metrics[] = {{"train/loss", 0.25}, {"val/accuracy", 0.0}, {"train/grad_norm", std::nan("")}};
  ASSERT_EQ(ebb_metrics_write(log, 300, 2, metrics, 3), EBB_OK) << ebb_error();
  ASSERT_EQ(ebb_metrics_write(log, int64_t(1) << 40, 3, metrics, 0), EBB_OK) << ebb_error();
  ebb_metrics_close(log);

  std::vector<std::string> all = records(read_all(event_file(folder)));
  ASSERT_EQ(all.size(), 4U);
  auto version = message(all[0]);
  EXPECT_EQ(version.find(3)->second.bytes, "brain.Event:2");
  EXPECT_GT(as_double(version.find(1)->second.number), 1.7e9);
  auto start = message(all[1]);
  EXPECT_EQ(start.find(2)->second.number, 0U);
  EXPECT_EQ(start.find(7)->second.bytes, std::string("\x08\x01"));

  auto event = message(all[2]);
  EXPECT_EQ(event.find(2)->second.number, 300U);
  auto summary = message(event.find(5)->second.bytes);
  ASSERT_EQ(summary.count(1), 3U);
  int i = 0;
  for (auto [it, end] = summary.equal_range(1); it != end; ++it, ++i) {
    auto scalar = message(it->second.bytes);
    EXPECT_EQ(scalar.find(1)->second.bytes, metrics[i].name);
    ASSERT_EQ(scalar.count(2), 1U) << "a scalar of zero must be written";
    EXPECT_EQ(scalar.find(2)->second.wire, 5U);
    float value = as_float(scalar.find(2)->second.number);
    EXPECT_TRUE(value == float(metrics[i].value) || (std::isnan(value) && std::isnan(metrics[i].value)));
  }
  EXPECT_EQ(message(all[3]).find(2)->second.number, uint64_t(1) << 40);
}

TEST(Tensorboard, ResumeBeginsASessionBehindItsStep) {
  std::string folder = fresh_folder("run");
  EbbMetricsLog *log = nullptr;
  ASSERT_EQ(ebb_metrics_open(folder.c_str(), -1, &log), EBB_OK);
  ebb_metrics_close(log);
  std::filesystem::rename(event_file(folder), folder + "/first");
  ASSERT_EQ(ebb_metrics_open(folder.c_str(), 41, &log), EBB_OK) << ebb_error();
  ebb_metrics_close(log);
  auto start = message(records(read_all(event_file(folder))).at(1));
  EXPECT_EQ(start.find(2)->second.number, 42U);
  EXPECT_EQ(start.count(7), 1U);
}

TEST(Tensorboard, EveryOpeningHasAFileOfItsOwn) {
  std::string folder = fresh_folder("run");
  for (int i = 0; i < 3; i++) {
    EbbMetricsLog *log = nullptr;
    ASSERT_EQ(ebb_metrics_open(folder.c_str(), 0, &log), EBB_OK) << ebb_error();
    ebb_metrics_close(log);
  }
  EXPECT_EQ(names_in(folder).size(), 4U);
}
