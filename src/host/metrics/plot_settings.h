/* What gnuplot's scripts have in common. */
#ifndef EBB_HOST_METRICS_PLOT_SETTINGS_H
#define EBB_HOST_METRICS_PLOT_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

/* Size, fonts and colours. */
void ebb_plot_settings(FILE *script, bool svg);

#endif
