#include <limits.h>
#include <string.h>

#include "host/config/config_row.h"

static int smaller(int a, int b) { return a < b ? a : b; }

/* Optimal string alignment: Levenshtein's edits and the exchange of two neighbours, over three rows. */
int ebb_name_distance(const char *a, const char *b) {
  int n = (int)strnlen(a, EBB_CONFIG_PATH_BYTES), m = (int)strnlen(b, EBB_CONFIG_PATH_BYTES);
  if (n == EBB_CONFIG_PATH_BYTES || m == EBB_CONFIG_PATH_BYTES) return INT_MAX;
  int table[3][EBB_CONFIG_PATH_BYTES];
  int *before = table[0], *above = table[1], *row = table[2];
  for (int j = 0; j <= m; j++) above[j] = j;
  for (int i = 1; i <= n; i++) {
    row[0] = i;
    for (int j = 1; j <= m; j++) {
      int replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = smaller(replaced, 1 + smaller(above[j], row[j - 1]));
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = smaller(row[j], before[j - 2] + 1);
    }
    int *free_row = before;
    before = above, above = row, row = free_row;
  }
  return above[m];
}

static const char *leaf(const char *path) {
  const char *dot = strrchr(path, '.');
  return dot ? dot + 1 : path;
}

/* A right name in the wrong group is nearer than any misspelling. */
const char *ebb_config_nearest(const char *path) {
  const char *best = NULL;
  int best_distance = INT_MAX;
  for (int i = 0; i < EBB_CONFIG_ROWS; i++) {
    const char *known = ebb_config_rows[i].path;
    int whole = ebb_name_distance(path, known), last = ebb_name_distance(leaf(path), leaf(known));
    if (whole == INT_MAX || last == INT_MAX) continue;
    int distance = last == 0 ? smaller(whole, 1) : smaller(whole, last + 2);
    if (distance < best_distance) best = known, best_distance = distance;
  }
  int tolerated = 2 + (int)strlen(leaf(path)) / 3;
  return best_distance <= tolerated ? best : NULL;
}
