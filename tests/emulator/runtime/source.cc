/* Where code comes from, by addr2line. */
#include "source.h"
#include <cstdint>
#include <cstdio>
#include <dlfcn.h>
#include <elf.h>
#include <unistd.h>
#include <vector>

namespace emulator {
namespace {

/* The file that holds the code and the address that it has there. */
bool find_code(const void *code, std::string *file, uintptr_t *address) {
  Dl_info info;
  if (dladdr(code, &info) == 0) return false;
  bool moved = static_cast<const Elf64_Ehdr *>(info.dli_fbase)->e_type == ET_DYN;
  *address = (uintptr_t)code - 1 - (moved ? (uintptr_t)info.dli_fbase : 0);
  char program[4096];
  ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  std::string own = length > 0 ? std::string(program, (size_t)length) : "";
  *file = access(info.dli_fname, R_OK) == 0 ? info.dli_fname : own;
  return !file->empty();
}

/* "file:line" of the code and of the calls that it is inlined from. */
std::vector<std::string> lines_of(const std::string &file, uintptr_t address) {
  char command[4608];
  snprintf(command, sizeof command, "addr2line -s -i -e '%s' 0x%zx 2>/dev/null", file.c_str(),
           (size_t)address);
  std::vector<std::string> lines;
  FILE *answer = popen(command, "r");
  if (answer == nullptr) return lines;
  char line[1024];
  while (fgets(line, sizeof line, answer) != nullptr) {
    std::string text(line);
    text.resize(text.find_first_of(" \n"));
    if (text.find('?') == std::string::npos) lines.push_back(text);
  }
  pclose(answer);
  return lines;
}

} // namespace

std::string source_text(const void *code) {
  std::string file;
  uintptr_t address;
  if (!find_code(code, &file, &address)) return "";
  std::vector<std::string> lines = lines_of(file, address);
  if (lines.empty()) return "";
  if (lines.size() == 1) return " at " + lines.front();
  return " at " + lines.front() + " (inlined at " + lines.back() + ")";
}

} // namespace emulator
