// The flags of bench.h and the device that they name.
#include <omp.h>

#include <stdexcept>

#include "ebb/status.h"
#include "support/bench.h"

namespace ebb_bench {

namespace {

Options chosen;
EbbDevice *opened = nullptr;

struct Word {
  const char *text;
  int value;
};
const Word precisions[] = {
    {"float32", EBB_PRECISION_FLOAT32}, {"tf32", EBB_PRECISION_TF32}, {"bf16", EBB_PRECISION_BF16}};
const Word storages[] = {{"float32", EBB_F32}, {"bf16", EBB_BF16}};

template <size_t N> int value_of(const Word (&words)[N], const std::string &text) {
  for (const Word &word : words)
    if (text == word.text) return word.value;
  throw std::runtime_error("'" + text + "' is no precision here; use float32, tf32 (products only) or bf16");
}
template <size_t N> const char *text_of(const Word (&words)[N], int value) {
  for (const Word &word : words)
    if (value == word.value) return word.text;
  return "";
}

// Takes a flag of ours; false: it is none.
bool take(const std::string &argument) {
  const size_t equals = argument.find('=');
  if (equals == std::string::npos) return false;
  const std::string name = argument.substr(0, equals), text = argument.substr(equals + 1);
  if (name == "--device")
    chosen.device = text;
  else if (name == "--precision")
    chosen.precision = EbbPrecision(value_of(precisions, text));
  else if (name == "--storage")
    chosen.storage = EbbDtype(value_of(storages, text));
  else
    return false;
  return true;
}

} // namespace

const Options &options() { return chosen; }
EbbDevice *device() { return opened; }
bool on_gpu() { return ebb_device_backend(opened) == EBB_CUDA; }
double storage_bytes() { return double(ebb_dtype_size(chosen.storage)); }

void must(EbbStatus status) {
  if (status != EBB_OK) throw std::runtime_error(ebb_error());
}

void open_device(int *argc, char **argv, const char *otherwise) {
  chosen.device = otherwise;
  int kept = 1;
  for (int i = 1; i < *argc; i++)
    if (!take(argv[i])) argv[kept++] = argv[i];
  *argc = kept;
  argv[kept] = nullptr;
  must(ebb_device_open(chosen.device.c_str(), omp_get_max_threads(), &opened));
  if (chosen.storage == EBB_BF16 && !on_gpu())
    throw std::runtime_error("--storage=bf16 is for GPUs: add --device=cuda");
  ebb_device_set_precision(opened, chosen.precision);
}

void close_device() { ebb_device_close(opened); }

std::vector<std::pair<std::string, std::string>> described() {
  return {{"device", ebb_device_description(opened)},
          {"precision", text_of(precisions, chosen.precision)},
          {"storage", text_of(storages, chosen.storage)}};
}

} // namespace ebb_bench
