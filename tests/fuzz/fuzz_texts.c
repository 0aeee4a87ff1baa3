/* Any bytes are refused with a sentence or become texts whose tokens are in the vocabulary. Bits of the first
   byte choose the format, words or characters, the added tokens and what stays of a long text. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/data/corpora.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

enum { LONGEST = 12 };

static EbbStatus read_lines(EbbTexts *texts, bool aan, const uint8_t *bytes, size_t length) {
  FILE *file = fmemopen((void *)(uintptr_t)bytes, length, "r");
  if (!file) abort();
  const EbbStatus status =
      aan ? ebb_aan_read(texts, EBB_TRAIN, file, "input") : ebb_imdb_read(texts, EBB_TRAIN, file, "input");
  (void)fclose(file);
  return status;
}

static EbbStatus add(EbbTexts *texts, const uint8_t *bytes, size_t length) {
  const EbbTextOrigin origin = {"input", 0};
  EBB_TRY(ebb_texts_add(texts, EBB_TEST, (const char *)bytes, length, origin));
  EBB_TRY(ebb_texts_label(texts, EBB_TEST, 0));
  EBB_TRY(ebb_texts_add(texts, EBB_TRAIN, (const char *)bytes, length / 2, origin));
  return ebb_texts_label(texts, EBB_TRAIN, 0);
}

static int32_t token_at(const EbbSamples *samples, int64_t i) {
  if (samples->tokens) return samples->tokens[i];
  return samples->raw_type == EBB_RAW_U8 ? ((const uint8_t *)samples->raw)[i]
                                         : ((const int16_t *)samples->raw)[i];
}

static void check(const EbbDataset *dataset) {
  for (int split = 0; split < EBB_SPLITS; split++) {
    const EbbSamples *samples = &dataset->split[split];
    for (int64_t q = 0; q < samples->n_samples * dataset->n_towers; q++) {
      const int64_t n = samples->offset[q + 1] - samples->offset[q];
      if (n < 1 || n > LONGEST || n > dataset->longest) abort();
      for (int64_t i = samples->offset[q]; i < samples->offset[q + 1]; i++)
        if (token_at(samples, i) < 0 || token_at(samples, i) >= dataset->vocabulary) abort();
    }
  }
  for (int64_t id = 0; id < dataset->vocabulary; id++)
    if (!*dataset->token_text[id]) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  if (length < 2) return 0;
  const unsigned bits = bytes[0];
  const EbbTextRules rules = {.words = bits & 4,
                              .l_max = LONGEST,
                              .append_bos = bits & 8,
                              .append_eos = bits & 16,
                              .keep_last = bits & 32,
                              .min_freq = bits & 64 ? 2 : 1,
                              .max_vocab = bits & 128 ? 6 : 0};
  EbbDataset *dataset = calloc(1, sizeof *dataset);
  if (!dataset) abort();
  const bool aan = (bits & 3) == 1;
  dataset->n_towers = aan ? 2 : 1;
  EbbTexts texts;
  EbbStatus status = ebb_texts_begin(&texts, &rules, dataset);
  if (status == EBB_OK)
    status = bits & 2 ? add(&texts, bytes + 1, length - 1) : read_lines(&texts, aan, bytes + 1, length - 1);
  if (status == EBB_OK) status = ebb_texts_finish(&texts);
  if (status != EBB_OK && (status != EBB_FORMAT || !*ebb_error())) abort();
  if (status == EBB_OK) check(dataset);
  ebb_texts_release(&texts);
  ebb_dataset_destroy(dataset);
  return 0;
}
