/* The calls that a wiring is written as: tables of arguments that drive parsing, checks and help alike. */
#ifndef EBB_HOST_WIRING_CALLS_H
#define EBB_HOST_WIRING_CALLS_H

#include "ebb/wiring.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum WiringType { WIRING_INTEGER, WIRING_SIZES, WIRING_NUMBER, WIRING_FLAG } WiringType;

typedef struct WiringArgument {
  const char *name, *published; /* the published one is that of ncps */
  WiringType type;
  const char *initial; /* NULL: has to be given */
  double min, max;
  const char *help;
} WiringArgument;

typedef struct WiringValue {
  bool given;
  double number; /* INTEGER, NUMBER, FLAG */
  int n, size[EBB_WIRING_MAX_INTER];
} WiringValue;

enum { WIRING_MAX_ARGUMENTS = 8 };

/* Names are compared without regard to case and underscores. */
typedef struct WiringCall {
  const char *name, *summary;
  const WiringArgument *argument;
  int n_arguments;
  EbbStatus (*make)(const WiringValue *value, int inputs, EbbWiring **out);
} WiringCall;

enum { WIRING_CALLS = 4 };
extern const WiringCall wiring_calls[WIRING_CALLS];

/* The call of that name, or NULL. */
const WiringCall *wiring_call_named(const char *name, size_t length);

/* Reads "name(argument, argument=value, ...)". Errors: INVALID. */
EbbStatus wiring_call_parse(const char *text, const WiringCall **call,
                            WiringValue value[WIRING_MAX_ARGUMENTS]) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
