#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/file.h"
#include "ebb/numpy_random.h"
#include "host/data/aside.h"
#include "host/data/folder_list.h"
#include "host/data/text_parts.h"

static const size_t MOST_TEXT_BYTES = (size_t)1 << 30;

static const char *const split_names[EBB_SPLITS] = {"train", "val", "test"};

static EbbStatus join(const char *folder, const char *name, char **path) {
  if (asprintf(path, "%s/%s", folder, name) >= 0) return EBB_OK;
  *path = NULL;
  return ebb_fail(EBB_MEMORY, "no memory for a name in the folder '%s'", folder);
}

static EbbStatus read_text(EbbTexts *texts, EbbSplit split, const char *path, int label) {
  char *text;
  size_t length;
  EBB_TRY(ebb_file_read(path, MOST_TEXT_BYTES, &text, &length));
  EbbStatus status = length > 0 ? EBB_OK : ebb_fail(EBB_FORMAT, "%s: the text is empty", path);
  if (status == EBB_OK) status = ebb_texts_add(texts, split, text, length, (EbbTextOrigin){path, 0});
  if (status == EBB_OK) status = ebb_texts_label(texts, split, label);
  free(text);
  return status;
}

static EbbStatus read_texts(EbbTexts *texts, EbbSplit split, const char *folder, const EbbFolderList *list,
                            int label) {
  if (list->n == 0)
    return ebb_fail(EBB_FORMAT,
                    "%s: the folder of a class has no text files *.txt; put some there, or remove it",
                    folder);
  for (int i = 0; i < list->n; i++) {
    char *path;
    EBB_TRY(join(folder, list->name[i], &path));
    const EbbStatus status = read_text(texts, split, path, label);
    free(path);
    EBB_TRY(status);
  }
  return EBB_OK;
}

static EbbStatus read_class(EbbTexts *texts, EbbSplit split, const char *base, const char *name, int label) {
  char *folder;
  EBB_TRY(join(base, name, &folder));
  EbbFolderList list;
  EbbStatus status = ebb_folder_list(folder, ".txt", &list);
  if (status == EBB_OK) status = read_texts(texts, split, folder, &list, label);
  ebb_folder_list_release(&list);
  free(folder);
  return status;
}

static int find(const EbbFolderList *classes, const char *name) {
  for (int i = 0; i < classes->n; i++)
    if (strcmp(classes->name[i], name) == 0) return i;
  return -1;
}

/* The classes below `base` into a split; names are those of the training. */
static EbbStatus read_split(EbbTexts *texts, EbbSplit split, const char *base, const EbbFolderList *classes) {
  EbbFolderList here;
  EbbStatus status = ebb_folder_list(base, NULL, &here);
  for (int i = 0; i < here.n && status == EBB_OK; i++) {
    const int label = find(classes, here.name[i]);
    status = label < 0 ? ebb_fail(EBB_FORMAT, "%s: the class '%s' is not among those of the training", base,
                                  here.name[i])
                       : read_class(texts, split, base, here.name[i], label);
  }
  if (status == EBB_OK && here.n == 0)
    status = ebb_fail(EBB_FORMAT, "%s: the folder has no folders of classes", base);
  ebb_folder_list_release(&here);
  return status;
}

static EbbStatus read_train(EbbTexts *texts, const char *base, EbbFolderList *classes) {
  EBB_TRY(ebb_folder_list(base, NULL, classes));
  if (classes->n < 2)
    return ebb_fail(
        EBB_FORMAT,
        "%s: %d folders of classes; a classification needs at least two: dataset.data_dir names a "
        "folder of texts CLASS/NAME.txt. To learn the next character of one text, give dataset.file",
        base, classes->n);
  texts->dataset->n_classes = texts->dataset->d_output = classes->n;
  return read_split(texts, EBB_TRAIN, base, classes);
}

/* Shares of the training split for those that have no folder. */
static EbbStatus set_aside(EbbDataset *dataset, const EbbConfig *config) {
  const int64_t n = dataset->split[EBB_TRAIN].n_samples;
  const bool no_val = dataset->split[EBB_VALIDATION].n_samples == 0,
             no_test = dataset->split[EBB_TEST].n_samples == 0;
  const int64_t n_val = no_val ? (int64_t)((double)n * ebb_config_number(config, "dataset.val_split")) : 0;
  const int64_t n_test = no_test ? (int64_t)((double)n * ebb_config_number(config, "dataset.test_split")) : 0;
  if (n_val + n_test >= n)
    return ebb_fail(EBB_INVALID, "text: dataset.val_split and dataset.test_split leave none of %lld texts",
                    (long long)n);
  int64_t *order = malloc((size_t)n * sizeof *order);
  if (!order) return ebb_fail(EBB_MEMORY, "no memory for the order of %lld texts", (long long)n);
  ebb_torch_permutation((uint32_t)ebb_config_integer(config, "dataset.seed"), n, order);
  const EbbStatus status = ebb_dataset_deal(dataset, order, n - n_val - n_test, n_val, n_test);
  free(order);
  return status;
}

static EbbStatus read_parted(EbbTexts *texts, const char *folder, EbbFolderList *classes) {
  for (int split = 0; split < EBB_SPLITS; split++) {
    char *base;
    EBB_TRY(join(folder, split_names[split], &base));
    EbbStatus status = EBB_OK;
    if (split == EBB_TRAIN)
      status = read_train(texts, base, classes);
    else if (ebb_folder_exists(base))
      status = read_split(texts, (EbbSplit)split, base, classes);
    free(base);
    EBB_TRY(status);
  }
  return EBB_OK;
}

static EbbStatus read_folder(EbbTexts *texts, const char *folder, EbbFolderList *classes) {
  char *train;
  EBB_TRY(join(folder, split_names[EBB_TRAIN], &train));
  const bool parted = ebb_folder_exists(train);
  free(train);
  return parted ? read_parted(texts, folder, classes) : read_train(texts, folder, classes);
}

EbbStatus ebb_text_classes(const EbbConfig *config, const char *folder, EbbTexts *texts) {
  EbbFolderList classes = {0};
  EbbStatus status = read_folder(texts, folder, &classes);
  ebb_folder_list_release(&classes);
  EBB_TRY(status);
  EBB_TRY(ebb_texts_finish(texts));
  return set_aside(texts->dataset, config);
}
