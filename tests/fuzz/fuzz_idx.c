/* Any bytes, plain and as gzip, are refused with a sentence or are an array of bytes inside the text. */
#include <stdint.h>
#include <stdlib.h>

#include "host/data/gunzip.h"
#include "host/data/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void parse(const char *text, size_t length) {
  for (int rank = 1; rank <= EBB_IDX_MOST_RANK; rank++) {
    EbbIdx idx;
    if (ebb_idx_parse(text, length, "input", rank, &idx) != EBB_OK) continue;
    if (idx.size < 0 || (const char *)idx.bytes + idx.size != text + length) abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  enum { MOST = 1 << 20 };
  parse((const char *)bytes, length);
  char *text = NULL;
  size_t unpacked = 0;
  const EbbStatus status = ebb_gunzip((const char *)bytes, length, MOST, "input", &text, &unpacked);
  if (status != EBB_OK && (status != EBB_FORMAT || text)) abort();
  if (status == EBB_OK && (unpacked > MOST || text[unpacked])) abort();
  if (status == EBB_OK) parse(text, unpacked);
  free(text);
  return 0;
}
