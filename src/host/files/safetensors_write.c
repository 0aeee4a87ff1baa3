#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/file.h"
#include "ebb/safetensors.h"
#include "safetensors_limits.h"

typedef struct Pair {
  char *key, *value;
} Pair;

typedef struct Entry {
  char *name;
  EbbStored type;
  EbbShape shape;
  const void *data;
  uint64_t bytes, begin;
} Entry;

struct EbbSafetensorsWriter {
  Entry *entries;
  Pair *pairs;
  size_t n_entries, n_pairs, entry_room, pair_room;
};

EbbStatus ebb_safetensors_writer_create(EbbSafetensorsWriter **out) {
  *out = calloc(1, sizeof **out);
  return *out ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for a safetensors writer");
}

/* Room for one more: returns the list, moved if need be, or NULL. */
static void *grow(void *list, size_t used, size_t *room, size_t size) {
  if (used < *room) return list;
  size_t more = *room ? *room * 2 : 64;
  void *grown = realloc(list, more * size);
  if (grown) *room = more;
  return grown;
}

/* Zero dimensions are allowed: such tensors have no data. */
static EbbStatus count_bytes(const char *name, EbbStored type, const EbbShape *shape, uint64_t *bytes) {
  const int64_t most = (int64_t)1 << 53;
  int64_t size = ebb_stored_size(type);
  char text[160];
  bool good = shape->rank >= 0 && shape->rank <= EBB_MAX_RANK;
  for (int i = 0; good && i < shape->rank; i++) {
    good = shape->dim[i] >= 0 && (size == 0 || shape->dim[i] <= most / size);
    if (good) size *= shape->dim[i];
  }
  if (!good)
    return ebb_fail(EBB_SHAPE, "tensor '%.200s': rank %d, shape %s cannot be stored", name, shape->rank,
                    ebb_shape_text(shape, text, sizeof text));
  *bytes = (uint64_t)size;
  return EBB_OK;
}

EbbStatus ebb_safetensors_writer_add(EbbSafetensorsWriter *writer, const char *name, EbbStored type,
                                     const EbbShape *shape, const void *data) {
  Entry entry = {.type = type, .data = data};
  EBB_TRY(count_bytes(name, type, shape, &entry.bytes));
  entry.shape = *shape;
  if (!*name || strcmp(name, SAFETENSORS_METADATA) == 0)
    return ebb_fail(EBB_INVALID, "a tensor in a safetensors file cannot be named '%s'", name);
  if (!data && entry.bytes)
    return ebb_fail(EBB_INVALID, "tensor '%.200s' has %" PRIu64 " bytes but no data", name, entry.bytes);
  for (size_t i = 0; i < writer->n_entries; i++)
    if (strcmp(writer->entries[i].name, name) == 0)
      return ebb_fail(EBB_INVALID, "tensor '%.200s' is added twice to a safetensors file", name);
  Entry *grown = grow(writer->entries, writer->n_entries, &writer->entry_room, sizeof entry);
  if (grown) writer->entries = grown;
  entry.name = strdup(name);
  if (!grown || !entry.name) {
    free(entry.name);
    return ebb_fail(EBB_MEMORY, "no memory to add tensor '%.200s' to a safetensors file", name);
  }
  writer->entries[writer->n_entries++] = entry;
  return EBB_OK;
}

EbbStatus ebb_safetensors_writer_metadata(EbbSafetensorsWriter *writer, const char *key, const char *value) {
  for (size_t i = 0; i < writer->n_pairs; i++)
    if (strcmp(writer->pairs[i].key, key) == 0)
      return ebb_fail(EBB_INVALID, "metadata '%.200s' is added twice to a safetensors file", key);
  Pair *grown = grow(writer->pairs, writer->n_pairs, &writer->pair_room, sizeof *grown);
  if (grown) writer->pairs = grown;
  Pair pair = {strdup(key), strdup(value)};
  if (!grown || !pair.key || !pair.value) {
    free(pair.key);
    free(pair.value);
    return ebb_fail(EBB_MEMORY, "no memory to add metadata '%.200s' to a safetensors file", key);
  }
  writer->pairs[writer->n_pairs++] = pair;
  return EBB_OK;
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const Pair *)a)->key, ((const Pair *)b)->key);
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const Entry *)a)->name, ((const Entry *)b)->name);
}

/* Wide elements first keeps every tensor aligned to its element. */
static int by_width_and_name(const void *a, const void *b) {
  int x = ebb_stored_size(((const Entry *)a)->type), y = ebb_stored_size(((const Entry *)b)->type);
  return x != y ? y - x : by_name(a, b);
}

/* A whole number as text: the library would write large ones in exponent form. */
static bool append_number(cJSON *array, uint64_t value) {
  char text[24];
  snprintf(text, sizeof text, "%" PRIu64, value);
  return cJSON_AddItemToArray(array, cJSON_CreateRaw(text));
}

static bool append_entry(cJSON *root, const Entry *entry) {
  cJSON *object = cJSON_AddObjectToObject(root, entry->name);
  bool good = object && cJSON_AddStringToObject(object, "dtype", ebb_stored_name(entry->type));
  cJSON *shape = good ? cJSON_AddArrayToObject(object, "shape") : NULL;
  for (int i = 0; shape && good && i < entry->shape.rank; i++)
    good = append_number(shape, (uint64_t)entry->shape.dim[i]);
  cJSON *offsets = shape && good ? cJSON_AddArrayToObject(object, "data_offsets") : NULL;
  return offsets && append_number(offsets, entry->begin) &&
         append_number(offsets, entry->begin + entry->bytes);
}

/* The header without its padding; NULL for want of memory. Entries and pairs are in name order. */
static char *header_text(const EbbSafetensorsWriter *writer) {
  cJSON *root = cJSON_CreateObject();
  cJSON *metadata = root && writer->n_pairs ? cJSON_AddObjectToObject(root, SAFETENSORS_METADATA) : NULL;
  bool good = root && (metadata || !writer->n_pairs);
  for (size_t i = 0; good && i < writer->n_pairs; i++)
    good = cJSON_AddStringToObject(metadata, writer->pairs[i].key, writer->pairs[i].value) != NULL;
  for (size_t i = 0; good && i < writer->n_entries; i++) good = append_entry(root, &writer->entries[i]);
  char *text = good ? cJSON_PrintUnformatted(root) : NULL;
  cJSON_Delete(root);
  return text;
}

static EbbStatus write_header(EbbFileWriter *file, const char *path, const char *text) {
  size_t length = strlen(text), padding = (8 - length % 8) % 8;
  uint64_t total = length + padding;
  if (total > SAFETENSORS_MAX_HEADER)
    return ebb_fail(EBB_INVALID, "%s: its header would take %" PRIu64 " bytes, at most %d are possible", path,
                    total, SAFETENSORS_MAX_HEADER);
  EBB_TRY(ebb_file_writer_write(file, &total, sizeof total));
  EBB_TRY(ebb_file_writer_write(file, text, length));
  return ebb_file_writer_write(file, "        ", padding);
}

/* Takes entries in name order, leaves them in data order. */
static EbbStatus write_file(EbbSafetensorsWriter *writer, const char *path, const char *header,
                            EbbFileWriter *file) {
  EBB_TRY(write_header(file, path, header));
  if (writer->n_entries) qsort(writer->entries, writer->n_entries, sizeof(Entry), by_width_and_name);
  for (size_t i = 0; i < writer->n_entries; i++)
    EBB_TRY(ebb_file_writer_write(file, writer->entries[i].data, writer->entries[i].bytes));
  return ebb_file_writer_commit(file);
}

static void place(EbbSafetensorsWriter *writer) {
  uint64_t begin = 0;
  if (writer->n_entries) qsort(writer->entries, writer->n_entries, sizeof(Entry), by_width_and_name);
  for (size_t i = 0; i < writer->n_entries; i++) {
    writer->entries[i].begin = begin;
    begin += writer->entries[i].bytes;
  }
  if (writer->n_entries) qsort(writer->entries, writer->n_entries, sizeof(Entry), by_name);
  if (writer->n_pairs) qsort(writer->pairs, writer->n_pairs, sizeof(Pair), by_key);
}

EbbStatus ebb_safetensors_writer_commit(EbbSafetensorsWriter *writer, const char *path) {
  EbbFileWriter *file = NULL;
  place(writer);
  char *header = header_text(writer);
  if (!header) return ebb_fail(EBB_MEMORY, "%s: no memory for its header", path);
  EbbStatus status = ebb_file_writer_create(path, &file);
  if (status == EBB_OK) status = write_file(writer, path, header, file);
  ebb_file_writer_destroy(file);
  cJSON_free(header);
  return status;
}

void ebb_safetensors_writer_destroy(EbbSafetensorsWriter *writer) {
  if (!writer) return;
  for (size_t i = 0; i < writer->n_entries; i++) free(writer->entries[i].name);
  for (size_t i = 0; i < writer->n_pairs; i++) {
    free(writer->pairs[i].key);
    free(writer->pairs[i].value);
  }
  free(writer->entries);
  free(writer->pairs);
  free(writer);
}
