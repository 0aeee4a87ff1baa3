#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_internal.h"

enum { TEXT = 48 };

/* The bits of a field, whatever its type. */
typedef union Field {
  uint64_t natural;
  int64_t whole;
  double real;
} Field;

static void print_natural(Field value, char *text) { snprintf(text, TEXT, "%" PRIu64, value.natural); }

static void print_whole(Field value, char *text) { snprintf(text, TEXT, "%" PRId64, value.whole); }

static void print_real(Field value, char *text) {
  const char *sign = signbit(value.real) ? "-" : "";
  int exponent = 0;
  if (isnan(value.real)) {
    snprintf(text, TEXT, "nan(0x%016" PRIx64 ")", value.natural);
  } else if (isinf(value.real)) {
    snprintf(text, TEXT, "%sinf", sign);
  } else {
    double fraction = frexp(fabs(value.real), &exponent);
    uint64_t digits = (uint64_t)ldexp(fraction, 53);
    snprintf(text, TEXT, "%s0x%" PRIx64 "p%+d", sign, digits, digits ? exponent - 53 : 0);
  }
}

static Field parse_natural(const char *text) { return (Field){.natural = strtoull(text, NULL, 10)}; }

static Field parse_whole(const char *text) { return (Field){.whole = strtoll(text, NULL, 10)}; }

static Field parse_real(const char *text) {
  if (strncmp(text, "nan(", 4) == 0) return (Field){.natural = strtoull(text + 4, NULL, 16)};
  return (Field){.real = strtod(text, NULL)};
}

typedef struct Kind {
  const char *what;
  void (*print)(Field value, char *text);
  Field (*parse)(const char *text);
} Kind;

static const Kind natural = {"a whole number from 0 to 2^64 - 1", print_natural, parse_natural},
                  whole = {"a whole number", print_whole, parse_whole},
                  real = {"a hexadecimal float", print_real, parse_real};

#define FIELD(name, kind)                                                                                    \
  { "state." #name, offsetof(EbbTrainState, name), kind, false }
#define LATER_FIELD(name, kind)                                                                              \
  { "state." #name, offsetof(EbbTrainState, name), kind, true }

static const struct {
  const char *key;
  size_t offset;
  const Kind *kind;
  bool later; /* older files lack it: zero */
} fields[] = {
    FIELD(seed, &natural),
    FIELD(step, &whole),
    FIELD(epoch, &whole),
    FIELD(batch, &whole),
    FIELD(best_epoch, &whole),
    FIELD(best_score, &real),
    FIELD(plateau_best, &real),
    FIELD(plateau_factor, &real),
    FIELD(plateau_bad_epochs, &whole),
    FIELD(epoch_loss, &real),
    FIELD(epoch_correct, &real),
    FIELD(epoch_weight, &real),
    FIELD(averaged, &whole),
    LATER_FIELD(epoch_true_positive, &real),
    LATER_FIELD(epoch_false_positive, &real),
    LATER_FIELD(epoch_false_negative, &real),
};

enum { N_FIELDS = sizeof fields / sizeof *fields };

_Static_assert(sizeof(EbbTrainState) == N_FIELDS * sizeof(Field), "every field of the state is in the table");

EbbStatus ebb_checkpoint_write_state(EbbSafetensorsWriter *writer, const EbbTrainState *state) {
  char text[TEXT];
  for (int i = 0; i < N_FIELDS; i++) {
    Field value;
    memcpy(&value, (const char *)state + fields[i].offset, sizeof value);
    fields[i].kind->print(value, text);
    EBB_TRY(ebb_safetensors_writer_metadata(writer, fields[i].key, text));
  }
  return EBB_OK;
}

EbbStatus ebb_checkpoint_read_state(const EbbSafetensors *file, const char *path, EbbTrainState *state) {
  for (int i = 0; i < N_FIELDS; i++) {
    const char *text = ebb_safetensors_metadata(file, fields[i].key);
    char again[TEXT];
    if (!text && fields[i].later) {
      memset((char *)state + fields[i].offset, 0, sizeof(Field));
      continue;
    }
    if (!text) return ebb_fail(EBB_FORMAT, "%s: its metadata have no '%s'", path, fields[i].key);
    Field value = fields[i].kind->parse(text);
    fields[i].kind->print(value, again); /* what prints differently was no number or lost digits */
    if (strcmp(text, again) != 0)
      return ebb_fail(EBB_FORMAT, "%s: its metadata have %s = '%.80s', expected %s", path, fields[i].key,
                      text, fields[i].kind->what);
    memcpy((char *)state + fields[i].offset, &value, sizeof value);
  }
  return EBB_OK;
}
