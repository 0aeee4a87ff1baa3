/* From the keys model.layer.* to recurrent cells. */
#ifndef EBB_HOST_CELL_CONFIG_H
#define EBB_HOST_CELL_CONFIG_H

#include "ebb/cells.h"
#include "ebb/config.h"
#include "ebb/lnn.h"
#include "ebb/model.h"

/* The choices of model.layer.unstable. */
typedef enum EbbUnstable {
  EBB_UNSTABLE_ERROR,
  EBB_UNSTABLE_IGNORE,
  EBB_UNSTABLE_FALL_BACK,
  EBB_UNSTABLE_WARN
} EbbUnstable;
/* Errors: INVALID where there are more layers to watch than EBB_RATES. */
EbbStatus ebb_unstable_from_config(const EbbConfig *config, EbbUnstable *out) EBB_MUST_CHECK;

/* Whether model.layer._name_ is a recurrent cell. */
bool ebb_config_names_cell(const EbbConfig *config);

/* The cell of inputs I and model.d_model units; reservoirs of different layers are different draws. Errors:
   INVALID names the key; those of wirings and reservoirs. */
EbbStatus ebb_cell_of_layer(const EbbConfig *config, int64_t layer, int64_t I, EbbCell **out) EBB_MUST_CHECK;
/* The same cell with dropout inside, which it reads as factors behind its inputs (ops/dropout_columns.h): its
   parameters are the same. *out: NULL where there is no such dropout. */
EbbStatus ebb_cell_with_dropout(const EbbConfig *config, int64_t I, EbbCell **out) EBB_MUST_CHECK;
/* Of layer 0. */
EbbStatus ebb_cell_from_config(const EbbConfig *config, int64_t I, EbbCell **out) EBB_MUST_CHECK;

/* Whether it is lnn, and its settings; input, hidden and all_steps are left to the recorder. Errors: INVALID
   names the key. */
bool ebb_config_names_lnn(const EbbConfig *config);
EbbStatus ebb_lnn_from_config(const EbbConfig *config, EbbLnn *out) EBB_MUST_CHECK;

#endif
