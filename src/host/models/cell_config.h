/* From the keys model.layer.* to recurrent cells. */
#ifndef EBB_HOST_CELL_CONFIG_H
#define EBB_HOST_CELL_CONFIG_H

#include "ebb/cells.h"
#include "ebb/config.h"

/* Whether model.layer._name_ is a recurrent cell. */
bool ebb_config_names_cell(const EbbConfig *config);

/* The cell of inputs I and model.d_model units. Errors: INVALID names the key; those of wirings. */
EbbStatus ebb_cell_from_config(const EbbConfig *config, int64_t I, EbbCell **out) EBB_MUST_CHECK;

#endif
