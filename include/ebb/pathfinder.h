/* Pathfinder: two dots lie on one dashed curve, or on two. Source: Linsley et al. 2018 ("Learning long-range
   spatial dependencies with horizontal gated recurrent units") and their generator, with the parameters of
   the Long Range Arena (Tay et al. 2021); at 128 x 128 it is Path-X. */
#ifndef EBB_PATHFINDER_H
#define EBB_PATHFINDER_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How many paddles the two contours have: 6, 9 or 14. */
typedef enum EbbPathfinderLevel {
  EBB_CURV_BASELINE,
  EBB_CURV_CONTOUR_LENGTH_9,
  EBB_CURV_CONTOUR_LENGTH_14,
  EBB_PATHFINDER_LEVELS
} EbbPathfinderLevel;

/* "curv_baseline", ...: the level's folder. */
const char *ebb_pathfinder_level_name(EbbPathfinderLevel level);

typedef struct EbbPathfinderConfig {
  int resolution; /* 32, 64, 128 or 256: the published parameters of that window; 300: those of the original
                   */
  EbbPathfinderLevel level;
  bool any_direction;  /* contours start in every direction; else in those alone that the published program
                          leaves at small windows, where OpenCV's dilation hides the others */
  bool single_paddles; /* fills the window with distractors of one paddle, as the original's default did */
  int64_t n_samples;
  uint64_t seed;
  void (*progress)(void *context, int64_t done, int64_t total); /* may be NULL; called from one thread */
  bool (*stop)(void *context); /* may be NULL; called from one thread; true ends the work */
  void *context;
} EbbPathfinderConfig;

/* What became of an image besides its pixels. */
typedef struct EbbPathfinderFacts {
  int label; /* 1: the dots lie on one contour. Samples 2 i and 2 i + 1 differ, in random order */
  int margin;
  int64_t attempts;  /* pairs of contours begun, the last of which fitted */
  int n_distractors; /* placed; those of one paddle not counted */
  int marker[2][2];  /* (y, x) of the dots: the beginning and the end of a contour */
} EbbPathfinderFacts;

/* Draws samples first .. first + n - 1: pixels (n, resolution, resolution), facts (n) or NULL. Sample i
   depends on (seed, i) alone, whatever the number of threads. Errors: INVALID (no such resolution or level),
   MEMORY. */
EbbStatus ebb_pathfinder_draw(const EbbPathfinderConfig *config, int64_t first, int64_t n, uint8_t *pixels,
                              EbbPathfinderFacts *facts) EBB_MUST_CHECK;

/* Writes n_samples into <folder>/pathfinder<resolution>/<level>, which is made: imgs/<b>/sample_<i>.png of
   8-bit grey and metadata/<b>.npy as text, 1000 images a batch b. While it works, and after a stop, the file
   "unfinished" there says with which settings; a later call with the same ones goes on behind the batches
   that are whole. Errors: INVALID, STATE (the folder holds images of other settings, or of which nothing is
   known, or another process works on it), IO (folder, disk full), INTERRUPTED, MEMORY. */
EbbStatus ebb_pathfinder_generate(const char *folder, const EbbPathfinderConfig *config) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
