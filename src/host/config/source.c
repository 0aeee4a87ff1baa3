/* Where keys come from: a text, a file, an override. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/config/config_row.h"

static void commit(EbbConfig *config, EbbConfigStage *stage) {
  for (int i = 0; i < EBB_CONFIG_ROWS; i++) {
    if (!stage->set_at[i]) continue;
    ebb_config_value_clear(&config->values[i]);
    config->values[i] = stage->values[i];
    stage->values[i] = (EbbConfigValue){0};
  }
}

/* On the experiment that the text stands on, where it does; the configuration changes last. */
static EbbStatus commit_on_base(EbbConfig *config, EbbConfigStage *stage) {
  enum { MOST_BASES = 8 };
  if (config->bases == MOST_BASES)
    return ebb_fail(EBB_INVALID, "more than %d experiments stand on each other; does one stand on itself?",
                    MOST_BASES);
  EbbConfig *based;
  stage->line = stage->base_line;
  EBB_TRY(ebb_config_copy(config, &based));
  based->bases = config->bases + 1;
  EbbStatus status = ebb_config_load_experiment(based, stage->base);
  if (status == EBB_OK) {
    commit(based, stage);
    for (int i = 0; i < EBB_CONFIG_ROWS; i++) {
      const EbbConfigValue before = config->values[i];
      config->values[i] = based->values[i], based->values[i] = before;
    }
  }
  ebb_config_destroy(based);
  return status;
}

static void clear(EbbConfigStage *stage) {
  for (int i = 0; i < EBB_CONFIG_ROWS; i++) ebb_config_value_clear(&stage->values[i]);
  free(stage->base);
  free(stage);
}

static EbbConfigStage *begin(const char *origin, bool placed) {
  EbbConfigStage *stage = calloc(1, sizeof *stage);
  if (stage) stage->origin = origin, stage->placed = placed, stage->line = 1, stage->column = 1;
  return stage;
}

EbbStatus ebb_config_load_text(EbbConfig *config, const char *text, size_t length, const char *origin) {
  EbbConfigStage *stage = begin(origin, true);
  if (!stage) return ebb_fail(EBB_MEMORY, "%s: no memory to load it", origin);
  EbbStatus status = ebb_config_stage_text(stage, "", text, length);
  if (status == EBB_OK && stage->base)
    status = commit_on_base(config, stage);
  else if (status == EBB_OK)
    commit(config, stage);
  if (status != EBB_OK) status = ebb_fail_within(status, "%s:%d:%d", origin, stage->line, stage->column);
  clear(stage);
  return status;
}

static EbbStatus read_error(const char *path) {
  EbbStatus status = errno == ENOENT || errno == ENOTDIR ? EBB_NOT_FOUND : EBB_IO;
  return ebb_fail(status, "cannot read the configuration file '%s': %s", path, strerror(errno));
}

/* One byte more than the limit is enough to refuse the file. */
static EbbStatus load_stream(EbbConfig *config, const char *path, FILE *file) {
  char *text = malloc(EBB_CONFIG_FILE_BYTES + 1);
  if (!text) return ebb_fail(EBB_MEMORY, "%s: no memory to load it", path);
  size_t length = fread(text, 1, EBB_CONFIG_FILE_BYTES + 1, file);
  EbbStatus status = ferror(file) ? read_error(path) : ebb_config_load_text(config, text, length, path);
  free(text);
  return status;
}

EbbStatus ebb_config_load_file(EbbConfig *config, const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return read_error(path);
  EbbStatus status = load_stream(config, path, file);
  (void)fclose(file);
  return status;
}

/* Hydra's ways to add and to delete a key. */
static EbbStatus refuse_hydra(const char *assignment) {
  const char *rest = assignment + strspn(assignment, "+~");
  if (*assignment == '+') {
    return ebb_fail(EBB_INVALID, "ebb knows every key, drop the '+': %s",
                    ebb_config_quote(rest, strlen(rest)).text);
  }
  return ebb_fail(EBB_INVALID, "a key cannot be deleted; write %s=null",
                  ebb_config_quote(rest, strcspn(rest, "=")).text);
}

static EbbStatus split(const char *assignment, char *key, size_t bytes) {
  if (*assignment == '+' || *assignment == '~') return refuse_hydra(assignment);
  size_t length = strcspn(assignment, "=");
  if (length == 0 || assignment[length] == 0) {
    return ebb_fail(EBB_INVALID, "an override is key=value, such as optimizer.lr=0.01");
  }
  if (length >= bytes) return ebb_fail(EBB_INVALID, "unknown key, longer than any known one");
  memcpy(key, assignment, length);
  key[length] = 0;
  if (ebb_config_row(key) >= 0 || ebb_config_is_group(key) || ebb_config_ignored(key) >= 0) return EBB_OK;
  return ebb_config_unknown(key);
}

EbbStatus ebb_config_override(EbbConfig *config, const char *assignment) {
  EbbConfigQuote quote = ebb_config_quote(assignment, strlen(assignment));
  EbbConfigStage *stage = begin("override", false);
  if (!stage) return ebb_fail(EBB_MEMORY, "override '%s': no memory to apply it", quote.text);
  char key[EBB_CONFIG_PATH_BYTES];
  EbbStatus status = split(assignment, key, sizeof key);
  const char *value = strchr(assignment, '=');
  if (status == EBB_OK) status = ebb_config_stage_text(stage, key, value + 1, strlen(value + 1));
  if (status == EBB_OK) commit(config, stage);
  if (status != EBB_OK) status = ebb_fail_within(status, "override '%s'", quote.text);
  clear(stage);
  return status;
}
