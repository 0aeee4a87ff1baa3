/* The gnuplot script of a picture of learning curves. */
#ifndef EBB_HOST_METRICS_PLOT_SCRIPT_H
#define EBB_HOST_METRICS_PLOT_SCRIPT_H

#include <stdbool.h>
#include <stdio.h>

#include "plot_curves.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes settings, data and plots; the picture goes to gnuplot's standard output. The thread's locale must
   have "." as its decimal point; errors show in ferror(script). */
void ebb_plot_script(FILE *script, const EbbRunCurves *runs, int count, bool svg);

#ifdef __cplusplus
}
#endif
#endif
