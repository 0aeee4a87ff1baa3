/* "autoncp(32, motors=4, sparsity=0.5)" against the table of calls. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/config/config_row.h"
#include "host/wiring/calls.h"

enum { NAME_BYTES = 64 };

typedef struct Parser {
  const char *at;
  const WiringCall *call;
  WiringValue *value;
} Parser;

static void skip_blanks(Parser *p) { p->at += strspn(p->at, " \t\r\n"); }

/* Whether `c` came next; it is passed. */
static bool pass(Parser *p, char c) {
  skip_blanks(p);
  if (*p->at != c) return false;
  p->at++;
  return true;
}

static size_t name_length(const char *text) {
  size_t n = 0;
  while (isalnum((unsigned char)text[n]) || text[n] == '_') n++;
  return n;
}

static EbbStatus unexpected(const Parser *p, const char *wanted) {
  if (!*p->at) return ebb_fail(EBB_INVALID, "%s is missing at the end", wanted);
  return ebb_fail(EBB_INVALID, "%s is missing before '%.20s'", wanted, p->at);
}

static EbbStatus out_of_range(const Parser *p, const WiringArgument *row, const char *text, size_t length) {
  static const char *const what[] = {[WIRING_INTEGER] = "a whole number",
                                     [WIRING_SIZES] = "whole numbers",
                                     [WIRING_NUMBER] = "a number",
                                     [WIRING_FLAG] = "true or false"};
  EbbConfigQuote given = ebb_config_quote(text, length);
  if (row->type == WIRING_FLAG)
    return ebb_fail(EBB_INVALID, "%s of %s is %s; it takes true or false", row->name, p->call->name,
                    given.text);
  return ebb_fail(EBB_INVALID, "%s of %s is %s; it takes %s from %.16g to %.16g", row->name, p->call->name,
                  given.text, what[row->type], row->min, row->max);
}

static EbbStatus parse_number(Parser *p, const WiringArgument *row, double *number) {
  skip_blanks(p);
  char *end;
  const char *start = p->at;
  *number = strtod(start, &end);
  size_t length = strcspn(start, ",)] \t\r\n");
  const bool whole = row->type == WIRING_NUMBER || *number == floor(*number);
  if (!length || end != start + length || !whole || !(*number >= row->min && *number <= row->max))
    return out_of_range(p, row, start, length);
  p->at = end;
  return EBB_OK;
}

static EbbStatus parse_flag(Parser *p, const WiringArgument *row, double *flag) {
  static const char *const words[] = {"false", "False", "0", "true", "True", "1"};
  enum { FIRST_TRUE = 3, WORDS = 6 };
  skip_blanks(p);
  size_t length = name_length(p->at);
  for (int i = 0; i < WORDS; i++) {
    if (strlen(words[i]) != length || strncmp(words[i], p->at, length) != 0) continue;
    *flag = i >= FIRST_TRUE;
    p->at += length;
    return EBB_OK;
  }
  return out_of_range(p, row, p->at, strcspn(p->at, ",)"));
}

static EbbStatus parse_sizes(Parser *p, const WiringArgument *row, WiringValue *value) {
  const bool list = pass(p, '[');
  do {
    double size;
    if (value->n == EBB_WIRING_MAX_INTER)
      return ebb_fail(EBB_INVALID, "%s has more than %d sizes", row->name, EBB_WIRING_MAX_INTER);
    EBB_TRY(parse_number(p, row, &size));
    value->size[value->n++] = (int)size;
  } while (list && pass(p, ','));
  return !list || pass(p, ']') ? EBB_OK : unexpected(p, "']'");
}

static EbbStatus parse_value(Parser *p, int index) {
  const WiringArgument *row = &p->call->argument[index];
  WiringValue *value = &p->value[index];
  if (value->given) return ebb_fail(EBB_INVALID, "%s of %s is given twice", row->name, p->call->name);
  value->given = true;
  if (row->type == WIRING_SIZES) return parse_sizes(p, row, value);
  return row->type == WIRING_FLAG ? parse_flag(p, row, &value->number) : parse_number(p, row, &value->number);
}

static bool is(const char *name, const char *text, size_t length) {
  return strlen(name) == length && strncmp(name, text, length) == 0;
}

static EbbStatus unknown(const Parser *p, const char *text, size_t length) {
  char name[NAME_BYTES];
  snprintf(name, sizeof name, "%.*s", (int)length, text);
  const WiringArgument *nearest = NULL;
  int best = 3;
  for (int i = 0; i < p->call->n_arguments; i++) {
    int distance = ebb_name_distance(name, p->call->argument[i].name);
    if (distance < best) nearest = &p->call->argument[i], best = distance;
  }
  return ebb_fail(EBB_INVALID, "%s has no argument '%s'%s%s", p->call->name, name,
                  nearest ? "; did you mean " : "", nearest ? nearest->name : "");
}

static EbbStatus parse_argument(Parser *p, int position, bool *named) {
  skip_blanks(p);
  size_t length = name_length(p->at);
  const char *after = p->at + length + strspn(p->at + length, " \t\r\n");
  if (!length || *after != '=') {
    if (*named) return unexpected(p, "the name of an argument");
    if (position >= p->call->n_arguments)
      return ebb_fail(EBB_INVALID, "%s takes at most %d arguments", p->call->name, p->call->n_arguments);
    return parse_value(p, position);
  }
  *named = true;
  for (int i = 0; i < p->call->n_arguments; i++) {
    const WiringArgument *row = &p->call->argument[i];
    if (!is(row->name, p->at, length) && !is(row->published, p->at, length)) continue;
    p->at = after + 1;
    return parse_value(p, i);
  }
  return unknown(p, p->at, length);
}

static EbbStatus set_defaults(Parser *p) {
  for (int i = 0; i < p->call->n_arguments; i++) {
    const WiringArgument *row = &p->call->argument[i];
    if (p->value[i].given) continue;
    if (!row->initial) return ebb_fail(EBB_INVALID, "%s needs %s (%s)", p->call->name, row->name, row->help);
    p->at = row->initial;
    EBB_TRY(parse_value(p, i));
  }
  return EBB_OK;
}

static EbbStatus find_call(Parser *p) {
  skip_blanks(p);
  size_t length = name_length(p->at);
  p->call = wiring_call_named(p->at, length);
  if (!length || !p->call)
    return ebb_fail(EBB_INVALID,
                    "there is no wiring '%.*s'; there are autoncp, ncp, fully_connected, random "
                    "and files",
                    (int)length, p->at);
  p->at += length;
  return EBB_OK;
}

EbbStatus wiring_call_parse(const char *text, const WiringCall **call,
                            WiringValue value[WIRING_MAX_ARGUMENTS]) {
  memset(value, 0, WIRING_MAX_ARGUMENTS * sizeof *value);
  Parser p = {.at = text, .value = value};
  EBB_TRY(find_call(&p));
  *call = p.call;
  bool named = false, opened = pass(&p, '('), closed = opened && pass(&p, ')');
  if (!opened && *p.at) return unexpected(&p, "'('");
  for (int position = 0; opened && !closed; position++) {
    EBB_TRY(parse_argument(&p, position, &named));
    closed = pass(&p, ')');
    if (!closed && !pass(&p, ',')) return unexpected(&p, "',' or ')'");
  }
  skip_blanks(&p);
  if (*p.at) return ebb_fail(EBB_INVALID, "'%.20s' stands behind the call", p.at);
  return set_defaults(&p);
}
