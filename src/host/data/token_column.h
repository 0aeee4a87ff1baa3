/* A growing column of token ids that takes one byte a token as long as it can, then two, then four. */
#ifndef EBB_HOST_DATA_TOKEN_COLUMN_H
#define EBB_HOST_DATA_TOKEN_COLUMN_H

#include "ebb/data.h"

typedef struct EbbTokenColumn {
  void *data;
  int width; /* bytes a token: 1, 2 or 4; 0: empty */
  int64_t n, capacity;
} EbbTokenColumn;

void ebb_token_column_release(EbbTokenColumn *column);
/* Errors: MEMORY. */
EbbStatus ebb_token_column_append(EbbTokenColumn *column, int32_t token) EBB_MUST_CHECK;
int32_t ebb_token_column_at(const EbbTokenColumn *column, int64_t i);
/* Errors: MEMORY. */
EbbStatus ebb_token_column_set(EbbTokenColumn *column, int64_t i, int32_t token) EBB_MUST_CHECK;
/* Hands the tokens over to samples, which have none yet. */
void ebb_token_column_move(EbbTokenColumn *column, EbbSamples *samples);

#endif
