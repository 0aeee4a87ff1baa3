/* Wirings as text; docs/wirings.md has the form. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/file.h"
#include "host/wiring/layers.h"
#include "host/wiring/wiring_internal.h"

enum { MAX_BYTES = 1 << 30, UNSET = -1 };

typedef enum Size { UNITS, MOTORS, INPUTS, SIZES } Size;
static const char *const size_names[SIZES] = {[UNITS] = "units", [MOTORS] = "motors", [INPUTS] = "inputs"};

typedef struct Reader {
  char *at; /* in the current line, which ends with 0 */
  int line;
  int size[SIZES];
  int inter_layers;
  bool *typed; /* (H) units that a line gave a type */
  EbbWiring *wiring;
} Reader;

static void skip_blanks(Reader *r) { r->at += strspn(r->at, " \t\r"); }

/* Whether `word` came next, not as a part of a longer word; it is passed. */
static bool pass(Reader *r, const char *word) {
  const size_t length = strlen(word);
  skip_blanks(r);
  const bool letters = isalpha((unsigned char)word[0]) != 0;
  if (strncmp(r->at, word, length) != 0 || (letters && isalpha((unsigned char)r->at[length]))) return false;
  r->at += length;
  return true;
}

static EbbStatus unexpected(const Reader *r, const char *wanted) {
  return *r->at ? ebb_fail(EBB_FORMAT, "%s is missing before '%.20s'", wanted, r->at)
                : ebb_fail(EBB_FORMAT, "%s is missing at the end", wanted);
}

/* A number from 0 to below - 1. */
static EbbStatus read_index(Reader *r, const char *what, int64_t below, int *index) {
  skip_blanks(r);
  if (!isdigit((unsigned char)*r->at)) return unexpected(r, what);
  char *end;
  long long number = strtoll(r->at, &end, 10);
  if (number >= below)
    return ebb_fail(EBB_FORMAT, "%s %.*s does not exist; there are 0 to %lld", what, (int)(end - r->at),
                    r->at, (long long)below - 1);
  *index = (int)number;
  r->at = end;
  return EBB_OK;
}

static EbbStatus read_size(Reader *r, Size size) {
  if (r->size[size] != UNSET) return ebb_fail(EBB_FORMAT, "'%s' stands there twice", size_names[size]);
  if (r->wiring)
    return ebb_fail(EBB_FORMAT, "'%s' has to come before neurons and synapses", size_names[size]);
  return read_index(r, "a number", (int64_t)EBB_WIRING_MAX_INPUTS + 1, &r->size[size]);
}

static EbbStatus begin(Reader *r) {
  for (int size = 0; size < SIZES; size++) {
    if (r->size[size] != UNSET) continue;
    (void)ebb_fail(EBB_FORMAT, "'%s NUMBER' has to come first", size_names[size]);
    return EBB_FORMAT;
  }
  EBB_TRY(wiring_create(r->size[UNITS], r->size[MOTORS], r->size[INPUTS], &r->wiring));
  r->typed = calloc((size_t)r->size[UNITS], sizeof *r->typed);
  return r->typed ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for %d units", r->size[UNITS]);
}

static EbbStatus set_type(Reader *r, int unit, EbbNeuron type) {
  if (unit < r->wiring->motors)
    return ebb_fail(EBB_FORMAT, "neuron %d is a motor neuron: those are 0 to %d", unit,
                    r->wiring->motors - 1);
  if (r->typed[unit]) return ebb_fail(EBB_FORMAT, "neuron %d has a type already", unit);
  r->typed[unit] = true;
  r->wiring->type[unit] = (uint8_t)type;
  r->wiring->layer[unit] = (int8_t)r->inter_layers;
  return EBB_OK;
}

/* "4-7 9" */
static EbbStatus read_units(Reader *r, EbbNeuron type) {
  if (type == EBB_INTER && r->inter_layers == EBB_WIRING_MAX_INTER)
    return ebb_fail(EBB_FORMAT, "there are more than %d layers of inter neurons", EBB_WIRING_MAX_INTER);
  do {
    int first = 0, last = 0;
    EBB_TRY(read_index(r, "neuron", r->wiring->units, &first));
    last = first;
    if (pass(r, "-")) EBB_TRY(read_index(r, "neuron", r->wiring->units, &last));
    if (last < first) return ebb_fail(EBB_FORMAT, "%d-%d is empty", first, last);
    for (int unit = first; unit <= last; unit++) EBB_TRY(set_type(r, unit, type));
    skip_blanks(r);
  } while (*r->at);
  r->inter_layers += type == EBB_INTER;
  return EBB_OK;
}

static EbbStatus read_sign(Reader *r, int8_t *sign) {
  const bool minus = pass(r, "-"), plus = !minus && pass(r, "+");
  if (!minus && !plus) return unexpected(r, "a polarity (+1 or -1)");
  if (*r->at == '1') r->at++;
  *sign = minus ? -1 : 1;
  return EBB_OK;
}

static EbbStatus read_synapse(Reader *r) {
  const EbbWiring *wiring = r->wiring;
  const bool sensory = pass(r, "sensor");
  int source = 0, target = 0;
  EBB_TRY(read_index(r, sensory ? "sensor" : "neuron", sensory ? wiring->inputs : wiring->units, &source));
  if (!pass(r, "->")) return unexpected(r, "'->'");
  EBB_TRY(read_index(r, "neuron", wiring->units, &target));
  int8_t *synapse =
      sensory ? wiring_sensory_synapse(wiring, source, target) : wiring_synapse(wiring, source, target);
  if (*synapse)
    return ebb_fail(EBB_FORMAT, "the synapse %s%d -> %d stands there twice", sensory ? "sensor " : "", source,
                    target);
  return read_sign(r, synapse);
}

static EbbStatus read_statement(Reader *r) {
  for (int size = 0; size < SIZES; size++)
    if (pass(r, size_names[size])) return read_size(r, (Size)size);
  if (!r->wiring) EBB_TRY(begin(r));
  if (pass(r, "command")) return read_units(r, EBB_COMMAND);
  return pass(r, "inter") ? read_units(r, EBB_INTER) : read_synapse(r);
}

static EbbStatus read_line(Reader *r) {
  r->at[strcspn(r->at, "#")] = '\0';
  skip_blanks(r);
  if (!*r->at) return EBB_OK;
  EBB_TRY(read_statement(r));
  skip_blanks(r);
  return *r->at ? ebb_fail(EBB_FORMAT, "'%.20s' is too much", r->at) : EBB_OK;
}

static EbbStatus check_typed(const Reader *r) {
  if (!memchr(r->typed, true, (size_t)r->wiring->units)) return EBB_OK;
  for (int unit = r->wiring->motors; unit < r->wiring->units; unit++)
    if (!r->typed[unit]) return ebb_fail(EBB_FORMAT, "neuron %d is in no 'inter' or 'command' line", unit);
  return EBB_OK;
}

static EbbStatus finish(Reader *r) {
  if (!r->wiring) EBB_TRY(begin(r));
  EBB_TRY(check_typed(r));
  return wiring_set_layers(r->wiring, r->inter_layers);
}

static EbbStatus read_lines(Reader *r, char *text, const char *path) {
  while (text) {
    char *next = strchr(text, '\n');
    if (next) *next++ = '\0';
    r->at = text;
    r->line++;
    EbbStatus status = read_line(r);
    if (status != EBB_OK) return ebb_fail_within(status, "%s:%d", path, r->line);
    text = next;
  }
  EbbStatus status = finish(r);
  return status == EBB_OK ? EBB_OK : ebb_fail_within(status, "%s", path);
}

EbbStatus wiring_parse_text(char *text, size_t length, const char *path, EbbWiring **out) {
  *out = NULL;
  if (strlen(text) != length) return ebb_fail(EBB_FORMAT, "%s: is no text, it holds a zero byte", path);
  Reader r = {.size = {UNSET, UNSET, UNSET}};
  EbbStatus status = read_lines(&r, text, path);
  free(r.typed);
  return wiring_finish(status, r.wiring, out);
}

EbbStatus wiring_read_text(const char *path, EbbWiring **out) {
  *out = NULL;
  char *text;
  size_t length;
  EBB_TRY(ebb_file_read(path, MAX_BYTES, &text, &length));
  EbbStatus status = wiring_parse_text(text, length, path, out);
  free(text);
  return status;
}
