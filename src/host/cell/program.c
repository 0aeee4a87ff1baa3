/* Writing a cell's program. The first failure stays in the cell; what is asked for after it does nothing. */
#include "ebb/cell.h"

#include <stdlib.h>
#include <string.h>

static const EbbCellRef nothing = {0};
static const int64_t most_floats = INT32_MAX / 4;

#define FAIL(cell, ...) ((cell)->status = ebb_fail(EBB_INVALID, __VA_ARGS__))

static int64_t aligned(int64_t floats) {
  return (floats + EBB_CELL_ALIGN - 1) / EBB_CELL_ALIGN * EBB_CELL_ALIGN;
}

/* Room for `width` floats at the end of a space of *used. */
static int32_t place(EbbCell *cell, int32_t *used, int64_t width, const char *what) {
  const int64_t at = aligned(*used);
  if (cell->status != EBB_OK) return 0;
  if (width < 1 || at + width > most_floats) {
    FAIL(cell, "cell '%s': a %s of %lld floats; from 1 to %lld are possible", cell->name, what,
         (long long)width, (long long)(most_floats - at));
    return 0;
  }
  *used = (int32_t)(at + width);
  return (int32_t)at;
}

EbbStatus ebb_cell_create(const char *name, int64_t I, EbbCell **out) {
  *out = NULL;
  if (I < 1 || I > most_floats)
    return ebb_fail(EBB_INVALID, "cell '%s': %lld inputs; from 1 to %lld are possible", name, (long long)I,
                    (long long)most_floats);
  EbbCell *cell = calloc(1, sizeof *cell);
  if (!cell) return ebb_fail(EBB_MEMORY, "no memory for the program of cell '%s'", name);
  strncpy(cell->name, name, sizeof cell->name - 1);
  cell->inputs = (int32_t)I;
  cell->repeat = 1;
  *out = cell;
  return EBB_OK;
}

void ebb_cell_destroy(EbbCell *cell) {
  if (!cell) return;
  for (int i = 0; i < cell->n_params; i++) {
    free(cell->param[i].values);
    free(cell->param[i].mask);
  }
  for (int i = 0; i < cell->n_tables; i++) {
    free(cell->table[i].source);
    free(cell->table[i].target);
  }
  free(cell);
}

/* ---- vectors ---- */

EbbCellRef ebb_cell_x(const EbbCell *cell) {
  return (EbbCellRef){.space = EBB_CELL_X, .width = cell->inputs};
}

EbbCellRef ebb_cell_elapsed(EbbCell *cell) {
  cell->uses_elapsed = true;
  return (EbbCellRef){.space = EBB_CELL_ELAPSED};
}

EbbCellRef ebb_cell_constant(double value) {
  return (EbbCellRef){.space = EBB_CELL_CONSTANT, .value = value};
}

EbbCellRef ebb_cell_absent(void) { return nothing; }

/* States stand side by side without gaps: they are the rows of a tensor. */
EbbCellRef ebb_cell_state(EbbCell *cell, int64_t width) {
  if (cell->status != EBB_OK) return nothing;
  if (width < 1 || cell->states + width > most_floats) {
    FAIL(cell, "cell '%s': a state of %lld floats; from 1 to %lld are possible", cell->name, (long long)width,
         (long long)(most_floats - cell->states));
    return nothing;
  }
  cell->states += (int32_t)width;
  return (EbbCellRef){.space = EBB_CELL_STATE, .at = cell->states - (int32_t)width, .width = (int32_t)width};
}

EbbCellRef ebb_cell_slice(EbbCell *cell, EbbCellRef vector, int64_t from, int64_t width) {
  if (cell->status != EBB_OK) return nothing;
  if (from < 0 || width < 1 || from + width > vector.width) {
    FAIL(cell, "cell '%s': elements %lld..%lld of a vector of %d", cell->name, (long long)from,
         (long long)(from + width - 1), vector.width);
    return nothing;
  }
  vector.at += (int32_t)from, vector.width = (int32_t)width;
  return vector;
}

/* ---- parameters ---- */

static float *copy_of(EbbCell *cell, const float *values, int64_t size) {
  if (!values || cell->status != EBB_OK) return NULL;
  float *copy = malloc((size_t)size * sizeof *copy);
  if (copy)
    memcpy(copy, values, (size_t)size * sizeof *copy);
  else
    cell->status = ebb_fail(EBB_MEMORY, "no memory for the parameters of cell '%s'", cell->name);
  return copy;
}

static EbbCellParam *add_param(EbbCell *cell, int64_t size) {
  if (cell->status == EBB_OK && cell->n_params == EBB_CELL_PARAMS)
    FAIL(cell, "cell '%s': more than %d parameters", cell->name, EBB_CELL_PARAMS);
  const int32_t at = place(cell, &cell->arena, size, "parameter");
  if (cell->status != EBB_OK) return NULL;
  EbbCellParam *param = &cell->param[cell->n_params++];
  param->at = at, param->size = (int32_t)size;
  return param;
}

static EbbCellRef vector_of(const EbbCellParam *param) {
  return (EbbCellRef){.space = EBB_CELL_PARAM, .at = param->at, .width = param->size};
}

EbbCellRef ebb_cell_param(EbbCell *cell, const EbbParamSpec *spec, EbbCellMap map, const float *values,
                          const float *mask) {
  if (cell->status != EBB_OK) return nothing;
  if (strlen(spec->name) >= sizeof cell->param[0].name) {
    FAIL(cell, "cell '%s': the name '%s' is too long", cell->name, spec->name);
    return nothing;
  }
  cell->status = ebb_shape_check(&spec->shape);
  if (cell->status != EBB_OK) {
    cell->status = ebb_fail_within(cell->status, "cell '%s', parameter '%s'", cell->name, spec->name);
    return nothing;
  }
  EbbCellParam *param = add_param(cell, ebb_shape_size(&spec->shape));
  if (!param) return nothing;
  memcpy(param->name, spec->name, strlen(spec->name) + 1);
  param->spec = *spec;
  param->spec.name = param->name;
  param->map = map;
  param->values = copy_of(cell, values, param->size);
  param->mask = copy_of(cell, mask, param->size);
  return vector_of(param);
}

EbbCellRef ebb_cell_constants(EbbCell *cell, const float *values, int64_t size) {
  EbbCellParam *param = add_param(cell, size);
  if (!param) return nothing;
  param->constant = true;
  param->values = copy_of(cell, values, size);
  return vector_of(param);
}

EbbCellMatrix ebb_cell_matrix(EbbCell *cell, EbbCellRef param, int64_t outputs, int64_t inputs,
                              bool transposed, int64_t first, int64_t width) {
  if (cell->status != EBB_OK) return (EbbCellMatrix){0};
  if (param.space != EBB_CELL_PARAM || param.width != outputs * inputs || first < 0 || width < 1 ||
      first + width > inputs) {
    FAIL(cell, "cell '%s': columns %lld..%lld of a matrix (%lld, %lld) in a parameter of %d floats",
         cell->name, (long long)first, (long long)(first + width - 1), (long long)outputs, (long long)inputs,
         param.width);
    return (EbbCellMatrix){0};
  }
  const int64_t out_stride = transposed ? 1 : inputs, in_stride = transposed ? outputs : 1;
  return (EbbCellMatrix){.at = param.at + (int32_t)(first * in_stride),
                         .outputs = (int32_t)outputs,
                         .inputs = (int32_t)width,
                         .out_stride = (int32_t)out_stride,
                         .in_stride = (int32_t)in_stride};
}

/* The parameter that a vector is the whole of; -1: none. */
static int32_t param_of(const EbbCell *cell, EbbCellRef vector, int64_t size) {
  for (int32_t i = 0; i < cell->n_params; i++)
    if (vector.space == EBB_CELL_PARAM && cell->param[i].at == vector.at && cell->param[i].size == size)
      return i;
  return -1;
}

static bool list_synapses(EbbCellSynapses *table, const float *exists) {
  const size_t all = (size_t)table->sources * (size_t)table->targets;
  table->source = malloc(all * sizeof *table->source);
  table->target = malloc(all * sizeof *table->target);
  if (!table->source || !table->target) return false;
  for (int32_t j = 0; j < table->targets; j++)
    for (int32_t i = 0; i < table->sources; i++) {
      if (exists && exists[(int64_t)i * table->targets + j] == 0) continue;
      table->source[table->count] = i, table->target[table->count] = j;
      table->count++;
    }
  return true;
}

int ebb_cell_synapses(EbbCell *cell, EbbCellRef w, EbbCellRef sigma, EbbCellRef mu, EbbCellRef erev,
                      int64_t sources, int64_t targets, const float *exists) {
  if (cell->status != EBB_OK) return 0;
  const int64_t size = sources * targets;
  const EbbCellSynapses table = {.sources = (int32_t)sources,
                                 .targets = (int32_t)targets,
                                 .w = param_of(cell, w, size),
                                 .sigma = param_of(cell, sigma, size),
                                 .mu = param_of(cell, mu, size),
                                 .erev = param_of(cell, erev, size)};
  if (table.w < 0 || table.sigma < 0 || table.mu < 0 || table.erev < 0)
    FAIL(cell, "cell '%s': synapses from %lld to %lld neurons need four parameters of that shape", cell->name,
         (long long)sources, (long long)targets);
  else if (cell->n_tables == EBB_CELL_TABLES)
    FAIL(cell, "cell '%s': more than %d lists of synapses", cell->name, EBB_CELL_TABLES);
  if (cell->status != EBB_OK) return 0;
  cell->table[cell->n_tables] = table;
  if (!list_synapses(&cell->table[cell->n_tables++], exists))
    cell->status = ebb_fail(EBB_MEMORY, "no memory for the synapses of cell '%s'", cell->name);
  return cell->n_tables - 1;
}

/* ---- instructions ---- */

static const struct {
  const char *name;
  int operands; /* -1: any number */
} codes[EBB_CELL_CODES] = {
#define EBB_CELL_FORMULA(CODE, name, operands) [EBB_CELL_##CODE] = {#name, operands},
#define EBB_CELL_MOTION(CODE, name)            [EBB_CELL_##CODE] = {#name, -1},
#include "ebb/cell_codes.def"
#undef EBB_CELL_FORMULA
#undef EBB_CELL_MOTION
};

int ebb_cell_code_operands(EbbCellCode code) { return codes[code].operands; }
const char *ebb_cell_code_name(EbbCellCode code) { return codes[code].name; }

int ebb_cell_find_param(const EbbCell *cell, const char *name) {
  for (int32_t i = 0; i < cell->n_params; i++)
    if (strcmp(cell->param[i].name, name) == 0) return i;
  return -1;
}

void ebb_cell_begin(EbbCell *cell, EbbCellSection section, int64_t repeat) {
  if (cell->status != EBB_OK) return;
  if (section < cell->section || repeat < 1 || repeat > 1000000) {
    FAIL(cell, "cell '%s': section %d with %lld repetitions after section %d", cell->name, (int)section,
         (long long)repeat, (int)cell->section);
    return;
  }
  for (int s = (int)cell->section + 1; s <= (int)section; s++) cell->part[s].first = cell->n_instructions;
  cell->section = section;
  if (section == EBB_CELL_BODY) cell->repeat = (int32_t)repeat;
}

/* That an operand stands before the instruction, where that section can read it. */
static bool readable(const EbbCell *cell, const EbbCellRef *vector) {
  switch (vector->space) {
  case EBB_CELL_X:
  case EBB_CELL_PARAM:
  case EBB_CELL_ELAPSED:
  case EBB_CELL_CONSTANT:
  case EBB_CELL_SEQ:
    return true;
  case EBB_CELL_STATE:
  case EBB_CELL_TEMP:
    return cell->section != EBB_CELL_SEQUENCE;
  case EBB_CELL_ABSENT:
    break;
  }
  return false;
}

static bool fits(const EbbCellRef *vector, int64_t width) {
  const bool any = vector->space == EBB_CELL_ELAPSED || vector->space == EBB_CELL_CONSTANT;
  return any || vector->width == width;
}

/* Adds an instruction with a result of `width` floats; operands first .. n-1 must have that width too. */
static EbbCellInstruction *add(EbbCell *cell, EbbCellCode code, int64_t width, int n, const EbbCellRef *from,
                               int first, bool may_lack) {
  if (cell->status != EBB_OK) return NULL;
  if (cell->n_instructions == EBB_CELL_INSTRUCTIONS || n > EBB_CELL_OPERANDS) {
    FAIL(cell, "cell '%s': more than %d instructions, or than %d operands of one", cell->name,
         EBB_CELL_INSTRUCTIONS, EBB_CELL_OPERANDS);
    return NULL;
  }
  for (int i = 0; i < n; i++) {
    const bool absent = may_lack && from[i].space == EBB_CELL_ABSENT;
    if (absent || (readable(cell, &from[i]) && (i < first || fits(&from[i], width)))) continue;
    FAIL(cell, "cell '%s': operand %d of '%s' is %d floats of space %d, where %lld floats are needed",
         cell->name, i, codes[code].name, from[i].width, (int)from[i].space, (long long)width);
    return NULL;
  }
  const bool sequence = cell->section == EBB_CELL_SEQUENCE;
  const int32_t at = place(cell, sequence ? &cell->seqs : &cell->temps, width, "result");
  if (cell->status != EBB_OK) return NULL;
  EbbCellInstruction *instruction = &cell->instruction[cell->n_instructions++];
  instruction->code = code, instruction->operands = n;
  if (n) memcpy(instruction->from, from, (size_t)n * sizeof *from);
  instruction->to =
      (EbbCellRef){.space = sequence ? EBB_CELL_SEQ : EBB_CELL_TEMP, .at = at, .width = (int32_t)width};
  cell->part[cell->section].count++;
  return instruction;
}

EbbCellRef ebb_cell_apply(EbbCell *cell, EbbCellCode code, int64_t width, int n, const EbbCellRef *from) {
  if (cell->status == EBB_OK && codes[code].operands != n)
    FAIL(cell, "cell '%s': '%s' with %d operands", cell->name, codes[code].name, n);
  const EbbCellInstruction *instruction = add(cell, code, width, n, from, 0, false);
  return instruction ? instruction->to : nothing;
}

EbbCellRef ebb_cell_linear(EbbCell *cell, EbbCellMatrix matrix, EbbCellRef from, EbbCellRef plus) {
  if (cell->status == EBB_OK && from.width != matrix.inputs)
    FAIL(cell, "cell '%s': a matrix with %d inputs on a vector of %d", cell->name, matrix.inputs, from.width);
  const EbbCellRef operands[] = {from, plus};
  EbbCellInstruction *instruction =
      add(cell, EBB_CELL_LINEAR, matrix.outputs, 2, operands, 1, plus.space == EBB_CELL_ABSENT);
  if (!instruction) return nothing;
  instruction->matrix = matrix;
  return instruction->to;
}

EbbCellRef ebb_cell_synapse_sums(EbbCell *cell, int table, EbbCellRef from, EbbCellRef plus) {
  if (cell->status != EBB_OK) return nothing;
  const EbbCellSynapses *synapses = &cell->table[table];
  if (from.width != synapses->sources) {
    FAIL(cell, "cell '%s': synapses of %d neurons on a vector of %d", cell->name, synapses->sources,
         from.width);
    return nothing;
  }
  const EbbCellRef operands[] = {from, plus};
  EbbCellInstruction *instruction = add(cell, EBB_CELL_SYNAPSES, 2 * (int64_t)synapses->targets, 2, operands,
                                        1, plus.space == EBB_CELL_ABSENT);
  if (!instruction) return nothing;
  instruction->table = table;
  return instruction->to;
}

EbbCellRef ebb_cell_combine(EbbCell *cell, EbbCellRef start, EbbCellRef scale, int n, const double *c,
                            const EbbCellRef *from) {
  EbbCellRef operands[EBB_CELL_OPERANDS] = {start, scale};
  if (cell->status == EBB_OK && (n < 1 || n > EBB_CELL_OPERANDS - 2))
    FAIL(cell, "cell '%s': a combination of %d vectors", cell->name, n);
  if (cell->status != EBB_OK) return nothing;
  memcpy(operands + 2, from, (size_t)n * sizeof *from);
  EbbCellInstruction *instruction =
      add(cell, EBB_CELL_COMBINE, from[0].width, n + 2, operands, 0, start.space == EBB_CELL_ABSENT);
  if (!instruction) return nothing;
  memcpy(instruction->c, c, (size_t)n * sizeof *c);
  return instruction->to;
}

EbbCellRef ebb_cell_grouped(EbbCell *cell, EbbCellCode code, int64_t group, EbbCellRef from) {
  if (cell->status != EBB_OK) return nothing;
  if (group < 1 || (code != EBB_CELL_REPEAT && from.width % group != 0)) {
    FAIL(cell, "cell '%s': groups of %lld in a vector of %d", cell->name, (long long)group, from.width);
    return nothing;
  }
  const int64_t width = code == EBB_CELL_REPEAT      ? from.width * group
                        : code == EBB_CELL_GROUP_SUM ? from.width / group
                                                     : from.width;
  EbbCellInstruction *instruction = add(cell, code, width, 1, &from, 1, false);
  if (!instruction) return nothing;
  instruction->group = (int32_t)group;
  return instruction->to;
}

void ebb_cell_move(EbbCell *cell, EbbCellRef state, EbbCellRef from) {
  if (cell->status != EBB_OK) return;
  EbbCellPart *part = &cell->part[cell->section];
  if (cell->section == EBB_CELL_SEQUENCE || part->moves == EBB_CELL_MOVES || state.space != EBB_CELL_STATE ||
      from.width != state.width || from.space == EBB_CELL_STATE || from.space == EBB_CELL_PARAM)
    FAIL(cell, "cell '%s': a state of %d floats cannot be replaced by %d floats of space %d here", cell->name,
         state.width, from.width, (int)from.space);
  else
    part->move[part->moves++] = (EbbCellMove){state, from};
}

EbbStatus ebb_cell_finish(EbbCell *cell, EbbCellRef output) {
  if (cell->status != EBB_OK) return cell->status;
  for (int s = (int)cell->section + 1; s < EBB_CELL_SECTIONS; s++) cell->part[s].first = cell->n_instructions;
  cell->output = output;
  if (output.width >= 1) return EBB_OK;
  return FAIL(cell, "cell '%s': no output", cell->name);
}
