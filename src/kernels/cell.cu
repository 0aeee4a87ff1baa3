/* The launches of a cell: parameters, the SEQUENCE section as runs of ops and matrix products of all rows,
   the steps; backward the same the other way round, the steps a chunk of time at a time. */
#include "kernels/cell.cuh"

#include "host/ops/cell_gpu.h"

namespace {

/* Hands out shared memory, in floats. */
struct Shared {
  int64_t used, limit;
  bool full; /* something that must stand together with what follows found no room */

  int32_t take(int64_t floats, int64_t most) {
    if (used + floats > most) return -1;
    const int64_t at = used;
    used += (floats + 3) / 4 * 4;
    return (int32_t)at;
  }
  /* For what has device memory of the block only where setup saw that it may need it: nothing is taken once
     something did not fit, so that a larger limit never takes less. */
  int32_t must(int64_t floats) {
    const int32_t at = full ? -1 : take(floats, limit);
    full |= at < 0;
    return at;
  }
};

CellPlaces places_of(const EbbCellArgs &args, const EbbRun *run, const EbbCellProgram &program, bool steps,
                     bool back) {
  const int64_t processors = ebb_cuda_multiprocessors(run->device), words = sizeof(EbbCellOp) / sizeof(float);
  Shared shared = {0, ebb_cuda_shared_limit(run->device) / (int64_t)sizeof(float), false};
  /* Up to four blocks are to run beside each other on a multiprocessor where there are as many. */
  const int64_t beside = (program.blocks + processors - 1) / processors;
  const int64_t share = shared.limit / (beside > 4 ? 4 : beside);
  CellPlaces at = {};
  at.scratch = shared.must(program.scratch);
  at.ops = shared.take(program.n_ops * words, shared.limit / 8);
  at.vectors = shared.must(program.vectors);
  if (back) at.gradients = shared.must(program.vectors);
  if (back && steps) at.kept = shared.must((args.cell->repeat + 2) * args.S);
  if (back) at.sums = shared.take(program.sums, share);
  for (int k = 0; k < EBB_CELL_TABLES; k++) {
    const bool used = k < args.cuda.n_tables && program.sums_of[k] >= 0;
    const int64_t floats = (int64_t)4 * args.cuda.table[k].count;
    at.by_target[k] = used && (steps || !back) ? shared.take(floats, share) : -1;
    at.by_source[k] = used && back ? shared.take(floats, share) : -1;
  }
  at.parameters = steps ? shared.take(program.parameters, share) : -1;
  at.bytes = (size_t)shared.used * sizeof(float);
  return at;
}

EbbCellGpu gpu_of(const EbbRun *run) {
  return {ebb_cuda_multiprocessors(run->device), ebb_cuda_shared_limit(run->device) / (int64_t)sizeof(float),
          ebb_cuda_precision(run->device)};
}

bool runs_by_tile(const EbbCellArgs &args, const EbbRun *run, bool back) {
  const EbbCellGpu gpu = gpu_of(run);
  return ebb_cell_tile_refusal(&args, &gpu, back) == nullptr;
}

/* ---- SEQUENCE's matrix products ---- */

struct Rows {
  float *at;
  int64_t ld;
};

Rows rows_of(const EbbCellArgs &args, const EbbCellRef &ref, float *seq, float *x) {
  if (ref.space == EBB_CELL_X) return {x ? x + ref.at : nullptr, args.I};
  return {seq + ref.at, args.cell->seqs};
}

float *x_of(const EbbCellArgs &args) {
  return args.cuda.masked_x ? args.cuda.masked_x : const_cast<float *>(args.x);
}

int32_t matrix_at(const EbbCellArgs &args, const EbbCellMatrix &matrix) {
  int32_t p = 0;
  while (p + 1 < args.cell->n_params && args.cell->param[p + 1].at <= matrix.at) p++;
  return args.cuda.at[p] + matrix.at - args.cell->param[p].at;
}

/* The weights as an operand: (outputs, inputs) or, transposed, (inputs, outputs). */
EbbCudaMatrix weights(const float *at, const EbbCellMatrix &matrix, bool transposed) {
  const bool rows = matrix.in_stride == 1;
  return {at, EBB_F32, rows ? matrix.out_stride : matrix.in_stride, 0, rows == transposed};
}

EbbStatus product(const EbbRun *run, const EbbCudaMatrix &a, const EbbCudaMatrix &b, const Rows &c, int64_t m,
                  int64_t n, int64_t k, float beta) {
  EbbCudaGemm gemm = {};
  gemm.a = a, gemm.b = b, gemm.c = c.at, gemm.ldc = c.ld;
  gemm.m = m, gemm.n = n, gemm.k = k, gemm.batch = 1;
  gemm.alpha = 1, gemm.beta = beta;
  return ebb_cuda_gemm(run, &gemm);
}

/* dW += delta^T x over all rows, at float `at` of the parameters' gradients. */
EbbStatus weight_gradient(const EbbCellArgs &args, const EbbRun *run, const EbbCellMatrix &matrix, int32_t at,
                          const Rows &delta, const Rows &x, int64_t rows) {
  const bool straight = matrix.in_stride == 1;
  const Rows &left = straight ? delta : x, &right = straight ? x : delta;
  const Rows to = {args.cuda.darena + at, straight ? matrix.out_stride : matrix.in_stride};
  return product(run, {left.at, EBB_F32, left.ld, 0, true}, {right.at, EBB_F32, right.ld, 0, false}, to,
                 straight ? matrix.outputs : matrix.inputs, straight ? matrix.inputs : matrix.outputs, rows,
                 1);
}

EbbStatus linear_forward(const EbbCellArgs &args, const EbbRun *run, const EbbCellInstruction &linear) {
  const EbbCellMatrix &w = linear.matrix;
  const Rows x = rows_of(args, linear.from[0], args.cuda.seq, x_of(args));
  const Rows y = rows_of(args, linear.to, args.cuda.seq, nullptr);
  const bool adds = linear.operands > 1 && linear.from[1].space != EBB_CELL_ABSENT;
  return product(run, {x.at, EBB_F32, x.ld, 0, false}, weights(args.arena + matrix_at(args, w), w, true), y,
                 args.B * args.T, w.outputs, w.inputs, adds ? 1.0f : 0.0f);
}

EbbStatus linear_backward(const EbbCellArgs &args, const EbbRun *run, const EbbCellInstruction &linear) {
  const EbbCellMatrix &w = linear.matrix;
  const int64_t rows = args.B * args.T;
  const int32_t at = matrix_at(args, w);
  const Rows x = rows_of(args, linear.from[0], args.cuda.seq, x_of(args));
  const Rows dx = rows_of(args, linear.from[0], args.cuda.dseq, args.dx);
  const Rows dy = rows_of(args, linear.to, args.cuda.dseq, nullptr);
  EBB_TRY(weight_gradient(args, run, w, at, dy, x, rows));
  if (!dx.at) return EBB_OK;
  return product(run, {dy.at, EBB_F32, dy.ld, 0, false}, weights(args.arena + at, w, false), dx, rows,
                 w.inputs, w.outputs, 1);
}

/* ---- backward through the steps ---- */

EbbStatus step_products(const EbbCellArgs &args, const EbbRun *run, int64_t steps) {
  const EbbCellCuda &cuda = args.cuda;
  for (int32_t i = 0; i < cuda.n_products; i++) {
    const EbbCellProduct &p = cuda.product[i];
    float *kept = p.body ? cuda.body : cuda.once;
    const int64_t ld = p.body ? cuda.body_floats : cuda.once_floats;
    EBB_TRY(weight_gradient(args, run, p.matrix, p.matrix.at, {kept + p.delta, ld}, {kept + p.delta_x, ld},
                            args.B * steps * (p.body ? args.cell->repeat : 1)));
  }
  return EBB_OK;
}

EbbStatus zero(const EbbRun *run, float *to, int64_t floats, bool wanted) {
  return to && wanted && floats ? ebb_cuda_zero(run, to, (size_t)floats * sizeof(float)) : EBB_OK;
}

EbbStatus clear_gradients(const EbbCellArgs &args, const EbbRun *run) {
  const EbbCellCuda &cuda = args.cuda;
  const int64_t rows = args.B * args.T;
  EBB_TRY(zero(run, cuda.dseq, rows * args.cell->seqs, true));
  EBB_TRY(zero(run, cuda.darena, cuda.arena, true));
  EBB_TRY(zero(run, cuda.rows.part, cuda.rows.blocks * cuda.rows.sums, true));
  EBB_TRY(zero(run, cuda.steps.part, cuda.steps.blocks * cuda.steps.sums, true));
  EBB_TRY(zero(run, args.dx, rows * args.I, !args.add_dx));
  return zero(run, args.delapsed, rows, !args.add_delapsed);
}

EbbStatus forward(const void *args_, const EbbRun *run) {
  const EbbCellArgs &args = *static_cast<const EbbCellArgs *>(args_);
  EBB_TRY(cell_params_forward(args, run));
  EBB_TRY(cell_mask_x(args, run));
  for (int32_t i = 0; i < args.cuda.n_runs; i++) {
    const EbbCellRun &part = args.cuda.run[i];
    EBB_TRY(cell_rows_forward(args, run, part));
    if (part.linear >= 0) EBB_TRY(linear_forward(args, run, args.cell->instruction[part.linear]));
  }
  if (args.cuda.ltc.H) return cell_ltc_forward(args, run);
  if (runs_by_tile(args, run, false) || runs_by_tile(args, run, true)) EBB_TRY(cell_tile_pack(args, run));
  return runs_by_tile(args, run, false) ? cell_tile_forward(args, run) : cell_steps_forward(args, run);
}

EbbStatus backward(const void *args_, const EbbRun *run) {
  const EbbCellArgs &args = *static_cast<const EbbCellArgs *>(args_);
  EBB_TRY(clear_gradients(args, run));
  EBB_TRY(cell_mask_x(args, run));
  if (args.cuda.ltc.H) EBB_TRY(cell_ltc_backward(args, run));
  const auto steps_backward = runs_by_tile(args, run, true) ? cell_tile_backward : cell_steps_backward;
  for (int64_t end = args.cuda.ltc.H ? 0 : args.T; end > 0; end -= args.cuda.chunk) {
    const int64_t first = end > args.cuda.chunk ? end - args.cuda.chunk : 0;
    EBB_TRY(steps_backward(args, run, first, end));
    EBB_TRY(step_products(args, run, end - first));
  }
  for (int32_t i = args.cuda.n_runs - 1; i >= 0; i--) {
    const EbbCellRun &part = args.cuda.run[i];
    if (part.linear >= 0) EBB_TRY(linear_backward(args, run, args.cell->instruction[part.linear]));
    EBB_TRY(cell_rows_backward(args, run, part));
  }
  return cell_params_backward(args, run);
}

} // namespace

CellView cell_view(const EbbCellArgs &args, const EbbRun *run, CellProgramKind kind, bool back) {
  const EbbCellCuda &cuda = args.cuda;
  CellView a = {};
  a.program = kind == CELL_ROWS ? cuda.rows : cuda.steps;
  for (int s = 0; s < EBB_CELL_SECTIONS; s++) a.section[s] = cuda.section[s];
  for (int k = 0; k < EBB_CELL_TABLES; k++) a.table[k] = cuda.table[k];
  a.places = places_of(args, run, a.program, kind == CELL_STEPS, back);
  a.arena = args.arena, a.x = args.x, a.state = args.state, a.elapsed = args.elapsed;
  a.dy = args.dy, a.dstates = args.dstates, a.lengths = args.lengths;
  a.seq = cuda.seq, a.y = args.y, a.states = args.states, a.rates = args.rates;
  a.dseq = cuda.dseq, a.dx = args.dx, a.dstate = args.dstate, a.delapsed = args.delapsed;
  a.vectors = cuda.vectors, a.kept = cuda.kept, a.carry = cuda.carry;
  a.once = cuda.once, a.body = cuda.body;
  a.B = args.B, a.T = args.T, a.I = args.I, a.S = args.S, a.O = args.O, a.seqs = args.cell->seqs;
  a.n_tables = cuda.n_tables, a.repeat = args.cell->repeat;
  a.output = cuda.output, a.rate = cuda.rate, a.rate_width = args.cell->rate.width;
  a.once_floats = cuda.once_floats, a.body_floats = cuda.body_floats;
  a.rate_section = cuda.rate_section, a.rate_limit = args.cell->rate_limit;
  a.rate_step = args.cell->rate_step > 0 ? args.cell->rate_step : 1.0f / (float)args.cell->repeat;
  a.truncate = args.truncate;
  a.add_dstate = args.add_dstate, a.unstable_fails = args.unstable_fails;
  return a;
}

CellView cell_tile_view(const EbbCellArgs &args, const EbbRun *run, bool back) {
  const EbbCellGpu gpu = gpu_of(run);
  const EbbCellTilePlaces at = ebb_cell_tile_places(&args, &gpu, back);
  const int64_t tiles = (args.B + EBB_CELL_TILE - 1) / EBB_CELL_TILE;
  CellView a = cell_view(args, run, CELL_STEPS, back);
  a.places = {};
  a.places.ops = at.ops, a.places.weights = at.weights, a.places.resident = at.resident;
  a.places.vectors = at.vectors, a.places.gradients = at.gradients, a.places.kept = at.kept;
  a.places.sums = at.sums, a.places.scratch = at.scratch, a.places.parameters = -1;
  a.places.bytes = (size_t)at.floats * sizeof(float);
  a.program.threads = args.cuda.tiling.threads;
  if (tiles < a.program.blocks) a.program.blocks = tiles;
  a.precision = gpu.precision, a.weights = args.cuda.weights, a.n_tables = 0;
  return a;
}

extern "C" const EbbKernels ebb_cell_cuda = {forward, backward};
