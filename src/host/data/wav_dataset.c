#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/data/data_file.h"
#include "host/data/folder_list.h"
#include "host/data/sequence_sets.h"
#include "host/data/user_splits.h"
#include "host/data/wav.h"

/* Reading a user's folders. */
typedef struct Recordings {
  EbbStore store;
  EbbFolderList classes; /* of training */
  int64_t rate;          /* of the first file; 0: none was read yet */
} Recordings;

/* The place of a name, or -1. */
static int find_name(const EbbFolderList *list, const char *name) {
  for (int i = 0; i < list->n; i++)
    if (strcmp(list->name[i], name) == 0) return i;
  return -1;
}

static EbbStatus join(const char *folder, const char *name, char **path) {
  if (asprintf(path, "%s/%s", folder, name) >= 0) return EBB_OK;
  *path = NULL;
  return ebb_fail(EBB_MEMORY, "no memory for the name of '%s'", name);
}

static EbbStatus take(Recordings *r, const EbbWav *wav, const char *path, int32_t label) {
  if (r->rate == 0) r->rate = wav->rate, r->store.dataset->d_input = wav->n_channels;
  EBB_TRY(ebb_wav_expect(wav, path, r->store.dataset->d_input, r->rate));
  const EbbSample sample = {.elements = wav->numbers, .n_steps = wav->n_frames, .labels = &label};
  return ebb_store_add(&r->store, &sample);
}

static EbbStatus read_file(Recordings *r, const char *folder, const char *name, int32_t label) {
  char *path;
  EbbWav wav = {0};
  EBB_TRY(join(folder, name, &path));
  EbbStatus status = ebb_wav_read(path, &wav);
  if (status == EBB_OK) status = take(r, &wav, path, label);
  ebb_wav_release(&wav);
  free(path);
  return status;
}

static EbbStatus read_class(Recordings *r, const char *root, const char *name) {
  char *folder;
  EbbFolderList files = {0};
  EBB_TRY(join(root, name, &folder));
  const int label = find_name(&r->classes, name);
  EbbStatus status = EBB_OK;
  if (label < 0) status = ebb_fail(EBB_FORMAT, "%s: training has no class '%s'", folder, name);
  if (status == EBB_OK) status = ebb_folder_list(folder, ".wav", &files);
  if (status == EBB_OK && files.n == 0)
    status = ebb_fail(EBB_FORMAT, "%s: the folder of a class has no .wav files; put some there, or remove it",
                      folder);
  for (int i = 0; i < files.n && status == EBB_OK; i++) status = read_file(r, folder, files.name[i], label);
  ebb_folder_list_release(&files);
  free(folder);
  return status;
}

/* The class folders in `root`; count: the samples they had. */
static EbbStatus read_classes(Recordings *r, const char *root, int64_t *count) {
  EbbFolderList names;
  const int64_t before = r->store.samples.n_samples;
  EbbStatus status = ebb_folder_list(root, NULL, &names);
  for (int i = 0; i < names.n && status == EBB_OK; i++) status = read_class(r, root, names.name[i]);
  ebb_folder_list_release(&names);
  *count = r->store.samples.n_samples - before;
  return status;
}

static EbbStatus read_classes_of_training(Recordings *r, const char *root, int64_t *count) {
  EBB_TRY(ebb_folder_list(root, NULL, &r->classes));
  if (r->classes.n < 2)
    return ebb_fail(EBB_FORMAT,
                    "%s: %d folders of classes; at least 2 are needed: dataset.data_dir names a folder of "
                    "recordings CLASS/NAME.wav",
                    root, r->classes.n);
  r->store.dataset->n_classes = r->store.dataset->d_output = r->classes.n;
  return read_classes(r, root, count);
}

static EbbStatus read_splits(Recordings *r, const char *folder, const EbbFolderList *names,
                             int64_t counts[EBB_SPLITS]) {
  static const char *const folders[EBB_SPLITS] = {"train", "val", "test"};
  if (find_name(names, folders[EBB_TRAIN]) < 0)
    return read_classes_of_training(r, folder, &counts[EBB_TRAIN]);
  for (int split = 0; split < EBB_SPLITS; split++) {
    char *root;
    if (find_name(names, folders[split]) < 0) continue;
    EBB_TRY(join(folder, folders[split], &root));
    const EbbStatus status =
        (split == EBB_TRAIN ? read_classes_of_training : read_classes)(r, root, &counts[split]);
    free(root);
    EBB_TRY(status);
  }
  return EBB_OK;
}

static EbbStatus load(Recordings *r, const char *folder, const EbbConfig *config, EbbDataset **out) {
  int64_t counts[EBB_SPLITS] = {0};
  EbbFolderList names;
  EBB_TRY(ebb_store_create("wav", EBB_STORE_I16, &r->store));
  EbbStatus status = ebb_folder_list(folder, NULL, &names);
  if (status == EBB_OK) status = read_splits(r, folder, &names, counts);
  ebb_folder_list_release(&names);
  EBB_TRY(status);
  EBB_TRY(ebb_user_splits(&r->store, counts, config));
  EBB_TRY(ebb_store_check_cut(&r->store, config));
  if (ebb_config_flag(config, "dataset.normalise")) EBB_TRY(ebb_store_normalise(&r->store));
  return ebb_store_finish(&r->store, ebb_config_integer_or(config, "dataset.max_samples", 0), out);
}

EbbStatus ebb_wav_dataset_load(const EbbConfig *config, EbbDataset **out) {
  const EbbDataSource source = {"wav", ebb_config_string(config, "dataset.data_dir"),
                                "a folder of .wav files for every class"};
  Recordings r = {0};
  char *folder;
  *out = NULL;
  EBB_TRY(ebb_data_folder(&source, &folder));
  const EbbStatus status = load(&r, folder, config, out);
  ebb_store_release(&r.store);
  ebb_folder_list_release(&r.classes);
  free(folder);
  return status;
}
