#include <string.h>
#include <strings.h>

#include "host/data/cases.h"
#include "host/data/data_file.h"
#include "host/data/sequence_sets.h"
#include "host/data/user_splits.h"

typedef EbbStatus (*Read)(char *text, size_t length, const char *origin, EbbCases *cases);

/* By the file's name, .gz behind it or not; all others are UCR's text. */
static Read reader_of(const char *file) {
  static const struct {
    const char *suffix;
    Read read;
  } rows[] = {{".ts", ebb_ts_read}, {".arff", ebb_arff_read}};
  size_t length = strlen(file);
  if (length > 3 && strcasecmp(file + length - 3, ".gz") == 0) length -= 3;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const size_t n = strlen(rows[i].suffix);
    if (length > n && strncasecmp(file + length - n, rows[i].suffix, n) == 0) return rows[i].read;
  }
  return ebb_ucr_read;
}

static EbbStatus read_file(EbbCases *cases, const EbbConfig *config, const char *file, int64_t *count) {
  EbbDataFile data;
  const int64_t before = cases->store.samples.n_samples;
  EbbStatus status = ebb_user_file_read("ts", ebb_config_string(config, "dataset.data_dir"), file, &data);
  if (status == EBB_OK) status = reader_of(file)(data.text, data.length, data.path, cases);
  ebb_data_file_release(&data);
  *count = cases->store.samples.n_samples - before;
  return status;
}

static EbbStatus load(EbbCases *cases, const EbbConfig *config, EbbDataset **out) {
  static const char *const keys[EBB_SPLITS] = {"dataset.file", "dataset.val_file", "dataset.test_file"};
  int64_t counts[EBB_SPLITS] = {0};
  EBB_TRY(ebb_cases_create("ts", (EbbMissing)ebb_config_choice(config, "dataset.missing"), cases));
  for (int split = 0; split < EBB_SPLITS; split++) {
    const char *file = ebb_config_string(config, keys[split]);
    if (file) EBB_TRY(read_file(cases, config, file, &counts[split]));
    if (!file && split == EBB_TRAIN)
      return ebb_fail(EBB_INVALID, "the ts data set needs dataset.file, the training cases");
    cases->closed = true;
  }
  EBB_TRY(ebb_cases_finish(cases));
  EBB_TRY(ebb_user_splits(&cases->store, counts, config));
  EBB_TRY(ebb_store_check_cut(&cases->store, config));
  if (ebb_config_flag(config, "dataset.normalise")) EBB_TRY(ebb_store_normalise(&cases->store));
  return ebb_store_finish(&cases->store, ebb_config_integer_or(config, "dataset.max_samples", 0), out);
}

EbbStatus ebb_ts_dataset_load(const EbbConfig *config, EbbDataset **out) {
  EbbCases cases = {0};
  *out = NULL;
  const EbbStatus status = load(&cases, config, out);
  ebb_cases_release(&cases);
  return status;
}
