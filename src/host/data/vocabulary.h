/* Tokens with ids and counts: specials first in the given order, then by falling count, ties by string. */
#ifndef EBB_HOST_DATA_VOCABULARY_H
#define EBB_HOST_DATA_VOCABULARY_H

#include <stdint.h>

#include "ebb/status.h"

typedef struct EbbVocabulary {
  int32_t n_tokens, n_specials;
  char **text;    /* (n_tokens) */
  int64_t *count; /* (n_tokens) */
  int32_t capacity;
  int32_t *slots; /* open addressing: id + 1, 0: free */
  uint32_t slot_mask;
} EbbVocabulary;

/* A zeroed vocabulary is empty. */
void ebb_vocabulary_clear(EbbVocabulary *vocabulary);
/* The id of a token, or -1. */
int32_t ebb_vocabulary_find(const EbbVocabulary *vocabulary, const char *token);
/* The id of a token, which is added with count 0 if it is new. Errors: MEMORY. */
EbbStatus ebb_vocabulary_add(EbbVocabulary *vocabulary, const char *token, int32_t *id) EBB_MUST_CHECK;
/* Orders the tokens after the specials; order[old id] = new id. Errors: MEMORY. */
EbbStatus ebb_vocabulary_sort(EbbVocabulary *vocabulary, int32_t **order) EBB_MUST_CHECK;

#endif
