/* What the files of this folder share. */
#ifndef EBB_HOST_REPORT_INTERNAL_H
#define EBB_HOST_REPORT_INTERNAL_H

#include <stdio.h>

#include "ebb/report.h"

/* Sets the bounds of the layer's neurons from its parameters, where its equations have some. */
EbbStatus report_bounds(const EbbCell *cell, const EbbConfig *config, const EbbParams *params,
                        const char *scope, EbbLayerReport *layer) EBB_MUST_CHECK;

/* Names the group of each neuron by the wiring of model.layer.wiring. */
EbbStatus report_groups(const EbbCell *cell, const EbbConfig *config, EbbLayerReport *layer) EBB_MUST_CHECK;

/* The gnuplot script of the picture. */
void report_script(FILE *script, const EbbReport *report, bool svg);

#endif
