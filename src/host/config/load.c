#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/config/config_row.h"

enum { DEPTH_MAX = 16, GROUPS_MAX = 64 };

/* Reads the parser's events once, in order; nothing is built that an alias could blow up. */
typedef struct Walker {
  EbbConfigStage *stage;
  struct fy_parser *parser;
  struct fy_diag *diag;
  struct fy_event *event;
  char path[EBB_CONFIG_PATH_BYTES];
  int depth;
  char groups[GROUPS_MAX][EBB_CONFIG_PATH_BYTES]; /* mappings seen, to find one that stands twice */
  int n_groups;
} Walker;

static EbbStatus syntax_error(Walker *w) {
  void *iterator = NULL;
  const struct fy_diag_error *error = fy_diag_errors_iterate(w->diag, &iterator);
  if (!error) return ebb_fail(EBB_FORMAT, "not YAML");
  if (error->line > 0) w->stage->line = error->line, w->stage->column = error->column;
  EbbConfigQuote message = ebb_config_quote(error->msg, strlen(error->msg));
  return ebb_fail(EBB_FORMAT, "not YAML: %s", message.text);
}

static EbbStatus refuse_references(const struct fy_event *event) {
  const struct fy_token *anchor = NULL, *tag = NULL;
  switch (event->type) {
  case FYET_ALIAS:
    anchor = event->alias.anchor;
    break;
  case FYET_SCALAR:
    anchor = event->scalar.anchor, tag = event->scalar.tag;
    break;
  case FYET_MAPPING_START:
    anchor = event->mapping_start.anchor, tag = event->mapping_start.tag;
    break;
  case FYET_SEQUENCE_START:
    anchor = event->sequence_start.anchor, tag = event->sequence_start.tag;
    break;
  default:
    break;
  }
  if (anchor || event->type == FYET_ALIAS) {
    return ebb_fail(EBB_INVALID, "anchors (&name) and aliases (*name) are refused; write the value out");
  }
  return tag ? ebb_fail(EBB_INVALID, "tags (!name) are refused; the key says which type it takes") : EBB_OK;
}

/* Steps to the next event; the one before it, and the texts of its tokens, are gone then. */
static EbbStatus advance(Walker *w) {
  if (w->event) fy_parser_event_free(w->parser, w->event);
  w->event = fy_parser_parse(w->parser);
  if (!w->event) return syntax_error(w);
  struct fy_token *token = fy_event_get_token(w->event);
  const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
  if (mark) w->stage->line = mark->line + 1, w->stage->column = mark->column + 1;
  return refuse_references(w->event);
}

static EbbStatus scalar_of(Walker *w, EbbConfigScalar *scalar) {
  struct fy_token *token = w->event->scalar.value;
  const char *text = token ? fy_token_get_text0(token) : "";
  if (!text) return ebb_fail(EBB_MEMORY, "no memory for a scalar");
  bool plain = !token || fy_token_scalar_style(token) == FYSS_PLAIN;
  *scalar = (EbbConfigScalar){text, token ? fy_token_get_text_length(token) : 0, plain};
  return EBB_OK;
}

static EbbStatus key_of(Walker *w, EbbConfigScalar *key) {
  if (w->event->type != FYET_SCALAR) return ebb_fail(EBB_INVALID, "a key must be a plain name");
  EBB_TRY(scalar_of(w, key));
  bool good = key->length > 0 && key->length < EBB_CONFIG_PATH_BYTES && strlen(key->text) == key->length;
  EbbConfigQuote quote = ebb_config_quote(key->text, key->length);
  return good ? EBB_OK : ebb_fail(EBB_INVALID, "'%s' is not the name of a key", quote.text);
}

/* Passes over the value whose first event is the current one. */
static EbbStatus skip_value(Walker *w) {
  for (int open = 0;;) {
    enum fy_event_type type = w->event->type;
    open += type == FYET_MAPPING_START || type == FYET_SEQUENCE_START;
    open -= type == FYET_MAPPING_END || type == FYET_SEQUENCE_END;
    if (open == 0) return EBB_OK;
    if (open > DEPTH_MAX) return ebb_fail(EBB_INVALID, "nested deeper than %d levels", DEPTH_MAX);
    EBB_TRY(advance(w));
  }
}

static EbbStatus load_list(Walker *w) {
  int row;
  EBB_TRY(ebb_config_stage_list(w->stage, w->path, &row));
  for (;;) {
    EBB_TRY(advance(w));
    if (w->event->type == FYET_SEQUENCE_END) return EBB_OK;
    if (w->event->type != FYET_SCALAR) {
      return ebb_fail(EBB_INVALID, "%s is a list of numbers; an item is a list or mapping itself", w->path);
    }
    EbbConfigScalar item = {"", 0, true};
    EBB_TRY(scalar_of(w, &item));
    EBB_TRY(ebb_config_value_append(&ebb_config_rows[row], item, &w->stage->values[row]));
  }
}

static EbbStatus load_mapping(Walker *w);

/* The current event is the first of the value of w->path. */
static EbbStatus load_value(Walker *w) {
  int ignored = ebb_config_ignored(w->path);
  if (ignored >= 0) {
    EbbConfigScalar null = {"", 0, true};
    EBB_TRY(ebb_config_stage_scalar(w->stage, ebb_config_rows[ignored].path, null, false));
    return skip_value(w);
  }
  if (w->event->type == FYET_MAPPING_START) return load_mapping(w);
  if (w->event->type == FYET_SEQUENCE_START) return load_list(w);
  EbbConfigScalar scalar = {"", 0, true};
  EBB_TRY(scalar_of(w, &scalar));
  return ebb_config_stage_scalar(w->stage, w->path, scalar, false);
}

/* One "- /group: name", "- override /group: name" or "- _self_". */
static EbbStatus load_default(Walker *w) {
  char entry[EBB_CONFIG_PATH_BYTES];
  bool mapping = w->event->type == FYET_MAPPING_START;
  if (mapping) EBB_TRY(advance(w));
  EbbConfigScalar key = {"", 0, true}, value = key;
  EBB_TRY(key_of(w, &key));
  memcpy(entry, key.text, key.length + 1);
  if (!mapping) return ebb_config_stage_hydra(w->stage, entry, value);
  EBB_TRY(advance(w));
  bool scalar = w->event->type == FYET_SCALAR;
  if (scalar) EBB_TRY(scalar_of(w, &value));
  if (!scalar) EBB_TRY(skip_value(w));
  EBB_TRY(ebb_config_stage_hydra(w->stage, entry, value));
  EBB_TRY(advance(w));
  return w->event->type == FYET_MAPPING_END
             ? EBB_OK
             : ebb_fail(EBB_INVALID, "an entry of defaults is one '- /group: name'");
}

static EbbStatus load_defaults(Walker *w) {
  if (w->event->type != FYET_SEQUENCE_START) {
    return ebb_fail(EBB_INVALID, "defaults must be a list of '- /group: name' entries");
  }
  for (;;) {
    EBB_TRY(advance(w));
    if (w->event->type == FYET_SEQUENCE_END) return EBB_OK;
    EBB_TRY(load_default(w));
  }
}

static EbbStatus enter_group(Walker *w) {
  if (ebb_config_row(w->path) >= 0) {
    return ebb_fail(EBB_INVALID, "%s takes one value, not a mapping of keys", w->path);
  }
  if (!ebb_config_is_group(w->path)) return ebb_config_unknown(w->path);
  for (int i = 0; i < w->n_groups; i++) {
    if (strcmp(w->groups[i], w->path) == 0)
      return ebb_fail(EBB_INVALID, "the group %s stands twice", w->path);
  }
  if (w->n_groups == GROUPS_MAX) return ebb_fail(EBB_INVALID, "more than %d groups", GROUPS_MAX);
  memcpy(w->groups[w->n_groups++], w->path, sizeof w->path);
  return EBB_OK;
}

/* Puts the current event's key behind the path: "model" and "d_model" give "model.d_model". */
static EbbStatus extend_path(Walker *w, size_t length) {
  EbbConfigScalar key = {"", 0, true};
  EBB_TRY(key_of(w, &key));
  int written = snprintf(w->path + length, sizeof w->path - length, "%s%s", length ? "." : "", key.text);
  if ((size_t)written < sizeof w->path - length) return EBB_OK;
  EbbConfigQuote quote = ebb_config_quote(w->path, strlen(w->path));
  return ebb_fail(EBB_INVALID, "unknown key '%s': longer than any known one", quote.text);
}

static EbbStatus load_pairs(Walker *w) {
  size_t length = strlen(w->path);
  for (;;) {
    EBB_TRY(advance(w));
    if (w->event->type == FYET_MAPPING_END) return EBB_OK;
    EBB_TRY(extend_path(w, length));
    bool defaults = strcmp(w->path, "defaults") == 0;
    bool known = defaults || ebb_config_row(w->path) >= 0 || ebb_config_is_group(w->path);
    if (!known && ebb_config_ignored(w->path) < 0) return ebb_config_unknown(w->path);
    EBB_TRY(advance(w));
    EBB_TRY(defaults ? load_defaults(w) : load_value(w));
    w->path[length] = 0;
  }
}

static EbbStatus load_mapping(Walker *w) {
  if (*w->path) EBB_TRY(enter_group(w));
  if (++w->depth > DEPTH_MAX) return ebb_fail(EBB_INVALID, "nested deeper than %d levels", DEPTH_MAX);
  EBB_TRY(load_pairs(w));
  w->depth--;
  return EBB_OK;
}

/* An empty override is null; an empty file is more likely the wrong file than a wish for nothing. */
static EbbStatus load_nothing(Walker *w) {
  EbbConfigScalar null = {"", 0, true};
  if (*w->path) return ebb_config_stage_scalar(w->stage, w->path, null, false);
  return ebb_fail(EBB_FORMAT, "empty: a configuration is a mapping of keys such as 'model:'");
}

static EbbStatus load_document(Walker *w) {
  EBB_TRY(advance(w));
  EBB_TRY(advance(w));
  if (w->event->type == FYET_STREAM_END) return load_nothing(w);
  EBB_TRY(advance(w));
  if (!*w->path && w->event->type != FYET_MAPPING_START) {
    return ebb_fail(EBB_FORMAT, "the top level must be a mapping of keys ('model:', 'train:'), not a %s",
                    w->event->type == FYET_SEQUENCE_START ? "list" : "single value");
  }
  EBB_TRY(load_value(w));
  EBB_TRY(advance(w));
  EBB_TRY(advance(w));
  return w->event->type == FYET_STREAM_END ? EBB_OK
                                           : ebb_fail(EBB_FORMAT, "a second YAML document begins here");
}

/* libfyaml prints nothing: errors are collected, anything else is dropped. */
static void drop(struct fy_diag *diag, void *user, const char *text, size_t length) {
  (void)diag, (void)user, (void)text, (void)length;
}

static EbbStatus walk_text(Walker *w, const char *text, size_t length) {
  struct fy_diag_cfg diag_config = {.output_fn = drop, .level = FYET_ERROR, .module_mask = ~0U};
  w->diag = fy_diag_create(&diag_config);
  if (!w->diag) return ebb_fail(EBB_MEMORY, "no memory for a YAML parser");
  fy_diag_set_collect_errors(w->diag, true);
  struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_JSON_NONE, .diag = w->diag};
  w->parser = fy_parser_create(&config);
  if (!w->parser) return ebb_fail(EBB_MEMORY, "no memory for a YAML parser");
  if (length == 0) return load_nothing(w);
  if (fy_parser_set_string(w->parser, text, length) != 0) {
    return ebb_fail(EBB_MEMORY, "no memory for a YAML parser");
  }
  return load_document(w);
}

/* What does not parse is often misread before the parser notices: a syntax error anywhere is told first. */
static EbbStatus prefer_syntax_error(Walker *w, EbbStatus status) {
  while (w->event) {
    fy_parser_event_free(w->parser, w->event);
    w->event = fy_parser_parse(w->parser);
  }
  return fy_parser_get_stream_error(w->parser) ? syntax_error(w) : status;
}

EbbStatus ebb_config_stage_text(EbbConfigStage *stage, const char *path, const char *text, size_t length) {
  Walker *w = calloc(1, sizeof *w);
  if (!w) return ebb_fail(EBB_MEMORY, "no memory for a YAML parser");
  w->stage = stage;
  snprintf(w->path, sizeof w->path, "%s", path);
  EbbStatus status = ebb_config_check_bytes(stage, text, length);
  if (status == EBB_OK) status = walk_text(w, text, length);
  if (status == EBB_INVALID && w->event) status = prefer_syntax_error(w, status);
  if (w->event) fy_parser_event_free(w->parser, w->event);
  if (w->parser) fy_parser_destroy(w->parser);
  if (w->diag) fy_diag_destroy(w->diag);
  free(w);
  return status;
}
