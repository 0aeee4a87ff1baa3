/* The .arff format. Source: Weka's manual; the files of the UEA & UCR archive. */
#include <string.h>
#include <strings.h>

#include "host/data/cases.h"
#include "host/data/text_lines.h"

typedef enum Type { NUMBERS, CLASSES, CHANNELS } Type;

typedef struct Header {
  int64_t n_numbers; /* attributes outside of a relational one */
  bool relational, inside, data;
  Type last; /* of the last attribute, which is the target */
} Header;

/* Cuts the next piece off, which ends at `stop` or at the end of the text, and takes quotes away; *at is NULL
   behind the last one. A backslash keeps a quote from closing. NULL: a quote is not closed. */
static char *cut_piece(char **at, char stop) {
  char *from = *at + strspn(*at, " \t"), *end = from;
  const char quote = *from == '\'' || *from == '"' ? *from : 0;
  if (quote) {
    for (end = ++from; *end && *end != quote; end++)
      if (*end == '\\' && end[1] == quote) end++;
    if (!*end) return NULL;
    *end++ = 0;
  }
  char *close = strchr(end, stop);
  *at = close ? close + 1 : NULL;
  if (close) *close = 0;
  for (char *tail = end + strlen(end); !quote && tail > from && strchr(" \t", tail[-1]);) *--tail = 0;
  return from;
}

static EbbStatus not_closed(const EbbLines *lines) {
  return ebb_fail(EBB_FORMAT, "%s: a quote is not closed", lines->where);
}

static EbbStatus read_classes(const EbbLines *lines, char *list, EbbCases *cases) {
  char *end = strrchr(list, '}');
  if (!end) return ebb_fail(EBB_FORMAT, "%s: the list of classes is not closed", lines->where);
  *end = 0;
  for (char *at = list + 1; at;) {
    const char *name = cut_piece(&at, ',');
    if (!name) return not_closed(lines);
    EBB_TRY(ebb_cases_declare(cases, lines->where, name));
  }
  return EBB_OK;
}

static bool is_numeric(const char *type) {
  static const char *const names[] = {"numeric", "real", "integer"};
  char *rest;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (ebb_line_begins((char *)(uintptr_t)type, names[i], &rest)) return true;
  return false;
}

/* Behind the name of an attribute, which may be quoted. */
static char *skip_name(char *at) {
  at += strspn(at, " \t");
  const char quote = *at == '\'' || *at == '"' ? *at : 0;
  char *end = quote ? strchr(at + 1, quote) : at + strcspn(at, " \t{");
  if (!end || end == at) return NULL;
  end += quote ? 1 : 0;
  return end + strspn(end, " \t");
}

static EbbStatus read_attribute(const EbbLines *lines, char *rest, EbbCases *cases, Header *h) {
  char *type = skip_name(rest), *after;
  if (!type || !*type) return ebb_fail(EBB_FORMAT, "%s: an attribute without name or type", lines->where);
  if (*type == '{') {
    h->last = CLASSES;
    return read_classes(lines, type, cases);
  }
  if (ebb_line_begins(type, "relational", &after)) {
    if (h->relational || h->n_numbers > 0)
      return ebb_fail(EBB_UNSUPPORTED, "%s: more attributes than one relational and a class", lines->where);
    h->relational = h->inside = true, h->last = CHANNELS;
    return EBB_OK;
  }
  if (!is_numeric(type))
    return ebb_fail(EBB_UNSUPPORTED, "%s: attributes of type '%.20s' are not read", lines->where, type);
  if (!h->inside) h->n_numbers++, h->last = NUMBERS;
  return EBB_OK;
}

static EbbStatus begin_data(const EbbLines *lines, Header *h) {
  h->data = true;
  if (h->inside || h->last == CHANNELS || (!h->relational && h->n_numbers < (h->last == NUMBERS ? 2 : 1)))
    return ebb_fail(EBB_FORMAT, "%s: the attributes are not numbers, or one relational, and then a target",
                    lines->where);
  return EBB_OK;
}

static EbbStatus read_declaration(const EbbLines *lines, char *line, EbbCases *cases, Header *h) {
  char *rest;
  if (ebb_line_begins(line, "@relation", &rest)) return EBB_OK;
  if (ebb_line_begins(line, "@attribute", &rest)) return read_attribute(lines, rest, cases, h);
  if (ebb_line_begins(line, "@end", &rest)) {
    h->inside = false;
    return EBB_OK;
  }
  if (ebb_line_begins(line, "@data", &rest)) return begin_data(lines, h);
  return ebb_fail(EBB_FORMAT, "%s: '%.20s' stands before @data", lines->where, line);
}

/* Channels stand between the two signs \ and n, numbers between commas. */
static EbbStatus read_channels(const EbbLines *lines, char *text, EbbCases *cases) {
  for (char *channel = text, *next; channel; channel = next) {
    next = strstr(channel, "\\n");
    if (next) *next = 0, next += 2;
    for (char *at = channel, *comma; at; at = comma) {
      comma = strchr(at, ',');
      if (comma) *comma++ = 0;
      EBB_TRY(ebb_cases_number(cases, lines->where, at));
    }
    EBB_TRY(ebb_cases_end_channel(cases, lines->where));
  }
  return EBB_OK;
}

/* The numbers of a case of one channel. */
static EbbStatus read_numbers(const EbbLines *lines, char **at, const Header *h, EbbCases *cases) {
  const int64_t n = h->n_numbers - (h->last == NUMBERS);
  for (int64_t i = 0; i < n; i++) {
    const char *number = *at ? cut_piece(at, ',') : NULL;
    if (!number)
      return ebb_fail(EBB_FORMAT, "%s: %lld values; the header declares %lld", lines->where, (long long)i,
                      (long long)n + 1);
    EBB_TRY(ebb_cases_number(cases, lines->where, number));
  }
  return ebb_cases_end_channel(cases, lines->where);
}

static EbbStatus read_case(const EbbLines *lines, char *line, const Header *h, EbbCases *cases) {
  char *at = line;
  if (*line == '{') return ebb_fail(EBB_UNSUPPORTED, "%s: sparse rows are not read", lines->where);
  if (h->relational) {
    char *channels = cut_piece(&at, ',');
    if (!channels) return not_closed(lines);
    EBB_TRY(read_channels(lines, channels, cases));
  } else {
    EBB_TRY(read_numbers(lines, &at, h, cases));
  }
  const char *target = at ? cut_piece(&at, ',') : NULL;
  if (!target || at)
    return ebb_fail(EBB_FORMAT, "%s: the case has %s values than the header declares", lines->where,
                    target ? "more" : "fewer");
  return (h->last == CLASSES ? ebb_cases_end_class : ebb_cases_end_target)(cases, lines->where, target);
}

EbbStatus ebb_arff_read(char *text, size_t length, const char *origin, EbbCases *cases) {
  EbbLines lines;
  Header header = {0};
  ebb_lines_open(&lines, text, length, origin);
  for (char *line;;) {
    EBB_TRY(ebb_lines_next(&lines, &line));
    if (!line) break;
    if (*line == '%') continue;
    EBB_TRY((header.data ? read_case(&lines, line, &header, cases)
                         : read_declaration(&lines, line, cases, &header)));
  }
  return header.data ? EBB_OK : ebb_fail(EBB_FORMAT, "%s: there is no @data; is it an .arff file?", origin);
}
