#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "ebb/op.h"
#include "ebb/params.h"

namespace {

EbbParamSpec spec(const char *name, std::vector<int64_t> shape) {
  EbbParamSpec s = {};
  s.name = name;
  s.shape = ebb_shape_from(int(shape.size()), shape.data());
  s.draw = EBB_DRAW_NORMAL;
  s.a = 1;
  return s;
}

struct Fixture {
  Fixture() {
    EXPECT_EQ(ebb_device_open("cpu", 1, &device), EBB_OK);
    EXPECT_EQ(ebb_params_create(device, &params), EBB_OK);
  }
  ~Fixture() {
    ebb_params_destroy(params);
    ebb_device_close(device);
  }
  int declare(const char *scope, const EbbParamSpec &s) const {
    int index = -1;
    EXPECT_EQ(ebb_params_declare(params, scope, &s, &index), EBB_OK) << ebb_error();
    return index;
  }
  std::vector<float> read(const char *name, int64_t size) const {
    std::vector<float> value(static_cast<size_t>(size));
    EXPECT_EQ(ebb_params_read(params, name, value.data(), size), EBB_OK) << ebb_error();
    return value;
  }
  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
};

TEST(Params, GroupsAreContiguousAndBuffersStandBeside) {
  Fixture f;
  EbbParamSpec plain = spec("weight", {3, 5}), slow = spec("log_dt", {7}), buffer = spec("mean", {4});
  slow.own_lr = slow.own_decay = true, slow.lr = 1e-3, slow.weight_decay = 0;
  buffer.buffer = true;
  f.declare("a", plain);
  f.declare("a", slow);
  f.declare("a", buffer);
  f.declare("b", plain);
  int last = f.declare("b", slow);
  ASSERT_EQ(ebb_params_place(f.params, 3), EBB_OK) << ebb_error();
  ASSERT_EQ(ebb_params_group_count(f.params), 2);
  const EbbParamGroup *fast_group = ebb_params_group(f.params, 0),
                      *slow_group = ebb_params_group(f.params, 1);
  EXPECT_EQ(fast_group->begin, 0);
  EXPECT_EQ(fast_group->end, slow_group->begin);
  EXPECT_EQ(slow_group->end, ebb_params_size(f.params));
  EXPECT_EQ(ebb_params_trained(f.params), 2 * (15 + 7));
  EXPECT_EQ(slow_group->lr, 1e-3);
  for (int i = 0; i < ebb_params_count(f.params); i++) {
    const EbbParam *p = ebb_params_at(f.params, i);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(ebb_params_value(f.params, i)) % 64, 0U) << p->name;
    if (p->group < 0) {
      EXPECT_EQ(ebb_params_grad(f.params, i), nullptr);
      continue;
    }
    const EbbParamGroup *group = ebb_params_group(f.params, p->group);
    EXPECT_TRUE(p->offset >= group->begin && p->offset + p->size <= group->end) << p->name;
    EXPECT_EQ(ebb_params_grad(f.params, i) - ebb_params_flat(f.params, EBB_FLAT_GRAD), p->offset);
    EXPECT_EQ(ebb_params_moment(f.params, i, 2) - ebb_params_flat(f.params, EBB_FLAT_V), p->offset);
  }
  EXPECT_STREQ(ebb_params_at(f.params, last)->name, "b.log_dt");
}

// A parameter's draw depends on seed and name, not on what else is there.
TEST(Params, DrawsDependOnSeedAndNameAlone) {
  Fixture one, two, other;
  EbbParamSpec w = spec("weight", {1000});
  one.declare("x", w);
  two.declare("first", w);
  two.declare("x", w);
  other.declare("x", w);
  ASSERT_EQ(ebb_params_place(one.params, 5), EBB_OK);
  ASSERT_EQ(ebb_params_place(two.params, 5), EBB_OK);
  ASSERT_EQ(ebb_params_place(other.params, 6), EBB_OK);
  EXPECT_EQ(one.read("x.weight", 1000), two.read("x.weight", 1000));
  EXPECT_NE(one.read("x.weight", 1000), two.read("first.weight", 1000));
  EXPECT_NE(one.read("x.weight", 1000), other.read("x.weight", 1000));
}

TEST(Params, Draws) {
  Fixture f;
  EbbParamSpec c = spec("c", {10}), u = spec("u", {4000}), r = spec("r", {4000});
  c.draw = EBB_DRAW_CONSTANT, c.a = 2.5;
  u.draw = EBB_DRAW_UNIFORM, u.a = 0.25;
  r.draw = EBB_DRAW_RANGE, r.a = 3, r.b = 4;
  f.declare("", c);
  f.declare("", u);
  f.declare("", r);
  ASSERT_EQ(ebb_params_place(f.params, 1), EBB_OK);
  for (float v : f.read("c", 10)) EXPECT_EQ(v, 2.5F);
  float low = 1, high = -1;
  for (float v : f.read("u", 4000)) low = std::min(low, v), high = std::max(high, v);
  EXPECT_TRUE(low >= -0.25F && low < -0.24F && high <= 0.25F && high > 0.24F);
  for (float v : f.read("r", 4000)) EXPECT_TRUE(v >= 3 && v <= 4);
}

TEST(Params, AccessErrorsNameTheParameter) {
  Fixture f;
  f.declare("s", spec("w", {2}));
  float value[3];
  EXPECT_EQ(ebb_params_read(f.params, "s.w", value, 2), EBB_STATE);
  ASSERT_EQ(ebb_params_place(f.params, 1), EBB_OK);
  EXPECT_EQ(ebb_params_read(f.params, "s.v", value, 2), EBB_NOT_FOUND);
  EXPECT_NE(std::string(ebb_error()).find("s.v"), std::string::npos);
  EXPECT_EQ(ebb_params_write(f.params, "s.w", value, 3), EBB_SHAPE);
}

TEST(Device, UnknownAndMissingDevicesSayWhatToDo) {
  EbbDevice *device = nullptr;
  EXPECT_EQ(ebb_device_open("tpu", 0, &device), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("auto"), std::string::npos);
  EXPECT_EQ(ebb_device_open("cpu", -1, &device), EBB_INVALID);
  ASSERT_EQ(ebb_device_open("auto", 0, &device), EBB_OK) << ebb_error();
  void *memory = nullptr;
  EXPECT_EQ(ebb_device_alloc(device, size_t(1) << 50, "the attempt", &memory), EBB_MEMORY);
  EXPECT_NE(std::string(ebb_error()).find("the attempt"), std::string::npos);
  ebb_device_close(device);
}

// Every registered op has both names, an args size and CPU kernels.
TEST(Registry, RowsAreWhole) {
  ASSERT_GT(ebb_op_count(), 0);
  for (int i = 0; i < ebb_op_count(); i++) {
    const EbbOp *op = ebb_op_at(i);
    EXPECT_EQ(ebb_op_find(op->name), op);
    EXPECT_GT(op->args_size, 0U) << op->name;
    ASSERT_NE(ebb_op_kernels(op, EBB_CPU), nullptr) << op->name;
    EXPECT_NE(ebb_op_kernels(op, EBB_CPU)->forward, nullptr) << op->name;
  }
  EXPECT_EQ(ebb_op_find("no such op"), nullptr);
}

} // namespace
