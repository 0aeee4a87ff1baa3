#include <stdio.h>
#include <stdlib.h>

#include "host/data/aside.h"
#include "host/data/corpora.h"
#include "host/data/text_parts.h"

static EbbStatus load_classes(const EbbConfig *config, const EbbDataSource *source, EbbTexts *texts) {
  char *folder;
  EBB_TRY(ebb_data_folder(source, &folder));
  const EbbStatus status = ebb_text_classes(config, folder, texts);
  free(folder);
  EBB_TRY(status);
  ebb_dataset_cut(texts->dataset, ebb_config_integer_or(config, "dataset.max_samples", 0));
  return EBB_OK;
}

static EbbStatus load(const EbbConfig *config, const EbbLoading *loading, EbbTexts *texts,
                      EbbDataset *dataset) {
  const EbbDataSource source = {"text", ebb_config_string(config, "dataset.data_dir"),
                                "your texts, in folders CLASS/NAME.txt,"};
  const bool windows = !ebb_config_is_null(config, "dataset.file");
  EbbTextRules rules = ebb_text_rules(config);
  rules.min_freq = 1; /* dataset.min_freq is imdb's */
  if (windows) rules.l_max = 0, rules.append_bos = rules.append_eos = false;
  snprintf(dataset->name, sizeof dataset->name, "text");
  dataset->n_towers = 1;
  EBB_TRY(ebb_texts_begin(texts, &rules, dataset));
  texts->loading = loading;
  return windows ? ebb_text_windows(config, &source, texts) : load_classes(config, &source, texts);
}

EbbStatus ebb_text_load(const EbbConfig *config, EbbDataset **out) {
  return ebb_texts_build(config, NULL, load, out);
}
