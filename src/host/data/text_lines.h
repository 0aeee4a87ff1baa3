/* The lines of a text, for readers of line formats. */
#ifndef EBB_HOST_DATA_TEXT_LINES_H
#define EBB_HOST_DATA_TEXT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebb/status.h"

typedef struct EbbLines {
  const char *origin; /* borrowed */
  char *at, *end;
  int64_t number;  /* of the line read last, from 1 */
  char where[256]; /* "origin:number", for errors */
} EbbLines;

/* text[length] is 0; the text is changed. A UTF-8 byte order mark is skipped. */
void ebb_lines_open(EbbLines *lines, char *text, size_t length, const char *origin);
/* The next line that is not blank, without blanks at either end; *line is NULL where there is none. Errors:
   FORMAT (a NUL byte). */
EbbStatus ebb_lines_next(EbbLines *lines, char **line) EBB_MUST_CHECK;

/* Whether `line` begins with the word, in any case, and ends there or goes on with a blank; *rest is what
   follows. */
bool ebb_line_begins(char *line, const char *word, char **rest);
/* Cuts the next word off, NULL where there is none. */
char *ebb_line_word(char **at);

#endif
