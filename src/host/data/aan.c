#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/file.h"
#include "host/data/aside.h"
#include "host/data/corpora.h"
#include "host/data/data_file.h"
#include "host/data/tsv.h"

enum { LABEL, FIRST_ID, SECOND_ID, FIRST_TEXT, SECOND_TEXT, N_FIELDS };

static const char *const files[EBB_SPLITS] = {"new_aan_pairs.train.tsv", "new_aan_pairs.eval.tsv",
                                              "new_aan_pairs.test.tsv"};

static EbbStatus read_pair(EbbTexts *texts, EbbSplit split, const EbbTsv *tsv, char **fields) {
  char *end;
  const double label = strtod(fields[LABEL], &end);
  const bool number = end != fields[LABEL] && !*end && strspn(fields[LABEL], "01.") == strlen(fields[LABEL]);
  if (!number || (label != 0 && label != 1))
    return ebb_fail(EBB_FORMAT, "%s:%lld: the label '%.40s' is not 0.0 or 1.0", tsv->origin,
                    (long long)tsv->line, fields[LABEL]);
  const EbbTextOrigin origin = {tsv->origin, tsv->line};
  EBB_TRY(ebb_texts_add(texts, split, fields[FIRST_TEXT], strlen(fields[FIRST_TEXT]), origin));
  EBB_TRY(ebb_texts_add(texts, split, fields[SECOND_TEXT], strlen(fields[SECOND_TEXT]), origin));
  return ebb_texts_label(texts, split, (int32_t)label);
}

static const char *const labels[EBB_SPLITS] = {"aan training", "aan validation", "aan test"};

static EbbStatus read_pairs(EbbTexts *texts, EbbSplit split, EbbTsv *tsv) {
  for (;;) {
    char *fields[N_FIELDS];
    bool end;
    EBB_TRY(ebb_tsv_next(tsv, fields, N_FIELDS, &end));
    if (!end) EBB_TRY(read_pair(texts, split, tsv, fields));
    EBB_TRY(ebb_tsv_tell(tsv, texts->loading, labels[split]));
    if (end && tsv->line == 0) return ebb_fail(EBB_FORMAT, "%s: the file is empty", tsv->origin);
    if (end) return EBB_OK;
  }
}

EbbStatus ebb_aan_read(EbbTexts *texts, EbbSplit split, FILE *file, const char *origin) {
  EbbTsv tsv = {.file = file, .origin = origin};
  const EbbStatus status = read_pairs(texts, split, &tsv);
  ebb_tsv_clear(&tsv);
  return status;
}

static EbbStatus read_file(EbbTexts *texts, EbbSplit split, const EbbDataSource *source, const char *inner) {
  char *path;
  EBB_TRY(ebb_data_path(source, inner, files[split], &path));
  FILE *file = fopen(path, "re");
  EbbStatus status;
  if (file)
    status = ebb_aan_read(texts, split, file, path);
  else if (errno == ENOENT)
    status = ebb_data_missing(source, path, "");
  else
    status = ebb_fail(EBB_IO, "cannot open '%s': %s", path, strerror(errno));
  if (file) (void)fclose(file);
  free(path);
  return status;
}

/* "" or the folder that the files are in. */
static EbbStatus find_inner(const EbbDataSource *source, const char **inner) {
  char *probe;
  EBB_TRY(ebb_data_path(source, "tsv_data/", files[EBB_TRAIN], &probe));
  *inner = ebb_file_exists(probe) ? "tsv_data/" : "";
  free(probe);
  return EBB_OK;
}

static EbbStatus read_all(EbbTexts *texts, const EbbDataSource *source) {
  const char *inner = "";
  EBB_TRY(find_inner(source, &inner));
  for (int split = 0; split < EBB_SPLITS; split++) EBB_TRY(read_file(texts, (EbbSplit)split, source, inner));
  return EBB_OK;
}

static EbbDataSource source_of(const EbbConfig *config) {
  return (EbbDataSource){"aan", ebb_config_string(config, "dataset.data_dir"),
                         "the files new_aan_pairs.*.tsv of the folder tsv_data of the published Long "
                         "Range Arena release (lra_release.gz)"};
}

static EbbStatus load(const EbbConfig *config, const EbbLoading *loading, EbbTexts *texts,
                      EbbDataset *dataset) {
  const EbbDataSource source = source_of(config);
  EbbTextRules rules = ebb_text_rules(config);
  rules.min_freq = 1; /* dataset.min_freq is imdb's */
  snprintf(dataset->name, sizeof dataset->name, "aan");
  dataset->n_classes = dataset->d_output = dataset->n_towers = 2;
  EBB_TRY(ebb_texts_begin(texts, &rules, dataset));
  texts->loading = loading;
  EBB_TRY(read_all(texts, &source));
  EBB_TRY(ebb_texts_finish(texts));
  ebb_dataset_cut(dataset, ebb_config_integer_or(config, "dataset.max_samples", 0));
  return EBB_OK;
}

EbbStatus ebb_aan_load(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out) {
  return ebb_texts_build(config, loading, load, out);
}

EbbStatus ebb_aan_sources(const EbbConfig *config, EbbCacheKey *key) {
  const EbbDataSource source = source_of(config);
  const char *inner = "";
  char *folder = NULL, name[64];
  EBB_TRY(find_inner(&source, &inner));
  EBB_TRY(ebb_data_path(&source, ".", "", &folder));
  EbbStatus status = ebb_cache_key_folder(key, folder);
  free(folder);
  for (int split = 0; split < EBB_SPLITS && status == EBB_OK; split++) {
    snprintf(name, sizeof name, "%s%s", inner, files[split]);
    status = ebb_cache_key_file(key, name);
  }
  return status;
}
