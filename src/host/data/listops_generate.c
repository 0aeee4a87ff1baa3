/* Samples are numbered candidates: each has its own random stream, duplicates of earlier ones are dropped in
   order, and blocks of them are drawn and written in parallel. */
#include "ebb/data.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/data/file_set.h"
#include "host/data/listops_tree.h"

enum {
  MOST_DRAWS = 1 << 21,      /* a sample that takes more is not worth waiting for */
  MOST_REPEATS = 200000,     /* candidates in a row that repeat an earlier sample */
  LONGEST_ALLOWED = 1 << 20, /* tokens; bounds the memory of a block */
  BLOCK_CODES = 1 << 24,
  FEWEST_CANDIDATES = 16,
  MOST_CANDIDATES = 1024,
  LABEL_BYTES = 4 /* tab, digit, CR, LF */
};

static const char *const file_names[EBB_SPLITS] = {"basic_train.tsv", "basic_val.tsv", "basic_test.tsv"};
static const char header[] = "Source\tTarget\r\n";

typedef struct Candidate {
  EbbListopsDraw draw;
  uint64_t hash;
  size_t bytes, offset; /* of its line in the block's text */
} Candidate;

typedef struct Generator {
  const EbbListopsConfig *config;
  EbbListopsRules rules;
  EbbFileSet *files;
  int64_t last[EBB_SPLITS]; /* samples up to and including this split */
  int64_t n_samples, n_done, n_repeats;
  uint64_t n_numbered; /* candidates of earlier blocks */
  int n_candidates;
  Candidate *candidate;
  uint8_t *codes; /* (n_candidates, max_length) */
  int *kept;      /* indices of this block's new samples, in order */
  int n_kept;
  char *text;
  size_t text_capacity;
  uint64_t *hashes; /* open addressing, 0: free */
  uint64_t hash_mask;
} Generator;

static EbbStatus check_counts(const EbbListopsConfig *config) {
  const struct {
    const char *name;
    int64_t value, least, most;
  } rows[] = {
      {"n_train", config->n_train, 1, INT_MAX},
      {"n_val", config->n_val, 1, INT_MAX},
      {"n_test", config->n_test, 1, INT_MAX},
      {"max_depth", config->max_depth, 1, LISTOPS_MOST_DEPTH},
      {"max_args", config->max_args, 2, LISTOPS_MOST_ARGS},
      {"min_length", config->min_length, 0, LONGEST_ALLOWED - 2},
      {"max_length", config->max_length, 2, LONGEST_ALLOWED},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (rows[i].value < rows[i].least || rows[i].value > rows[i].most) {
      return ebb_fail(EBB_INVALID, "ListOps: %s is %lld, but must be in %lld..%lld", rows[i].name,
                      (long long)rows[i].value, (long long)rows[i].least, (long long)rows[i].most);
    }
  }
  return EBB_OK;
}

static EbbStatus check_range(const EbbListopsConfig *config) {
  long long low = config->min_length, high = config->max_length;
  if (high - low < 2) {
    return ebb_fail(EBB_INVALID,
                    "ListOps: no length lies strictly between min_length %lld and max_length %lld", low,
                    high);
  }
  int64_t longest = ebb_listops_longest(config->max_depth, config->max_args, config->max_length);
  if (longest <= config->min_length) {
    return ebb_fail(
        EBB_INVALID,
        "ListOps: with max_depth %d and max_args %d an expression has 1 to %lld tokens, so none has "
        "more than min_length %lld; choose min_length below %lld or raise max_depth or max_args",
        config->max_depth, config->max_args, (long long)longest, low, (long long)longest);
  }
  return EBB_OK;
}

static EbbStatus no_sample(const Generator *generator, const EbbListopsDraw *draw) {
  const EbbListopsRules *rules = &generator->rules;
  return ebb_fail(
      EBB_INVALID,
      "ListOps: with max_depth %d and max_args %d none of %lld expressions drawn has more than %lld "
      "and fewer than %lld tokens: %lld are shorter (the longest of them has %lld tokens), %lld "
      "longer; choose a range that ends above or begins below these, or other max_depth or max_args",
      rules->max_depth, rules->max_args, (long long)rules->most_draws, (long long)rules->min_length,
      (long long)rules->max_length, (long long)draw->too_short, (long long)draw->longest_short,
      (long long)draw->too_long);
}

static EbbStatus no_more_samples(const Generator *generator) {
  return ebb_fail(
      EBB_INVALID,
      "ListOps: %lld samples are wanted, but after %lld different ones the next %d only repeat them; "
      "ask for fewer samples or widen min_length %lld, max_length %lld",
      (long long)generator->n_samples, (long long)generator->n_done, MOST_REPEATS,
      (long long)generator->rules.min_length, (long long)generator->rules.max_length);
}

static EbbStatus allocate(Generator *generator) {
  int64_t n = BLOCK_CODES / generator->rules.max_length;
  generator->n_candidates = (int)(n < FEWEST_CANDIDATES ? FEWEST_CANDIDATES
                                  : n > MOST_CANDIDATES ? MOST_CANDIDATES
                                                        : n);
  uint64_t slots = 16;
  while (slots < 2 * (uint64_t)generator->n_samples) slots *= 2;
  generator->hash_mask = slots - 1;
  generator->hashes = calloc(slots, sizeof *generator->hashes);
  generator->candidate = calloc((size_t)generator->n_candidates, sizeof *generator->candidate);
  generator->kept = calloc((size_t)generator->n_candidates, sizeof *generator->kept);
  generator->codes = malloc((size_t)generator->n_candidates * (size_t)generator->rules.max_length);
  if (!generator->hashes || !generator->candidate || !generator->kept || !generator->codes) {
    return ebb_fail(EBB_MEMORY, "no memory to generate %lld ListOps samples",
                    (long long)generator->n_samples);
  }
  return EBB_OK;
}

static uint8_t *codes_of(const Generator *generator, int index) {
  return generator->codes + (size_t)index * (size_t)generator->rules.max_length;
}

/* One draw without success makes the others stop early: the block is lost in any case. */
static EbbStatus draw_block(Generator *generator) {
  int failed = 0;
  EbbListopsDraw failure = {0};
#pragma omp parallel for schedule(dynamic, 4)
  for (int i = 0; i < generator->n_candidates; i++) {
    int skip;
#pragma omp atomic read
    skip = failed;
    if (skip) continue;
    Candidate *candidate = &generator->candidate[i];
    uint8_t *codes = codes_of(generator, i);
    candidate->draw = ebb_listops_draw(&generator->rules, generator->config->seed,
                                       generator->n_numbered + (uint64_t)i, codes);
    candidate->hash = ebb_listops_hash(codes, candidate->draw.length);
    candidate->bytes = ebb_listops_text_size(codes, candidate->draw.length) + LABEL_BYTES;
    if (candidate->draw.length == 0) {
#pragma omp critical(ebb_listops_failure)
      failure = candidate->draw;
#pragma omp atomic write
      failed = 1;
    }
  }
  generator->n_numbered += (uint64_t)generator->n_candidates;
  return failed ? no_sample(generator, &failure) : EBB_OK;
}

/* Two different trees of one hash count as equal: that drops a sample in 10^9, and no duplicate ever stays.
 */
static bool insert_hash(Generator *generator, uint64_t hash) {
  uint64_t slot = hash & generator->hash_mask;
  while (generator->hashes[slot] && generator->hashes[slot] != hash) slot = (slot + 1) & generator->hash_mask;
  if (generator->hashes[slot]) return false;
  generator->hashes[slot] = hash;
  return true;
}

static EbbStatus keep_new(Generator *generator, size_t *text_bytes) {
  *text_bytes = 0;
  generator->n_kept = 0;
  for (int i = 0; i < generator->n_candidates; i++) {
    if (generator->n_done + generator->n_kept == generator->n_samples) break;
    Candidate *candidate = &generator->candidate[i];
    if (!insert_hash(generator, candidate->hash)) {
      if (++generator->n_repeats == MOST_REPEATS) {
        generator->n_done += generator->n_kept;
        return no_more_samples(generator);
      }
      continue;
    }
    generator->n_repeats = 0;
    generator->kept[generator->n_kept++] = i;
    candidate->offset = *text_bytes;
    *text_bytes += candidate->bytes;
  }
  return EBB_OK;
}

static EbbStatus write_lines(Generator *generator, size_t bytes) {
  if (bytes > generator->text_capacity) {
    char *text = realloc(generator->text, bytes);
    if (!text) return ebb_fail(EBB_MEMORY, "no memory for %zu bytes of ListOps samples", bytes);
    generator->text = text;
    generator->text_capacity = bytes;
  }
#pragma omp parallel for schedule(static)
  for (int i = 0; i < generator->n_kept; i++) {
    int index = generator->kept[i];
    const Candidate *candidate = &generator->candidate[index];
    char *end = ebb_listops_text(codes_of(generator, index), generator->text + candidate->offset);
    const char label[LABEL_BYTES] = {'\t', (char)('0' + candidate->draw.target), '\r', '\n'};
    memcpy(end, label, LABEL_BYTES);
  }
  int split = EBB_TRAIN;
  for (int first = 0, next; first < generator->n_kept; first = next) {
    while (generator->n_done >= generator->last[split]) split++;
    int64_t room = generator->last[split] - generator->n_done;
    next = room < generator->n_kept - first ? first + (int)room : generator->n_kept;
    size_t begin = generator->candidate[generator->kept[first]].offset;
    size_t end = next < generator->n_kept ? generator->candidate[generator->kept[next]].offset : bytes;
    EBB_TRY(ebb_file_set_write(generator->files, split, generator->text + begin, end - begin));
    generator->n_done += next - first;
  }
  return EBB_OK;
}

static EbbStatus report(const Generator *generator) {
  const EbbListopsConfig *config = generator->config;
  if (config->progress) config->progress(config->context, generator->n_done, generator->n_samples);
  if (!config->stop || !config->stop(config->context)) return EBB_OK;
  return ebb_fail(EBB_INTERRUPTED, "stopped after %lld of %lld samples; nothing is kept",
                  (long long)generator->n_done, (long long)generator->n_samples);
}

static EbbStatus generate(Generator *generator) {
  for (int split = 0; split < EBB_SPLITS; split++) {
    EBB_TRY(ebb_file_set_write(generator->files, split, header, sizeof header - 1));
  }
  while (generator->n_done < generator->n_samples) {
    size_t bytes;
    EBB_TRY(draw_block(generator));
    EBB_TRY(keep_new(generator, &bytes));
    EBB_TRY(write_lines(generator, bytes));
    EBB_TRY(report(generator));
  }
  return ebb_file_set_commit(generator->files);
}

/* The first candidate alone first: a hopeless range is then found before a folder is made. */
static EbbStatus prepare(Generator *generator, const char *folder) {
  EBB_TRY(allocate(generator));
  EbbListopsDraw probe = ebb_listops_draw(&generator->rules, generator->config->seed, 0, generator->codes);
  if (probe.length == 0) return no_sample(generator, &probe);
  EBB_TRY(ebb_file_set_create(folder, file_names, EBB_SPLITS, &generator->files));
  EbbStatus status = generate(generator);
  if (status != EBB_IO) return status;
  return ebb_fail_within(status, "ListOps data cannot be written after %lld of %lld samples, nothing is kept",
                         (long long)generator->n_done, (long long)generator->n_samples);
}

EbbStatus ebb_listops_generate(const char *folder, const EbbListopsConfig *config) {
  EBB_TRY(check_counts(config));
  EBB_TRY(check_range(config));
  const int64_t n[EBB_SPLITS] = {config->n_train, config->n_val, config->n_test};
  Generator generator = {.config = config,
                         .rules = {.max_depth = config->max_depth,
                                   .max_args = config->max_args,
                                   .min_length = config->min_length,
                                   .max_length = config->max_length,
                                   .most_draws = MOST_DRAWS}};
  for (int split = 0; split < EBB_SPLITS; split++) {
    generator.last[split] = generator.n_samples += n[split];
  }
  EbbStatus status = prepare(&generator, folder);
  ebb_file_set_destroy(generator.files);
  free(generator.hashes);
  free(generator.candidate);
  free(generator.kept);
  free(generator.codes);
  free(generator.text);
  return status;
}
