/* Any bytes are refused with a sentence or are a file whose every tensor can be found and converted. */
#include <stdint.h>
#include <stdlib.h>

#include "ebb/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* A conversion may refuse a value; it may not read beyond the data, which the sanitizers see. */
static void convert(const EbbStoredTensor *tensor) {
  int64_t count = ebb_shape_size(&tensor->shape);
  void *out = malloc((size_t)count * 8 + 1);
  if (!out) abort();
  EbbStatus floats = ebb_stored_floats(tensor, out, count);
  EbbStatus integers = ebb_stored_integers(tensor, out, count);
  if (ebb_stored_doubles(tensor, out, count) != EBB_OK) abort();
  if ((floats != EBB_OK && floats != EBB_NUMERIC) || (integers != EBB_OK && integers != EBB_NUMERIC)) abort();
  free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  EbbSafetensors *file;
  EbbStatus status = ebb_safetensors_parse(bytes, length, "input", &file);
  if (status != EBB_OK) {
    if (file || (status != EBB_FORMAT && status != EBB_MEMORY) || !*ebb_error()) abort();
    return 0;
  }
  for (int64_t i = 0; i < ebb_safetensors_count(file); i++) {
    const EbbStoredTensor *tensor = ebb_safetensors_at(file, i);
    if (ebb_safetensors_find(file, tensor->name) != tensor) abort();
    convert(tensor);
  }
  ebb_safetensors_metadata(file, "format");
  ebb_safetensors_close(file);
  return 0;
}
