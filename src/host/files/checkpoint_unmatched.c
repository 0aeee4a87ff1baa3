#include "checkpoint_unmatched.h"

#include <stdio.h>
#include <string.h>

enum { LISTED = 4, LIST_BYTES = 360, RENAME_BYTES = 160, RENAMES_BYTES = 330 };

static bool lacks(const EbbSlot *slot, bool model) {
  return model ? !slot->from && !slot->optional : slot->to == NULL;
}

static const char *name_of(const EbbSlot *slot) { return slot->from ? slot->from->name : slot->name; }

/* Appends to a text of `size` bytes what still fits. */
static void append(char *text, size_t size, const char *what) {
  const size_t used = strlen(text);
  snprintf(text + used, size - used, "%s", what);
}

/* Names and shapes of one side. */
static int list(const EbbSlots *slots, bool model, char *text, size_t size) {
  int n = 0;
  char item[180], shape[96];
  *text = '\0';
  for (size_t i = 0; i < slots->count; i++) {
    const EbbSlot *slot = &slots->slot[i];
    if (!lacks(slot, model) || n++ >= LISTED) continue;
    ebb_shape_text(model ? &slot->shape : &slot->from->shape, shape, sizeof shape);
    snprintf(item, sizeof item, "%s%.80s %s", n > 1 ? ", " : "", name_of(slot), shape);
    append(text, size, item);
  }
  if (n > LISTED) {
    snprintf(item, sizeof item, " and %d more", n - LISTED);
    append(text, size, item);
  }
  return n;
}

/* FROM=TO: the two names without the whole parts that both end in; false where there are none. */
static bool rename_between(const char *from, const char *to, char text[RENAME_BYTES]) {
  size_t a = strlen(from), b = strlen(to), cut_a = a, cut_b = b;
  while (a > 0 && b > 0 && from[a - 1] == to[b - 1]) {
    a--, b--;
    if ((a == 0 || from[a - 1] == '.') && (b == 0 || to[b - 1] == '.')) cut_a = a, cut_b = b;
  }
  if (cut_a == strlen(from)) return false;
  snprintf(text, RENAME_BYTES, "--rename %.*s=%.*s", cut_a ? (int)cut_a - 1 : 0, from,
           cut_b ? (int)cut_b - 1 : 0, to);
  return true;
}

/* The one tensor of the model that is missing and has the name's ending and shape; NULL: none or several. */
static const EbbSlot *counterpart(const EbbSlots *slots, const EbbSlot *theirs, char text[RENAME_BYTES]) {
  const EbbSlot *found = NULL;
  char other[RENAME_BYTES];
  for (size_t i = 0; i < slots->count; i++) {
    const EbbSlot *slot = &slots->slot[i];
    if (!lacks(slot, true) || !ebb_shape_equal(&slot->shape, &theirs->from->shape)) continue;
    if (!rename_between(name_of(theirs), slot->name, found ? other : text)) continue;
    if (found) return NULL;
    found = slot;
  }
  return found;
}

static void suggest(const EbbSlots *slots, char *text, size_t size) {
  char rename[RENAME_BYTES];
  *text = '\0';
  for (size_t i = 0; i < slots->count; i++) {
    const EbbSlot *slot = &slots->slot[i];
    if (!lacks(slot, false) || !counterpart(slots, slot, rename) || strstr(text, rename)) continue;
    append(text, size, *text ? " " : ". Perhaps ");
    append(text, size, rename);
  }
}

EbbStatus ebb_slots_check_unmatched(const EbbSlots *slots, const char *path) {
  char theirs[LIST_BYTES], ours[LIST_BYTES], renames[RENAMES_BYTES];
  const int n_theirs = list(slots, false, theirs, sizeof theirs),
            n_ours = list(slots, true, ours, sizeof ours);
  if (!n_theirs || !n_ours) return EBB_OK;
  suggest(slots, renames, sizeof renames);
  return ebb_fail(EBB_MISMATCH,
                  "%s: does not fit this model: the file alone has %s; the model alone has %s%s. Is the "
                  "configuration the one that the weights were trained with?",
                  path, theirs, ours, renames);
}
