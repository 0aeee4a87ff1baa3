#include "host/data/pathfinder_rows.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/file.h"
#include "host/data/npy.h"

enum { FOLDER, NAME, LABEL = 3, N_COLUMNS };

void ebb_pathfinder_rows_release(EbbPathfinderRows *rows) {
  free(rows->row);
  free(rows->names);
  *rows = (EbbPathfinderRows){0};
}

static EbbStatus no_memory(const char *origin) {
  return ebb_fail(EBB_MEMORY, "%s: no memory for the names of the images", origin);
}

static EbbStatus make_room(EbbPathfinderRows *rows, size_t bytes, const char *origin) {
  if (rows->n == rows->capacity) {
    const int64_t capacity = rows->capacity ? 2 * rows->capacity : 1024;
    EbbPathfinderRow *row = realloc(rows->row, (size_t)capacity * sizeof *row);
    if (!row) return no_memory(origin);
    rows->row = row, rows->capacity = capacity;
  }
  if (rows->names_capacity - rows->names_length < bytes) {
    const size_t capacity = 2 * (rows->names_length + bytes);
    char *names = realloc(rows->names, capacity);
    if (!names) return no_memory(origin);
    rows->names = names, rows->names_capacity = capacity;
  }
  return EBB_OK;
}

static EbbStatus add_row(EbbPathfinderRows *rows, const char *const column[N_COLUMNS], const char *origin,
                         int64_t file, int64_t line) {
  const char *label = column[LABEL];
  if ((label[0] != '0' && label[0] != '1') || label[1] != 0)
    return ebb_fail(EBB_FORMAT, "%s:%lld: the label (column 4) is '%.40s', neither 0 nor 1", origin,
                    (long long)line, label);
  const size_t bytes = strlen(column[FOLDER]) + strlen(column[NAME]) + sizeof "/";
  EBB_TRY(make_room(rows, bytes, origin));
  snprintf(rows->names + rows->names_length, bytes, "%s/%s", column[FOLDER], column[NAME]);
  rows->row[rows->n++] = (EbbPathfinderRow){
      .name = rows->names_length, .line = (int32_t)line, .file = file, .label = label[0] - '0'};
  rows->names_length += bytes;
  return EBB_OK;
}

/* Cuts the line up at its blanks; an empty one has no column. */
static int cut_line(char *line, const char *column[N_COLUMNS]) {
  int n = 0;
  char *rest = NULL;
  for (char *word = strtok_r(line, " \t\r\f\v", &rest); word && n < N_COLUMNS;
       word = strtok_r(NULL, " \t\r\f\v", &rest))
    column[n++] = word;
  return n;
}

static EbbStatus parse_lines(char *text, size_t length, const char *origin, int64_t file,
                             EbbPathfinderRows *rows) {
  if (memchr(text, 0, length)) return ebb_fail(EBB_FORMAT, "%s: a NUL byte in the text", origin);
  int64_t line = 0;
  for (char *at = text, *next; at; at = next) {
    const char *column[N_COLUMNS];
    next = strchr(at, '\n');
    if (next) *next++ = 0;
    const int n = cut_line(at, column);
    line++;
    if (n == 0) continue;
    if (n < N_COLUMNS)
      return ebb_fail(EBB_FORMAT, "%s:%lld: %d columns; folder, name, number and label are needed", origin,
                      (long long)line, n);
    EBB_TRY(add_row(rows, column, origin, file, line));
  }
  return EBB_OK;
}

static EbbStatus parse_matrix(const char *bytes, size_t length, const char *origin, int64_t file,
                              EbbPathfinderRows *rows) {
  EbbNpyTexts texts;
  EbbStatus status = ebb_npy_parse_texts(bytes, length, origin, &texts);
  if (status == EBB_OK && texts.columns < N_COLUMNS)
    status = ebb_fail(EBB_FORMAT, "%s: %lld columns; folder, name, number and label are needed", origin,
                      (long long)texts.columns);
  for (int64_t i = 0; status == EBB_OK && i < texts.rows; i++) {
    const char *column[N_COLUMNS];
    for (int c = 0; c < N_COLUMNS; c++)
      column[c] = texts.text + (size_t)(i * texts.columns + c) * texts.width;
    status = add_row(rows, column, origin, file, i + 1);
  }
  ebb_npy_texts_release(&texts);
  return status;
}

EbbStatus ebb_pathfinder_rows_parse(char *text, size_t length, const char *origin, int64_t file,
                                    EbbPathfinderRows *rows) {
  const bool matrix = length > 0 && text[0] == '\x93';
  return matrix ? parse_matrix(text, length, origin, file, rows)
                : parse_lines(text, length, origin, file, rows);
}

/* The number of "<number>.npy", or -1. */
static int64_t number_of(const char *name) {
  enum { MOST_DIGITS = 15 };
  const size_t n = strspn(name, "0123456789");
  return n > 0 && n <= MOST_DIGITS && strcmp(name + n, ".npy") == 0 ? strtoll(name, NULL, 10) : -1;
}

static int compare_numbers(const void *a, const void *b) {
  const int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
  return (p > q) - (p < q);
}

/* The numbers of all metadata files, sorted. Lifetime: the caller frees *numbers. */
static EbbStatus list_files(const char *path, int64_t **numbers, int64_t *n) {
  DIR *folder = opendir(path);
  if (!folder) return ebb_fail(errno == ENOENT ? EBB_NOT_FOUND : EBB_IO, "'%s': %s", path, strerror(errno));
  int64_t capacity = 0;
  for (struct dirent *entry; (entry = readdir(folder));) {
    const int64_t number = number_of(entry->d_name);
    if (number < 0) continue;
    if (*n == capacity) {
      capacity = capacity ? 2 * capacity : 256;
      int64_t *more = realloc(*numbers, (size_t)capacity * sizeof *more);
      if (!more) {
        closedir(folder);
        return no_memory(path);
      }
      *numbers = more;
    }
    (*numbers)[(*n)++] = number;
  }
  closedir(folder);
  if (*n > 0) qsort(*numbers, (size_t)*n, sizeof **numbers, compare_numbers);
  return EBB_OK;
}

static EbbStatus read_file(const char *folder, int64_t number, EbbPathfinderRows *rows) {
  enum { MOST_BYTES = 1 << 30 };
  char *path, *text = NULL;
  size_t length;
  if (asprintf(&path, "%s/%lld.npy", folder, (long long)number) < 0) return no_memory(folder);
  EbbStatus status = ebb_file_read(path, MOST_BYTES, &text, &length);
  if (status == EBB_OK) status = ebb_pathfinder_rows_parse(text, length, path, number, rows);
  free(text);
  free(path);
  return status;
}

EbbStatus ebb_pathfinder_rows_read(const char *folder, EbbPathfinderRows *rows) {
  char *path;
  *rows = (EbbPathfinderRows){0};
  if (asprintf(&path, "%s/metadata", folder) < 0) return no_memory(folder);
  int64_t *numbers = NULL, n = 0;
  EbbStatus status = list_files(path, &numbers, &n);
  for (int64_t i = 0; status == EBB_OK && i < n; i++) status = read_file(path, numbers[i], rows);
  if (status == EBB_OK && rows->n == 0)
    status = ebb_fail(EBB_NOT_FOUND, "'%s' has no <number>.npy that names images", path);
  free(numbers);
  free(path);
  return status;
}
