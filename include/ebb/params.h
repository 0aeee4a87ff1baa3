/* Parameters of a model by name: flat buffers with equal offsets for value, gradient and the two AdamW
   moments, sorted by learning-rate group, so that an optimiser step is one pass over memory. Buffers (running
   statistics, frozen constants, internal lengths) stand beside them: saved with the model, never trained. */
#ifndef EBB_PARAMS_H
#define EBB_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "ebb/device.h"
#include "ebb/shape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbParams EbbParams;

/* CLIPPED: to the nearest number in [low, high]. */
typedef enum EbbConstraint { EBB_FREE, EBB_NONNEGATIVE, EBB_CLIPPED } EbbConstraint;

/* How a value is drawn: constant a; uniform in [-a, a]; uniform in [a, b]; normal with standard deviation a.
 */
typedef enum EbbDraw { EBB_DRAW_CONSTANT, EBB_DRAW_UNIFORM, EBB_DRAW_RANGE, EBB_DRAW_NORMAL } EbbDraw;

typedef struct EbbParamSpec {
  const char *name; /* local name; the full name is scope + "." + name */
  EbbShape shape;
  bool buffer;              /* true: saved, not trained */
  bool own_lr, own_decay;   /* false: the optimiser's learning rate / weight decay */
  double lr, weight_decay;  /* used where own_* is set; lr 0 freezes */
  EbbConstraint constraint; /* enforced after every optimiser step */
  double low, high;         /* of EBB_CLIPPED, low <= high */
  EbbDraw draw;
  double a, b;
} EbbParamSpec;

typedef struct EbbParam {
  char *name; /* full name */
  EbbParamSpec spec;
  int group;            /* index into the group table; -1 for a buffer */
  int64_t offset, size; /* in floats; offsets of buffers count in the buffer block */
} EbbParam;

typedef struct EbbParamGroup {
  bool own_lr, own_decay;
  double lr, weight_decay;
  EbbConstraint constraint;
  double low, high;   /* of EBB_CLIPPED */
  int64_t begin, end; /* floats begin..end-1 of the flat buffers */
} EbbParamGroup;

/* Lifetime: the device must outlive it. Errors: MEMORY. */
EbbStatus ebb_params_create(EbbDevice *device, EbbParams **out) EBB_MUST_CHECK;
void ebb_params_destroy(EbbParams *params);
EbbDevice *ebb_params_device(const EbbParams *params);

/* Declares `scope`.`spec->name`, or finds it where it is declared already (then shape and kind must agree).
   Errors: SHAPE (the name exists with another shape), INVALID (clipped to an empty range), STATE (new name
   after ebb_params_place), MEMORY. */
EbbStatus ebb_params_declare(EbbParams *params, const char *scope, const EbbParamSpec *spec,
                             int *index) EBB_MUST_CHECK;

/* Lays all declared parameters out, allocates value, gradient and moments, and draws initial values from
   (seed, full name). Called once. Errors: STATE, MEMORY. */
EbbStatus ebb_params_place(EbbParams *params, uint64_t seed) EBB_MUST_CHECK;
bool ebb_params_placed(const EbbParams *params);
uint64_t ebb_params_seed(const EbbParams *params);

int ebb_params_count(const EbbParams *params);
const EbbParam *ebb_params_at(const EbbParams *params, int index);
int ebb_params_find(const EbbParams *params, const char *name); /* -1 where there is none */
int ebb_params_group_count(const EbbParams *params);
const EbbParamGroup *ebb_params_group(const EbbParams *params, int group);

/* Device pointers of one parameter; gradient and moments are NULL for a buffer. */
float *ebb_params_value(const EbbParams *params, int index);
float *ebb_params_grad(const EbbParams *params, int index);
float *ebb_params_moment(const EbbParams *params, int index, int which); /* which 1: m, 2: v */

/* Flat device buffers of all trained parameters, `ebb_params_size` floats each. */
typedef enum EbbFlat { EBB_FLAT_VALUE, EBB_FLAT_GRAD, EBB_FLAT_M, EBB_FLAT_V, EBB_FLATS } EbbFlat;
int64_t ebb_params_size(const EbbParams *params);
/* Trained values in all: what people call the number of parameters. */
int64_t ebb_params_trained(const EbbParams *params);
float *ebb_params_flat(const EbbParams *params, EbbFlat which);
EbbStatus ebb_params_zero_grad(EbbParams *params) EBB_MUST_CHECK;

/* Copies of one parameter's value to and from host memory, by full name. Errors: NOT_FOUND, SHAPE (size),
 * DEVICE. */
EbbStatus ebb_params_read(const EbbParams *params, const char *name, float *host,
                          int64_t size) EBB_MUST_CHECK;
EbbStatus ebb_params_write(EbbParams *params, const char *name, const float *host,
                           int64_t size) EBB_MUST_CHECK;

/* Grows by one whenever a buffer that shapes depend on (an internal length) changes: graphs made before are
   laid out again at their next use. */
uint64_t ebb_params_generation(const EbbParams *params);
void ebb_params_bump(EbbParams *params);

#ifdef __cplusplus
}
#endif
#endif
