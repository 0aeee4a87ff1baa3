/* A picture of some samples of a data set. */
#ifndef EBB_HOST_METRICS_GALLERY_H
#define EBB_HOST_METRICS_GALLERY_H

#include "ebb/data.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum EbbGalleryKind {
  EBB_GALLERY_IMAGES,
  EBB_GALLERY_CURVES,
  EBB_GALLERY_MAPS,
  EBB_GALLERY_TOKENS
} EbbGalleryKind;

/* Images where a sequence is the pixels or the rows of a square, cells of text for other tokens, for all else
   curves, or, of more than eight features, maps with a row a feature. */
EbbGalleryKind ebb_gallery_kind(const EbbDataset *dataset);

/* Draws the first samples of a split, by turns of each class, into a .png or .svg file through gnuplot.
   class_names (n_classes) may be NULL. Errors: INVALID (another ending, an empty split), NOT_FOUND (gnuplot
   is missing), IO, DEVICE, MEMORY. */
EbbStatus ebb_gallery_draw(const EbbDataset *dataset, EbbSplit split, const char *const *class_names,
                           const char *picture) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
