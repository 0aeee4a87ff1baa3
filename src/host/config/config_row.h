/* What the files of the configuration share: the table of keys, values, and the search for near names. */
#ifndef EBB_HOST_CONFIG_ROW_H
#define EBB_HOST_CONFIG_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebb/config.h"

typedef enum EbbConfigType {
  EBB_CONFIG_FLAG,
  EBB_CONFIG_INTEGER,
  EBB_CONFIG_NUMBER,
  EBB_CONFIG_STRING,
  EBB_CONFIG_CHOICE,
  EBB_CONFIG_INTEGERS,
  EBB_CONFIG_OFF,
  EBB_CONFIG_IGNORED
} EbbConfigType;

typedef struct EbbConfigRow {
  const char *path;
  EbbConfigType type;
  const char *initial;    /* the default, as YAML */
  const char *null_means; /* "" where null is refused; may be the path of another key */
  double min, max;
  const char *choices; /* separated by '|' */
  const char *unit, *help;
} EbbConfigRow;

enum {
  EBB_CONFIG_ROWS = 0
#define EBB_CONFIG_KEY(...) +1
#include "ebb/config.def"
#undef EBB_CONFIG_KEY
};

extern const EbbConfigRow ebb_config_rows[EBB_CONFIG_ROWS];

/* Owns text, list and origin. */
typedef struct EbbConfigValue {
  bool null;
  int64_t integer; /* FLAG, INTEGER, CHOICE (index) */
  double number;
  char *text;
  int64_t *list;
  int n_list;
  char *origin; /* NULL: default */
} EbbConfigValue;

struct EbbConfig {
  EbbConfigValue values[EBB_CONFIG_ROWS];
  int bases; /* experiments that stand on this one while it is loaded */
};

/* A YAML scalar; only a plain one can be null, a flag or a number. */
typedef struct EbbConfigScalar {
  const char *text; /* ends with 0 */
  size_t length;
  bool plain;
} EbbConfigScalar;

enum { EBB_CONFIG_PATH_BYTES = 128, EBB_CONFIG_LIST_MAX = 1024, EBB_CONFIG_FILE_BYTES = 1 << 20 };

/* Index of the row, or -1. */
int ebb_config_row(const char *path);
/* True if rows stand below `path` ("model.layer"). */
bool ebb_config_is_group(const char *path);

/* Sets `value` (zeroed or owned) from a scalar. The sentence names the key, what it takes and what came, but
   no place. Errors: INVALID, MEMORY. */
EbbStatus ebb_config_value_set(const EbbConfigRow *row, EbbConfigScalar scalar, EbbConfigValue *value);
/* Adds an item to a row of type INTEGERS; the list must have been begun with ebb_config_value_begin. */
EbbStatus ebb_config_value_append(const EbbConfigRow *row, EbbConfigScalar scalar, EbbConfigValue *value);
EbbStatus ebb_config_value_begin(const EbbConfigRow *row, EbbConfigValue *value);
EbbStatus ebb_config_value_copy(const EbbConfigValue *from, EbbConfigValue *to);
void ebb_config_value_clear(EbbConfigValue *value);

/* Text for a sentence: at most 60 bytes, unprintable ones replaced. Lifetime: the buffer's. */
typedef struct EbbConfigQuote {
  char text[72];
} EbbConfigQuote;
EbbConfigQuote ebb_config_quote(const char *text, size_t length);

/* Levenshtein distance with transpositions; names longer than 127 bytes count as far. */
int ebb_name_distance(const char *a, const char *b);
/* The known key nearest to an unknown one, or NULL if none is near. */
const char *ebb_config_nearest(const char *path);

/* The keys of one text, gathered before any of them changes the configuration. */
typedef struct EbbConfigStage {
  const char *origin;
  bool placed;      /* sentences and origins carry a line; an override has none */
  int line, column; /* of the element being read, from 1 */
  EbbConfigValue values[EBB_CONFIG_ROWS];
  int set_at[EBB_CONFIG_ROWS]; /* line, 0: not set */
  bool preset[EBB_CONFIG_ROWS];
  char *base; /* experiment whose keys come before all these; NULL: none */
  int base_line;
} EbbConfigStage;

/* Stages a scalar for a key, or for a group that a scalar can set. A preset (what an entry of a defaults list
   implies) gives way to the text's own keys. Errors: INVALID, MEMORY; the sentence names no place. */
EbbStatus ebb_config_stage_scalar(EbbConfigStage *stage, const char *path, EbbConfigScalar scalar,
                                  bool preset);
/* Begins the list of a key of type INTEGERS: items go to stage->values[*row]. Errors as above. */
EbbStatus ebb_config_stage_list(EbbConfigStage *stage, const char *path, int *row);
/* Stages what an entry of a Hydra defaults list ("override /scheduler", "cosine_warmup") means to ebb. */
EbbStatus ebb_config_stage_hydra(EbbConfigStage *stage, const char *entry, EbbConfigScalar value);

/* Stages a YAML text; `path` is "" or the key that the text is the value of. Errors: FORMAT (syntax),
   INVALID, MEMORY; stage->line and column tell where. */
EbbStatus ebb_config_stage_text(EbbConfigStage *stage, const char *path, const char *text, size_t length);

/* Refuses what is no UTF-8 text: the YAML parser would take the first such byte for the end.
   Errors: FORMAT. */
EbbStatus ebb_config_check_bytes(EbbConfigStage *stage, const char *text, size_t length);

/* The IGNORED row that is `path` or stands above it, or -1. */
int ebb_config_ignored(const char *path);
/* Errors: INVALID, naming the nearest key. */
EbbStatus ebb_config_unknown(const char *path);

#endif
