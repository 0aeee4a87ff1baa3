#include "ebb/config.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/config/config_row.h"

const EbbConfigRow ebb_config_rows[EBB_CONFIG_ROWS] = {
#define EBB_CONFIG_KEY(path, type, initial, null_means, min, max, choices, unit, help)                       \
  {path, EBB_CONFIG_##type, initial, null_means, min, max, choices, unit, help},
#include "ebb/config.def"
#undef EBB_CONFIG_KEY
};

static const EbbConfigValue absent = {.null = true, .integer = INT64_MIN, .number = NAN};

int ebb_config_row(const char *path) {
  for (int i = 0; i < EBB_CONFIG_ROWS; i++) {
    if (strcmp(ebb_config_rows[i].path, path) == 0) return i;
  }
  return -1;
}

bool ebb_config_is_group(const char *path) {
  size_t length = strlen(path);
  for (int i = 0; i < EBB_CONFIG_ROWS; i++) {
    const char *row = ebb_config_rows[i].path;
    if (strncmp(row, path, length) == 0 && row[length] == '.') return true;
  }
  return false;
}

/* The defaults go through the loader, so the table obeys its own checks; they then count as defaults. */
static EbbStatus set_defaults(EbbConfig *config) {
  for (int i = 0; i < EBB_CONFIG_ROWS; i++) {
    char assignment[2 * EBB_CONFIG_PATH_BYTES];
    snprintf(assignment, sizeof assignment, "%s=%s", ebb_config_rows[i].path, ebb_config_rows[i].initial);
    EBB_TRY(ebb_config_override(config, assignment));
    free(config->values[i].origin);
    config->values[i].origin = NULL;
  }
  return EBB_OK;
}

EbbStatus ebb_config_create(EbbConfig **out) {
  *out = NULL;
  EbbConfig *config = calloc(1, sizeof *config);
  if (!config) return ebb_fail(EBB_MEMORY, "no memory for a configuration");
  EbbStatus status = set_defaults(config);
  if (status != EBB_OK) {
    ebb_config_destroy(config);
    return status;
  }
  *out = config;
  return EBB_OK;
}

void ebb_config_destroy(EbbConfig *config) {
  if (!config) return;
  for (int i = 0; i < EBB_CONFIG_ROWS; i++) ebb_config_value_clear(&config->values[i]);
  free(config);
}

EbbStatus ebb_config_copy(const EbbConfig *config, EbbConfig **out) {
  *out = NULL;
  EbbConfig *copy = calloc(1, sizeof *copy);
  if (!copy) return ebb_fail(EBB_MEMORY, "no memory for a configuration");
  for (int i = 0; i < EBB_CONFIG_ROWS; i++) {
    EbbStatus status = ebb_config_value_copy(&config->values[i], &copy->values[i]);
    if (status != EBB_OK) {
      ebb_config_destroy(copy);
      return status;
    }
  }
  *out = copy;
  return EBB_OK;
}

/* A key that is not in the table, or has another type, is a mistake in the caller: it reads as null. */
static const EbbConfigValue *value_of(const EbbConfig *config, const char *key, EbbConfigType type) {
  int row = ebb_config_row(key);
  bool known = row >= 0 && ebb_config_rows[row].type == type;
  assert(known && "key of config.def with that type");
  return known ? &config->values[row] : &absent;
}

bool ebb_config_is_null(const EbbConfig *config, const char *key) {
  int row = ebb_config_row(key);
  assert(row >= 0 && "key of config.def");
  return row < 0 || config->values[row].null;
}

bool ebb_config_flag(const EbbConfig *config, const char *key) {
  const EbbConfigValue *value = value_of(config, key, EBB_CONFIG_FLAG);
  return !value->null && value->integer != 0;
}

int64_t ebb_config_integer(const EbbConfig *config, const char *key) {
  const EbbConfigValue *value = value_of(config, key, EBB_CONFIG_INTEGER);
  return value->null ? INT64_MIN : value->integer;
}

double ebb_config_number(const EbbConfig *config, const char *key) {
  const EbbConfigValue *value = value_of(config, key, EBB_CONFIG_NUMBER);
  return value->null ? NAN : value->number;
}

int64_t ebb_config_integer_or(const EbbConfig *config, const char *key, int64_t otherwise) {
  return ebb_config_is_null(config, key) ? otherwise : ebb_config_integer(config, key);
}

double ebb_config_number_or(const EbbConfig *config, const char *key, double otherwise) {
  return ebb_config_is_null(config, key) ? otherwise : ebb_config_number(config, key);
}

const char *ebb_config_string(const EbbConfig *config, const char *key) {
  return value_of(config, key, EBB_CONFIG_STRING)->text;
}

int ebb_config_choice(const EbbConfig *config, const char *key) {
  const EbbConfigValue *value = value_of(config, key, EBB_CONFIG_CHOICE);
  return value == &absent ? -1 : (int)value->integer;
}

const int64_t *ebb_config_integers(const EbbConfig *config, const char *key, int *count) {
  const EbbConfigValue *value = value_of(config, key, EBB_CONFIG_INTEGERS);
  *count = value->n_list;
  return value->list;
}

const char *ebb_config_origin(const EbbConfig *config, const char *key) {
  int row = ebb_config_row(key);
  assert(row >= 0 && "key of config.def");
  return row >= 0 && config->values[row].origin ? config->values[row].origin : "default";
}
