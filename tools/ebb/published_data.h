/* What is known of data sets without reading them. */
#ifndef EBB_PUBLISHED_DATA_H
#define EBB_PUBLISHED_DATA_H

#include "ebb/data.h"

/* The data set of dataset._name_ without samples, from which a model takes its sizes. False: nothing is known
   of a set of that name, and the sizes are a guess. */
bool published_data(const EbbConfig *config, EbbDataset *out);

#endif
