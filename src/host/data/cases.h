/* Series with one class or number each, as text files list them, made samples of a store. */
#ifndef EBB_HOST_DATA_CASES_H
#define EBB_HOST_DATA_CASES_H

#include <stdbool.h>

#include "host/data/missing.h"
#include "host/data/store.h"
#include "host/data/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The files of one data set, read one after the other. */
typedef struct EbbCases {
  EbbStore store;
  EbbVocabulary classes;
  EbbMissing missing;
  bool declared;       /* a header names the classes, in their order */
  bool closed;         /* no class may be added: training has been read */
  int64_t n_channels;  /* of the case being read */
  int64_t n, capacity; /* its numbers: channel after channel */
  int64_t first;       /* numbers of its first channel */
  float *numbers, *steps;
} EbbCases;

/* Lifetime: ebb_cases_release, after an error too. Errors: MEMORY. */
EbbStatus ebb_cases_create(const char *name, EbbMissing missing, EbbCases *cases) EBB_MUST_CHECK;
void ebb_cases_release(EbbCases *cases);

/* A class that a header names; `where` (file and line) stands in the errors of all. Errors: FORMAT
   (training's header has others), MEMORY. */
EbbStatus ebb_cases_declare(EbbCases *cases, const char *where, const char *class_name) EBB_MUST_CHECK;

/* The next number of the channel being read: decimal, or ? or NaN where it is missing. Errors: FORMAT,
 * MEMORY.
 */
EbbStatus ebb_cases_number(EbbCases *cases, const char *where, const char *text) EBB_MUST_CHECK;
/* Errors: FORMAT (no numbers, or not as many as in the channel before). */
EbbStatus ebb_cases_end_channel(EbbCases *cases, const char *where) EBB_MUST_CHECK;
/* Ends the case with its class or its number. Errors: FORMAT (another number of channels than the first case,
   an unknown class, no number, missing numbers), MEMORY. */
EbbStatus ebb_cases_end_class(EbbCases *cases, const char *where, const char *class_name) EBB_MUST_CHECK;
EbbStatus ebb_cases_end_target(EbbCases *cases, const char *where, const char *text) EBB_MUST_CHECK;

/* After the last file: the number of classes becomes known; those that no header named are sorted, by number
   where all are numbers. Errors: FORMAT (fewer than two), MEMORY. */
EbbStatus ebb_cases_finish(EbbCases *cases) EBB_MUST_CHECK;

/* Readers of a whole text, which they change; text[length] is 0. They add its cases. Errors: FORMAT and
   UNSUPPORTED with origin and line, MEMORY.

   .ts of the UEA, UCR and TSER archives: channels between colons, then the class or target. Cases may differ
   in length. Of (time,number) the number is taken. */
EbbStatus ebb_ts_read(char *text, size_t length, const char *origin, EbbCases *cases) EBB_MUST_CHECK;
/* Weka's .arff: numbers and then a class or number, or one relational attribute whose rows are channels. */
EbbStatus ebb_arff_read(char *text, size_t length, const char *origin, EbbCases *cases) EBB_MUST_CHECK;
/* UCR's text: class first, then numbers, separated by tabs, commas or blanks; NaN at the end is padding. */
EbbStatus ebb_ucr_read(char *text, size_t length, const char *origin, EbbCases *cases) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
