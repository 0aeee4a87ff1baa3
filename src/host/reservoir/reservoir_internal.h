/* Reservoirs inside; shared by the files of this folder. */
#ifndef EBB_HOST_RESERVOIR_INTERNAL_H
#define EBB_HOST_RESERVOIR_INTERNAL_H

#include <stdbool.h>

#include "ebb/reservoir.h"

enum {
  RESERVOIR_MAX_FIELDS = 5,
  RESERVOIR_MAX_SETTINGS = 8,
  RESERVOIR_MAX_UNITS = 1 << 20,
  RESERVOIR_MAX_INPUTS = 1 << 20
};

/* A matrix of `rows` rows by its entries other than 0. */
typedef struct SparseMatrix {
  int rows;
  int64_t *start; /* (rows + 1) */
  int *column;
  double *value;
} SparseMatrix;

typedef struct ReservoirKind ReservoirKind;

struct EbbReservoir {
  const ReservoirKind *kind;
  int inputs, units;
  double setting[RESERVOIR_MAX_SETTINGS];
  double *W_in;   /* (H, I) */
  SparseMatrix W; /* (H, H) */
};

struct EbbReservoirState {
  const EbbReservoir *reservoir;
  int batch;
  double *values, *scratch; /* (fields, B, H), (B, H) */
};

/* The fields of one sequence, (H) each, in the order of the kind; scratch (H) is the drive of a step. */
typedef struct Sequence {
  double *field[RESERVOIR_MAX_FIELDS], *scratch;
} Sequence;

/* The range of a setting; `open`: min itself is outside. */
typedef struct ReservoirSetting {
  const char *name;
  double min, max;
  bool open, whole;
} ReservoirSetting;

struct ReservoirKind {
  const char *name;
  const char *field[RESERVOIR_MAX_FIELDS];
  int n_fields, output; /* the field that a step gives */
  ReservoirSetting setting[RESERVOIR_MAX_SETTINGS];
  int n_settings;
  bool positive_inputs; /* of drawn W_in */
  void (*step)(const EbbReservoir *reservoir, const Sequence *sequence, const double *u);
};

extern const ReservoirKind reservoir_echo, reservoir_spiking;

enum { ECHO_H };
enum { ECHO_LEAK };
enum { SPIKING_V, SPIKING_CURRENT, SPIKING_SPIKE, SPIKING_TRACE, SPIKING_REFRACTORY };
enum {
  SPIKING_DT,
  SPIKING_TAU_M,
  SPIKING_TAU_SYN,
  SPIKING_V_TH,
  SPIKING_V_RESET,
  SPIKING_GAIN_IN,
  SPIKING_GAIN_SYN,
  SPIKING_REFRACTORY_STEPS
};

/* A reservoir without weights. Errors: INVALID (a setting or size out of its range), MEMORY. */
EbbStatus reservoir_create(const ReservoirKind *kind, int inputs, int units, const double *setting,
                           EbbReservoir **out) EBB_MUST_CHECK;
/* Copies and draws its weights. Errors: INVALID, NUMERIC, MEMORY. */
EbbStatus reservoir_take(EbbReservoir *reservoir, const EbbReservoirWeights *weights) EBB_MUST_CHECK;
EbbStatus reservoir_draw(EbbReservoir *reservoir, const EbbReservoirDraw *draw) EBB_MUST_CHECK;
/* Hands a finished reservoir out, or frees it and sets *out to NULL. */
EbbStatus reservoir_finish(EbbStatus status, EbbReservoir *reservoir, EbbReservoir **out) EBB_MUST_CHECK;

EbbStatus sparse_create(int rows, int64_t entries, SparseMatrix *out) EBB_MUST_CHECK;
void sparse_free(SparseMatrix *matrix);
double sparse_row_times(const SparseMatrix *matrix, int row, const double *x);
/* The largest modulus of an eigenvalue. Errors: NUMERIC, MEMORY. */
EbbStatus sparse_radius(const SparseMatrix *matrix, double *radius) EBB_MUST_CHECK;

#endif
