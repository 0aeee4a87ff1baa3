/* Strokes on a small 8-bit canvas: lines as Pillow draws them, and their dilation by a disc. */
#ifndef EBB_HOST_DATA_STROKES_H
#define EBB_HOST_DATA_STROKES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbPoint {
  int y, x;
} EbbPoint;

/* Sets the pixels of a line of `width` pixels to 255, both ends included, on a canvas (side, side); what lies
   outside is left out. Width 1 is Bresenham's line, a wider one a filled polygon. */
void ebb_stroke_line(uint8_t *canvas, int side, EbbPoint from, EbbPoint to, int width);

/* Every pixel becomes the largest within the disc y^2 + x^2 <= radius^2 around it; from and to (side, side)
   do not overlap. */
void ebb_stroke_dilate(const uint8_t *from, uint8_t *to, int side, int radius);

#ifdef __cplusplus
}
#endif
#endif
