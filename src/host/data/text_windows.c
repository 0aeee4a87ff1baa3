#include <stdlib.h>
#include <string.h>

#include "host/data/text_parts.h"
#include "host/data/utf8.h"

static const char *const file_keys[EBB_SPLITS] = {"dataset.file", "dataset.val_file", "dataset.test_file"};
static const char *const names[EBB_SPLITS] = {"training", "validation", "test"};

/* ---- which part of which file ---- */

static size_t count_characters(const char *text, size_t length) {
  size_t n = 0;
  for (size_t i = 0; i < length; i++) n += ((unsigned char)text[i] & 0xC0) != 0x80;
  return n;
}

/* Where the n characters at the end begin. */
static size_t begin_of_last(const char *text, size_t length, size_t n) {
  while (n > 0) n -= ((unsigned char)text[--length] & 0xC0) != 0x80;
  return length;
}

/* Characters of the file that go to a split, where it has no file of its own. */
static size_t share(const EbbConfig *config, EbbSplit split, const char *key, size_t n) {
  return ebb_config_is_null(config, file_keys[split]) ? (size_t)((double)n * ebb_config_number(config, key))
                                                      : 0;
}

static EbbStatus add_part(EbbTexts *texts, EbbSplit split, const char *text, size_t length,
                          const char *origin) {
  return length > 0 ? ebb_texts_add(texts, split, text, length, (EbbTextOrigin){origin, 0}) : EBB_OK;
}

/* Training, validation and test are the beginning, the middle and the end of the file. */
static EbbStatus add_file(const EbbConfig *config, EbbTexts *texts, const EbbDataFile *file) {
  const size_t valid = ebb_utf8_valid(file->text, file->length);
  if (valid < file->length)
    return ebb_fail(EBB_FORMAT, "%s: the text is not valid UTF-8 from byte %zu on", file->path, valid);
  const size_t n = count_characters(file->text, file->length);
  const size_t n_val = share(config, EBB_VALIDATION, "dataset.val_split", n);
  const size_t n_test = share(config, EBB_TEST, "dataset.test_split", n);
  if (n_val + n_test >= n)
    return ebb_fail(EBB_INVALID,
                    "%s: dataset.val_split and dataset.test_split leave none of %zu characters for training",
                    file->path, n);
  const size_t test = begin_of_last(file->text, file->length, n_test);
  const size_t val = begin_of_last(file->text, test, n_val);
  EBB_TRY(add_part(texts, EBB_TRAIN, file->text, val, file->path));
  EBB_TRY(add_part(texts, EBB_VALIDATION, file->text + val, test - val, file->path));
  return add_part(texts, EBB_TEST, file->text + test, file->length - test, file->path);
}

static EbbStatus read_file(const EbbConfig *config, const EbbDataSource *source, EbbSplit split,
                           EbbTexts *texts) {
  const char *name = ebb_config_string(config, file_keys[split]);
  if (!name) return EBB_OK;
  EbbDataFile file;
  EbbStatus status = ebb_data_file_read(source, name, &file);
  if (status == EBB_OK && file.length == 0) status = ebb_fail(EBB_FORMAT, "%s: the file is empty", file.path);
  if (status == EBB_OK)
    status = split == EBB_TRAIN ? add_file(config, texts, &file)
                                : add_part(texts, split, file.text, file.length, file.path);
  ebb_data_file_release(&file);
  return status;
}

/* ---- windows ---- */

typedef struct Windows {
  int64_t length, stride, n;
} Windows;

/* The token at `at` of the text that a split has as its one sequence. */
static int32_t token_at(const EbbSamples *text, int64_t at) {
  if (text->tokens) return text->tokens[at];
  return text->raw_type == EBB_RAW_U8 ? ((const uint8_t *)text->raw)[at] : ((const int16_t *)text->raw)[at];
}

static EbbStatus fill(const EbbSamples *text, const Windows *windows, EbbSamples *out) {
  const int64_t n = windows->n, L = windows->length;
  EbbTokenColumn column = {0};
  out->offset = malloc(((size_t)n + 1) * sizeof *out->offset);
  out->labels = malloc(((size_t)(n * L) + 1) * sizeof *out->labels);
  if (!out->offset || !out->labels)
    return ebb_fail(EBB_MEMORY, "no memory for %lld windows of text", (long long)n);
  EbbStatus status = EBB_OK;
  for (int64_t i = 0; i < n * L && status == EBB_OK; i++) {
    const int64_t at = i / L * windows->stride + i % L;
    out->labels[i] = token_at(text, at + 1);
    status = ebb_token_column_append(&column, token_at(text, at));
  }
  for (int64_t w = 0; w <= n; w++) out->offset[w] = w * L;
  out->n_samples = n;
  ebb_token_column_move(&column, out);
  return status;
}

static void release(EbbSamples *samples) {
  free(samples->offset);
  free(samples->tokens);
  free(samples->raw);
  free(samples->labels);
  *samples = (EbbSamples){0};
}

/* Windows take the place of the text that a split has as its one sequence; `most` bounds them. */
static EbbStatus cut(EbbSplit split, EbbSamples *samples, Windows windows, int64_t most) {
  if (!samples->offset) return EBB_OK;
  const int64_t n = samples->offset[1];
  windows.n = n > windows.length ? (n - 1 - windows.length) / windows.stride + 1 : 0;
  if (windows.n == 0)
    return ebb_fail(EBB_INVALID,
                    "text: the %s text of %lld tokens is too short for dataset.window=%lld and the token "
                    "behind it",
                    names[split], (long long)n, (long long)windows.length);
  if (most > 0 && windows.n > most) windows.n = most;
  EbbSamples made = {0};
  const EbbStatus status = fill(samples, &windows, &made);
  release(samples);
  *samples = made;
  return status;
}

EbbStatus ebb_text_windows(const EbbConfig *config, const EbbDataSource *source, EbbTexts *texts) {
  EbbDataset *dataset = texts->dataset;
  const int64_t length = ebb_config_integer(config, "dataset.window"),
                l_max = ebb_config_integer_or(config, "dataset.l_max", length);
  const Windows windows = {length, ebb_config_integer_or(config, "dataset.stride", length), 0};
  if (length > l_max)
    return ebb_fail(EBB_INVALID, "text: dataset.window=%lld is above dataset.l_max=%lld", (long long)length,
                    (long long)l_max);
  for (int split = 0; split < EBB_SPLITS; split++) EBB_TRY(read_file(config, source, (EbbSplit)split, texts));
  EBB_TRY(ebb_texts_finish(texts));
  for (int split = 0; split < EBB_SPLITS; split++)
    EBB_TRY(cut((EbbSplit)split, &dataset->split[split], windows,
                split == EBB_TRAIN ? ebb_config_integer_or(config, "dataset.max_samples", 0) : 0));
  dataset->per_step = true;
  dataset->variable_length = false;
  dataset->longest = length;
  dataset->n_classes = dataset->d_output = dataset->vocabulary;
  return EBB_OK;
}
