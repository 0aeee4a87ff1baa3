#include "host/data/sklearn_split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/numpy_random.h"

/* The classes of one split. */
typedef struct Strata {
  int n_classes;
  int64_t *count, *part, *left; /* (n_classes) items; those of a part; those that the first part left */
  int64_t *order;               /* (n_classes) scratch */
  double *remainder;            /* (n_classes) */
  int64_t *permutation;         /* (items) scratch */
  int64_t *by_class, *dealt;    /* (items) class by class, then by part */
} Strata;

static void release(Strata *s) {
  void *const arrays[] = {s->count,     s->part,        s->left,     s->order,
                          s->remainder, s->permutation, s->by_class, s->dealt};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
}

static EbbStatus allocate(Strata *s, int n_classes, int64_t n) {
  const size_t classes = (size_t)n_classes;
  *s = (Strata){.n_classes = n_classes,
                .count = calloc(classes, sizeof *s->count),
                .part = calloc(classes, sizeof *s->part),
                .left = calloc(classes, sizeof *s->left),
                .order = calloc(classes, sizeof *s->order),
                .remainder = calloc(classes, sizeof *s->remainder),
                .permutation = malloc((size_t)n * sizeof *s->permutation),
                .by_class = malloc((size_t)n * sizeof *s->by_class),
                .dealt = malloc((size_t)n * sizeof *s->dealt)};
  if (!s->count || !s->part || !s->left || !s->order || !s->remainder || !s->permutation || !s->by_class ||
      !s->dealt) {
    (void)ebb_fail(EBB_MEMORY, "no memory for the split of %lld samples", (long long)n);
    return EBB_MEMORY;
  }
  return EBB_OK;
}

/* The largest remainder below `bound`, or -1. */
static double largest_below(const Strata *s, double bound) {
  double largest = -1;
  for (int c = 0; c < s->n_classes; c++)
    if (s->remainder[c] < bound && s->remainder[c] > largest) largest = s->remainder[c];
  return largest;
}

/* sklearn's _approximate_mode: `draws` dealt to classes by their counts, the rest by largest remainder, ties
   by a draw. */
static void approximate_mode(const Strata *s, const int64_t *count, int64_t draws, EbbMt19937 *random,
                             int64_t *out) {
  int64_t total = 0, missing = draws;
  for (int c = 0; c < s->n_classes; c++) total += count[c];
  for (int c = 0; c < s->n_classes; c++) {
    const double share = (double)count[c] / (double)total * (double)draws;
    out[c] = (int64_t)floor(share);
    s->remainder[c] = share - floor(share);
    missing -= out[c];
  }
  for (double value = 2; missing > 0 && (value = largest_below(s, value)) >= 0;) {
    int64_t n = 0, *tied = s->permutation; /* the classes with this remainder, then a permutation of them */
    for (int c = 0; c < s->n_classes; c++)
      if (s->remainder[c] == value) tied[n++] = c;
    ebb_mt19937_permutation(random, n, s->order);
    for (int64_t i = 0; i < n && missing > 0; i++, missing--) out[tied[s->order[i]]]++;
  }
}

/* to[i] = from[p[i]] for a random permutation p. */
static void permute(const Strata *s, EbbMt19937 *random, const int64_t *from, int64_t n, int64_t *to) {
  ebb_mt19937_permutation(random, n, s->permutation);
  for (int64_t i = 0; i < n; i++) to[i] = from[s->permutation[i]];
}

/* Deals the items of by_class: first those of the train part, then of the test part. */
static void deal(const Strata *s, EbbMt19937 *random, int64_t n_train) {
  const int64_t *by_class = s->by_class;
  int64_t train = 0, test = n_train;
  for (int c = 0; c < s->n_classes; c++) {
    ebb_mt19937_permutation(random, s->count[c], s->permutation);
    for (int64_t i = 0; i < s->count[c]; i++) {
      const int64_t item = by_class[s->permutation[i]];
      if (i < s->part[c])
        s->dealt[train++] = item;
      else if (i < s->part[c] + s->left[c])
        s->dealt[test++] = item;
    }
    by_class += s->count[c];
  }
}

static void split_stratified(const Strata *s, int64_t *items, int64_t n, uint32_t seed, const int32_t *labels,
                             int64_t n_train) {
  EbbMt19937 random;
  ebb_mt19937_seed(&random, seed);
  int64_t at = 0;
  for (int c = 0; c < s->n_classes; c++)
    for (int64_t i = 0; i < n; i++)
      if (labels[items[i]] == c) s->by_class[at++] = items[i], s->count[c]++;
  approximate_mode(s, s->count, n_train, &random, s->part);
  for (int c = 0; c < s->n_classes; c++) s->left[c] = s->count[c] - s->part[c];
  approximate_mode(s, s->left, n - n_train, &random, s->left);
  deal(s, &random, n_train);
  permute(s, &random, s->dealt, n_train, items);
  permute(s, &random, s->dealt + n_train, n - n_train, items + n_train);
}

/* The test part of an unstratified split comes first in the permutation. */
static EbbStatus split_plain(int64_t *items, int64_t n, uint32_t seed, int64_t n_train) {
  int64_t *order = malloc(2 * (size_t)n * sizeof *order);
  if (!order) return ebb_fail(EBB_MEMORY, "no memory for the split of %lld samples", (long long)n);
  int64_t *from = order + n;
  ebb_numpy_permutation(seed, n, order);
  memcpy(from, items, (size_t)n * sizeof *from);
  const int64_t n_test = n - n_train;
  for (int64_t i = 0; i < n_train; i++) items[i] = from[order[n_test + i]];
  for (int64_t i = 0; i < n_test; i++) items[n_train + i] = from[order[i]];
  free(order);
  return EBB_OK;
}

EbbStatus ebb_sklearn_split(int64_t *items, int64_t n, double share, uint32_t seed, const int32_t *labels,
                            int n_classes, int64_t *n_train) {
  *n_train = (int64_t)floor(share * (double)n);
  if (n < 2 || n > INT32_MAX || *n_train < 1 || *n_train >= n || (labels && n_classes < 1))
    return ebb_fail(EBB_INVALID, "%lld samples are too few to split them", (long long)n);
  if (!labels) return split_plain(items, n, seed, *n_train);
  Strata strata;
  EbbStatus status = allocate(&strata, n_classes, n > n_classes ? n : n_classes);
  if (status == EBB_OK) split_stratified(&strata, items, n, seed, labels, *n_train);
  release(&strata);
  return status;
}
