/* What is printed: colours where they are wanted, and numbers as people read them. */
#ifndef EBB_TERMINAL_H
#define EBB_TERMINAL_H

#include <stdint.h>
#include <stdio.h>

typedef enum TerminalColour { TERMINAL_RED, TERMINAL_GREEN, TERMINAL_BOLD } TerminalColour;

/* The escape sequence, or "" where `out` is no terminal, TERM is dumb or NO_COLOR is set. */
const char *terminal_colour(FILE *out, TerminalColour colour);
const char *terminal_plain(FILE *out);

/* "name          text": the lines in which a command sums up. name "" continues the one above. */
void terminal_field(FILE *out, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Text in a buffer of its own, so that several fit into one printf. */
typedef struct TerminalText {
  char text[48];
} TerminalText;
TerminalText terminal_count(int64_t count); /* 1,234,567 */
TerminalText terminal_bytes(int64_t bytes); /* 1.2 MiB */

#endif
