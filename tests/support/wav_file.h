// WAVE files for tests, and folders of them.
#ifndef EBB_TESTS_WAV_FILE_H
#define EBB_TESTS_WAV_FILE_H

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace ebb_test {

inline std::string little_endian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; i++) text += char(value >> 8 * i & 255);
  return text;
}

// The bytes of numbers as they lie in memory.
template <typename Number> std::string bytes_of(const std::vector<Number> &numbers) {
  return std::string(reinterpret_cast<const char *>(numbers.data()), numbers.size() * sizeof(Number));
}

inline std::string chunk(const std::string &name, const std::string &bytes) {
  return name + little_endian(bytes.size(), 4) + bytes + std::string(bytes.size() & 1, '\0');
}

struct WavFormat {
  unsigned tag = 1, channels = 1, rate = 16000, bits = 16;
};

inline std::string format_chunk(const WavFormat &f) {
  const unsigned block = f.channels * f.bits / 8;
  return chunk("fmt ", little_endian(f.tag, 2) + little_endian(f.channels, 2) + little_endian(f.rate, 4) +
                           little_endian(f.rate * block, 4) + little_endian(block, 2) +
                           little_endian(f.bits, 2));
}

inline std::string riff(const std::string &chunks) {
  return "RIFF" + little_endian(4 + chunks.size(), 4) + "WAVE" + chunks;
}

inline std::string wav_file(const WavFormat &format, const std::string &data) {
  return riff(format_chunk(format) + chunk("data", data));
}

inline void write_file(const std::filesystem::path &path, const std::string &bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

inline void write_wav(const std::filesystem::path &path, const std::vector<int16_t> &numbers,
                      const WavFormat &format = WavFormat()) {
  write_file(path, wav_file(format, bytes_of(numbers)));
}

} // namespace ebb_test

#endif
