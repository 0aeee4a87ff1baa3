#include "host/data/pathfinder_rules.h"

#include <stddef.h>

/* For 32 to 256 the Long Range Arena lists the parameters of its longest contours, and nothing of the other
   levels: these have the original's contours, and as many distractors as the longest. */
static const EbbPathfinderRules windows[] = {
    {.window = 32,
     .padding = 1,
     .seed_distance = 7,
     .marker_radius = 1.5,
     .paddle_length = 2,
     .thickness = 0.5,
     .margin = {1},
     .n_margins = 1,
     .n_distractors = 5,
     .continuity = 1.0,
     .snake_contrast = 2,
     .paddle_contrast = 0.75},
    {.window = 64,
     .padding = 1,
     .seed_distance = 12,
     .marker_radius = 2.5,
     .paddle_length = 5,
     .thickness = 1,
     .margin = {1},
     .n_margins = 1,
     .n_distractors = 5,
     .continuity = 1.8,
     .snake_contrast = 0.8,
     .paddle_contrast = 1},
    {.window = 128,
     .padding = 1,
     .seed_distance = 20,
     .marker_radius = 3,
     .paddle_length = 5,
     .thickness = 1.5,
     .margin = {2, 3},
     .n_margins = 2,
     .n_distractors = 8,
     .continuity = 1.8,
     .snake_contrast = 0.9,
     .paddle_contrast = 1},
    {.window = 256,
     .padding = 22,
     .seed_distance = 27,
     .marker_radius = 5,
     .paddle_length = 5,
     .thickness = 2,
     .margin = {3},
     .n_margins = 1,
     .n_distractors = 7,
     .continuity = 1.8,
     .snake_contrast = 1,
     .paddle_contrast = 1},
    {.window = 300,
     .padding = 22,
     .seed_distance = 27,
     .marker_radius = 5,
     .paddle_length = 5,
     .thickness = 2,
     .margin = {3},
     .n_margins = 1,
     .n_distractors = 15,
     .continuity = 1.8,
     .snake_contrast = 1,
     .paddle_contrast = 1},
};

static const struct {
  const char *name;
  int contour, distractor;
} levels[EBB_PATHFINDER_LEVELS] = {
    [EBB_CURV_BASELINE] = {"curv_baseline", 6, 2},
    [EBB_CURV_CONTOUR_LENGTH_9] = {"curv_contour_length_9", 9, 3},
    [EBB_CURV_CONTOUR_LENGTH_14] = {"curv_contour_length_14", 14, 4},
};

const char *ebb_pathfinder_level_name(EbbPathfinderLevel level) { return levels[level].name; }

EbbStatus ebb_pathfinder_rules(const EbbPathfinderConfig *config, EbbPathfinderRules *rules) {
  if ((int)config->level < 0 || config->level >= EBB_PATHFINDER_LEVELS)
    return ebb_fail(EBB_INVALID, "Pathfinder: there is no level %d", (int)config->level);
  for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
    if (windows[i].window != config->resolution) continue;
    *rules = windows[i];
    rules->contour = levels[config->level].contour;
    rules->distractor = levels[config->level].distractor;
    rules->any_direction = config->any_direction;
    rules->single_paddles = config->single_paddles;
    return EBB_OK;
  }
  return ebb_fail(EBB_INVALID, "Pathfinder: the resolution is %d, but must be 32, 64, 128, 256 or 300",
                  config->resolution);
}
