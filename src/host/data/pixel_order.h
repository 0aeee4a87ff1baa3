/* Orders in which the pixels of an image become steps: order[t] is the pixel, row by row, that step t shows.
   Source: the published S4 code's permutations. */
#ifndef EBB_HOST_DATA_PIXEL_ORDER_H
#define EBB_HOST_DATA_PIXEL_ORDER_H

#include "ebb/data.h"

typedef enum EbbPixelOrder {
  EBB_PIXELS_ROWS,
  EBB_PIXELS_BIT_REVERSAL, /* the pixels of 0, 1, 2, ... with their bits reversed, those outside left out */
  EBB_PIXELS_RANDOM,       /* numpy's RandomState(92916).permutation: psMNIST of other papers */
  EBB_PIXELS_SNAKE,        /* odd rows from right to left */
  EBB_PIXELS_HILBERT,      /* Hilbert's curve; the side is a power of 2 */
  EBB_PIXELS_TRANSPOSE     /* columns; the loader shows them beside the rows, as channels of their own */
} EbbPixelOrder;

/* dataset.permute; `automatic` stands for auto. */
EbbPixelOrder ebb_pixel_order_key(const EbbConfig *config, EbbPixelOrder automatic);

/* The (side * side) pixels in an order. Lifetime: the caller frees *out. Errors: INVALID (Hilbert's curve for
   another side), MEMORY. */
EbbStatus ebb_pixel_order(EbbPixelOrder order, int side, int32_t **out) EBB_MUST_CHECK;

#endif
