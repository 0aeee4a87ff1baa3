/* A picture that is being written: which samples it shows, and the panels of each kind. */
#ifndef EBB_HOST_METRICS_GALLERY_INTERNAL_H
#define EBB_HOST_METRICS_GALLERY_INTERNAL_H

#include <stdio.h>

#include "host/metrics/gallery.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EBB_GALLERY_MOST_PANELS = 24, EBB_GALLERY_MOST_CURVES = 8, EBB_GALLERY_TOKEN_ROWS = 12 };

typedef struct EbbGallery {
  const EbbDataset *dataset;
  const EbbSamples *samples;
  const char *const *class_names;
  EbbLoader *loader;
  EbbGalleryKind kind;
  int n_panels;
  int64_t panel[EBB_GALLERY_MOST_PANELS]; /* samples of the split */
  bool svg;
  EbbStatus status;
  /* of all panels */
  int64_t longest;     /* steps */
  int longest_text;    /* characters of a token */
  float *least, *most; /* (d_input) of MAPS */
} EbbGallery;

/* The side of a square of `area` elements, 0: it is none that is worth a picture. */
int64_t ebb_gallery_side(int64_t area);

typedef void (*EbbPutPanel)(FILE *script, const EbbGallery *g, const EbbBatch *batch, int panel);
void ebb_gallery_image(FILE *script, const EbbGallery *g, const EbbBatch *batch, int panel);
void ebb_gallery_curves(FILE *script, const EbbGallery *g, const EbbBatch *batch, int panel);
void ebb_gallery_map(FILE *script, const EbbGallery *g, const EbbBatch *batch, int panel);
void ebb_gallery_tokens(FILE *script, const EbbGallery *g, const EbbBatch *batch, int panel);

/* Characters, not bytes. */
int ebb_gallery_characters(const char *text);
/* The first characters of a text in single quotes, with nothing in them that gnuplot would see. */
void ebb_gallery_quoted(FILE *script, const char *text, int most);

#ifdef __cplusplus
}
#endif
#endif
