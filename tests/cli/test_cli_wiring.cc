// ebb plot wiring: pictures, files, and what is refused.
#include "cli/program.h"

using namespace ebb_test;

namespace {

bool has_dot() { return system("command -v dot >/dev/null") == 0; }

} // namespace

TEST(CliWiring, WritesTheWiringAndItsGraph) {
  Place place;
  Outcome made = place.run({"plot", "wiring", "autoncp(28, 4)", "--inputs", "6", "-o", "made.txt"});
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(made.out, "made.txt\n");
  expect_contains(read_text(place.path / "made.txt"),
                  "units 28\nmotors 4\ninputs 6\ninter 13-27\ncommand 4-12\n");
  made = place.run({"plot", "wiring", "made.txt", "-o", "graph.dot"});
  EXPECT_EQ(made.code, 0) << made.err;
  const std::string graph = read_text(place.path / "graph.dot");
  for (const char *part :
       {"digraph wiring {", "15 inter", "9 command", "4 motor", "84 synapses, 42 from sensors"})
    expect_contains(graph, part);
}

TEST(CliWiring, Draws) {
  if (!has_dot()) GTEST_SKIP() << "graphviz is not installed";
  Place place;
  for (const char *wiring :
       {"autoncp(28, 4)", "fully_connected(1)", "ncp(inter=[10, 6], command=8, motors=3)"}) {
    Outcome drawn = place.run({"plot", "wiring", wiring, "--inputs=6", "-o", "w.svg"});
    EXPECT_EQ(drawn.code, 0) << drawn.err;
    const std::string picture = read_text(place.path / "w.svg");
    expect_contains(picture, "</svg>");
    expect_contains(picture, ">s5</text>");
  }
  EXPECT_EQ(place.run({"plot", "wiring", "autoncp(28, 4)", "--inputs=6"}).out, "wiring.png\n");
  EXPECT_EQ(read_text(place.path / "wiring.png").substr(1, 3), "PNG");
}

TEST(CliWiring, SaysWhatIsWrong) {
  Place place;
  expect_failure(place.run({"plot", "wiring"}), 2, {"needs a WIRING", "ebb plot wiring --help"});
  expect_failure(place.run({"plot", "wiring", "autoncp(28, 4)"}), 1, {"autoncp needs a number of inputs"});
  expect_failure(place.run({"plot", "wiring", "autoncp(28, 27)", "--inputs=2"}), 1,
                 {"27 motor neurons among 28 units"});
  expect_failure(place.run({"plot", "wiring", "autoncp(28, 4)", "--inputs=2", "-o", "w.pdf"}), 1,
                 {"ends in .png, .svg or .dot"});
  expect_failure(place.run({"plot", "wiring", "absent.txt"}), 1, {"absent.txt"});
  Outcome missing = place.shell(std::string("PATH=/nonexistent ") + EBB_PROGRAM +
                                " plot wiring 'autoncp(28, 4)' --inputs=2");
  expect_failure(missing, 1, {"dot is needed to draw 'wiring.png' and is not in PATH: install graphviz"});
  EXPECT_FALSE(fs::exists(place.path / "wiring.png"));
}
