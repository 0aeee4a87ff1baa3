/* The two forms of a user's texts; see ebb_text_load. */
#ifndef EBB_HOST_DATA_TEXT_PARTS_H
#define EBB_HOST_DATA_TEXT_PARTS_H

#include "host/data/data_file.h"
#include "host/data/texts.h"

/* A class a folder. */
EbbStatus ebb_text_classes(const EbbConfig *config, const char *folder, EbbTexts *texts) EBB_MUST_CHECK;

/* Next-token windows of dataset.file. */
EbbStatus ebb_text_windows(const EbbConfig *config, const EbbDataSource *source,
                           EbbTexts *texts) EBB_MUST_CHECK;

#endif
