/* Data sets in memory, and batches drawn from them in an order that (seed, epoch) fixes. */
#ifndef EBB_DATA_H
#define EBB_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebb/config.h"
#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum EbbSplit { EBB_TRAIN, EBB_VALIDATION, EBB_TEST, EBB_SPLITS } EbbSplit;

/* How compact numbers are stored. */
typedef enum EbbRawType { EBB_RAW_U8, EBB_RAW_I16, EBB_RAW_TYPES } EbbRawType;

/* One split: sequences of tokens (token data) or of feature vectors (value data), one target a sample, or one
   an element where the data set is per_step. A retrieval sample is two sequences: its samples have n_towers =
   2 and sequence 2*s + tower. Exactly one of tokens, values and raw is there. The arrays hold S stored
   samples, which all are the split's where `order` is NULL (S = n_samples); else the split is a view of them,
   and other splits may have the same arrays. */
typedef struct EbbSamples {
  int64_t n_samples;
  int64_t n_stored; /* S where order is set, else not looked at */
  int64_t *order;   /* (n_samples) the split's sample i is stored sample order[i]; or NULL: i */
  int64_t *offset;  /* (S * n_towers + 1): sequence q is elements offset[q] .. offset[q+1]-1 */
  int32_t *tokens;  /* or NULL */
  float *values;    /* element e has d_input floats at values[e * d_input]; or NULL */
  void *raw; /* compact: token ids, one an element, where there is a vocabulary, else values, d_input an
                element, of raw_type; a batch shows value * scale + offset of the data set; or NULL */
  EbbRawType raw_type;
  int32_t *labels; /* (S), per step (elements): class indices; or NULL */
  float *targets;  /* (S, d_output), per step (elements, d_output): regression targets; or NULL */
  float *elapsed;  /* (elements) time since the element before, for sampling that is not regular; or NULL */
} EbbSamples;

/* Where the arrays have sample i of the split, 0 <= i < n_samples. */
static inline int64_t ebb_stored_sample(const EbbSamples *samples, int64_t i) {
  return samples->order ? samples->order[i] : i;
}

typedef struct EbbDataset {
  char name[64];
  int64_t n_classes;  /* 0: regression */
  int64_t d_output;   /* classes, or regression targets a sample */
  int64_t vocabulary; /* token data: ids are 0 .. vocabulary-1, 0 is padding; else 0 */
  int64_t d_input;    /* value data: features a step; else 0 */
  int64_t n_towers;   /* 1, or 2 for retrieval */
  int64_t longest;    /* longest sequence of all splits */
  bool variable_length;
  bool per_step;           /* every element has a target of its own; n_towers is 1 */
  float *class_weights;    /* (n_classes) what the loss of a class is multiplied by, or NULL: all 1 */
  float *scale, *offset;   /* of raw values: (d_input) each, or (longest, d_input); NULL: 1 and 0 */
  bool scale_per_position; /* scale and offset are (longest, d_input): by the place in the stored sequence */
  int32_t *permutation; /* (longest) step t shows stored step permutation[t] of its sequence, which then all
                           have `longest` elements; or NULL: t */
  EbbSamples split[EBB_SPLITS];
  char **token_text;    /* (vocabulary) or NULL */
  void *mapping;        /* a file mapped read-only, in which arrays may lie; or NULL */
  size_t mapping_bytes; /* of it */
} EbbDataset;

/* Loads the data set that the configuration's dataset.* keys name (dataset._name_, dataset.data_dir, ...).
   Errors: NOT_FOUND names the file, where it comes from and what to do; FORMAT names file and line; INVALID.
 */
EbbStatus ebb_dataset_load(const EbbConfig *config, EbbDataset **out) EBB_MUST_CHECK;
/* Frees every array once, however many splits have it. NULL is allowed. */
void ebb_dataset_destroy(EbbDataset *dataset);

/* The most frequent label's share of a split, in 0..1, and that label. The split must have labels; per step
   every element counts. */
double ebb_dataset_majority(const EbbDataset *dataset, EbbSplit split, int32_t *label);

/* One batch in host memory, padded with token 0 / value 0.0 / label 0 / target 0.0 / elapsed 1.0 to `length`.
   Rows beyond n_valid repeat row 0 and weigh 0, as does padding per step. Retrieval: rows 0..B-1 are the
   first towers, B..2B-1 the second. */
typedef struct EbbBatch {
  int64_t rows, length; /* B (samples) and L */
  int64_t n_valid;      /* samples of real data, <= rows */
  int32_t *tokens;      /* (B * n_towers, L) or NULL */
  float *values;        /* (B * n_towers, L, d_input) or NULL */
  int32_t *lengths;     /* (B * n_towers) */
  float *elapsed;       /* (B * n_towers, L) or NULL */
  int32_t *labels;      /* (B), per step (B, L); or NULL */
  float *targets;       /* (B, d_output), per step (B, L, d_output); or NULL */
  float *weights;       /* (B), per step (B, L): 1 for real rows and steps, 0 for filler */
} EbbBatch;

typedef struct EbbLoaderConfig {
  int64_t batch_size; /* samples a batch, B */
  bool shuffle, drop_last;
  int64_t bucket_quantum; /* batch length = longest of the batch rounded up to a multiple of this, but at most
                             l_max; 1: not rounded */
  int64_t sort_window; /* batches whose samples are sorted by length before cutting into batches; 0: none */
  int64_t l_max;       /* longer sequences are cut to their first l_max elements; 0: any length */
  bool pad_to_l_max;   /* every batch has length l_max */
  int64_t stride;    /* of what l_max left, elements 0, stride, 2 stride, ... are shown, elapsed times summed;
                        lengths, l_max for padding too, are those over stride, rounded up; 0: 1 */
  int64_t n_workers; /* threads that prepare batches ahead; 0: the calling thread. Batches are the same. */
  uint64_t seed;
} EbbLoaderConfig;

typedef struct EbbLoader EbbLoader;

/* All memory is taken here, threads start with the first batch. Lifetime: the dataset must outlive the
   loader. Errors: INVALID (empty split, batch larger than the split with drop_last, value out of range, an
   order, a permutation or scales that do not fit the stored samples), MEMORY. */
EbbStatus ebb_loader_create(const EbbDataset *dataset, EbbSplit split, const EbbLoaderConfig *config,
                            EbbLoader **out) EBB_MUST_CHECK;
void ebb_loader_destroy(EbbLoader *loader);
/* Batches an epoch. */
int64_t ebb_loader_batches(const EbbLoader *loader);
/* Batch `index` of epoch `epoch`: a pure function of (seed, epoch, index), so a resume needs no state but
   these two. Lifetime: until the next call on this loader, which one thread at a time may
   use. Errors: INVALID (no such batch), MEMORY (threads). */
EbbStatus ebb_loader_batch(EbbLoader *loader, int64_t epoch, int64_t index,
                           const EbbBatch **out) EBB_MUST_CHECK;
/* Longest batch length that any epoch can produce. */
int64_t ebb_loader_longest(const EbbLoader *loader);

/* ListOps generator, the rules of the Long Range Arena's data/listops.py (FIRST and LAST unused, as there).
   Writes basic_{train,val,test}.tsv into `folder`, which is made if need be; files of these names are
   replaced when all three are complete. Reproducible: candidate i depends on (seed, i) alone, whatever the
   number of threads; one that repeats an earlier candidate is dropped. A tree is kept iff min_length < its
   length < max_length. */
typedef struct EbbListopsConfig {
  int64_t n_train, n_val, n_test; /* 96000, 2000, 2000 */
  int max_depth, max_args;        /* 10, 10 */
  int64_t min_length, max_length; /* 500, 2000, both exclusive, in tokens without parentheses */
  uint64_t seed;
  void (*progress)(void *context, int64_t done, int64_t total); /* may be NULL; called from one thread */
  bool (*stop)(void *context); /* may be NULL; true ends the work, without files */
  void *context;
} EbbListopsConfig;
/* Errors: INVALID (value out of range, a range of lengths that no tree or hardly any meets, more samples than
   there are different trees), IO (folder, disk full; no partial file stays), INTERRUPTED, MEMORY. */
EbbStatus ebb_listops_generate(const char *folder, const EbbListopsConfig *config) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
