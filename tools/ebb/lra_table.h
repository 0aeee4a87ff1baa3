/* The table of the Long Range Arena. */
#ifndef EBB_LRA_TABLE_H
#define EBB_LRA_TABLE_H

#include "lra_run.h"

/* One row a kernel and task, mean and deviation over seeds beside the published number, and for a kernel that
   has all six tasks their average. */
void lra_print_table(FILE *out, const LraRun *runs, int n_runs, bool markdown);

#endif
