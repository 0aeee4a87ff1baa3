/* Names that stand on one side only, in a file or in the model. */
#ifndef EBB_HOST_CHECKPOINT_UNMATCHED_H
#define EBB_HOST_CHECKPOINT_UNMATCHED_H

#include "checkpoint_internal.h"

/* Where both sides have names that the other lacks, lists them with the renamings of equal endings and
   shapes. Errors: MISMATCH. */
EbbStatus ebb_slots_check_unmatched(const EbbSlots *slots, const char *path) EBB_MUST_CHECK;

#endif
