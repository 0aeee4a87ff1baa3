// Weights of PyTorch for recurrent cells through ebb import: what ebb eval then says against outputs that are
// computed here, with the formulas of the modules that the weights come from.
#include <cmath>
#include <map>

#include "cli/program.h"
#include "ebb/safetensors.h"

using namespace ebb_test;

namespace {

using Vector = std::vector<double>;

struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
  double at(size_t i) const { return double(values[i]); }
  double at(size_t row, size_t column) const { return at(row * size_t(shape[1]) + column); }
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// A state dict; weights are drawn from a simple generator.
struct StateDict {
  std::map<std::string, Tensor> tensor;
  uint32_t state = 12345;

  double next() { return double((state = state * 1664525u + 1013904223u) >> 8) / double(1 << 24); }
  Tensor &draw(const std::string &name, std::vector<int64_t> shape, double low, double high) {
    Tensor made{shape, {}};
    int64_t size = 1;
    for (int64_t dim : shape) size *= dim;
    for (int64_t i = 0; i < size; i++) made.values.push_back(float(low + (high - low) * next()));
    return tensor[name] = made;
  }
  void linear(const std::string &name, int64_t outputs, int64_t inputs) {
    draw(name + ".weight", {outputs, inputs}, -1, 1);
    draw(name + ".bias", {outputs}, -0.5, 0.5);
  }
  const Tensor &operator[](const std::string &name) const { return tensor.at(name); }

  Vector apply(const std::string &name, const Vector &x, const Tensor *mask = nullptr) const {
    const Tensor &weight = (*this)[name + ".weight"], &bias = (*this)[name + ".bias"];
    Vector y;
    for (size_t o = 0; o < bias.values.size(); o++) {
      y.push_back(bias.at(o));
      for (size_t i = 0; i < x.size(); i++) y[o] += weight.at(o, i) * (mask ? mask->at(o, i) : 1) * x[i];
    }
    return y;
  }

  void write(const fs::path &path) const {
    EbbSafetensorsWriter *writer = nullptr;
    ASSERT_EQ(ebb_safetensors_writer_create(&writer), EBB_OK);
    for (const auto &[name, t] : tensor) {
      const EbbShape shape = ebb_shape_from(int(t.shape.size()), t.shape.data());
      ASSERT_EQ(ebb_safetensors_writer_add(writer, name.c_str(), EBB_ST_F32, &shape, t.values.data()),
                EBB_OK);
    }
    ASSERT_EQ(ebb_safetensors_writer_commit(writer, path.c_str()), EBB_OK) << ebb_error();
    ebb_safetensors_writer_destroy(writer);
  }
};

Vector joined(const Vector &a, const Vector &b) {
  Vector both = a;
  both.insert(both.end(), b.begin(), b.end());
  return both;
}

// ---- ncps.torch.LTC with softplus ----

double softplus(double x) { return std::log1p(std::exp(x)); }

void draw_ltc(StateDict &dict, const std::string &scope, int64_t I, int64_t H, int64_t motors) {
  for (const char *name : {"gleak", "cm"}) dict.draw(scope + name, {H}, 0.1, 1);
  dict.draw(scope + "vleak", {H}, -0.2, 0.2);
  for (const std::string from : {"", "sensory_"}) {
    const int64_t sources = from.empty() ? H : I;
    dict.draw(scope + from + "w", {sources, H}, 0.001, 1);
    dict.draw(scope + from + "sigma", {sources, H}, 3, 8);
    dict.draw(scope + from + "mu", {sources, H}, 0.3, 0.8);
    Tensor &erev = dict.draw(scope + from + "erev", {sources, H}, -1, 1);
    dict.tensor[scope + from + "sparsity_mask"] = {erev.shape, std::vector<float>(erev.values.size(), 1)};
  }
  dict.draw(scope + "input_w", {I}, 0.5, 1.5), dict.draw(scope + "input_b", {I}, -0.5, 0.5);
  dict.draw(scope + "output_w", {motors}, 0.5, 1.5), dict.draw(scope + "output_b", {motors}, -0.5, 0.5);
}

void add_synapses(const StateDict &dict, const std::string &scope, const std::string &from, const Vector &v,
                  size_t j, double *numerator, double *denominator) {
  auto get = [&](const char *name, size_t i) { return dict[scope + from + name].at(i, j); };
  for (size_t i = 0; i < v.size(); i++) {
    const double s =
        softplus(get("w", i)) * sigmoid(get("sigma", i) * (v[i] - get("mu", i))) * get("sparsity_mask", i);
    *numerator += s * get("erev", i), *denominator += s;
  }
}

Vector step_ltc(const StateDict &dict, const std::string &scope, Vector x, Vector &v) {
  for (size_t i = 0; i < x.size(); i++)
    x[i] = x[i] * dict[scope + "input_w"].at(i) + dict[scope + "input_b"].at(i);
  for (int unfold = 0; unfold < 6; unfold++) {
    Vector next;
    for (size_t j = 0; j < v.size(); j++) {
      const double cm = 6 * softplus(dict[scope + "cm"].at(j)), gleak = softplus(dict[scope + "gleak"].at(j));
      double numerator = cm * v[j] + gleak * dict[scope + "vleak"].at(j), denominator = cm + gleak;
      add_synapses(dict, scope, "", v, j, &numerator, &denominator);
      add_synapses(dict, scope, "sensory_", x, j, &numerator, &denominator);
      next.push_back(numerator / denominator);
    }
    v = next;
  }
  Vector y;
  for (size_t o = 0; o < dict[scope + "output_w"].values.size(); o++)
    y.push_back(v[o] * dict[scope + "output_w"].at(o) + dict[scope + "output_b"].at(o));
  return y;
}

// ---- torch.nn.LSTM ----

void draw_lstm(StateDict &dict, const std::string &module, const std::string &end, int64_t I, int64_t H) {
  dict.draw(module + "weight_ih" + end, {4 * H, I}, -1, 1);
  dict.draw(module + "weight_hh" + end, {4 * H, H}, -1, 1);
  dict.draw(module + "bias_ih" + end, {4 * H}, -1, 1);
  dict.draw(module + "bias_hh" + end, {4 * H}, -1, 1);
}

Vector step_lstm(const StateDict &dict, const std::string &module, const std::string &end, const Vector &x,
                 Vector &h, Vector &c) {
  const size_t H = h.size();
  Vector z;
  for (size_t r = 0; r < 4 * H; r++) {
    z.push_back(dict[module + "bias_ih" + end].at(r) + dict[module + "bias_hh" + end].at(r));
    for (size_t i = 0; i < x.size(); i++) z[r] += dict[module + "weight_ih" + end].at(r, i) * x[i];
    for (size_t i = 0; i < H; i++) z[r] += dict[module + "weight_hh" + end].at(r, i) * h[i];
  }
  for (size_t k = 0; k < H; k++) {
    c[k] = sigmoid(z[H + k]) * c[k] + sigmoid(z[k]) * std::tanh(z[2 * H + k]);
    h[k] = sigmoid(z[3 * H + k]) * std::tanh(c[k]);
  }
  return h;
}

// ---- ncps.torch.CfC with a wiring ----

void draw_wired(StateDict &dict, const std::string &scope, int64_t inputs, int64_t units) {
  for (const char *head : {"ff1", "ff2", "time_a", "time_b"})
    dict.linear(scope + head, units, inputs + units);
  const size_t columns = size_t(inputs + units), size = size_t(units) * columns;
  Tensor mask{{units, inputs + units}, std::vector<float>(size, 1)};
  // Every unit listens to all but one of what is before it.
  for (size_t u = 0; u < size_t(units); u++) mask.values[u * columns + u % size_t(inputs)] = 0;
  dict.tensor[scope + "sparsity_mask"] = mask;
}

Vector step_wired(const StateDict &dict, const std::string &scope, const Vector &x, Vector &h) {
  const Tensor &mask = dict[scope + "sparsity_mask"];
  const Vector in = joined(x, h), f1 = dict.apply(scope + "ff1", in, &mask),
               f2 = dict.apply(scope + "ff2", in, &mask), a = dict.apply(scope + "time_a", in),
               b = dict.apply(scope + "time_b", in);
  for (size_t k = 0; k < h.size(); k++) {
    const double gate = sigmoid(a[k] + b[k]);
    h[k] = std::tanh(f1[k]) * (1 - gate) + gate * std::tanh(f2[k]);
  }
  return h;
}

// ---- ncps.torch.CfC with a backbone, whose maps are the modules of these numbers ----

const std::vector<int> kMaps = {0, 2, 4, 6}, kMapsWithDropout = {0, 2, 5, 8};

void draw_cfc(StateDict &dict, const std::string &scope, const std::vector<int> &maps, int64_t I, int64_t H,
              int64_t units) {
  for (int module : maps)
    dict.linear(scope + "backbone." + std::to_string(module), units, module ? units : I + H);
  for (const char *head : {"ff1", "ff2", "time_a", "time_b"}) dict.linear(scope + head, H, units);
}

Vector step_cfc(const StateDict &dict, const std::string &scope, const std::vector<int> &maps,
                const Vector &x, Vector &h) {
  Vector u = joined(x, h);
  for (int module : maps) {
    u = dict.apply(scope + "backbone." + std::to_string(module), u);
    for (double &value : u) value = 1.7159 * std::tanh(0.666 * value);
  }
  const Vector f1 = dict.apply(scope + "ff1", u), f2 = dict.apply(scope + "ff2", u),
               a = dict.apply(scope + "time_a", u), b = dict.apply(scope + "time_b", u);
  for (size_t k = 0; k < h.size(); k++) {
    const double gate = sigmoid(a[k] + b[k]);
    h[k] = std::tanh(f1[k]) * (1 - gate) + gate * std::tanh(f2[k]);
  }
  return h;
}

// ---- through the program ----

// A table of inputs a, b, c and the outputs p, q that a model is known to have, reset every window.
class Table : public Place {
public:
  static constexpr size_t I = 3, kWindow = 4, kRows = 64;

  Table() {
    write("experiments/mine.yaml", "dataset: {_name_: csv, data_dir: data, file: rows.csv, targets: 'p,q',\n"
                                   "          window: 4, normalise: false}\n"
                                   "loader: {batch_size: 1}\nthreads: 1\n");
    StateDict random;
    for (size_t t = 0; t < kRows; t++) {
      x.emplace_back();
      for (size_t i = 0; i < I; i++) x[t].push_back(double(float(2 * random.next() - 1)));
    }
  }

  // model: called with (first step of a window, x) -> the output.
  template <class Model> void write_rows(Model model) {
    std::ostringstream text;
    text << "a,b,c,p,q\n";
    text.precision(9);
    for (size_t t = 0; t < kRows; t++) {
      const Vector y = model(t % kWindow == 0, x[t]);
      text << x[t][0] << ',' << x[t][1] << ',' << x[t][2] << ',' << y[0] << ',' << y[1] << '\n';
    }
    write("data/rows.csv", text.str());
  }

  Outcome import(std::vector<std::string> more) const {
    const std::vector<std::string> begin = {"import", "w.safetensors", "experiment=mine", "-o",
                                            "ebb.safetensors"};
    more.insert(more.begin(), begin.begin(), begin.end());
    return run(more);
  }

  // Of the imported model against the table.
  void expect_same_outputs() const {
    const Outcome eval = run({"eval", "ebb.safetensors", "--json", "--split=train"});
    ASSERT_EQ(eval.code, 0) << eval.err;
    const size_t at = eval.out.find("\"rmse\":");
    ASSERT_NE(at, std::string::npos) << eval.out;
    EXPECT_LT(std::stod(eval.out.substr(at + 7)), 1e-6) << eval.out;
  }

  std::vector<Vector> x;
};

const std::vector<std::string> kLtc = {"model.layer._name_=ltc", "model.n_layers=1", "model.d_model=5"};

std::vector<std::string> with(std::vector<std::string> list, const std::vector<std::string> &more) {
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

// An LTC of 5 units, 2 of which are outputs, without three of the synapses.
StateDict sparse_ltc() {
  StateDict dict;
  draw_ltc(dict, "rnn.rnn_cell.", Table::I, 5, 2);
  for (size_t i : {1, 7, 12}) dict.tensor["rnn.rnn_cell.sparsity_mask"].values[i] = 0;
  dict.tensor["rnn.rnn_cell.sensory_sparsity_mask"].values[3] = 0;
  dict.linear("fc", 2, 2);
  return dict;
}

} // namespace

TEST(CliImportCells, LtcWithItsOwnWiring) {
  Table table;
  const StateDict dict = sparse_ltc();
  dict.write(table.path / "w.safetensors");
  Vector v;
  table.write_rows([&](bool first, const Vector &x) {
    if (first) v.assign(5, 0);
    return dict.apply("fc", step_ltc(dict, "rnn.rnn_cell.", x, v));
  });
  const Outcome import =
      table.import(with(kLtc, {"model.layer.wiring=w.safetensors", "--rename", "fc=decoder"}));
  ASSERT_EQ(import.code, 0) << import.err;
  table.expect_same_outputs();
}

TEST(CliImportCells, AnotherWiringIsRefused) {
  Table table;
  sparse_ltc().write(table.path / "w.safetensors");
  expect_failure(table.import(with(kLtc, {"--rename=fc=decoder"})), 1,
                 {"another wiring", "'rnn.rnn_cell.sensory_sparsity_mask' has 0 at (0, 3)", "1 of 15",
                  "model.layer.wiring=w.safetensors"});
  StateDict dict = sparse_ltc();
  dict.tensor["rnn.rnn_cell.sensory_sparsity_mask"].values[3] = 1;
  dict.write(table.path / "w.safetensors");
  expect_failure(table.import(with(kLtc, {"--rename=fc=decoder"})), 1,
                 {"'rnn.rnn_cell.sparsity_mask' has 0 at (0, 1)", "3 of 25"});
  expect_failure(table.import({"model.layer._name_=ltc", "model.n_layers=1", "model.d_model=6"}), 1,
                 {"another wiring", "(3, 5)", "(3, 6)"});
  expect_failure(table.import({"model.layer._name_=cfc", "model.n_layers=1", "model.d_model=5"}), 1,
                 {"is a wiring", "model.layer._name_"});
  EXPECT_FALSE(fs::exists(table.path / "ebb.safetensors"));
}

TEST(CliImportCells, NamesWithoutCounterpartAndTheLikelyRenaming) {
  Table table;
  StateDict dict;
  draw_ltc(dict, "model.steer.", Table::I, 5, 5);
  dict.linear("model.head", 2, 5);
  dict.write(table.path / "w.safetensors");
  expect_failure(table.import(kLtc), 1, {"perhaps --rename model.steer=layers.0.layer"});
  const auto named = with(kLtc, {"--rename", "model.steer=layers.0.layer"});
  expect_failure(table.import(named), 1,
                 {"the file alone has model.head.bias (2), model.head.weight (2, 5)",
                  "the model alone has decoder.bias (2), decoder.weight (2, 5)",
                  "Perhaps --rename model.head=decoder"});
  expect_failure(table.import(with(named, {"--rename", "head=decoder"})), 1,
                 {"'head=decoder' fits no tensor"});
  expect_failure(table.import(with(named, {"--rename", "decoder"})), 1, {"'decoder' is no renaming"});
  Vector v;
  table.write_rows([&](bool first, const Vector &x) {
    if (first) v.assign(5, 0);
    return dict.apply("model.head", step_ltc(dict, "model.steer.", x, v));
  });
  const Outcome import = table.import(with(kLtc, {"--rename=model.steer=layers.0.layer,model.head=decoder"}));
  ASSERT_EQ(import.code, 0) << import.err;
  table.expect_same_outputs();
}

TEST(CliImportCells, LstmOfTorchInTwoLayers) {
  Table table;
  StateDict dict;
  draw_lstm(dict, "rnn.", "_l0", Table::I, 4);
  draw_lstm(dict, "rnn.", "_l1", 4, 4);
  dict.linear("fc", 2, 4);
  dict.write(table.path / "w.safetensors");
  Vector h[2], c[2];
  table.write_rows([&](bool first, Vector x) {
    for (int k = 0; k < 2; k++) {
      if (first) h[k].assign(4, 0), c[k].assign(4, 0);
      x = step_lstm(dict, "rnn.", "_l" + std::to_string(k), x, h[k], c[k]);
    }
    return dict.apply("fc", x);
  });
  const std::vector<std::string> lstm = {"model.layer._name_=lstm", "model.d_model=4", "--rename=fc=decoder"};
  expect_failure(table.import(with(lstm, {"model.n_layers=1"})), 1,
                 {"rnn.bias_ih_l1", "unknown to the model"});
  const Outcome import = table.import(with(lstm, {"model.n_layers=2"}));
  ASSERT_EQ(import.code, 0) << import.err;
  table.expect_same_outputs();
}

// The outputs of a window's steps, forwards and behind them backwards.
std::vector<Vector> run_both(const StateDict &dict, const std::string &end, const std::vector<Vector> &x) {
  std::vector<Vector> y;
  Vector h(4), c(4);
  for (const Vector &row : x) y.push_back(step_lstm(dict, "rnn.", end, row, h, c));
  h.assign(4, 0), c.assign(4, 0);
  for (size_t t = x.size(); t-- > 0;)
    for (double value : step_lstm(dict, "rnn.", end + "_reverse", x[t], h, c)) y[t].push_back(value);
  return y;
}

TEST(CliImportCells, LstmOfTorchInBothDirections) {
  Table table;
  StateDict dict;
  for (const char *direction : {"", "_reverse"}) {
    draw_lstm(dict, "rnn.", std::string("_l0") + direction, Table::I, 4);
    draw_lstm(dict, "rnn.", std::string("_l1") + direction, 8, 4);
  }
  dict.linear("fc", 2, 8);
  dict.write(table.path / "w.safetensors");
  size_t t = 0;
  table.write_rows([&](bool, const Vector &) {
    const auto begin = table.x.begin() + long(t / Table::kWindow * Table::kWindow);
    const auto y = run_both(dict, "_l1", run_both(dict, "_l0", {begin, begin + long(Table::kWindow)}));
    return dict.apply("fc", y[t++ % Table::kWindow]);
  });
  const std::vector<std::string> lstm = {"model.layer._name_=lstm", "model.d_model=4", "model.n_layers=2",
                                         "--rename=fc=decoder"};
  expect_failure(table.import(lstm), 1, {"rnn.weight_ih_l", "_reverse", "model.layer.bidirectional=true"});
  const Outcome import = table.import(with(lstm, {"model.layer.bidirectional=true"}));
  ASSERT_EQ(import.code, 0) << import.err;
  table.expect_same_outputs();
}

TEST(CliImportCells, OtherRecurrentModulesOfTorchAreRefused) {
  Table table;
  StateDict gru, projected;
  gru.draw("rnn.weight_ih_l0", {12, Table::I}, -1, 1), gru.draw("rnn.weight_hh_l0", {12, 4}, -1, 1);
  gru.write(table.path / "w.safetensors");
  const std::vector<std::string> lstm = {"model.layer._name_=lstm", "model.d_model=4", "model.n_layers=1"};
  expect_failure(table.import(lstm), 1, {"rnn.weight_hh_l0", "(12, 4)", "GRU"});
  draw_lstm(projected, "rnn.", "_l0", Table::I, 4);
  projected.draw("rnn.weight_hr_l0", {2, 4}, -1, 1);
  projected.write(table.path / "w.safetensors");
  expect_failure(table.import(lstm), 1, {"projection"});
}

TEST(CliImportCells, WiredCfcWithItsOwnWiring) {
  Table table;
  StateDict dict;
  const std::string scope = "rnn.rnn_cell.layer_";
  draw_wired(dict, scope + "0.", Table::I, 4);
  draw_wired(dict, scope + "1.", 4, 3);
  draw_wired(dict, scope + "2.", 3, 2);
  dict.write(table.path / "w.safetensors");
  Vector h[3];
  table.write_rows([&](bool first, Vector x) {
    for (size_t k = 0; k < 3; k++) {
      if (first) h[k].assign(4 - k, 0);
      x = step_wired(dict, scope + std::to_string(k) + ".", x, h[k]);
    }
    return x;
  });
  const std::vector<std::string> wired = {"model.layer._name_=wired_cfc", "model.n_layers=1",
                                          "model.d_model=9", "decoder._name_=identity"};
  expect_failure(table.import(with(wired, {"model.layer.wiring=autoncp(9, 2)"})), 1,
                 {"another wiring", "rnn.rnn_cell.layer_0.sparsity_mask"});
  const Outcome import = table.import(with(wired, {"model.layer.wiring=w.safetensors"}));
  ASSERT_EQ(import.code, 0) << import.err;
  table.expect_same_outputs();
}

TEST(CliImportCells, ModulesWithNumbersAreLayers) {
  Table table;
  StateDict dict;
  draw_ltc(dict, "rnns.10.rnn_cell.", 4, 4, 4);
  draw_ltc(dict, "rnns.9.rnn_cell.", Table::I, 4, 4);
  dict.linear("decoder", 2, 4);
  dict.write(table.path / "w.safetensors");
  Vector v[2];
  table.write_rows([&](bool first, Vector x) {
    for (int k = 0; k < 2; k++) {
      if (first) v[k].assign(4, 0);
      x = step_ltc(dict, k ? "rnns.10.rnn_cell." : "rnns.9.rnn_cell.", x, v[k]);
    }
    return dict.apply("decoder", x);
  });
  const Outcome import = table.import({"model.layer._name_=ltc", "model.n_layers=2", "model.d_model=4"});
  ASSERT_EQ(import.code, 0) << import.err;
  table.expect_same_outputs();
}

// Modules of dropout shift the numbers of ncps's maps; two layers, of which either may have it.
TEST(CliImportCells, BackbonesWithAndWithoutDropout) {
  for (const std::vector<int> *second : {&kMaps, &kMapsWithDropout})
    for (const char *dropout : {"0", "0.2"}) {
      Table table;
      StateDict dict;
      const std::string scope[] = {"rnns.0.rnn_cell.", "rnns.1.rnn_cell."};
      const std::vector<int> *maps[] = {&kMapsWithDropout, second};
      for (int k = 0; k < 2; k++) draw_cfc(dict, scope[k], *maps[k], k ? 4 : Table::I, 4, 5);
      dict.linear("decoder", 2, 4);
      dict.write(table.path / "w.safetensors");
      Vector h[2];
      table.write_rows([&](bool first, Vector x) {
        for (int k = 0; k < 2; k++) {
          if (first) h[k].assign(4, 0);
          x = step_cfc(dict, scope[k], *maps[k], x, h[k]);
        }
        return dict.apply("decoder", x);
      });
      const Outcome import = table.import({"model.layer._name_=cfc", "model.n_layers=2", "model.d_model=4",
                                           "model.layer.backbone_layers=4", "model.layer.backbone_units=5",
                                           std::string("model.layer.backbone_dropout=") + dropout});
      ASSERT_EQ(import.code, 0) << import.err;
      table.expect_same_outputs();
    }
}

// A number that no map of ncps has stays what it is, and is named.
TEST(CliImportCells, ABackboneWithAModuleTooManyIsRefused) {
  Table table;
  StateDict dict;
  draw_cfc(dict, "rnn_cell.", {0, 2, 5, 7}, Table::I, 4, 5);
  dict.linear("decoder", 2, 4);
  dict.write(table.path / "w.safetensors");
  expect_failure(table.import({"model.layer._name_=cfc", "model.n_layers=1", "model.d_model=4",
                               "model.layer.backbone_layers=3", "model.layer.backbone_units=5"}),
                 1, {"rnn_cell.backbone.7.bias", "unknown to the model"});
}
