#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_internal.h"

static EbbStatus add(EbbSlots *slots, const char *prefix, const char *name, const EbbSlot *slot) {
  if (slots->count == slots->room) {
    size_t room = slots->room ? 2 * slots->room : 128;
    EbbSlot *grown = realloc(slots->slot, room * sizeof *grown);
    if (!grown) return ebb_fail(EBB_MEMORY, "no memory to compare tensor '%s'", name);
    slots->slot = grown;
    slots->room = room;
  }
  size_t size = strlen(prefix) + strlen(name) + 1;
  char *full = malloc(size);
  if (!full) return ebb_fail(EBB_MEMORY, "no memory for the name of tensor '%s'", name);
  snprintf(full, size, "%s%s", prefix, name);
  slots->slot[slots->count] = *slot;
  slots->slot[slots->count++].name = full;
  return EBB_OK;
}

EbbStatus ebb_slots_expect(EbbSlots *slots, const char *prefix, const EbbParam *param, float *to,
                           bool optional) {
  return add(slots, prefix, param->name,
             &(EbbSlot){.shape = param->spec.shape, .to = to, .optional = optional});
}

EbbStatus ebb_slots_unknown(EbbSlots *slots, const char *name, const EbbStoredTensor *from) {
  return add(slots, "", name, &(EbbSlot){.from = from});
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const EbbSlot *)a)->name, ((const EbbSlot *)b)->name);
}

static void sort(EbbSlots *slots) {
  if (slots->count) qsort(slots->slot, slots->count, sizeof *slots->slot, by_name);
}

void ebb_slots_expected(EbbSlots *slots) {
  sort(slots);
  slots->expected = slots->count;
}

/* The search never writes to the key's name. */
EbbSlot *ebb_slots_find(const EbbSlots *slots, const char *name) {
  const EbbSlot key = {.name = (char *)(uintptr_t)name};
  return slots->expected ? bsearch(&key, slots->slot, slots->expected, sizeof key, by_name) : NULL;
}

/* A scalar is stored as () or as (1). */
static bool same_shape(const EbbShape *a, const EbbShape *b) {
  static const EbbShape one = {.rank = 1, .dim = {1}};
  return ebb_shape_equal(a->rank ? a : &one, b->rank ? b : &one);
}

static bool fits(const EbbSlot *slot) {
  if (!slot->from) return slot->optional;
  return slot->to && same_shape(&slot->shape, &slot->from->shape);
}

static void describe(const EbbSlot *slot, char *text, size_t size) {
  char ours[128], theirs[128], stored[300] = "";
  const char *name = slot->from ? slot->from->name : slot->name;
  ebb_shape_text(&slot->shape, ours, sizeof ours);
  if (slot->from) ebb_shape_text(&slot->from->shape, theirs, sizeof theirs);
  if (strcmp(name, slot->name) != 0) snprintf(stored, sizeof stored, " (in the model '%.200s')", slot->name);
  if (!slot->from)
    snprintf(text, size, "'%.200s' is missing in the file and has shape %s in the model", name, ours);
  else if (!slot->to)
    snprintf(text, size, "'%.200s'%s has shape %s in the file and is unknown to the model", name, stored,
             theirs);
  else
    snprintf(text, size, "'%.200s'%s has shape %s in the file and %s in the model", name, stored, theirs,
             ours);
}

EbbStatus ebb_slots_check(EbbSlots *slots, const char *path, const char *hint) {
  const EbbSlot *first = NULL;
  size_t differ = 0;
  char text[1024], more[64] = "";
  sort(slots);
  slots->expected = 0;
  for (size_t i = 0; i < slots->count; i++) {
    if (fits(&slots->slot[i])) continue;
    if (!first) first = &slots->slot[i];
    differ++;
  }
  if (!first) return EBB_OK;
  describe(first, text, sizeof text);
  if (differ > 1)
    snprintf(more, sizeof more, "; %zu more tensor%s", differ - 1, differ > 2 ? "s differ" : " differs");
  return ebb_fail(EBB_MISMATCH, "%s: does not fit this model: %s%s. %s", path, text, more, hint);
}

static EbbStatus stage(EbbSlot *slot, const char *path) {
  int64_t count = ebb_shape_size(&slot->shape);
  if (slot->from->type == EBB_ST_F32) return EBB_OK;
  slot->staged = malloc((size_t)count * sizeof *slot->staged);
  if (!slot->staged)
    return ebb_fail(EBB_MEMORY, "%s: no memory to convert the %lld elements of '%s'", path, (long long)count,
                    slot->from->name);
  EbbStatus status = ebb_stored_floats(slot->from, slot->staged, count);
  return status == EBB_OK ? EBB_OK : ebb_fail_within(status, "%s", path);
}

EbbStatus ebb_slots_copy(EbbSlots *slots, const char *path, EbbDevice *device) {
  for (size_t i = 0; i < slots->count; i++)
    if (slots->slot[i].from) EBB_TRY(stage(&slots->slot[i], path));
  for (size_t i = 0; i < slots->count; i++) {
    EbbSlot *slot = &slots->slot[i];
    if (!slot->from) continue;
    const void *data = slot->staged ? slot->staged : slot->from->data;
    EBB_TRY(ebb_device_write(device, slot->to, data, (size_t)ebb_shape_size(&slot->shape) * sizeof(float)));
  }
  return EBB_OK;
}

void ebb_slots_free(EbbSlots *slots) {
  for (size_t i = 0; i < slots->count; i++) {
    free(slots->slot[i].name);
    free(slots->slot[i].staged);
  }
  free(slots->slot);
}
