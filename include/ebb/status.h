/* Errors: every function that can fail returns an EbbStatus and leaves a sentence for the user behind. */
#ifndef EBB_STATUS_H
#define EBB_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum EbbStatus {
#define EBB_STATUS(name, meaning) EBB_##name,
#include "ebb/status.def"
#undef EBB_STATUS
} EbbStatus;

#if defined(__GNUC__)
#define EBB_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#define EBB_MUST_CHECK                  __attribute__((warn_unused_result))
#else
#define EBB_PRINTF(format_index, first)
#define EBB_MUST_CHECK
#endif

/* Records the sentence for this thread and returns `code`: `return ebb_fail(EBB_SHAPE, "...", ...)`.
   Lifetime: the sentence stands until the next ebb_fail of the same thread; longer ones are cut. */
EbbStatus ebb_fail(EbbStatus code, const char *format, ...) EBB_PRINTF(2, 3);

/* Puts "<context>: " before the recorded sentence and returns `code` unchanged. */
EbbStatus ebb_fail_within(EbbStatus code, const char *format, ...) EBB_PRINTF(2, 3);

/* The sentence of this thread's latest failure; "" before the first. Lifetime: until the next failure. */
const char *ebb_error(void);

/* The name of a code ("SHAPE") and its row's meaning; never NULL. */
const char *ebb_status_name(EbbStatus code);
const char *ebb_status_meaning(EbbStatus code);

/* Returns from the calling function with the status of `expression` unless it is EBB_OK. */
#define EBB_TRY(expression)                                                                                  \
  do {                                                                                                       \
    EbbStatus ebb_try_status_ = (expression);                                                                \
    if (ebb_try_status_ != EBB_OK) return ebb_try_status_;                                                   \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
