/* The .ts format. Source: the UEA & UCR and TSER archives, whose readers are sktime's. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/data/cases.h"
#include "host/data/text_lines.h"

typedef struct Header {
  bool stamps, classes, targets, data;
  int64_t channels; /* @dimensions; 0: not said */
} Header;

static EbbStatus read_flag(const EbbLines *lines, char **rest, bool *out) {
  const char *word = ebb_line_word(rest);
  *out = word && strcasecmp(word, "true") == 0;
  if (*out || (word && strcasecmp(word, "false") == 0)) return EBB_OK;
  return ebb_fail(EBB_FORMAT, "%s: '%.40s' where true or false was expected", lines->where, word ? word : "");
}

static EbbStatus read_classes(const EbbLines *lines, char *rest, EbbCases *cases, bool *out) {
  EBB_TRY(read_flag(lines, &rest, out));
  for (const char *word; *out && (word = ebb_line_word(&rest)) != NULL;)
    EBB_TRY(ebb_cases_declare(cases, lines->where, word));
  return EBB_OK;
}

/* Tags that do not change how the cases are read, such as @problemName or @missing, are passed over. */
static EbbStatus read_tag(const EbbLines *lines, char *line, EbbCases *cases, Header *h) {
  char *rest;
  if (ebb_line_begins(line, "@timestamps", &rest)) return read_flag(lines, &rest, &h->stamps);
  if (ebb_line_begins(line, "@targetlabel", &rest)) return read_flag(lines, &rest, &h->targets);
  if (ebb_line_begins(line, "@classlabel", &rest)) return read_classes(lines, rest, cases, &h->classes);
  if (ebb_line_begins(line, "@dimensions", &rest) || ebb_line_begins(line, "@dimension", &rest)) {
    h->channels = strtoll(rest, NULL, 10);
    if (h->channels < 1) return ebb_fail(EBB_FORMAT, "%s: no number of channels", lines->where);
  }
  if (!ebb_line_begins(line, "@data", &rest)) return EBB_OK;
  h->data = true;
  if (h->classes || h->targets) return EBB_OK;
  return ebb_fail(EBB_FORMAT, "%s: neither @classLabel true nor @targetLabel true stands before @data",
                  lines->where);
}

/* Where the next channel, or without one the text, ends: colons inside brackets belong to times. */
static char *channel_end(char *at, bool stamps) {
  for (int depth = 0; *at && (*at != ':' || (stamps && depth > 0)); at++)
    depth += (*at == '(') - (*at == ')');
  return at;
}

static EbbStatus read_plain(EbbCases *cases, const char *where, char *channel) {
  for (char *at = channel, *comma; at; at = comma) {
    comma = strchr(at, ',');
    if (comma) *comma++ = 0;
    EBB_TRY(ebb_cases_number(cases, where, at));
  }
  return EBB_OK;
}

/* (time,number),(time,number),...: the number is behind the last comma. */
static EbbStatus read_stamped(EbbCases *cases, const char *where, char *channel) {
  for (char *at = channel; *(at += strspn(at, " \t,"));) {
    char *end = *at == '(' ? strchr(at, ')') : NULL;
    if (!end) return ebb_fail(EBB_FORMAT, "%s: '%.20s' where (time,number) was expected", where, at);
    *end = 0;
    const char *comma = strrchr(at, ',');
    if (!comma) return ebb_fail(EBB_FORMAT, "%s: '%.20s)' is no (time,number)", where, at);
    EBB_TRY(ebb_cases_number(cases, where, comma + 1));
    at = end + 1;
  }
  return EBB_OK;
}

static EbbStatus read_case(const EbbLines *lines, char *line, const Header *h, EbbCases *cases) {
  char *at = line, *end = channel_end(at, h->stamps);
  for (; *end; at = end + 1, end = channel_end(at, h->stamps)) {
    *end = 0;
    EBB_TRY((h->stamps ? read_stamped : read_plain)(cases, lines->where, at));
    EBB_TRY(ebb_cases_end_channel(cases, lines->where));
  }
  if (cases->n_channels == 0)
    return ebb_fail(EBB_FORMAT, "%s: no colon, and so no class or target, stands in the case", lines->where);
  if (h->channels > 0 && cases->n_channels != h->channels)
    return ebb_fail(EBB_FORMAT, "%s: %lld channels; @dimensions says %lld", lines->where,
                    (long long)cases->n_channels, (long long)h->channels);
  at += strspn(at, " \t");
  return (h->classes ? ebb_cases_end_class : ebb_cases_end_target)(cases, lines->where, at);
}

EbbStatus ebb_ts_read(char *text, size_t length, const char *origin, EbbCases *cases) {
  EbbLines lines;
  Header header = {0};
  ebb_lines_open(&lines, text, length, origin);
  for (char *line;;) {
    EBB_TRY(ebb_lines_next(&lines, &line));
    if (!line) break;
    if (*line == '#') continue;
    if (header.data)
      EBB_TRY(read_case(&lines, line, &header, cases));
    else if (*line == '@')
      EBB_TRY(read_tag(&lines, line, cases, &header));
    else
      return ebb_fail(EBB_FORMAT, "%s: '%.20s' stands before @data and is no tag", lines.where, line);
  }
  return header.data ? EBB_OK : ebb_fail(EBB_FORMAT, "%s: there is no @data; is it a .ts file?", origin);
}
