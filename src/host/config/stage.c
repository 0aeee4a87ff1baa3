#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/config/config_row.h"

/* Groups where the published files also write one scalar for several keys. */
static const struct {
  const char *group, *members[4];
} fans[] = {{"model.layer.lr", {"model.layer.lr.dt", "model.layer.lr.A", "model.layer.lr.B", NULL}}};

enum { N_FANS = sizeof fans / sizeof *fans };

int ebb_config_ignored(const char *path) {
  for (int i = 0; i < EBB_CONFIG_ROWS; i++) {
    size_t length = strlen(ebb_config_rows[i].path);
    bool holds =
        strncmp(path, ebb_config_rows[i].path, length) == 0 && (path[length] == 0 || path[length] == '.');
    if (holds && ebb_config_rows[i].type == EBB_CONFIG_IGNORED) return i;
  }
  return -1;
}

EbbStatus ebb_config_unknown(const char *path) {
  const char *nearest = ebb_config_nearest(path);
  EbbConfigQuote quote = ebb_config_quote(path, strlen(path));
  if (!nearest) return ebb_fail(EBB_INVALID, "unknown key '%s'; no known key is near it", quote.text);
  return ebb_fail(EBB_INVALID, "unknown key '%s'; the nearest known key is '%s'", quote.text, nearest);
}

static EbbStatus claim(EbbConfigStage *stage, int row, bool preset) {
  if (stage->set_at[row] > 0 && !stage->preset[row]) {
    return ebb_fail(EBB_INVALID, "%s is set twice, first in line %d", ebb_config_rows[row].path,
                    stage->set_at[row]);
  }
  stage->set_at[row] = stage->line > 0 ? stage->line : 1;
  stage->preset[row] = preset;
  return EBB_OK;
}

static EbbStatus set_origin(const EbbConfigStage *stage, EbbConfigValue *value) {
  if (!stage->placed) {
    value->origin = strdup("override");
  } else if (asprintf(&value->origin, "%s:%d", stage->origin, stage->line) < 0) {
    value->origin = NULL;
  }
  return value->origin ? EBB_OK : ebb_fail(EBB_MEMORY, "no memory for the origin of a key");
}

static EbbStatus stage_row(EbbConfigStage *stage, int row, EbbConfigScalar scalar, bool preset) {
  bool gives_way = preset && stage->set_at[row] > 0 && !stage->preset[row];
  if (gives_way) return EBB_OK;
  EBB_TRY(claim(stage, row, preset));
  EBB_TRY(ebb_config_value_set(&ebb_config_rows[row], scalar, &stage->values[row]));
  return set_origin(stage, &stage->values[row]);
}

EbbStatus ebb_config_stage_list(EbbConfigStage *stage, const char *path, int *row) {
  *row = ebb_config_row(path);
  if (*row < 0) {
    if (!ebb_config_is_group(path)) return ebb_config_unknown(path);
    return ebb_fail(EBB_INVALID, "%s is a group of keys ('name: value' lines), not a list", path);
  }
  EBB_TRY(claim(stage, *row, false));
  EBB_TRY(ebb_config_value_begin(&ebb_config_rows[*row], &stage->values[*row]));
  return set_origin(stage, &stage->values[*row]);
}

static EbbStatus refuse_group(const char *path, EbbConfigScalar scalar) {
  char members[256] = "";
  size_t length = strlen(path), used = 0;
  for (int i = 0; i < EBB_CONFIG_ROWS && used < sizeof members - 1; i++) {
    const char *row = ebb_config_rows[i].path;
    if (strncmp(row, path, length) != 0 || row[length] != '.') continue;
    int n = snprintf(members + used, sizeof members - used, "%s%s", used ? ", " : "", row + length + 1);
    used += (size_t)n;
  }
  const char *dots = used > sizeof members - 1 ? ", ..." : "";
  if (scalar.plain && scalar.length == 0) {
    return ebb_fail(EBB_INVALID,
                    "%s is a group of keys (%s%s) but nothing stands below it; indent its keys with spaces",
                    path, members, dots);
  }
  EbbConfigQuote got = ebb_config_quote(scalar.text, scalar.length);
  return ebb_fail(EBB_INVALID, "%s is a group of keys (%s%s), not a value: '%s'", path, members, dots,
                  got.text);
}

EbbStatus ebb_config_stage_scalar(EbbConfigStage *stage, const char *path, EbbConfigScalar scalar,
                                  bool preset) {
  int row = ebb_config_row(path);
  if (row >= 0) return stage_row(stage, row, scalar, preset);
  bool nothing = scalar.plain && scalar.length == 0;
  for (int i = 0; i < N_FANS; i++) {
    if (strcmp(fans[i].group, path) != 0) continue;
    for (const char *const *member = fans[i].members; *member; member++) {
      EBB_TRY(stage_row(stage, ebb_config_row(*member), scalar, preset));
    }
    return EBB_OK;
  }
  char name[EBB_CONFIG_PATH_BYTES + 8];
  snprintf(name, sizeof name, "%s._name_", path);
  row = ebb_config_row(name);
  if (row >= 0 && !nothing) return stage_row(stage, row, scalar, preset);
  return ebb_config_is_group(path) ? refuse_group(path, scalar) : ebb_config_unknown(path);
}
