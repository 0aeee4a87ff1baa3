#include "host/data/text_lines.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

void ebb_lines_open(EbbLines *lines, char *text, size_t length, const char *origin) {
  *lines = (EbbLines){.origin = origin, .at = text, .end = text + length};
  if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) lines->at += 3;
}

EbbStatus ebb_lines_next(EbbLines *lines, char **line) {
  for (*line = NULL; lines->at < lines->end && !*line;) {
    char *from = lines->at, *end = memchr(from, '\n', (size_t)(lines->end - from));
    if (!end) end = lines->end;
    lines->at = end < lines->end ? end + 1 : end;
    snprintf(lines->where, sizeof lines->where, "%s:%lld", lines->origin, (long long)++lines->number);
    if (memchr(from, 0, (size_t)(end - from)))
      return ebb_fail(EBB_FORMAT, "%s: a NUL byte stands in the text; the file is damaged or not text",
                      lines->where);
    while (from < end && is_blank(*from)) from++;
    while (end > from && is_blank(end[-1])) end--;
    *end = 0;
    if (*from) *line = from;
  }
  return EBB_OK;
}

bool ebb_line_begins(char *line, const char *word, char **rest) {
  const size_t length = strlen(word);
  if (strncasecmp(line, word, length) != 0 || (line[length] && !is_blank(line[length]))) return false;
  *rest = line + length;
  return true;
}

char *ebb_line_word(char **at) {
  char *from = *at;
  while (is_blank(*from)) from++;
  if (!*from) return NULL;
  char *end = from;
  while (*end && !is_blank(*end)) end++;
  if (*end) *end++ = 0;
  *at = end;
  return from;
}
