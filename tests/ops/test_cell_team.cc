// Several threads on one tile of samples: every piece is done once, results do not depend on who does it, and
// threads are asked for only where they have something to do.
#include "host/ops/cell_team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <thread>

#include "support/cell_programs.h"
#include "support/cell_run.h"
#include "support/op_check.h"

extern "C" {
#include "host/ops/cell_plan.h"
}

using namespace ebb_test;

namespace {

struct Freed {
  void operator()(void *memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, Freed>;

Memory teams_of(int64_t threads) { return Memory(std::aligned_alloc(64, ebb_cell_teams_bytes(threads))); }

// ---- pieces ----

// How often each element of a leader's works was done, by anybody; not atomic: elements have one owner.
struct Counted {
  static constexpr int64_t kMost = 200;
  int times[kMost] = {};
  int wrong = 0, works = 0;
};

void count(const void *data, int64_t begin, int64_t end) {
  int *times = *static_cast<int *const *>(data);
  for (int64_t i = begin; i < end; i++) times[i]++;
}

// Works of all sizes, one after the other.
void give_out(void *context, int64_t leader, EbbCellTeam *team) {
  Counted &counted = static_cast<Counted *>(context)[leader];
  for (int round = 0; round < 3000; round++) {
    const int64_t n = 1 + (round * 37 + leader) % Counted::kMost;
    int *times = counted.times;
    const EbbCellWork work = {count, &times, n, (round * 11) % 80 * int64_t(EBB_CELL_PIECE_COST)};
    ebb_cell_share(team, &work);
    for (int64_t i = 0; i < Counted::kMost; i++) counted.wrong += times[i] != (i < n);
    std::fill_n(times, n, 0);
    counted.works++;
  }
}

void all_pieces_once(int64_t leaders, int threads) {
  SCOPED_TRACE(std::to_string(leaders) + " leaders, " + std::to_string(threads) + " threads");
  const Memory memory = teams_of(threads);
  const EbbCellSeats seats = ebb_cell_seats(leaders, threads, EBB_CELL_PIECES, memory.get());
  std::vector<Counted> counted{size_t(leaders)};
  std::atomic<int64_t> next{0};
  std::vector<std::thread> running;
  for (int i = 0; i < threads; i++)
    running.emplace_back([&] {
      for (int64_t seat = next++; seat < seats.count; seat = next++)
        ebb_cell_take_seat(&seats, seat, give_out, counted.data());
    });
  for (std::thread &thread : running) thread.join();
  for (const Counted &c : counted) {
    EXPECT_EQ(c.wrong, 0);
    EXPECT_EQ(c.works, 3000);
  }
}

TEST(CellTeam, DoesEveryPieceOnce) {
  all_pieces_once(1, 1);
  all_pieces_once(1, 2);
  all_pieces_once(1, 4);
  all_pieces_once(2, 5);
  all_pieces_once(3, 4); // two leaders are alone
  all_pieces_once(4, 3);
}

// ---- results ----

struct Results {
  std::map<std::string, Floats> of;
  explicit Results(const EbbCell *cell, int64_t B, int64_t T, const CellInputs &with, int threads) {
    std::vector<Tensor> in = {random_tensor({B, T, cell->inputs}, 1)};
    if (with.state) in.push_back(random_tensor({B, cell->states}, 2));
    if (with.elapsed) in.push_back(random_tensor({B, T}, 3, 0, 2));
    std::vector<int32_t> lengths;
    for (int64_t b = 0; b < B; b++) lengths.push_back(int32_t(T - 1 - b % T));
    if (with.lengths) in.push_back(integer_tensor({B}, lengths));
    OpRun run("cell", config_of(cell, with), in, outputs_of(cell), threads);
    if (run.status != EBB_OK || run.forward() != EBB_OK) throw std::runtime_error(ebb_error());
    for (int o = 0; o < outputs_of(cell); o++) of["output " + std::to_string(o)] = run.output(o);
    run.backward(random_tensor({B, T, cell->output.width}, 4).floats);
    for (int i = 0; i < 1 + with.state + with.elapsed; i++)
      of["gradient of input " + std::to_string(i)] = run.input_grad(i);
    for (const auto &param : params_of(run, cell)) of[param.first] = run.param_grad(param.first);
  }
};

struct Free {
  void operator()(EbbCellPlan *plan) const { std::free(plan); }
};

int64_t pieces_of(const EbbCell *cell, int64_t B, int64_t T) {
  EbbCellPlan *made = nullptr;
  if (ebb_cell_plan_create(cell, B, T, &made) != EBB_OK) throw std::runtime_error(ebb_error());
  return std::unique_ptr<EbbCellPlan, Free>(made)->pieces;
}

void same_bits(const EbbCell *cell, int64_t B, int64_t T, const CellInputs &with) {
  SCOPED_TRACE("B " + std::to_string(B) + ", T " + std::to_string(T));
  ASSERT_GT(pieces_of(cell, B, T), 1);
  const Results alone(cell, B, T, with, 1);
  for (const int threads : {2, 3, 5}) {
    const Results together(cell, B, T, with, threads);
    for (const auto &[name, expected] : alone.of)
      EXPECT_EQ(together.of.at(name), expected) << name << ", " << threads << " threads";
  }
}

// Large enough for shared synapses and matrices, forward and backward, and of no size that blocks divide.
TEST(CellTeam, GivesTheBitsOfOneThread) {
  const CellPtr cell = sections_cell(211, 203);
  same_bits(cell.get(), 1, 5, {});
  same_bits(cell.get(), 1, 4, {true, true, true});
  same_bits(cell.get(), 2, 4, {true, true, true});
  for (const int64_t B : {3, 5, 9, 17}) same_bits(cell.get(), B, 2, {B != 3, B != 5, B == 9});
}

// h' = sums of synapses of x and h: many from few sources, and few from the others.
CellPtr uneven_cell(int64_t I, int64_t H) {
  CellWriter w("uneven", I);
  EbbCell *cell = w.cell.get();
  std::vector<float> sparse = connections(H * H, 0.1, 1), sensory = connections(I * H, 0.6, 2);
  std::fill_n(sparse.begin() + 20 * H, 30 * H, 1.0F);
  const EbbCellRef x = ebb_cell_x(cell), h = ebb_cell_state(cell, H);
  const EbbCellRef sense = w.synapses("sensory_", I, H, sensory.data(), x);
  ebb_cell_begin(cell, EBB_CELL_BODY, 1);
  const EbbCellRef sums = w.synapses("", H, H, sparse.data(), h, sense);
  ebb_cell_move(cell, h,
                w.apply(EBB_CELL_SUBTRACT,
                        {w.slice(sums, 0, H), w.apply(EBB_CELL_MULTIPLY, {w.slice(sums, H, H), h})}));
  return w.finish(h);
}

// Against finite differences: backward goes through such synapses by several chunks of sources.
TEST(CellTeam, HasTheGradientsOfManySynapses) {
  const CellPtr cell = uneven_cell(203, 211);
  for (const int64_t B : {1, 2, 3, 5, 9, 17}) {
    OpCase c;
    c.name = "uneven, B " + std::to_string(B), c.op = "cell";
    c.config = bytes_of(config_of(cell.get(), {true, false, false}));
    c.inputs = {OpInput(), OpInput()};
    c.inputs[0].shape = {B, 1, cell->inputs}, c.inputs[1].shape = {B, cell->states};
    c.outputs = outputs_of(cell.get()), c.differentiable = {0, 1};
    check_op(c);
    EbbCellPlan *made = nullptr;
    ASSERT_EQ(ebb_cell_plan_create(cell.get(), B, 1, &made), EBB_OK);
    const std::unique_ptr<EbbCellPlan, Free> plan(made);
    for (int t = 0; t < 2; t++) EXPECT_GT(plan->slots[t].chunks, 1);
  }
}

// Blocks of targets without a synapse, also the last ones and all, sum up to 0.
TEST(CellTeam, SumsUpNothing) {
  const int64_t H = 211;
  for (const int64_t listening : {int64_t{0}, int64_t{1}, H / 2}) {
    CellWriter w("silent", H);
    std::vector<float> exists(size_t(H * H), 0.0F);
    for (int64_t i = 0; i < H; i++) std::fill_n(exists.begin() + i * H, listening, 1.0F);
    const EbbCellRef x = ebb_cell_x(w.cell.get()), h = ebb_cell_state(w.cell.get(), H);
    ebb_cell_begin(w.cell.get(), EBB_CELL_STEP, 1);
    ebb_cell_move(w.cell.get(), h,
                  w.apply(EBB_CELL_ADD, {x, w.slice(w.synapses("", H, H, exists.data(), h), 0, H)}));
    const CellPtr cell = w.finish(h);
    OpCase c;
    c.name = "silent " + std::to_string(listening), c.op = "cell", c.config = bytes_of(config_of(cell.get()));
    c.inputs = {OpInput()}, c.inputs[0].shape = {1, 2, H}, c.outputs = 2;
    check_op(c);
    const Tensor given = random_tensor({1, 1, H}, 1);
    OpRun run("cell", config_of(cell.get()), {given}, 2, 3);
    ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
    const Floats y = run.output(0);
    for (int64_t i = listening; i < H; i++) EXPECT_EQ(y[size_t(i)], given.floats[size_t(i)]);
  }
}

// Gradients of matrices are multiplied out on the way, and in pieces.
TEST(CellTeam, GivesTheBitsOfOneThreadOverManySteps) {
  CellWriter w("products", 3);
  EbbCell *cell = w.cell.get();
  const int64_t H = 451;
  const EbbCellRef h = ebb_cell_state(cell, H), W = w.param("W", {H, H}, -0.1, 0.1),
                   V = w.param("V", {H, H}, -0.1, 0.1), Wx = w.param("Wx", {H, 3}, -1, 1);
  const EbbCellRef drive = w.linear(Wx, H, 3, false, ebb_cell_x(cell));
  ebb_cell_begin(cell, EBB_CELL_STEP, 1);
  const EbbCellRef middle = w.apply(EBB_CELL_TANH, {w.linear(W, H, H, false, h, drive)});
  ebb_cell_move(cell, h, w.apply(EBB_CELL_TANH, {w.linear(V, H, H, true, middle)}));
  const CellPtr made = w.finish(h);
  same_bits(made.get(), 1, 140, {true, false, false});
}

// ---- the rule ----

int64_t seats_of(int64_t tiles, int64_t threads, int64_t pieces) {
  const Memory memory = teams_of(threads);
  return ebb_cell_seats(tiles, threads, pieces, memory.get()).count;
}

TEST(CellTeamRule, HelpersAreForLargeStepsOfFewTiles) {
  EXPECT_EQ(seats_of(1, 2, 8), 2);
  EXPECT_EQ(seats_of(1, 64, 8), 8); // no more than pieces
  EXPECT_EQ(seats_of(3, 64, 8), 24);
  EXPECT_EQ(seats_of(3, 4, 8), 4);
  EXPECT_EQ(seats_of(1, 64, 1), 1);
  EXPECT_EQ(seats_of(4, 4, 8), 4);
  EXPECT_EQ(seats_of(100, 4, 8), 100); // each leads one
  EXPECT_EQ(seats_of(1, 1, 8), 1);
}

TEST(CellTeamRule, PiecesAreWorthSharing) {
  EXPECT_EQ(ebb_cell_pieces(100, 0), 1);
  EXPECT_EQ(ebb_cell_pieces(100, 2 * EBB_CELL_PIECE_COST - 1), 1);
  EXPECT_EQ(ebb_cell_pieces(100, 2 * EBB_CELL_PIECE_COST), 2);
  EXPECT_EQ(ebb_cell_pieces(3, 10 * EBB_CELL_PIECE_COST), 3);
  EXPECT_EQ(ebb_cell_pieces(1000, 1000 * EBB_CELL_PIECE_COST), EBB_CELL_PIECES);
}

CellPtr synapses_cell(int64_t H) {
  CellWriter w("synapses", 1);
  EbbCell *cell = w.cell.get();
  const EbbCellRef h = ebb_cell_state(cell, H);
  ebb_cell_begin(cell, EBB_CELL_BODY, 6);
  ebb_cell_move(cell, h, w.slice(w.synapses("", H, H, nullptr, h), 0, H));
  return w.finish(h);
}

TEST(CellTeamRule, StepsOfOneSampleAreSharedFromSomeSizeOn) {
  EXPECT_EQ(pieces_of(synapses_cell(32).get(), 1, 8), 1);
  EXPECT_EQ(pieces_of(synapses_cell(128).get(), 1, 8), 1); // 1024 vectors of synapses: some microseconds
  EXPECT_EQ(pieces_of(synapses_cell(192).get(), 1, 8), 3);
  EXPECT_EQ(pieces_of(synapses_cell(512).get(), 1, 8), 21);
}

} // namespace
