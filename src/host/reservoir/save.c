/* Reservoirs and their states in safetensors files:
     setting.NAME (), W_in (H, I), W.start (H + 1), W.column and W.value (synapses), state.FIELD (B, H). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/safetensors.h"
#include "host/finite.h"
#include "host/reservoir/reservoir_internal.h"

enum { NAME_BYTES = 64, MAX_NAMES = RESERVOIR_MAX_SETTINGS + RESERVOIR_MAX_FIELDS };

static const char format[] = "ebb-reservoir-1";

typedef struct Names {
  char text[MAX_NAMES][NAME_BYTES];
  int n;
} Names;

static const char *name_of(Names *names, const char *group, const char *name) {
  char *text = names->text[names->n++];
  snprintf(text, NAME_BYTES, "%s.%s", group, name);
  return text;
}

static EbbShape shape_of(int rank, int64_t rows, int64_t columns) {
  const int64_t dim[] = {rows, columns};
  return ebb_shape_from(rank, dim);
}

static EbbStatus add_weights(EbbSafetensorsWriter *file, const EbbReservoir *r) {
  const int64_t synapses = ebb_reservoir_synapses(r);
  const EbbShape inputs = shape_of(2, r->units, r->inputs), rows = shape_of(1, r->units + 1, 0),
                 entries = shape_of(1, synapses, 0);
  EBB_TRY(ebb_safetensors_writer_add(file, "W_in", EBB_ST_F64, &inputs, r->W_in));
  EBB_TRY(ebb_safetensors_writer_add(file, "W.start", EBB_ST_I64, &rows, r->W.start));
  EBB_TRY(ebb_safetensors_writer_add(file, "W.column", EBB_ST_I32, &entries, r->W.column));
  return ebb_safetensors_writer_add(file, "W.value", EBB_ST_F64, &entries, r->W.value);
}

static EbbStatus add_all(EbbSafetensorsWriter *file, const EbbReservoir *r, const EbbReservoirState *state,
                         Names *names) {
  const EbbShape scalar = shape_of(0, 0, 0);
  EBB_TRY(ebb_safetensors_writer_metadata(file, "format", format));
  EBB_TRY(ebb_safetensors_writer_metadata(file, "kind", r->kind->name));
  for (int i = 0; i < r->kind->n_settings; i++)
    EBB_TRY(ebb_safetensors_writer_add(file, name_of(names, "setting", r->kind->setting[i].name), EBB_ST_F64,
                                       &scalar, &r->setting[i]));
  EBB_TRY(add_weights(file, r));
  if (!state) return EBB_OK;
  const EbbShape field = shape_of(2, state->batch, r->units);
  for (int i = 0; i < r->kind->n_fields; i++)
    EBB_TRY(ebb_safetensors_writer_add(file, name_of(names, "state", r->kind->field[i]), EBB_ST_F64, &field,
                                       state->values + i * (int64_t)state->batch * r->units));
  return EBB_OK;
}

EbbStatus ebb_reservoir_save(const EbbReservoir *reservoir, const EbbReservoirState *state,
                             const char *path) {
  Names names = {.n = 0};
  EbbSafetensorsWriter *file;
  EBB_TRY(ebb_safetensors_writer_create(&file));
  EbbStatus status = add_all(file, reservoir, state, &names);
  if (status == EBB_OK) status = ebb_safetensors_writer_commit(file, path);
  ebb_safetensors_writer_destroy(file);
  return status;
}

static EbbStatus find(const EbbSafetensors *file, const char *name, EbbShape shape,
                      const EbbStoredTensor **out) {
  char is[96], needed[96];
  *out = ebb_safetensors_find(file, name);
  if (!*out) {
    (void)ebb_fail(EBB_FORMAT, "tensor '%s' is missing", name);
    return EBB_FORMAT;
  }
  if (ebb_shape_equal(&(*out)->shape, &shape)) return EBB_OK;
  return ebb_fail(EBB_FORMAT, "tensor '%s' is %s, where %s is needed", name,
                  ebb_shape_text(&(*out)->shape, is, sizeof is),
                  ebb_shape_text(&shape, needed, sizeof needed));
}

static EbbStatus read_doubles(const EbbSafetensors *file, const char *name, EbbShape shape, double *out) {
  const EbbStoredTensor *tensor;
  EBB_TRY(find(file, name, shape, &tensor));
  const int64_t size = ebb_shape_size(&shape);
  EBB_TRY(ebb_stored_doubles(tensor, out, size));
  return ebb_check_finite(name, out, size);
}

static EbbStatus read_settings(const EbbSafetensors *file, const ReservoirKind *kind, double *setting) {
  for (int i = 0; i < kind->n_settings; i++) {
    Names names = {.n = 0};
    const char *name = name_of(&names, "setting", kind->setting[i].name);
    EBB_TRY(read_doubles(file, name, shape_of(0, 0, 0), &setting[i]));
  }
  return EBB_OK;
}

static EbbStatus check_entries(const SparseMatrix *matrix, int64_t entries, const int64_t *columns) {
  for (int row = 0; row < matrix->rows; row++)
    if (matrix->start[row] > matrix->start[row + 1] || matrix->start[row] < 0)
      return ebb_fail(EBB_FORMAT, "tensor 'W.start' falls at row %d", row);
  if (matrix->start[0] || matrix->start[matrix->rows] != entries)
    return ebb_fail(EBB_FORMAT, "tensor 'W.start' does not lead from 0 to %lld", (long long)entries);
  for (int64_t i = 0; i < entries; i++)
    if (columns[i] < 0 || columns[i] >= matrix->rows)
      return ebb_fail(EBB_FORMAT, "'W.column'[%lld] is %lld of %d units", (long long)i, (long long)columns[i],
                      matrix->rows);
  return EBB_OK;
}

static EbbStatus read_columns(const EbbSafetensors *file, const EbbStoredTensor *values, SparseMatrix *matrix,
                              int64_t *columns) {
  const int64_t entries = values->shape.dim[0];
  const EbbStoredTensor *column, *start;
  EBB_TRY(find(file, "W.start", shape_of(1, matrix->rows + 1, 0), &start));
  EBB_TRY(find(file, "W.column", values->shape, &column));
  EBB_TRY(ebb_stored_integers(start, matrix->start, matrix->rows + 1));
  EBB_TRY(ebb_stored_integers(column, columns, entries));
  EBB_TRY(check_entries(matrix, entries, columns));
  for (int64_t i = 0; i < entries; i++) matrix->column[i] = (int)columns[i];
  return read_doubles(file, "W.value", values->shape, matrix->value);
}

static EbbStatus read_weights(const EbbSafetensors *file, EbbReservoir *r) {
  EBB_TRY(read_doubles(file, "W_in", shape_of(2, r->units, r->inputs), r->W_in));
  const EbbStoredTensor *values = ebb_safetensors_find(file, "W.value");
  if (!values || values->shape.rank != 1)
    return ebb_fail(EBB_FORMAT, "tensor 'W.value' (synapses) is missing");
  EBB_TRY(sparse_create(r->units, values->shape.dim[0], &r->W));
  int64_t *columns = malloc((size_t)(values->shape.dim[0] + 1) * sizeof *columns);
  EbbStatus status = columns ? read_columns(file, values, &r->W, columns)
                             : ebb_fail(EBB_MEMORY, "no memory for %d units", r->units);
  free(columns);
  return status;
}

static EbbStatus read_reservoir(const EbbSafetensors *file, EbbReservoir **out) {
  const ReservoirKind *const kinds[] = {&reservoir_echo, &reservoir_spiking}, *kind = NULL;
  const char *stored = ebb_safetensors_metadata(file, "format"),
             *name = ebb_safetensors_metadata(file, "kind");
  for (int i = 0; i < 2; i++)
    if (name && !strcmp(name, kinds[i]->name)) kind = kinds[i];
  if (!stored || strcmp(stored, format) != 0 || !kind) {
    (void)ebb_fail(EBB_FORMAT, "is no reservoir of format %s", format);
    return EBB_FORMAT;
  }
  const EbbStoredTensor *W_in = ebb_safetensors_find(file, "W_in");
  if (!W_in || W_in->shape.rank != 2 || W_in->shape.dim[0] > RESERVOIR_MAX_UNITS ||
      W_in->shape.dim[1] > RESERVOIR_MAX_INPUTS) {
    (void)ebb_fail(EBB_FORMAT, "tensor 'W_in' (units, inputs) is missing or too large");
    return EBB_FORMAT;
  }
  double setting[RESERVOIR_MAX_SETTINGS];
  EBB_TRY(read_settings(file, kind, setting));
  EBB_TRY(reservoir_create(kind, (int)W_in->shape.dim[1], (int)W_in->shape.dim[0], setting, out));
  EbbReservoir *made = *out;
  return reservoir_finish(read_weights(file, made), made, out);
}

static EbbStatus read_state(const EbbSafetensors *file, const EbbReservoir *r, EbbReservoirState **out) {
  Names names = {.n = 0};
  const EbbStoredTensor *first = ebb_safetensors_find(file, name_of(&names, "state", r->kind->field[0]));
  if (!first) return EBB_OK;
  if (first->shape.rank != 2 || first->shape.dim[0] > INT32_MAX)
    return ebb_fail(EBB_FORMAT, "tensor '%s' is not (sequences, units)", first->name);
  EBB_TRY(ebb_reservoir_state_create(r, (int)first->shape.dim[0], out));
  const EbbShape shape = shape_of(2, (*out)->batch, r->units);
  EbbStatus status = EBB_OK;
  for (int i = 0; status == EBB_OK && i < r->kind->n_fields; i++) {
    names.n = 0;
    status = read_doubles(file, name_of(&names, "state", r->kind->field[i]), shape,
                          ebb_reservoir_field(*out, r->kind->field[i]));
  }
  if (status == EBB_OK) return EBB_OK;
  ebb_reservoir_state_destroy(*out);
  *out = NULL;
  return status;
}

static EbbStatus read_both(const EbbSafetensors *file, EbbReservoir **reservoir, EbbReservoirState **state) {
  EBB_TRY(read_reservoir(file, reservoir));
  EbbReservoir *made = *reservoir;
  return state ? reservoir_finish(read_state(file, made, state), made, reservoir) : EBB_OK;
}

EbbStatus ebb_reservoir_restore(const char *path, EbbReservoir **reservoir, EbbReservoirState **state) {
  *reservoir = NULL;
  if (state) *state = NULL;
  EbbSafetensors *file;
  EBB_TRY(ebb_safetensors_open(path, &file));
  EbbStatus status = read_both(file, reservoir, state);
  ebb_safetensors_close(file);
  return status == EBB_OK ? EBB_OK : ebb_fail_within(status, "reservoir '%s'", path);
}
