#include "host/data/texts.h"

#include <stdlib.h>
#include <string.h>

enum { PAD = 0, UNKNOWN = 1, FIRST_CAPACITY = 4096, PAGE = EBB_CODE_POINTS / EBB_TEXT_PAGES };

/* What Keras' tokeniser takes for blanks beside the blank. */
static const char separators[] = " !\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n";

EbbTextRules ebb_text_rules(const EbbConfig *config) {
  enum { CHARACTERS, WORDS }; /* in the order of the keys' choices */
  enum { FIRST, LAST };
  return (EbbTextRules){.words = ebb_config_choice(config, "dataset.level") == WORDS,
                        .l_max = ebb_config_integer_or(config, "dataset.l_max", 0),
                        .append_bos = ebb_config_flag(config, "dataset.append_bos"),
                        .append_eos = ebb_config_flag(config, "dataset.append_eos"),
                        .keep_last = ebb_config_choice(config, "dataset.keep") == LAST,
                        .min_freq = ebb_config_integer(config, "dataset.min_freq"),
                        .max_vocab = ebb_config_integer_or(config, "dataset.max_vocab", 0)};
}

static EbbStatus add_specials(EbbTexts *texts) {
  int32_t id;
  EBB_TRY(ebb_vocabulary_add(&texts->vocabulary, "<pad>", &id));
  EBB_TRY(ebb_vocabulary_add(&texts->vocabulary, "<unk>", &id));
  texts->bos = texts->eos = -1;
  if (texts->rules.append_bos) EBB_TRY(ebb_vocabulary_add(&texts->vocabulary, "<bos>", &texts->bos));
  if (texts->rules.append_eos) EBB_TRY(ebb_vocabulary_add(&texts->vocabulary, "<eos>", &texts->eos));
  texts->vocabulary.n_specials = texts->vocabulary.n_tokens;
  return EBB_OK;
}

EbbStatus ebb_texts_begin(EbbTexts *texts, const EbbTextRules *rules, EbbDataset *dataset) {
  *texts = (EbbTexts){.rules = *rules, .dataset = dataset, .most = INT64_MAX};
  const int64_t added = (int64_t)rules->append_bos + rules->append_eos;
  if (rules->l_max > 0 && rules->l_max <= added)
    return ebb_fail(EBB_INVALID,
                    "dataset.l_max is %lld; it must be above the %lld tokens that dataset.append_bos and "
                    "dataset.append_eos add",
                    (long long)rules->l_max, (long long)added);
  if (rules->l_max > 0) texts->most = rules->l_max - added;
  return add_specials(texts);
}

void ebb_texts_release(EbbTexts *texts) {
  ebb_vocabulary_clear(&texts->vocabulary);
  for (int split = 0; split < EBB_SPLITS; split++) ebb_token_column_release(&texts->split[split].tokens);
  for (int page = 0; page < EBB_TEXT_PAGES; page++) free(texts->page[page]), texts->page[page] = NULL;
  free(texts->word);
  texts->word = NULL;
}

static EbbStatus append(EbbTexts *texts, EbbSplit split, int32_t token) {
  return ebb_token_column_append(&texts->split[split].tokens, token);
}

/* ---- characters and words ---- */

static EbbStatus character(EbbTexts *texts, const char *at, int bytes, uint32_t code, int32_t *token) {
  int32_t **page = &texts->page[code / PAGE];
  if (!*page) *page = calloc(PAGE, sizeof **page);
  if (!*page) return ebb_fail(EBB_MEMORY, "no memory for a table of characters");
  *token = (*page)[code % PAGE];
  if (*token > 0) return EBB_OK;
  /* The vocabulary's strings end with a NUL; the text's own NUL gets the two bytes that modified UTF-8 has.
   */
  char text[8] = "\xC0\x80";
  if (code != 0) memcpy(text, at, (size_t)bytes), text[bytes] = 0;
  EBB_TRY(ebb_vocabulary_add(&texts->vocabulary, text, token));
  (*page)[code % PAGE] = *token;
  return EBB_OK;
}

/* The next token at *at; *token is -1 behind the last one. */
static EbbStatus next_character(EbbTexts *texts, const char **at, const char *end, int32_t *token) {
  uint32_t code;
  *token = -1;
  if (*at == end) return EBB_OK;
  const int bytes = ebb_utf8_decode(*at, (size_t)(end - *at), &code); /* the text is checked */
  EBB_TRY(character(texts, *at, bytes, code, token));
  *at += bytes;
  return EBB_OK;
}

static bool separates(char c) { return c == 0 || strchr(separators, c); }

static EbbStatus next_word(EbbTexts *texts, const char **at, const char *end, int32_t *token) {
  *token = -1;
  while (*at < end && separates(**at)) ++*at;
  const char *begin = *at;
  while (*at < end && !separates(**at)) ++*at;
  const size_t length = (size_t)(*at - begin);
  if (length == 0) return EBB_OK;
  if (length + 1 > texts->word_capacity) {
    char *word = realloc(texts->word, 2 * length + 1);
    if (!word) return ebb_fail(EBB_MEMORY, "no memory for a word of %zu bytes", length);
    texts->word = word, texts->word_capacity = 2 * length + 1;
  }
  for (size_t i = 0; i < length; i++)
    texts->word[i] = (char)(begin[i] >= 'A' && begin[i] <= 'Z' ? begin[i] + ('a' - 'A') : begin[i]);
  texts->word[length] = 0;
  return ebb_vocabulary_add(&texts->vocabulary, texts->word, token);
}

/* ---- sequences ---- */

static EbbStatus append_text(EbbTexts *texts, EbbSplit split, const char *text, size_t length) {
  const char *at = text, *end = text + length;
  const bool whole = texts->rules.keep_last; /* it is cut when its end is known */
  for (int64_t n = 0; whole || n < texts->most; n++) {
    int32_t token;
    EBB_TRY(texts->rules.words ? next_word(texts, &at, end, &token)
                               : next_character(texts, &at, end, &token));
    if (token < 0) return EBB_OK;
    EBB_TRY(append(texts, split, token));
  }
  return EBB_OK;
}

/* Leaves the last tokens of a text that begins at `begin`. */
static EbbStatus cut_beginning(EbbTexts *texts, EbbSplit split, int64_t begin) {
  EbbTokenColumn *tokens = &texts->split[split].tokens;
  const int64_t gone = tokens->n - begin - texts->most;
  for (int64_t i = begin; gone > 0 && i < begin + texts->most; i++)
    EBB_TRY(ebb_token_column_set(tokens, i, ebb_token_column_at(tokens, i + gone)));
  if (gone > 0) tokens->n -= gone;
  return EBB_OK;
}

static EbbStatus close_sequence(EbbTexts *texts, EbbSplit split, int64_t begin) {
  EbbSamples *samples = &texts->dataset->split[split];
  if (texts->split[split].n_sequences + 1 >= texts->split[split].sequence_capacity) {
    const int64_t capacity = 2 * texts->split[split].sequence_capacity + FIRST_CAPACITY;
    int64_t *offset = realloc(samples->offset, (size_t)capacity * sizeof *offset);
    if (!offset) return ebb_fail(EBB_MEMORY, "no memory for %lld texts", (long long)capacity);
    samples->offset = offset;
    texts->split[split].sequence_capacity = capacity;
  }
  samples->offset[texts->split[split].n_sequences++] = begin;
  const int64_t end = samples->offset[texts->split[split].n_sequences] = texts->split[split].tokens.n;
  if (end - begin > texts->dataset->longest) texts->dataset->longest = end - begin;
  if (split != EBB_TRAIN) return EBB_OK;
  for (int64_t i = begin; i < end; i++)
    texts->vocabulary.count[ebb_token_column_at(&texts->split[split].tokens, i)]++;
  return EBB_OK;
}

static EbbStatus refuse(EbbTextOrigin origin, size_t offset) {
  if (origin.line == 0)
    return ebb_fail(EBB_FORMAT, "%s: the text is not valid UTF-8 from byte %zu on", origin.file, offset);
  return ebb_fail(EBB_FORMAT, "%s:%lld: the text is not valid UTF-8 from its byte %zu on", origin.file,
                  (long long)origin.line, offset + 1);
}

static EbbStatus refuse_empty(EbbTextOrigin origin) {
  return origin.line == 0
             ? ebb_fail(EBB_FORMAT, "%s: the text is empty", origin.file)
             : ebb_fail(EBB_FORMAT, "%s:%lld: the text is empty", origin.file, (long long)origin.line);
}

EbbStatus ebb_texts_add(EbbTexts *texts, EbbSplit split, const char *text, size_t length,
                        EbbTextOrigin origin) {
  const size_t valid = ebb_utf8_valid(text, length);
  if (valid < length) return refuse(origin, valid);
  const int64_t begin = texts->split[split].tokens.n;
  if (texts->bos >= 0) EBB_TRY(append(texts, split, texts->bos));
  const int64_t first = texts->split[split].tokens.n;
  EBB_TRY(append_text(texts, split, text, length));
  if (texts->rules.keep_last) EBB_TRY(cut_beginning(texts, split, first));
  if (texts->eos >= 0) EBB_TRY(append(texts, split, texts->eos));
  if (texts->split[split].tokens.n == begin) return refuse_empty(origin);
  return close_sequence(texts, split, begin);
}

EbbStatus ebb_texts_label(EbbTexts *texts, EbbSplit split, int32_t label) {
  EbbSamples *samples = &texts->dataset->split[split];
  if (samples->n_samples == texts->split[split].sample_capacity) {
    const int64_t capacity = 2 * samples->n_samples + FIRST_CAPACITY;
    int32_t *labels = realloc(samples->labels, (size_t)capacity * sizeof *labels);
    if (!labels) return ebb_fail(EBB_MEMORY, "no memory for %lld labels", (long long)capacity);
    samples->labels = labels;
    texts->split[split].sample_capacity = capacity;
  }
  samples->labels[samples->n_samples++] = label;
  return EBB_OK;
}

/* ---- the vocabulary ---- */

/* Tokens that stay: those that are frequent enough stand first. */
static int32_t kept(const EbbTexts *texts) {
  const EbbVocabulary *v = &texts->vocabulary;
  int32_t n = v->n_specials;
  while (n < v->n_tokens && v->count[n] >= texts->rules.min_freq) n++;
  return texts->rules.max_vocab > 0 && n > texts->rules.max_vocab ? (int32_t)texts->rules.max_vocab : n;
}

static EbbStatus renumber(EbbTexts *texts, const int32_t *order, int32_t n) {
  for (int split = 0; split < EBB_SPLITS; split++) {
    EbbTokenColumn *tokens = &texts->split[split].tokens;
    for (int64_t i = 0; i < tokens->n; i++) {
      const int32_t id = order[ebb_token_column_at(tokens, i)];
      EBB_TRY(ebb_token_column_set(tokens, i, id < n ? id : UNKNOWN));
    }
    ebb_token_column_move(tokens, &texts->dataset->split[split]);
  }
  return EBB_OK;
}

EbbStatus ebb_texts_finish(EbbTexts *texts) {
  EbbVocabulary *vocabulary = &texts->vocabulary;
  int32_t *order = NULL;
  EBB_TRY(ebb_vocabulary_sort(vocabulary, &order));
  const int32_t n = kept(texts);
  const EbbStatus status = renumber(texts, order, n);
  free(order);
  EBB_TRY(status);
  for (int32_t id = n; id < vocabulary->n_tokens; id++) free(vocabulary->text[id]);
  EbbDataset *dataset = texts->dataset;
  dataset->vocabulary = n;
  dataset->token_text = vocabulary->text;
  dataset->variable_length = true;
  vocabulary->text = NULL, vocabulary->n_tokens = 0;
  return EBB_OK;
}

EbbStatus ebb_texts_build(const EbbConfig *config, const EbbLoading *loading, EbbTextsLoad load,
                          EbbDataset **out) {
  *out = NULL;
  EbbDataset *dataset = calloc(1, sizeof *dataset);
  if (!dataset) return ebb_fail(EBB_MEMORY, "no memory for a data set");
  EbbTexts texts = {0};
  const EbbStatus status = load(config, loading, &texts, dataset);
  ebb_texts_release(&texts);
  if (status == EBB_OK)
    *out = dataset;
  else
    ebb_dataset_destroy(dataset);
  return status;
}
