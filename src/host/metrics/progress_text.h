/* The text of a progress line, as a function of what it shows and of the room it has. */
#ifndef EBB_HOST_METRICS_PROGRESS_TEXT_H
#define EBB_HOST_METRICS_PROGRESS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbProgressState {
  const char *label, *unit, *note; /* note may be NULL or "" */
  int64_t done, total;             /* total <= 0: unknown */
  double rate;                     /* units a second; <= 0: not known yet */
} EbbProgressState;

enum { EBB_PROGRESS_BYTES = 1024 };

/* One line of at most `width` columns; width <= 0: no limit and no bar. The bar and the least important
   fields give way first. `utf8` chooses block characters for the bar. Returns `text`. */
const char *ebb_progress_text(const EbbProgressState *state, int width, bool utf8,
                              char text[EBB_PROGRESS_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
