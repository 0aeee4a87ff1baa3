#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/data/data_file.h"
#include "host/data/folder_list.h"
#include "host/data/mfcc.h"
#include "host/data/sequence_sets.h"
#include "host/data/sklearn_split.h"
#include "host/data/store.h"
#include "host/data/vocabulary.h"
#include "host/data/wav.h"

enum { RATE = 16000, LENGTH = 16000, FRAMES = 1 + LENGTH / EBB_MFCC_HOP, TEN = 10, ALL = 35 };

/* In the published order, which numbers the classes. */
static const char *const all_words[ALL] = {
    "bed",  "cat",   "down",  "five",   "forward", "go",    "house",  "left", "marvin",
    "no",   "on",    "right", "sheila", "tree",    "up",    "visual", "yes",  "backward",
    "bird", "dog",   "eight", "follow", "four",    "happy", "learn",  "nine", "off",
    "one",  "seven", "six",   "stop",   "three",   "two",   "wow",    "zero"};
static const char *const commands[TEN] = {"yes",   "no", "up",  "down", "left",
                                          "right", "on", "off", "stop", "go"};

/* Reading one archive. */
typedef struct Archive {
  EbbDataSource source;
  char *folder;
  bool all;
  const char *const *words;
  int n_words;
  EbbVocabulary listed[EBB_SPLITS]; /* WORD/FILE of validation and test */
  int64_t found[EBB_SPLITS];        /* of them, on the disk */
  EbbMfcc *mfcc;                    /* NULL: samples are stored */
  EbbStore store;
  int64_t *split[EBB_SPLITS]; /* stored samples */
  int64_t n[EBB_SPLITS], capacity;
} Archive;

static const char *const lists[EBB_SPLITS] = {
    [EBB_VALIDATION] = "validation_list.txt", [EBB_TEST] = "testing_list.txt"};

static EbbStatus read_list(Archive *a, EbbSplit split) {
  EbbDataFile file;
  EbbStatus status = ebb_data_file_read(&a->source, lists[split], &file);
  char *rest = NULL;
  for (char *line = status == EBB_OK ? strtok_r(file.text, "\r\n", &rest) : NULL; line && status == EBB_OK;
       line = strtok_r(NULL, "\r\n", &rest)) {
    int32_t id;
    status = ebb_vocabulary_add(&a->listed[split], line, &id);
  }
  ebb_data_file_release(&file);
  return status;
}

static EbbSplit split_of(Archive *a, const char *word, const char *file) {
  char name[512];
  snprintf(name, sizeof name, "%s/%s", word, file);
  for (int split = EBB_VALIDATION; split < EBB_SPLITS; split++)
    if (ebb_vocabulary_find(&a->listed[split], name) >= 0) {
      a->found[split]++;
      return (EbbSplit)split;
    }
  return EBB_TRAIN;
}

/* The sample that was stored last joins a split. */
static EbbStatus join(Archive *a, EbbSplit split) {
  const int64_t sample = a->store.samples.n_samples - 1;
  if (sample >= a->capacity) {
    const int64_t capacity = 2 * a->capacity + 1024;
    for (int i = 0; i < EBB_SPLITS; i++) {
      int64_t *more = realloc(a->split[i], (size_t)capacity * sizeof *more);
      if (!more) return ebb_fail(EBB_MEMORY, "no memory for %lld recordings", (long long)capacity);
      a->split[i] = more;
    }
    a->capacity = capacity;
  }
  a->split[split][a->n[split]++] = sample;
  return EBB_OK;
}

static EbbStatus store_recording(Archive *a, const int16_t *numbers, int32_t label) {
  float coefficients[FRAMES * EBB_MFCC_COEFFICIENTS];
  EbbSample sample = {.elements = numbers, .n_steps = LENGTH, .labels = &label};
  if (a->mfcc) {
    ebb_mfcc_make(a->mfcc, numbers, coefficients);
    sample.elements = coefficients, sample.n_steps = FRAMES;
  }
  return ebb_store_add(&a->store, &sample);
}

static EbbStatus take(Archive *a, const EbbWav *wav, const char *path, int32_t label, EbbSplit split) {
  int16_t padded[LENGTH] = {0};
  EBB_TRY(ebb_wav_expect(wav, path, 1, RATE));
  if (!a->all && wav->n_frames != LENGTH) return EBB_OK;
  if (wav->n_frames > LENGTH)
    return ebb_fail(EBB_FORMAT, "%s: %lld samples; recordings of this data set have at most %d", path,
                    (long long)wav->n_frames, (int)LENGTH);
  memcpy(padded, wav->numbers, (size_t)wav->n_frames * sizeof *padded);
  EBB_TRY(store_recording(a, padded, label));
  return join(a, split);
}

static EbbStatus read_recording(Archive *a, int word, const char *folder, const char *file) {
  char *path = NULL;
  EbbWav wav;
  if (asprintf(&path, "%s/%s", folder, file) < 0)
    return ebb_fail(EBB_MEMORY, "no memory for the name of '%s'", file);
  const EbbSplit split = a->all ? split_of(a, a->words[word], file) : EBB_TRAIN;
  EbbStatus status = ebb_wav_read(path, &wav);
  if (status == EBB_OK) status = take(a, &wav, path, word, split);
  ebb_wav_release(&wav);
  free(path);
  return status;
}

static EbbStatus read_word(Archive *a, int word) {
  char *folder = NULL;
  EbbFolderList names;
  if (asprintf(&folder, "%s/%s", a->folder, a->words[word]) < 0)
    return ebb_fail(EBB_MEMORY, "no memory for the name of '%s'", a->words[word]);
  EbbStatus status = ebb_folder_list(folder, ".wav", &names);
  if (status == EBB_OK && names.n == 0)
    status = ebb_fail(EBB_FORMAT, "%s: the folder has no .wav files", folder);
  for (int i = 0; i < names.n && status == EBB_OK; i++)
    status = read_recording(a, word, folder, names.name[i]);
  ebb_folder_list_release(&names);
  free(folder);
  return status;
}

/* A list that names files which are not there belongs to another archive, or the archive is not whole. */
static EbbStatus check_lists(const Archive *a) {
  for (int split = EBB_VALIDATION; split < EBB_SPLITS; split++)
    if (a->found[split] != a->listed[split].n_tokens)
      return ebb_fail(EBB_FORMAT, "%s/%s: of its %d files %lld are there", a->folder, lists[split],
                      (int)a->listed[split].n_tokens, (long long)a->found[split]);
  return EBB_OK;
}

/* 70 % for training, and of the rest one half each, by class. */
static EbbStatus split_ten(Archive *a) {
  int64_t *items = a->split[EBB_TRAIN], n = a->n[EBB_TRAIN], n_train = 0, n_val = 0;
  const int32_t *labels = a->store.samples.labels;
  if (n == 0) return ebb_fail(EBB_FORMAT, "%s: no recording has %d samples", a->folder, (int)LENGTH);
  EBB_TRY(ebb_sklearn_split(items, n, 0.7, 0, labels, TEN, &n_train));
  EBB_TRY(ebb_sklearn_split(items + n_train, n - n_train, 0.5, 1, labels, TEN, &n_val));
  EBB_TRY(ebb_store_view(&a->store, EBB_TRAIN, items, 0, n_train));
  EBB_TRY(ebb_store_view(&a->store, EBB_VALIDATION, items + n_train, 0, n_val));
  return ebb_store_view(&a->store, EBB_TEST, items + n_train + n_val, 0, n - n_train - n_val);
}

static EbbStatus split_all(Archive *a) {
  EBB_TRY(check_lists(a));
  for (int split = 0; split < EBB_SPLITS; split++)
    EBB_TRY(ebb_store_view(&a->store, (EbbSplit)split, a->split[split], 0, a->n[split]));
  return EBB_OK;
}

static EbbStatus begin_store(Archive *a, const EbbConfig *config) {
  const bool mfcc = ebb_config_flag(config, "dataset.mfcc");
  if (mfcc) EBB_TRY(ebb_mfcc_create(LENGTH, !ebb_config_flag(config, "dataset.log_mels"), &a->mfcc));
  EBB_TRY(ebb_store_create("sc", mfcc ? EBB_STORE_FLOATS : EBB_STORE_I16, &a->store));
  a->store.dataset->d_input = mfcc ? EBB_MFCC_COEFFICIENTS : 1;
  return EBB_OK;
}

static EbbStatus normalise(Archive *a, const EbbConfig *config) {
  if (a->mfcc) return ebb_store_normalise(&a->store);
  return ebb_store_normalise_steps(&a->store, ebb_config_number(config, "dataset.eps"));
}

static EbbStatus load(Archive *a, const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) {
  EBB_TRY(ebb_data_folder(&a->source, &a->folder));
  for (int split = EBB_VALIDATION; a->all && split < EBB_SPLITS; split++)
    EBB_TRY(read_list(a, (EbbSplit)split));
  EBB_TRY(begin_store(a, config));
  a->store.dataset->n_classes = a->store.dataset->d_output = a->n_words;
  for (int word = 0; word < a->n_words; word++) {
    EBB_TRY(read_word(a, word));
    EBB_TRY(ebb_loading_step(loading, "sc", word + 1, a->n_words, "word"));
  }
  EBB_TRY((a->all ? split_all : split_ten)(a));
  EBB_TRY(ebb_store_check_cut(&a->store, config));
  EBB_TRY(normalise(a, config));
  return ebb_store_finish(&a->store, ebb_config_integer_or(config, "dataset.max_samples", 0), out);
}

static Archive archive_of(const EbbConfig *config) {
  const bool all = ebb_config_flag(config, "dataset.all_classes");
  return (Archive){.source = {"sc", ebb_config_string(config, "dataset.data_dir"),
                              "the contents of speech_commands_v0.02.tar.gz (a folder a word and two lists)"},
                   .all = all,
                   .words = all ? all_words : commands,
                   .n_words = all ? ALL : TEN};
}

EbbStatus ebb_speech_commands_load(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) {
  Archive a = archive_of(config);
  *out = NULL;
  const EbbStatus status = load(&a, config, loading, out);
  ebb_store_release(&a.store);
  ebb_mfcc_destroy(a.mfcc);
  for (int split = 0; split < EBB_SPLITS; split++) {
    free(a.split[split]);
    ebb_vocabulary_clear(&a.listed[split]);
  }
  free(a.folder);
  return status;
}

static EbbStatus add_word(const Archive *a, int word, int64_t bytes, EbbCacheKey *key) {
  char *folder = NULL;
  EbbFolderList names;
  if (asprintf(&folder, "%s/%s", a->folder, a->words[word]) < 0)
    return ebb_fail(EBB_MEMORY, "no memory for the name of '%s'", a->words[word]);
  const EbbStatus status = ebb_folder_list(folder, ".wav", &names);
  key->expected += names.n * bytes;
  ebb_folder_list_release(&names);
  free(folder);
  return status == EBB_OK ? ebb_cache_key_file(key, a->words[word]) : status;
}

static EbbStatus add_files(const Archive *a, const EbbConfig *config, EbbCacheKey *key) {
  const int64_t recording = ebb_config_flag(config, "dataset.mfcc")
                                ? FRAMES * EBB_MFCC_COEFFICIENTS * (int64_t)sizeof(float)
                                : LENGTH * (int64_t)sizeof(int16_t);
  EBB_TRY(ebb_cache_key_folder(key, a->folder));
  for (int split = EBB_VALIDATION; a->all && split < EBB_SPLITS; split++)
    EBB_TRY(ebb_cache_key_file(key, lists[split]));
  for (int word = 0; word < a->n_words; word++) EBB_TRY(add_word(a, word, recording, key));
  return EBB_OK;
}

EbbStatus ebb_speech_commands_sources(const EbbConfig *config, EbbCacheKey *key) {
  Archive a = archive_of(config);
  ebb_cache_key_cut(key, config);
  EbbStatus status = ebb_data_folder(&a.source, &a.folder);
  if (status == EBB_OK) status = add_files(&a, config, key);
  free(a.folder);
  return status;
}
