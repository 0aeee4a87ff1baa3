/* One Pathfinder image while it is drawn: which pixels are taken, and the strokes of its contours. */
#ifndef EBB_HOST_DATA_PATHFINDER_SCENE_H
#define EBB_HOST_DATA_PATHFINDER_SCENE_H

#include "ebb/rng.h"
#include "host/data/lanczos.h"
#include "host/data/pathfinder_paddles.h"

/* A paddle of the table with its centre at a pixel of the window. */
typedef struct EbbStroke {
  EbbPoint at;
  int paddle;
} EbbStroke;

typedef struct EbbContour {
  EbbPoint tail, pivot, tip;
  int direction;  /* of the last stroke, an index into directions */
  EbbStroke last; /* whose mask does not count yet */
} EbbContour;

typedef struct EbbScene {
  const EbbPathfinderRules *rules;
  const EbbPathfinderPaddles *paddles; /* of this image's margin */
  int stride;                          /* of mask and taken: the window with `reach` pixels on all sides */
  size_t bytes;                        /* of mask, taken, saved */
  uint8_t *mask;                       /* 0 outside the window */
  uint8_t *saved;                      /* mask before a distractor */
  uint8_t *taken;                      /* 1 where a mask, or the window's border, is in the way */
  uint8_t *blocked;                    /* (window, window) where no contour can start */
  EbbStroke *stroke;                   /* targets first */
  int n_strokes, n_target_strokes, stroke_capacity;
  uint8_t *layer[3]; /* (window, window): targets, distractors, markers */
  EbbLanczos lanczos;
  uint8_t *fine, *disc, *scratch; /* of a marker */
  uint64_t seed, sample, n_words;
  EbbRandom4 words;
} EbbScene;

/* A uniform number in 0..n-1. */
uint32_t ebb_scene_below(EbbScene *scene, uint32_t n);

/* Begins a pair of target contours; false: they do not fit. `contour` holds both. */
bool ebb_scene_targets(EbbScene *scene, EbbContour contour[2]);
/* A distractor of `length` paddles, or nothing and false. */
bool ebb_scene_distractor(EbbScene *scene, int length);

#endif
