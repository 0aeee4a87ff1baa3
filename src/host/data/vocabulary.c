#include "host/data/vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 32, MOST_TOKENS = 1 << 28 };

void ebb_vocabulary_clear(EbbVocabulary *vocabulary) {
  for (int32_t id = 0; id < vocabulary->n_tokens; id++) free(vocabulary->text[id]);
  free((void *)vocabulary->text);
  free(vocabulary->count);
  free(vocabulary->slots);
  *vocabulary = (EbbVocabulary){0};
}

static uint32_t hash_text(const char *text) {
  uint32_t hash = 0x811C9DC5U;
  for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x01000193U;
  return hash;
}

/* The slot that holds the token, or the free one where it belongs. */
static uint32_t find_slot(const EbbVocabulary *vocabulary, const char *token) {
  uint32_t slot = hash_text(token) & vocabulary->slot_mask;
  while (vocabulary->slots[slot] && strcmp(vocabulary->text[vocabulary->slots[slot] - 1], token) != 0) {
    slot = (slot + 1) & vocabulary->slot_mask;
  }
  return slot;
}

int32_t ebb_vocabulary_find(const EbbVocabulary *vocabulary, const char *token) {
  return vocabulary->slots ? vocabulary->slots[find_slot(vocabulary, token)] - 1 : -1;
}

static void fill_slots(EbbVocabulary *vocabulary) {
  memset(vocabulary->slots, 0, ((size_t)vocabulary->slot_mask + 1) * sizeof *vocabulary->slots);
  for (int32_t id = 0; id < vocabulary->n_tokens; id++) {
    vocabulary->slots[find_slot(vocabulary, vocabulary->text[id])] = id + 1;
  }
}

static EbbStatus grow(EbbVocabulary *vocabulary) {
  if (vocabulary->capacity >= MOST_TOKENS) {
    return ebb_fail(EBB_MEMORY, "a vocabulary of more than %d tokens is not supported", MOST_TOKENS);
  }
  int32_t capacity = vocabulary->capacity ? 2 * vocabulary->capacity : FIRST_CAPACITY;
  char **text = realloc((void *)vocabulary->text, (size_t)capacity * sizeof *text);
  if (text) vocabulary->text = text;
  int64_t *count = realloc(vocabulary->count, (size_t)capacity * sizeof *count);
  if (count) vocabulary->count = count;
  int32_t *slots = malloc(2 * (size_t)capacity * sizeof *slots);
  if (!text || !count || !slots) {
    free(slots);
    return ebb_fail(EBB_MEMORY, "no memory for a vocabulary of %d tokens", capacity);
  }
  free(vocabulary->slots);
  vocabulary->slots = slots;
  vocabulary->slot_mask = 2 * (uint32_t)capacity - 1;
  vocabulary->capacity = capacity;
  fill_slots(vocabulary);
  return EBB_OK;
}

EbbStatus ebb_vocabulary_add(EbbVocabulary *vocabulary, const char *token, int32_t *id) {
  *id = ebb_vocabulary_find(vocabulary, token);
  if (*id >= 0) return EBB_OK;
  if (vocabulary->n_tokens == vocabulary->capacity) EBB_TRY(grow(vocabulary));
  char *text = strdup(token);
  if (!text) return ebb_fail(EBB_MEMORY, "no memory for the token '%.40s'", token);
  *id = vocabulary->n_tokens++;
  vocabulary->text[*id] = text;
  vocabulary->count[*id] = 0;
  vocabulary->slots[find_slot(vocabulary, token)] = *id + 1;
  return EBB_OK;
}

typedef struct Entry {
  char *text;
  int64_t count;
  int32_t id;
} Entry;

static int compare_entries(const void *left, const void *right) {
  const Entry *a = left, *b = right;
  if (a->count != b->count) return a->count > b->count ? -1 : 1;
  return strcmp(a->text, b->text);
}

EbbStatus ebb_vocabulary_sort(EbbVocabulary *vocabulary, int32_t **order) {
  size_t n = (size_t)vocabulary->n_tokens;
  Entry *entries = malloc((n + 1) * sizeof *entries);
  *order = malloc((n + 1) * sizeof **order);
  if (!entries || !*order) {
    free(entries);
    free(*order);
    *order = NULL;
    return ebb_fail(EBB_MEMORY, "no memory for a vocabulary of %zu tokens", n);
  }
  for (size_t id = 0; id < n; id++) {
    entries[id] = (Entry){vocabulary->text[id], vocabulary->count[id], (int32_t)id};
  }
  qsort(entries + vocabulary->n_specials, n - (size_t)vocabulary->n_specials, sizeof *entries,
        compare_entries);
  for (size_t id = 0; id < n; id++) {
    vocabulary->text[id] = entries[id].text;
    vocabulary->count[id] = entries[id].count;
    (*order)[entries[id].id] = (int32_t)id;
  }
  if (n > 0) fill_slots(vocabulary);
  free(entries);
  return EBB_OK;
}
