/* Draws Pathfinder images one by one, each thread with a brush of its own. */
#ifndef EBB_HOST_DATA_PATHFINDER_DRAW_H
#define EBB_HOST_DATA_PATHFINDER_DRAW_H

#include "host/data/pathfinder_scene.h"

/* What all images share, and for each thread memory to draw in. */
typedef struct EbbPathfinder {
  EbbPathfinderRules rules;
  EbbPathfinderPaddles paddles[PATHFINDER_MARGINS];
  int n_scenes; /* as many as OpenMP has threads */
  EbbScene *scene;
} EbbPathfinder;

/* Lifetime: ebb_pathfinder_release, after an error too. Errors: INVALID, MEMORY. */
EbbStatus ebb_pathfinder_create(const EbbPathfinderConfig *config, EbbPathfinder *pathfinder) EBB_MUST_CHECK;
void ebb_pathfinder_release(EbbPathfinder *pathfinder);

/* Sample `sample` of a seed into pixels (window, window); for thread `thread` of OpenMP. */
void ebb_pathfinder_image(EbbPathfinder *pathfinder, int thread, uint64_t seed, uint64_t sample,
                          uint8_t *pixels, EbbPathfinderFacts *facts);

#endif
