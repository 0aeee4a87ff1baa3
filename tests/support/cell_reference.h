// What a cell's program computes, instruction by instruction and number by number, for one sample.
#ifndef EBB_TESTS_CELL_REFERENCE_H
#define EBB_TESTS_CELL_REFERENCE_H

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ebb/cell.h"
#include "ebb/cell_formulas.h"

namespace ebb_test {

class CellReference {
public:
  // param: value of each parameter that is no constant, by name.
  CellReference(const EbbCell *cell, const std::map<std::string, std::vector<float>> &param)
      : state(size_t(cell->states)), cell_(cell), arena_(size_t(cell->arena)), seq_(size_t(cell->seqs)),
        temp_(size_t(cell->temps)) {
    for (int p = 0; p < cell->n_params; p++) fill(cell->param[p], param);
  }

  // One step; returns y. The state before and after is `state`; rate is the largest rate * step so far.
  std::vector<float> step(const float *x, float elapsed) {
    x_ = x, elapsed_ = elapsed;
    run(EBB_CELL_SEQUENCE);
    run(EBB_CELL_STEP);
    for (int k = 0; k < cell_->repeat; k++) run(EBB_CELL_BODY);
    run(EBB_CELL_TAIL);
    std::vector<float> y;
    for (int o = 0; o < cell_->output.width; o++) y.push_back(at(cell_->output, o));
    return y;
  }

  std::vector<float> state;
  float rate = 0;

private:
  void fill(const EbbCellParam &p, const std::map<std::string, std::vector<float>> &param) {
    for (int i = 0; i < p.size; i++) {
      float v = p.constant ? p.values[i] : param.at(p.name)[size_t(i)];
      if (p.map == EBB_CELL_SOFTPLUS_OF) v = std::log1p(std::exp(v));
      arena_[size_t(p.at + i)] = p.mask ? v * p.mask[i] : v;
    }
  }

  float at(const EbbCellRef &ref, int64_t i) const {
    const size_t k = size_t(ref.at + i);
    const std::map<EbbCellSpace, std::function<float()>> spaces = {
        {EBB_CELL_ABSENT, [] { return 0.0F; }},        {EBB_CELL_X, [&] { return x_[k]; }},
        {EBB_CELL_STATE, [&] { return state.at(k); }}, {EBB_CELL_SEQ, [&] { return seq_.at(k); }},
        {EBB_CELL_TEMP, [&] { return temp_.at(k); }},  {EBB_CELL_PARAM, [&] { return arena_.at(k); }},
        {EBB_CELL_ELAPSED, [&] { return elapsed_; }},  {EBB_CELL_CONSTANT, [&] { return ref.value; }},
    };
    return spaces.at(ref.space)();
  }

  void run(EbbCellSection section) {
    const EbbCellPart &part = cell_->part[section];
    for (int i = part.first; i < part.first + part.count; i++) {
      const EbbCellInstruction &in = cell_->instruction[i];
      std::vector<float> result;
      for (int64_t u = 0; u < in.to.width; u++) result.push_back(element(in, u));
      std::vector<float> &space = in.to.space == EBB_CELL_SEQ ? seq_ : temp_;
      for (size_t u = 0; u < result.size(); u++) space.at(size_t(in.to.at) + u) = result[u];
      if (in.to.space == cell_->rate.space && in.to.at == cell_->rate.at) note_rates();
    }
    std::vector<float> next = state;
    for (int m = 0; m < part.moves; m++)
      for (int u = 0; u < part.move[m].state.width; u++)
        next[size_t(part.move[m].state.at + u)] = at(part.move[m].from, u);
    state = next;
  }

  void note_rates() {
    const float step = elapsed_ * (cell_->rate_step > 0 ? cell_->rate_step : 1 / float(cell_->repeat));
    for (int u = 0; u < cell_->rate.width; u++) rate = std::fmax(rate, at(cell_->rate, u) * step);
  }

  float element(const EbbCellInstruction &in, int64_t u) const {
    float from[EBB_CELL_OPERANDS] = {};
    switch (in.code) {
#define EBB_CELL_FORMULA(CODE, name, operands)                                                               \
  case EBB_CELL_##CODE:                                                                                      \
    for (int k = 0; k < (operands); k++) from[k] = at(in.from[k], u);                                        \
    return ebb_cell_##name(from);
#define EBB_CELL_MOTION(CODE, name)                                                                          \
  case EBB_CELL_##CODE:                                                                                      \
    return name(in, u);
#include "ebb/cell_codes.def"
#undef EBB_CELL_FORMULA
#undef EBB_CELL_MOTION
    default:
      throw std::logic_error("no such code");
    }
  }

  float linear(const EbbCellInstruction &in, int64_t o) const {
    double sum = in.operands > 1 ? at(in.from[1], o) : 0;
    for (int64_t i = 0; i < in.matrix.inputs; i++)
      sum += double(arena_.at(size_t(in.matrix.at + o * in.matrix.out_stride + i * in.matrix.in_stride))) *
             at(in.from[0], i);
    return float(sum);
  }
  float synapses(const EbbCellInstruction &in, int64_t u) const {
    const EbbCellSynapses &t = cell_->table[in.table];
    double sum = in.operands > 1 ? at(in.from[1], u) : 0;
    for (int j = 0; j < t.count; j++) {
      if (t.target[j] != u % t.targets) continue;
      const auto of = [&](int p) {
        return double(arena_.at(size_t(cell_->param[p].at + t.source[j] * t.targets + t.target[j])));
      };
      const double s = 1 / (1 + std::exp(-of(t.sigma) * (double(at(in.from[0], t.source[j])) - of(t.mu))));
      sum += of(t.w) * s * (u < t.targets ? of(t.erev) : 1);
    }
    return float(sum);
  }
  float combine(const EbbCellInstruction &in, int64_t u) const {
    double sum = 0;
    for (int k = 2; k < in.operands; k++) sum += double(in.c[k - 2]) * at(in.from[k], u);
    return float(at(in.from[0], u) + double(at(in.from[1], u)) * sum);
  }
  float repeat(const EbbCellInstruction &in, int64_t u) const { return at(in.from[0], u / in.group); }
  float group_sum(const EbbCellInstruction &in, int64_t u) const {
    double sum = 0;
    for (int j = 0; j < in.group; j++) sum += at(in.from[0], u * in.group + j);
    return float(sum);
  }
  float group_softmax(const EbbCellInstruction &in, int64_t u) const {
    double sum = 0;
    for (int j = 0; j < in.group; j++) sum += std::exp(double(at(in.from[0], u / in.group * in.group + j)));
    return float(std::exp(double(at(in.from[0], u))) / sum);
  }

  const EbbCell *cell_;
  std::vector<float> arena_, seq_, temp_;
  const float *x_ = nullptr;
  float elapsed_ = 1;
};

} // namespace ebb_test

#endif
