#include "lra_table.h"

#include <math.h>
#include <string.h>

enum { COLUMNS = 8, CELL = 48 };

typedef struct Row {
  char cell[COLUMNS][CELL];
} Row;

static const int widths[COLUMNS] = {-10, -6, 5, 14, 9, 10, 9, 9};

static const Row heading = {
    {"task", "kernel", "seeds", "test %", "published", "difference", "samples/s", "time"}};

static void print_row(FILE *out, const Row *row, bool markdown) {
  for (int i = 0; i < COLUMNS; i++) {
    if (markdown)
      fprintf(out, "| %s ", row->cell[i]);
    else
      fprintf(out, "%s%*s", i ? "  " : "", widths[i], row->cell[i]);
  }
  (void)fputs(markdown ? "|\n" : "\n", out);
}

static void print_head(FILE *out, bool markdown) {
  print_row(out, &heading, markdown);
  if (!markdown) return;
  for (int i = 0; i < COLUMNS; i++) (void)fputs(widths[i] < 0 ? "|---" : "|---:", out);
  (void)fputs("|\n", out);
}

/* The runs of a kernel and task together. */
typedef struct Group {
  int done, all;
  double mean, deviation; /* of the accuracies, in percent */
  double seconds, samples;
} Group;

static Group gather(const LraRun *runs, int n_runs, const LraTask *task, const LraKernel *kernel) {
  Group g = {0};
  double sum = 0, squares = 0;
  for (int i = 0; i < n_runs; i++) {
    if (runs[i].task != task || runs[i].kernel != kernel) continue;
    g.all++;
    g.seconds += runs[i].seconds, g.samples += runs[i].samples;
    if (runs[i].outcome != LRA_DONE) continue;
    g.done++;
    sum += 100 * runs[i].accuracy;
  }
  g.mean = g.done ? sum / g.done : 0;
  for (int i = 0; i < n_runs; i++)
    if (runs[i].task == task && runs[i].kernel == kernel && runs[i].outcome == LRA_DONE)
      squares += (100 * runs[i].accuracy - g.mean) * (100 * runs[i].accuracy - g.mean);
  g.deviation = g.done > 1 ? sqrt(squares / (g.done - 1)) : 0;
  return g;
}

static void time_text(double seconds, char text[CELL]) {
  const long long s = llround(seconds);
  snprintf(text, CELL, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

static void score_cells(const Group *g, double published, Row *row) {
  if (g->done > 1)
    snprintf(row->cell[3], CELL, "%.2f +- %.2f", g->mean, g->deviation);
  else
    snprintf(row->cell[3], CELL, "%.2f", g->mean);
  snprintf(row->cell[5], CELL, "%+.2f", g->mean - published);
}

static void print_group(FILE *out, const LraTask *task, const LraKernel *kernel, const Group *g,
                        bool markdown) {
  Row row = {{"", "", "", "-", "", "-", "-", "-"}};
  snprintf(row.cell[0], CELL, "%s", task->title);
  snprintf(row.cell[1], CELL, "%s", kernel->name);
  snprintf(row.cell[2], CELL, "%d/%d", g->done, g->all);
  snprintf(row.cell[4], CELL, "%.2f", task->published);
  if (g->done) score_cells(g, task->published, &row);
  if (g->seconds > 0) {
    snprintf(row.cell[6], CELL, "%.1f", g->samples / g->seconds);
    time_text(g->seconds, row.cell[7]);
  }
  print_row(out, &row, markdown);
}

static void print_average(FILE *out, const LraKernel *kernel, const Group groups[LRA_TASKS], bool markdown) {
  Row row = {{"average", "", "", "", "", "", "", ""}};
  Group all = {.done = 1};
  for (int task = 0; task < LRA_TASKS; task++) {
    if (!groups[task].done) return;
    all.mean += groups[task].mean / LRA_TASKS;
    all.seconds += groups[task].seconds;
  }
  snprintf(row.cell[1], CELL, "%s", kernel->name);
  snprintf(row.cell[4], CELL, "%.2f", lra_published_average);
  score_cells(&all, lra_published_average, &row);
  time_text(all.seconds, row.cell[7]);
  print_row(out, &row, markdown);
}

void lra_print_table(FILE *out, const LraRun *runs, int n_runs, bool markdown) {
  print_head(out, markdown);
  for (int kernel = 0; kernel < LRA_KERNELS; kernel++) {
    Group groups[LRA_TASKS];
    for (int task = 0; task < LRA_TASKS; task++) {
      groups[task] = gather(runs, n_runs, &lra_tasks[task], &lra_kernels[kernel]);
      if (groups[task].all) print_group(out, &lra_tasks[task], &lra_kernels[kernel], &groups[task], markdown);
    }
    print_average(out, &lra_kernels[kernel], groups, markdown);
  }
}
