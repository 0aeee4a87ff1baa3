// The reader of WAVE files.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "host/data/wav.h"
#include "support/wav_file.h"

namespace {

using namespace ebb_test;
using Numbers = std::vector<int16_t>;

struct Parsed {
  EbbStatus status;
  EbbWav wav;
  Numbers numbers;
  std::string error;
  explicit Parsed(const std::string &bytes) {
    status = ebb_wav_parse(bytes.data(), bytes.size(), "f.wav", &wav);
    if (status == EBB_OK)
      numbers.assign(wav.numbers, wav.numbers + wav.n_frames * wav.n_channels);
    else
      error = ebb_error();
    ebb_wav_release(&wav);
  }
};

TEST(Wav, SixteenBitsStayAsTheyAre) {
  const Numbers all = {0, 1, -1, 32767, -32768, 12345, -257};
  const Parsed mono(wav_file({1, 1, 8000, 16}, bytes_of(all)));
  EXPECT_EQ(mono.status, EBB_OK) << mono.error;
  EXPECT_EQ(mono.numbers, all);
}

TEST(Wav, ChannelsAndRate) {
  const std::string bytes = wav_file({1, 3, 44100, 16}, bytes_of(Numbers{1, 2, 3, 4, 5, 6}));
  EbbWav wav;
  ASSERT_EQ(ebb_wav_parse(bytes.data(), bytes.size(), "f", &wav), EBB_OK) << ebb_error();
  EXPECT_EQ(wav.n_channels, 3);
  EXPECT_EQ(wav.n_frames, 2);
  EXPECT_EQ(wav.rate, 44100);
  EXPECT_EQ(ebb_wav_expect(&wav, "f", 3, 44100), EBB_OK);
  EXPECT_EQ(ebb_wav_expect(&wav, "f", 1, 44100), EBB_FORMAT);
  EXPECT_EQ(std::string(ebb_error()), "f: 3 channels, expected 1");
  EXPECT_EQ(ebb_wav_expect(&wav, "f", 3, 8000), EBB_FORMAT);
  EXPECT_EQ(std::string(ebb_error()), "f: 44100 samples a second, expected 8000");
  ebb_wav_release(&wav);
}

TEST(Wav, OtherNumbersBecomeTheNearest) {
  const struct {
    unsigned tag, bits;
    std::string data;
    Numbers expected;
  } rows[] = {
      {1, 8, std::string("\x00\x80\xff\x81", 4), {-32768, 0, 32512, 256}},
      {1, 24, std::string("\x00\x00\x80\x80\x01\x00\xff\xff\x7f\xff\xff\xff", 12), {-32768, 2, 32767, 0}},
      {1,
       32,
       bytes_of(std::vector<int32_t>{INT32_MIN, 65536, 98305, -32767, INT32_MAX}),
       {-32768, 1, 2, 0, 32767}},
      {3, 32, bytes_of(std::vector<float>{-1, 0.5F, 1, -2, 3e-5F}), {-32768, 16384, 32767, -32768, 1}},
      {3, 64, bytes_of(std::vector<double>{-0.25, 1e300}), {-8192, 32767}},
  };
  for (const auto &row : rows) {
    const Parsed parsed(wav_file({row.tag, 1, 8000, row.bits}, row.data));
    EXPECT_EQ(parsed.status, EBB_OK) << parsed.error;
    EXPECT_EQ(parsed.numbers, row.expected) << row.tag << " " << row.bits;
  }
}

TEST(Wav, OtherChunksAreSkippedAndExtensibleIsRead) {
  const std::string data = chunk("data", bytes_of(Numbers{7, 8}));
  EXPECT_EQ(Parsed(riff(chunk("LIST", "odd") + format_chunk({}) + chunk("fact", "1234") + data)).numbers,
            (Numbers{7, 8}));
  std::string extensible = format_chunk({0xFFFE, 1, 16000, 16}).substr(8) + little_endian(22, 2) +
                           little_endian(16, 2) + little_endian(0, 4) + little_endian(1, 2) +
                           std::string(14, 'g');
  EXPECT_EQ(Parsed(riff(chunk("fmt ", extensible) + data)).numbers, (Numbers{7, 8}));
}

TEST(Wav, DamagedFilesAreRefused) {
  const std::string good = wav_file({}, bytes_of(Numbers(50, 3)));
  const struct {
    std::string bytes, says;
    EbbStatus status = EBB_FORMAT;
  } rows[] = {
      {"", "f.wav: the file is empty"},
      {"RIFF", "no WAVE file"},
      {"OggS" + good.substr(4), "no WAVE file"},
      {good.substr(0, 12), "no chunk 'fmt '"},
      {good.substr(0, 36), "no chunk 'data'"},
      {good.substr(0, good.size() - 3), "cut off: 97 of the 100 bytes of its chunk 'data'"},
      {wav_file({}, ""), "no samples"},
      {wav_file({}, "abc"), "3 bytes of samples are no whole number of frames of 2"},
      {wav_file({2, 1, 8000, 4}, "ab"), "encoding 2 with 4 bits", EBB_UNSUPPORTED},
      {wav_file({1, 1, 8000, 12}, "ab"), "encoding 1 with 12 bits", EBB_UNSUPPORTED},
      {wav_file({1, 0, 8000, 16}, "ab"), "0 channels"},
      {wav_file({1, 1, 0, 16}, "ab"), "0 samples a second"},
      {riff(chunk("fmt ", "short") + chunk("data", "ab")), "'fmt ' is too short"},
      {wav_file({3, 1, 8000, 32}, std::string("\0\0\xc0\x7f", 4)), "sample 0 is not finite"},
  };
  for (const auto &row : rows) {
    const Parsed parsed(row.bytes);
    EXPECT_EQ(parsed.status, row.status) << row.says;
    EXPECT_NE(parsed.error.find(row.says), std::string::npos) << parsed.error;
    EXPECT_EQ(parsed.error.find("f.wav: "), 0U) << parsed.error;
  }
}

TEST(Wav, EveryPrefixIsRefused) {
  const std::string good = wav_file({}, bytes_of(Numbers(5, 3)));
  for (size_t n = 0; n < good.size(); n++) EXPECT_NE(Parsed(good.substr(0, n)).status, EBB_OK) << n;
}

} // namespace
