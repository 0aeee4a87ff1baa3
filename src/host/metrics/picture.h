/* Pictures by other programs, which read a script and write the picture. */
#ifndef EBB_HOST_PICTURE_H
#define EBB_HOST_PICTURE_H

#include <stdbool.h>
#include <stdio.h>

#include "ebb/status.h"

typedef struct EbbPainter {
  const char *arguments[4]; /* the program's name first, NULL last */
  const char *package;      /* the Debian package that has it */
} EbbPainter;

extern const EbbPainter ebb_gnuplot;

/* Whether the name ends in .svg. Errors: INVALID where it does not end in .png either. */
EbbStatus ebb_picture_kind(const char *picture, bool *svg) EBB_MUST_CHECK;

/* Writes the script; errors show in ferror(script). */
typedef void (*EbbPictureScript)(FILE *script, const void *context);
/* Calls `write` with "." as the decimal point. */
void ebb_picture_script(EbbPictureScript write, const void *context, FILE *script);

/* Draws `picture`, which afterwards is whole or as it was. Errors: NOT_FOUND (the program is missing: which
   package), IO, DEVICE (the program's own words), MEMORY. */
EbbStatus ebb_picture_draw(const EbbPainter *painter, EbbPictureScript write, const void *context,
                           const char *picture) EBB_MUST_CHECK;

#endif
