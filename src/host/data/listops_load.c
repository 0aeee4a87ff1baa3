#include "host/data/listops_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ebb/file.h"
#include "host/data/data_elsewhere.h"
#include "host/data/tsv.h"
#include "host/data/vocabulary.h"

enum { N_CLASSES = 10, SOURCE = 0, TARGET = 1, N_FIELDS = 2, UNKNOWN = 1 };

static const char *const file_names[EBB_SPLITS] = {"basic_train.tsv", "basic_val.tsv", "basic_test.tsv"};

typedef struct Reader {
  const EbbListopsOptions *options;
  EbbVocabulary vocabulary;
  int32_t bos, eos;   /* ids, -1: not added */
  int64_t most_texts; /* tokens of the text that fit beside those two */
  EbbDataset *dataset;
  EbbSplit split;
  EbbTsv tsv;
  int64_t n_tokens, token_capacity, sample_capacity; /* of this split */
} Reader;

static EbbStatus malformed(const Reader *reader, const char *what) {
  return ebb_fail(EBB_FORMAT, "%s:%lld: %s", reader->tsv.origin, (long long)reader->tsv.line, what);
}

static EbbStatus append_token(Reader *reader, int32_t id) {
  EbbSamples *samples = &reader->dataset->split[reader->split];
  if (reader->n_tokens == reader->token_capacity) {
    int64_t capacity = reader->token_capacity ? 2 * reader->token_capacity : 4096;
    int32_t *tokens = realloc(samples->tokens, (size_t)capacity * sizeof *tokens);
    if (!tokens) return ebb_fail(EBB_MEMORY, "no memory for %lld ListOps tokens", (long long)capacity);
    samples->tokens = tokens;
    reader->token_capacity = capacity;
  }
  samples->tokens[reader->n_tokens++] = id;
  return EBB_OK;
}

static EbbStatus append_sample(Reader *reader, int label) {
  EbbSamples *samples = &reader->dataset->split[reader->split];
  if (samples->n_samples == reader->sample_capacity) {
    int64_t capacity = reader->sample_capacity ? 2 * reader->sample_capacity : 1024;
    int64_t *offset = realloc(samples->offset, ((size_t)capacity + 1) * sizeof *offset);
    if (offset) samples->offset = offset;
    int32_t *labels = realloc(samples->labels, (size_t)capacity * sizeof *labels);
    if (labels) samples->labels = labels;
    if (!offset || !labels)
      return ebb_fail(EBB_MEMORY, "no memory for %lld ListOps samples", (long long)capacity);
    reader->sample_capacity = capacity;
  }
  int64_t begin = samples->n_samples ? samples->offset[samples->n_samples] : 0;
  samples->offset[samples->n_samples] = begin;
  samples->labels[samples->n_samples++] = label;
  samples->offset[samples->n_samples] = reader->n_tokens;
  if (reader->n_tokens - begin > reader->dataset->longest)
    reader->dataset->longest = reader->n_tokens - begin;
  return EBB_OK;
}

/* Deletes parentheses and turns ']' into 'X', in place; what is opened must be closed, or the line is
 * damaged. */
static EbbStatus edit_source(const Reader *reader, char *source) {
  int64_t round = 0, square = 0;
  char *out = source;
  for (const char *at = source; *at; at++) {
    round += (*at == '(') - (*at == ')');
    square += (*at == '[') - (*at == ']');
    if (round < 0 || square < 0) return malformed(reader, "a bracket is closed that was not opened");
    if (*at != '(' && *at != ')') *out++ = (char)(*at == ']' ? 'X' : *at);
  }
  *out = 0;
  if (round != 0 || square != 0) return malformed(reader, "a bracket is not closed; the line is damaged");
  return EBB_OK;
}

/* A digit, the closing X, or an operator such as "[MIN". */
static bool is_listops(const char *token) {
  if (token[0] != '[') return ((token[0] >= '0' && token[0] <= '9') || token[0] == 'X') && token[1] == 0;
  size_t letters = strspn(token + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
  return letters > 0 && token[1 + letters] == 0;
}

static EbbStatus read_token(Reader *reader, const char *token, bool stored) {
  int32_t id = ebb_vocabulary_find(&reader->vocabulary, token);
  if (id < reader->vocabulary.n_specials && !is_listops(token)) {
    return ebb_fail(EBB_FORMAT,
                    "%s:%lld: '%.40s' is no ListOps token (a digit, [MIN, [MAX, [MED, [SM, ], ( or ))",
                    reader->tsv.origin, (long long)reader->tsv.line, token);
  }
  if (reader->split == EBB_TRAIN) {
    if (id < 0) EBB_TRY(ebb_vocabulary_add(&reader->vocabulary, token, &id));
    reader->vocabulary.count[id]++;
  }
  return stored ? append_token(reader, id < 0 ? UNKNOWN : id) : EBB_OK;
}

static EbbStatus read_sample(Reader *reader, char **fields) {
  const char *target = fields[TARGET], *blanks = " \f\v\r";
  if (target[0] < '0' || target[0] > '9' || target[1] != 0) {
    return ebb_fail(EBB_FORMAT, "%s:%lld: the label '%.40s' is not one of 0..9", reader->tsv.origin,
                    (long long)reader->tsv.line, target);
  }
  EBB_TRY(edit_source(reader, fields[SOURCE]));
  int64_t most = reader->options->max_samples;
  bool stored = reader->split != EBB_TRAIN || most == 0 || reader->dataset->split[EBB_TRAIN].n_samples < most;
  if (stored && reader->bos >= 0) EBB_TRY(append_token(reader, reader->bos));
  int64_t n = 0;
  char *rest = NULL;
  for (char *token = strtok_r(fields[SOURCE], blanks, &rest); token; token = strtok_r(NULL, blanks, &rest)) {
    if (n++ < reader->most_texts) EBB_TRY(read_token(reader, token, stored));
  }
  if (n == 0) return malformed(reader, "the source is empty");
  if (!stored) return EBB_OK;
  if (reader->eos >= 0) EBB_TRY(append_token(reader, reader->eos));
  return append_sample(reader, target[0] - '0');
}

static EbbStatus read_split(Reader *reader) {
  static const char *const labels[EBB_SPLITS] = {"listops training", "listops validation", "listops test"};
  char *fields[N_FIELDS];
  bool end;
  EBB_TRY(ebb_tsv_next(&reader->tsv, fields, N_FIELDS, &end));
  if (end) return ebb_fail(EBB_FORMAT, "%s: the file is empty", reader->tsv.origin);
  if (strcmp(fields[SOURCE], "Source") != 0 || strcmp(fields[TARGET], "Target") != 0) {
    return malformed(reader, "the header 'Source<TAB>Target' is missing");
  }
  reader->n_tokens = reader->token_capacity = reader->sample_capacity = 0;
  for (;;) {
    EBB_TRY(ebb_tsv_next(&reader->tsv, fields, N_FIELDS, &end));
    if (end) break;
    EBB_TRY(read_sample(reader, fields));
    EBB_TRY(ebb_tsv_tell(&reader->tsv, reader->options->loading, labels[reader->split]));
  }
  if (reader->dataset->split[reader->split].n_samples == 0) {
    return ebb_fail(EBB_FORMAT, "%s: no sample follows the header", reader->tsv.origin);
  }
  return EBB_OK;
}

/* The ids of the training split date from before the vocabulary was sorted. */
static EbbStatus settle_vocabulary(Reader *reader) {
  int32_t *order;
  EBB_TRY(ebb_vocabulary_sort(&reader->vocabulary, &order));
  int32_t *tokens = reader->dataset->split[EBB_TRAIN].tokens;
  for (int64_t i = 0; i < reader->n_tokens; i++) tokens[i] = order[tokens[i]];
  free(order);
  return EBB_OK;
}

static EbbStatus start(Reader *reader) {
  int32_t id;
  EBB_TRY(ebb_vocabulary_add(&reader->vocabulary, "<pad>", &id));
  EBB_TRY(ebb_vocabulary_add(&reader->vocabulary, "<unk>", &id));
  if (reader->options->append_bos) EBB_TRY(ebb_vocabulary_add(&reader->vocabulary, "<bos>", &reader->bos));
  if (reader->options->append_eos) EBB_TRY(ebb_vocabulary_add(&reader->vocabulary, "<eos>", &reader->eos));
  reader->vocabulary.n_specials = reader->vocabulary.n_tokens;
  return EBB_OK;
}

static EbbStatus read_all(Reader *reader, FILE *const file[EBB_SPLITS],
                          const char *const origin[EBB_SPLITS]) {
  EBB_TRY(start(reader));
  for (int split = 0; split < EBB_SPLITS; split++) {
    reader->split = (EbbSplit)split;
    reader->tsv.file = file[split];
    reader->tsv.origin = origin[split];
    reader->tsv.line = 0;
    EBB_TRY(read_split(reader));
    if (split == EBB_TRAIN) EBB_TRY(settle_vocabulary(reader));
  }
  EbbDataset *dataset = reader->dataset;
  snprintf(dataset->name, sizeof dataset->name, "listops");
  dataset->n_classes = dataset->d_output = N_CLASSES;
  dataset->vocabulary = reader->vocabulary.n_tokens;
  dataset->n_towers = 1;
  dataset->variable_length = true;
  dataset->token_text = reader->vocabulary.text;
  reader->vocabulary.text = NULL;
  reader->vocabulary.n_tokens = 0;
  return EBB_OK;
}

EbbStatus ebb_listops_read(const EbbListopsOptions *options, FILE *const file[EBB_SPLITS],
                           const char *const origin[EBB_SPLITS], EbbDataset **out) {
  *out = NULL;
  Reader reader = {.options = options, .bos = -1, .eos = -1, .most_texts = INT64_MAX};
  int64_t added = (int64_t)options->append_bos + options->append_eos;
  if (options->l_max < 0 || (options->l_max > 0 && options->l_max <= added) || options->max_samples < 0) {
    return ebb_fail(EBB_INVALID,
                    "ListOps: dataset.l_max %lld must be above the %lld tokens that append_bos and "
                    "append_eos add (0 for no "
                    "limit), dataset.max_samples %lld at least 0",
                    (long long)options->l_max, (long long)added, (long long)options->max_samples);
  }
  if (options->l_max > 0) reader.most_texts = options->l_max - added;
  reader.dataset = calloc(1, sizeof *reader.dataset);
  if (!reader.dataset) return ebb_fail(EBB_MEMORY, "no memory for the ListOps data set");
  EbbStatus status = read_all(&reader, file, origin);
  ebb_tsv_clear(&reader.tsv);
  ebb_vocabulary_clear(&reader.vocabulary);
  if (status != EBB_OK) {
    ebb_dataset_destroy(reader.dataset);
    return status;
  }
  *out = reader.dataset;
  return EBB_OK;
}

static EbbStatus missing(const char *path, const char *base) {
  const char *const marks[] = {file_names[EBB_TRAIN], NULL};
  char *elsewhere = ebb_data_elsewhere(base, marks);
  const EbbStatus status =
      elsewhere
          ? ebb_fail(EBB_NOT_FOUND,
                     "ListOps: '%s' does not exist; `ebb data listops %s` makes the data set, or take "
                     "dataset.data_dir=%s, where one is",
                     path, base, elsewhere)
          : ebb_fail(
                EBB_NOT_FOUND,
                "ListOps: '%s' does not exist; `ebb data listops %s` makes the data set, or put the files "
                "of the folder listops-1000 of the published Long Range Arena release there "
                "(dataset.data_dir names the folder; without it $EBB_DATA/listops, or data/listops where "
                "EBB_DATA is not set)",
                path, base);
  free(elsewhere);
  return status;
}

/* Opens the three files of `folder`, or of its sub-folder listops-1000 if it holds the training file. */
static EbbStatus open_files(const char *base, FILE *file[EBB_SPLITS], char *path[EBB_SPLITS]) {
  const char *inner = "";
  for (int split = 0; split < EBB_SPLITS; split++) {
    if (asprintf(&path[split], "%s/%s%s", base, inner, file_names[split]) < 0) path[split] = NULL;
    if (!path[split]) return ebb_fail(EBB_MEMORY, "no memory for a file name in '%s'", base);
    if (split == EBB_TRAIN && *inner == 0 && access(path[split], F_OK) != 0) {
      char *other;
      if (asprintf(&other, "%s/listops-1000/%s", base, file_names[split]) < 0) {
        return ebb_fail(EBB_MEMORY, "no memory for a file name in '%s'", base);
      }
      bool found = access(other, F_OK) == 0;
      if (found) {
        inner = "listops-1000/";
        free(path[split]);
        path[split] = other;
      } else {
        free(other);
      }
    }
    file[split] = fopen(path[split], "re");
    if (!file[split] && errno == ENOENT) return missing(path[split], base);
    if (!file[split]) return ebb_fail(EBB_IO, "ListOps: cannot open '%s': %s", path[split], strerror(errno));
  }
  return EBB_OK;
}

static EbbStatus load_folder(const EbbListopsOptions *options, const char *base, EbbDataset **out) {
  FILE *file[EBB_SPLITS] = {NULL};
  char *path[EBB_SPLITS] = {NULL};
  EbbStatus status = open_files(base, file, path);
  if (status == EBB_OK) status = ebb_listops_read(options, file, (const char *const *)path, out);
  for (int split = 0; split < EBB_SPLITS; split++) {
    if (file[split]) fclose(file[split]);
    free(path[split]);
  }
  return status;
}

/* The folder that the options name, or the usual one. */
static EbbStatus base_folder(const char *folder, char **base) {
  const char *data = getenv("EBB_DATA");
  const int made =
      folder ? asprintf(base, "%s", folder) : asprintf(base, "%s/listops", data && *data ? data : "data");
  if (made >= 0) return EBB_OK;
  *base = NULL;
  return ebb_fail(EBB_MEMORY, "no memory for the name of the folder of ListOps");
}

EbbStatus ebb_listops_load(const EbbListopsOptions *options, EbbDataset **out) {
  *out = NULL;
  char *base = NULL;
  EBB_TRY(base_folder(options->folder, &base));
  const EbbStatus status = load_folder(options, base, out);
  free(base);
  return status;
}

static EbbStatus add_files(EbbCacheKey *key, const char *base, const char *inner) {
  char name[64];
  EBB_TRY(ebb_cache_key_folder(key, base));
  for (int split = 0; split < EBB_SPLITS; split++) {
    snprintf(name, sizeof name, "%s%s", inner, file_names[split]);
    EBB_TRY(ebb_cache_key_file(key, name));
  }
  return EBB_OK;
}

EbbStatus ebb_listops_sources(const EbbConfig *config, EbbCacheKey *key) {
  char *base = NULL, *outer = NULL;
  EBB_TRY(base_folder(ebb_config_string(config, "dataset.data_dir"), &base));
  EbbStatus status = EBB_OK;
  if (asprintf(&outer, "%s/%s", base, file_names[EBB_TRAIN]) < 0) {
    outer = NULL;
    status = ebb_fail(EBB_MEMORY, "no memory for a file name in '%s'", base);
  }
  if (status == EBB_OK) status = add_files(key, base, ebb_file_exists(outer) ? "" : "listops-1000/");
  free(outer);
  free(base);
  return status;
}
