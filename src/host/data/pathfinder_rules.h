/* The published parameters of Pathfinder by window and level. */
#ifndef EBB_HOST_DATA_PATHFINDER_RULES_H
#define EBB_HOST_DATA_PATHFINDER_RULES_H

#include "ebb/pathfinder.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PATHFINDER_MARGINS = 2, PATHFINDER_FINE = 2 /* fine pixels a pixel where strokes are drawn */ };

/* Lengths are in pixels. */
typedef struct EbbPathfinderRules {
  int window, padding, seed_distance;
  double marker_radius;
  int paddle_length;
  double thickness;
  int margin[PATHFINDER_MARGINS], n_margins; /* one of these an image */
  int n_distractors;
  double continuity, snake_contrast, paddle_contrast;
  int contour, distractor; /* paddles */
  bool any_direction, single_paddles;
} EbbPathfinderRules;

/* Errors: INVALID (no such resolution or level). */
EbbStatus ebb_pathfinder_rules(const EbbPathfinderConfig *config, EbbPathfinderRules *rules) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
