#include "host/ops/cell_gpu.h"

#include <stdlib.h>
#include <string.h>

/* What a launch's partial sums may take; what LINEAR of the steps keeps for one launch of backward, and the
   launch's steps. */
static const int64_t part_bytes = 64 << 20, kept_bytes = 256 << 20, most_steps = 512;
/* Shared memory that every device gives a block; launches use what theirs has. */
static const int64_t least_shared = 99 * 1024;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---- tables ---- */

typedef struct Bytes {
  const void *data;
  size_t size;
} Bytes;

static void fill_bytes(const void *context, void *host) {
  const Bytes *bytes = context;
  memcpy(host, bytes->data, bytes->size);
}

static EbbStatus bytes_table(EbbSetup *setup, const void *data, int64_t count, size_t size, void *memory) {
  const Bytes bytes = {data, (size_t)count * size};
  return ebb_setup_table(setup, bytes.size, fill_bytes, &bytes, memory);
}

static void fill_constants(const void *context, void *host) {
  const EbbCellArgs *args = context;
  float *to = host;
  memset(to, 0, (size_t)args->cuda.arena * sizeof *to);
  for (int32_t p = 0; p < args->cell->n_params; p++) {
    const EbbCellParam *param = &args->cell->param[p];
    if (param->constant) memcpy(to + args->cuda.at[p], param->values, (size_t)param->size * sizeof *to);
  }
}

static void fill_mask(const void *context, void *host) {
  const EbbCellArgs *args = context;
  float *to = host;
  memset(to, 0, (size_t)args->cuda.arena * sizeof *to);
  for (int32_t p = 0; p < args->cell->n_params; p++) {
    const EbbCellParam *param = &args->cell->param[p];
    for (int32_t i = 0; i < param->size; i++) to[args->cuda.at[p] + i] = param->mask ? param->mask[i] : 1;
  }
}

/* Lists of synapses: by target as they come, or sorted by source. */
static void fill_starts(const int32_t *sorted, int32_t count, int32_t ends, int32_t *start) {
  int32_t at = 0;
  for (int32_t i = 0; i <= ends; i++) {
    while (at < count && sorted[at] < i) at++;
    start[i] = at;
  }
}

static void fill_target_start(const void *context, void *host) {
  const EbbCellSynapses *s = context;
  fill_starts(s->target, s->count, s->targets, host);
}

static void fill_source_start(const void *context, void *host) {
  const EbbCellSynapses *s = context;
  int32_t *start = host;
  memset(start, 0, ((size_t)s->sources + 1) * sizeof *start);
  for (int32_t i = 0; i < s->count; i++) start[s->source[i] + 1]++;
  for (int32_t i = 0; i < s->sources; i++) start[i + 1] += start[i];
}

/* The synapses by source: calls for each its place and its index by target. */
static void visit_by_source(const EbbCellSynapses *s, int32_t *to, bool elements) {
  int32_t at = 0;
  for (int32_t source = 0; source < s->sources; source++)
    for (int32_t i = 0; i < s->count; i++)
      if (s->source[i] == source) to[at++] = elements ? source * s->targets + s->target[i] : s->target[i];
}

static void fill_target(const void *context, void *host) { visit_by_source(context, host, false); }

static void fill_element(const void *context, void *host) {
  const EbbCellSynapses *s = context;
  int32_t *to = host;
  for (int32_t i = 0; i < s->count; i++) to[i] = s->source[i] * s->targets + s->target[i];
  visit_by_source(s, to + s->count, true);
}

static EbbStatus setup_table(EbbSetup *setup, const EbbCellSynapses *from, EbbCellCuda *cuda,
                             EbbCellTable *to) {
  const size_t word = sizeof(int32_t), count = (size_t)from->count;
  *to = (EbbCellTable){.count = from->count,
                       .sources = from->sources,
                       .targets = from->targets,
                       .w = cuda->at[from->w],
                       .sigma = cuda->at[from->sigma],
                       .mu = cuda->at[from->mu],
                       .erev = cuda->at[from->erev]};
  EBB_TRY(ebb_setup_table(setup, ((size_t)from->targets + 1) * word, fill_target_start, from,
                          (void *)&to->target_start));
  EBB_TRY(ebb_setup_table(setup, ((size_t)from->sources + 1) * word, fill_source_start, from,
                          (void *)&to->source_start));
  EBB_TRY(bytes_table(setup, from->source, from->count, word, (void *)&to->source));
  EBB_TRY(ebb_setup_table(setup, count * word, fill_target, from, (void *)&to->target));
  EBB_TRY(ebb_setup_table(setup, 2 * count * word, fill_element, from, (void *)&to->element));
  EBB_TRY(ebb_setup_saved(setup, 4 * sizeof(float) * count, (void *)&to->by_target));
  return ebb_setup_saved(setup, 4 * sizeof(float) * count, (void *)&to->by_source);
}

static void fill_positions(const void *context, void *host) {
  const EbbCellSynapses *s = context;
  int32_t *position = host, next = 0;
  for (int32_t i = 0; i < s->sources * s->targets; i++) position[i] = -1;
  for (int32_t i = 0; i < s->count; i++) position[s->source[i] * s->targets + s->target[i]] = 0;
  for (int32_t i = 0; i < s->sources * s->targets; i++)
    if (position[i] == 0) position[i] = next++;
}

static EbbStatus setup_ltc(EbbSetup *setup, const EbbCell *cell, EbbCellLtc *ltc) {
  if (ltc->H == 0) return EBB_OK;
  return ebb_setup_table(setup, (size_t)ltc->H * (size_t)ltc->H * sizeof(int32_t), fill_positions,
                         &cell->table[ltc->table], (void *)&ltc->position);
}

static EbbStatus setup_lists(EbbSetup *setup, EbbCellProgram *program, const EbbCellList *list) {
  EBB_TRY(bytes_table(setup, list->op, list->n_ops, sizeof *list->op, (void *)&program->ops));
  EBB_TRY(bytes_table(setup, list->scalar, list->n_scalars, sizeof(float), (void *)&program->scalars));
  EBB_TRY(bytes_table(setup, list->load, list->n_loads, sizeof *list->load, (void *)&program->load));
  return bytes_table(setup, list->home, list->n_home, sizeof(int32_t), (void *)&program->home);
}

static EbbStatus setup_tables(EbbSetup *setup, EbbCellArgs *args, const EbbCellWriter *writer) {
  EbbCellCuda *cuda = &args->cuda;
  const size_t arena = (size_t)args->cuda.arena * sizeof(float);
  EBB_TRY(ebb_setup_saved(setup, arena, (void *)&args->arena));
  EBB_TRY(setup_lists(setup, &cuda->rows, &writer->rows));
  EBB_TRY(setup_lists(setup, &cuda->steps, &writer->steps));
  EBB_TRY(ebb_setup_table(setup, arena, fill_constants, args, (void *)&cuda->constant));
  EBB_TRY(ebb_setup_table(setup, arena, fill_mask, args, (void *)&cuda->mask));
  cuda->n_tables = args->cell->n_tables;
  for (int t = 0; t < cuda->n_tables; t++)
    EBB_TRY(setup_table(setup, &args->cell->table[t], cuda, &cuda->table[t]));
  return setup_ltc(setup, args->cell, &cuda->ltc);
}

/* ---- launches and memory ---- */

/* Threads for the widest op; a thread takes eight synapses or 32 weights before there are more. */
static int32_t threads_for(const EbbCell *cell, const EbbCellOp *op, int32_t count) {
  int64_t most = 32;
  for (int32_t i = 0; i < count; i++) {
    most = larger(most, op[i].width);
    if (op[i].code == EBB_CELL_SYNAPSES) most = larger(most, cell->table[op[i].table].count / 8);
    if (op[i].code == EBB_CELL_LINEAR)
      most = larger(most, (int64_t)op[i].matrix.outputs * op[i].matrix.inputs / 32);
  }
  return (int32_t)smaller((most + 31) / 32 * 32, EBB_CELL_THREADS);
}

static void plan(EbbCellProgram *program, const EbbCell *cell, const EbbCellList *list, int64_t samples) {
  program->threads = threads_for(cell, list->op, list->n_ops);
  program->scratch = program->threads;
  const int64_t few = part_bytes / larger(1, (int64_t)sizeof(float) * program->sums);
  program->blocks = larger(1, smaller(samples, larger(EBB_CELL_BLOCKS / 4, smaller(few, EBB_CELL_BLOCKS))));
}

static EbbStatus floats(EbbSetup *setup, int64_t count, void *memory) {
  return ebb_setup_scratch(setup, (size_t)count * sizeof(float), memory);
}

/* Steps whose LINEAR fit in what is kept, in launches of equal length. */
static int64_t chunk_of(const EbbCellArgs *args) {
  const EbbCellCuda *cuda = &args->cuda;
  const int64_t step = 4 * args->B * (cuda->once_floats + (int64_t)args->cell->repeat * cuda->body_floats);
  const int64_t most = larger(1, smaller(args->T, step ? smaller(kept_bytes / step, most_steps) : args->T));
  const int64_t launches = (args->T + most - 1) / most;
  return (args->T + launches - 1) / launches;
}

static EbbStatus setup_backward(EbbSetup *setup, EbbCellArgs *args) {
  EbbCellCuda *cuda = &args->cuda;
  cuda->chunk = chunk_of(args);
  const int64_t rows = args->B * cuda->chunk;
  EBB_TRY(floats(setup, args->B * args->T * args->cell->seqs, (void *)&cuda->dseq));
  EBB_TRY(floats(setup, args->cuda.arena, (void *)&cuda->darena));
  EBB_TRY(floats(setup, args->B * args->S, (void *)&cuda->carry));
  EBB_TRY(floats(setup, cuda->rows.blocks * cuda->rows.sums, (void *)&cuda->rows.part));
  EBB_TRY(floats(setup, cuda->steps.blocks * cuda->steps.sums, (void *)&cuda->steps.part));
  EBB_TRY(floats(setup, rows * cuda->once_floats, (void *)&cuda->once));
  return floats(setup, rows * args->cell->repeat * cuda->body_floats, (void *)&cuda->body);
}

/* Memory for blocks whose vectors may not fit in shared memory: the larger program's, with gradients. */
static EbbStatus setup_work(EbbSetup *setup, EbbCellArgs *args) {
  EbbCellCuda *cuda = &args->cuda;
  const int64_t kept = (args->cell->repeat + 2) * args->S;
  const int64_t widest = larger(cuda->rows.vectors, cuda->steps.vectors);
  const int64_t ops = larger(cuda->rows.n_ops, cuda->steps.n_ops) * (int64_t)sizeof(EbbCellOp);
  if (ops + 4 * (2 * widest + kept + EBB_CELL_THREADS) <= least_shared) return EBB_OK;
  const int64_t blocks = larger(cuda->rows.blocks, cuda->steps.blocks);
  EBB_TRY(floats(setup, blocks * 2 * widest, (void *)&cuda->vectors));
  return floats(setup, blocks * kept, (void *)&cuda->kept);
}

/* Whether a product of all rows reads x: it would meet what stands in the padding. */
static bool multiplies_x(const EbbCell *cell) {
  for (int32_t i = 0; i < cell->part[EBB_CELL_SEQUENCE].count; i++)
    if (cell->instruction[i].code == EBB_CELL_LINEAR && cell->instruction[i].from[0].space == EBB_CELL_X)
      return true;
  return false;
}

static EbbStatus setup_memory(EbbSetup *setup, EbbCellArgs *args, const EbbCellWriter *writer,
                              bool has_lengths) {
  EbbCellCuda *cuda = &args->cuda;
  if (has_lengths && multiplies_x(args->cell))
    EBB_TRY(floats(setup, args->B * args->T * args->I, (void *)&cuda->masked_x));
  plan(&cuda->rows, args->cell, &writer->rows, args->B * args->T);
  plan(&cuda->steps, args->cell, &writer->steps, args->B);
  const int64_t seq = args->B * args->T * args->cell->seqs;
  EBB_TRY(ebb_setup_saved(setup, (size_t)seq * sizeof(float), (void *)&cuda->seq));
  const size_t weights = ebb_cell_may_tile(args) ? (size_t)cuda->tiling.blocks * EBB_CELL_BLOCK_BYTES : 0;
  EBB_TRY(ebb_setup_saved(setup, weights, (void *)&cuda->weights));
  EBB_TRY(setup_work(setup, args));
  return ebb_setup_training(setup) ? setup_backward(setup, args) : EBB_OK;
}

EbbStatus ebb_cell_setup_gpu(EbbSetup *setup, EbbCellArgs *args, bool has_lengths) {
  EbbCellWriter *writer = malloc(sizeof *writer);
  if (!writer) return ebb_fail(EBB_MEMORY, "no memory for the program of cell '%s'", args->cell->name);
  EbbStatus status = ebb_cell_writer_begin(writer, args->cell, &args->cuda);
  if (status == EBB_OK) status = setup_tables(setup, args, writer);
  if (status == EBB_OK) status = setup_memory(setup, args, writer, has_lengths);
  ebb_cell_writer_end(writer);
  free(writer);
  return status;
}
