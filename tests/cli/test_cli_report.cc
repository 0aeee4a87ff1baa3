// ebb report: time constants, states and bounds of neurons whose equations can be solved by hand.
#include <cmath>
#include <map>

#include "cli/program.h"
#include "ebb/safetensors.h"

using namespace ebb_test;

namespace {

// One neuron with a synapse to itself and one from a sensor; sigma 0 makes both gates 1/2 for ever. Without
// softplus, so that the numbers are the equation's own.
struct Neuron {
  float gleak = 1, vleak = 0.2f, cm = 2, w = 3, erev = 1, sensory_w = 4, sensory_erev = -0.5f;

  void write(const fs::path &path) const {
    const std::map<std::string, float> vectors = {
        {"gleak", gleak}, {"vleak", vleak}, {"cm", cm}, {"input_w", 1.0f}, {"output_w", 1.0f}};
    const std::map<std::string, float> matrices = {
        {"w", w},        {"erev", erev}, {"sensory_w", sensory_w}, {"sensory_erev", sensory_erev},
        {"sigma", 0.0f}, {"mu", 0.0f},   {"sensory_sigma", 0.0f},  {"sensory_mu", 0.0f}};
    EbbSafetensorsWriter *writer = nullptr;
    ASSERT_EQ(ebb_safetensors_writer_create(&writer), EBB_OK);
    for (const auto *list : {&vectors, &matrices})
      for (const auto &[name, value] : *list) {
        const int64_t dims[] = {1, 1};
        const EbbShape shape = ebb_shape_from(list == &vectors ? 1 : 2, dims);
        ASSERT_EQ(ebb_safetensors_writer_add(writer, name.c_str(), EBB_ST_F32, &shape, &value), EBB_OK);
      }
    ASSERT_EQ(ebb_safetensors_writer_commit(writer, path.c_str()), EBB_OK) << ebb_error();
    ebb_safetensors_writer_destroy(writer);
  }
};

// 96 rows of one input and one target; windows of 4 steps, of which validation has 5.
class ReportPlace : public Place {
public:
  ReportPlace() {
    write("experiments/mine.yaml", "dataset: {_name_: csv, data_dir: data, file: rows.csv, targets: y,\n"
                                   "          window: 4, val_split: 0.25}\n"
                                   "loader: {batch_size: 4}\nthreads: 1\ntrainer: {max_epochs: 1}\n");
    std::ostringstream rows;
    rows << "x,y\n";
    for (int t = 0; t < 96; t++) rows << std::sin(t) << ',' << std::cos(t) << '\n';
    write("data/rows.csv", rows.str());
  }
  Outcome import(const Neuron &neuron, std::vector<std::string> more = {}) const {
    neuron.write(path / "w.safetensors");
    fs::remove(path / "ebb.safetensors");
    const std::vector<std::string> begin = {"import",
                                            "w.safetensors",
                                            "experiment=mine",
                                            "model.layer._name_=ltc",
                                            "model.n_layers=1",
                                            "model.d_model=1",
                                            "model.layer.implicit=false",
                                            "model.layer.input_mapping=linear",
                                            "model.layer.output_mapping=linear",
                                            "decoder._name_=identity",
                                            "-o",
                                            "ebb.safetensors"};
    more.insert(more.begin(), begin.begin(), begin.end());
    const Outcome outcome = run(more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome;
  }
  std::string json(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"report", "ebb.safetensors", "--json"});
    const Outcome outcome = run(more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  }
};

// The number behind a name's first place; NAN for null.
double number(const std::string &json, const std::string &name) {
  const size_t at = json.find("\"" + name + "\":");
  if (at == std::string::npos) ADD_FAILURE() << name << " is not in " << json;
  const std::string rest = at == std::string::npos ? "" : json.substr(at + name.size() + 3);
  return rest.rfind("null", 0) == 0 || rest.empty() ? std::nan("") : std::stod(rest);
}

size_t count(const std::string &text, const std::string &part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) n++;
  return n;
}

} // namespace

TEST(CliReport, TimeConstantsAndBoundsOfAnLtc) {
  ReportPlace place;
  place.import({});
  const std::string json = place.json();
  EXPECT_EQ(number(json, "samples"), 5);
  EXPECT_EQ(number(json, "steps"), 20);
  // cm / (gleak + (w + sensory_w) / 2), and the same with gates of 1 and 0.
  for (const char *name : {"tau_min", "tau_median", "tau_max"})
    EXPECT_NEAR(number(json, name), 2 / 4.5, 1e-6);
  EXPECT_NEAR(number(json, "tau_low"), 2.0 / 8, 1e-6);
  EXPECT_NEAR(number(json, "tau_high"), 2, 1e-6);
  EXPECT_EQ(number(json, "state_low"), -0.5);
  EXPECT_EQ(number(json, "state_high"), 1);
  EXPECT_NEAR(number(json, "h_lambda"), 4.5 / 2 / 6, 1e-6);
  EXPECT_TRUE(std::isnan(number(json, "limit")));
  double v = 0, least = 1, greatest = -1;
  for (int step = 0; step < 4; step++) {
    for (int unfold = 0; unfold < 6; unfold++) v = (12 * v + 0.2 + 1.5 - 1) / (12 + 1 + 1.5 + 2);
    least = std::min(least, v), greatest = std::max(greatest, v);
  }
  EXPECT_NEAR(number(json, "state_min"), least, 1e-6);
  EXPECT_NEAR(number(json, "state_max"), greatest, 1e-6);
  EXPECT_EQ(number(json, "saturated"), 0);
  EXPECT_EQ(number(json, "tau_violations") + number(json, "state_violations"), 0);
  EXPECT_EQ(number(place.json({"--split=test", "-n", "2"}), "samples"), 2);
}

// Explicit Euler with h lambda = 1.5 is stable and overshoots: 1.5, 0.75, 1.125, 0.9375.
TEST(CliReport, NamesAStateBeyondItsBounds) {
  ReportPlace place;
  Neuron neuron;
  neuron.vleak = neuron.erev = neuron.sensory_erev = 1, neuron.cm = 3;
  place.import(neuron, {"model.layer.solver=euler", "model.layer.unfolds=1"});
  const std::string json = place.json();
  EXPECT_NEAR(number(json, "h_lambda"), 1.5, 1e-6);
  EXPECT_EQ(number(json, "limit"), 2);
  EXPECT_NEAR(number(json, "state_max"), 1.5, 1e-6);
  EXPECT_EQ(number(json, "state_violations"), 2 * 5);
  EXPECT_EQ(number(json, "tau_violations"), 0);
  const Outcome text = place.run({"report", "ebb.safetensors"});
  expect_contains(text.out, "layer 0, units neuron 0: state 0.75..1.5 beyond 0..1 in 10 steps");
  expect_contains(text.out, "h lambda up to 1.5 of 2");
}

// (1 + 4 / 2 + 3 / 2) / 2 a unit of time: a sub-step of Euler goes to 2.25, and one of two to half of that.
TEST(CliReport, UnstableLayersAreNamedAfterAnEvaluation) {
  ReportPlace place;
  const std::vector<std::string> euler = {"model.layer.solver=euler", "model.layer.unfolds=1"};
  place.import(Neuron(), euler);
  expect_failure(place.run({"eval", "ebb.safetensors", "--split", "val"}), 1, {"2.25", "beyond 2"});
  place.import(Neuron(), {euler[0], euler[1], "model.layer.unstable=warn"});
  const Outcome warned = place.run({"eval", "ebb.safetensors", "--split", "val"});
  EXPECT_EQ(warned.code, 0) << warned.err;
  expect_contains(warned.out + warned.err,
                  "warning: layer 0 met rate x step = 2.25 on val, and its solver is unstable beyond 2");
  place.import(Neuron(), {euler[0], "model.layer.unfolds=2", "model.layer.unstable=warn"});
  const Outcome quiet = place.run({"eval", "ebb.safetensors", "--split", "val"});
  EXPECT_EQ(quiet.code, 0) << quiet.err;
  EXPECT_EQ((quiet.out + quiet.err).find("warning"), std::string::npos) << quiet.out << quiet.err;
}

TEST(CliReport, NamesATimeConstantBeyondItsBounds) {
  ReportPlace place;
  Neuron neuron;
  neuron.w = -0.5f, neuron.sensory_w = 0;
  place.import(neuron);
  const std::string json = place.json();
  EXPECT_NEAR(number(json, "tau_max"), 2 / 0.75, 1e-6);
  EXPECT_EQ(number(json, "tau_violations"), 20);
  expect_contains(place.run({"report", "ebb.safetensors"}).out, "time constant 2.67..2.67 beyond");
}

TEST(CliReport, StatesAtTheirBoundsAreSaturated) {
  ReportPlace place;
  Neuron neuron;
  neuron.w = neuron.sensory_w = 1000, neuron.sensory_erev = 1;
  place.import(neuron);
  const std::string json = place.json();
  EXPECT_EQ(number(json, "saturated"), 1);
  EXPECT_EQ(number(json, "state_violations"), 0);
}

TEST(CliReport, GroupsOfAWiringAndAPicture) {
  ReportPlace place;
  for (const char *cell : {"ltc", "wired_cfc"}) {
    const std::string run = std::string("run-") + cell;
    const Outcome train =
        place.run({"train", "experiment=mine", std::string("model.layer._name_=") + cell, "model.n_layers=1",
                   "model.d_model=9", "model.layer.wiring=autoncp(9, 2)", "run_dir=" + run});
    ASSERT_EQ(train.code, 0) << train.err;
    const Outcome report = place.run({"report", run, "--json", "--split=train"});
    ASSERT_EQ(report.code, 0) << report.err;
    EXPECT_EQ(count(report.out, "\"motor\""), 2u);
    EXPECT_EQ(count(report.out, "\"command\""), 2u);
    EXPECT_EQ(count(report.out, "\"inter\""), 5u);
    // Units of a CfC are in the order of signals.
    EXPECT_EQ(report.out.find("\"motor\"") < report.out.find("\"inter\""), std::string(cell) == "ltc");
    EXPECT_EQ(count(report.out, "\"state_violations\":0"), 9u);
  }
  const Outcome drawn = place.run({"report", "run-ltc", "-o", "taus.svg", "--neurons"});
  EXPECT_EQ(drawn.code, 0) << drawn.err;
  expect_contains(drawn.out, "every time constant and every state is within them");
  expect_contains(drawn.out, "inter 8");
  const std::string picture = read_text(place.path / "taus.svg");
  for (const char *part : {"layer 0: ltc, 9 neurons", "command", "effective time constant"})
    expect_contains(picture, part);
  expect_failure(place.run({"report", "run-ltc", "-o", "taus.gif"}), 1, {"taus.gif", ".png or .svg"});
  expect_failure(place.run({"report", "run-wired_cfc", "-o", "taus.svg"}), 1, {"wired_cfc", "no rates"});
}

TEST(CliReport, ModelsWithoutCellsAreRefused) {
  TinyPlace place(1);
  ASSERT_EQ(place.train({"run_dir=run"}).code, 0);
  expect_failure(place.run({"report", "run"}), 1, {"recurrent cells"});
}
