/* Everything about Pathfinder's strokes that does not depend on where they are: for one margin, the patches
   of all directions, and where a contour may turn. */
#ifndef EBB_HOST_DATA_PATHFINDER_PADDLES_H
#define EBB_HOST_DATA_PATHFINDER_PADDLES_H

#include "host/data/pathfinder_rules.h"
#include "host/data/strokes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A patch is at most 31 pixels wide; its rows are filled up with zeros so that they have one length. */
enum { PADDLE_WIDTH = 32, PADDLE_HEIGHT = 31, PADDLE_DEGREES = 360, PADDLE_TURNS = 64 };

/* One stroke from its centre pixel on, in the square of `reach` pixels on all sides. */
typedef struct EbbPaddle {
  uint8_t line[PADDLE_HEIGHT][PADDLE_WIDTH];
  uint8_t mask[PADDLE_HEIGHT][PADDLE_WIDTH];
  uint8_t most[PADDLE_HEIGHT][PADDLE_WIDTH]; /* a mask above this collides with the stroke */
} EbbPaddle;

/* Where a contour's first stroke keeps others away: the offsets that have to be free around its tail. */
typedef struct EbbPaddleKernel {
  int n;
  EbbPoint *at;         /* (n) */
  EbbPoint least, most; /* of `at` */
  bool surrounds;       /* in all four quadrants; without it the published program finds no place */
} EbbPaddleKernel;

typedef struct EbbPathfinderPaddles {
  int length, margin, reach;
  double direction[PADDLE_DEGREES + PADDLE_TURNS]; /* of degree -180 + i, then of turn j */
  EbbPaddle *paddle; /* (degrees + n_turns): in that direction, a turn's against it */
  EbbPaddleKernel kernel[PADDLE_DEGREES];
  int n_turns;
  EbbPoint turn[PADDLE_TURNS]; /* next tips around a pivot, by rows */
  double *weight;              /* (degrees + n_turns, n_turns): of a turn after a direction */
  int n_disc;
  EbbPoint *disc; /* (n_disc): pixels not further than the margin */
} EbbPathfinderPaddles;

/* The pixel at `distance` from `from`, rounded up in both coordinates. */
EbbPoint ebb_paddle_move(EbbPoint from, double direction, double distance);
double ebb_paddle_opposite(double direction);

/* Lifetime: ebb_pathfinder_paddles_release, after an error too. Errors: MEMORY. */
EbbStatus ebb_pathfinder_paddles_create(const EbbPathfinderRules *rules, int margin,
                                        EbbPathfinderPaddles *paddles) EBB_MUST_CHECK;
void ebb_pathfinder_paddles_release(EbbPathfinderPaddles *paddles);

#ifdef __cplusplus
}
#endif
#endif
