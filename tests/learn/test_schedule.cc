#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "ebb/schedule.h"

namespace {

EbbSchedule cosine(EbbScheduleKind kind, int64_t warmup, int64_t total) {
  EbbSchedule s = {};
  s.kind = kind, s.warmup = warmup, s.total = total;
  return s;
}

double factor(const EbbSchedule &s, int64_t step, int64_t epoch = 0) {
  return ebb_schedule_factor(&s, step, epoch, nullptr);
}

TEST(Schedule, ConstantIsOne) {
  EbbSchedule s = {};
  EXPECT_EQ(ebb_schedule_check(&s), EBB_OK);
  EXPECT_EQ(factor(s, 0), 1);
  EXPECT_EQ(factor(s, 1000000, 300), 1);
}

TEST(Schedule, CosineWarmupRisesFallsAndRisesAgain) {
  const EbbSchedule s = cosine(EBB_SCHEDULE_COSINE_WARMUP, 10, 110);
  EXPECT_EQ(factor(s, 0), 0);
  EXPECT_DOUBLE_EQ(factor(s, 3), 0.3);
  EXPECT_DOUBLE_EQ(factor(s, 10), 1);
  EXPECT_DOUBLE_EQ(factor(s, 35), 0.5 * (1 + std::cos(M_PI / 4)));
  EXPECT_NEAR(factor(s, 110), 0, 1e-15);
  EXPECT_DOUBLE_EQ(factor(s, 135), 0.5 * (1 + std::cos(1.25 * M_PI)));
  EXPECT_NEAR(factor(s, 210), 1, 1e-15);
}

TEST(Schedule, PublishedRunsEndWhereTheTableSays) {
  EXPECT_NEAR(factor(cosine(EBB_SCHEDULE_COSINE_WARMUP, 1000, 80000), 320000), 1.00, 0.01);
  EXPECT_NEAR(factor(cosine(EBB_SCHEDULE_COSINE_WARMUP, 1000, 50000), 156250), 0.07, 0.01);
  EXPECT_NEAR(factor(cosine(EBB_SCHEDULE_COSINE_WARMUP, 2500, 50000), 183857), 0.92, 0.01);
}

TEST(Schedule, ClampedCosineStaysAtItsEnd) {
  const EbbSchedule s = cosine(EBB_SCHEDULE_COSINE_WARMUP_CLAMPED, 10, 110),
                    wrapping = cosine(EBB_SCHEDULE_COSINE_WARMUP, 10, 110);
  for (int64_t step = 0; step < 110; step++) EXPECT_EQ(factor(s, step), factor(wrapping, step));
  EXPECT_EQ(factor(s, 110), 0);
  EXPECT_EQ(factor(s, 210), 0);
}

TEST(Schedule, WarmupOfNothingAndWarmupBeyondTheEnd) {
  EXPECT_EQ(factor(cosine(EBB_SCHEDULE_COSINE_WARMUP, 0, 100), 0), 1);
  const EbbSchedule s = cosine(EBB_SCHEDULE_COSINE_WARMUP_CLAMPED, 100, 10);
  EXPECT_DOUBLE_EQ(factor(s, 50), 0.5);
  EXPECT_EQ(factor(s, 100), 0);
}

TEST(Schedule, MultistepCountsMilestonesReached) {
  const int64_t milestones[] = {200, 100, 300};
  EbbSchedule s = {};
  s.kind = EBB_SCHEDULE_MULTISTEP, s.milestones = milestones, s.n_milestones = 3, s.gamma = 0.5;
  EXPECT_EQ(ebb_schedule_check(&s), EBB_OK);
  EXPECT_EQ(factor(s, 7, 99), 1);
  EXPECT_EQ(factor(s, 7, 100), 0.5);
  EXPECT_EQ(factor(s, 7, 299), 0.25);
  EXPECT_EQ(factor(s, 7, 300), 0.125);
}

EbbSchedule plateau(bool maximise) {
  EbbSchedule s = {};
  s.kind = EBB_SCHEDULE_PLATEAU, s.patience = 2, s.factor = 0.1, s.threshold = 1e-4, s.maximise = maximise;
  return s;
}

TEST(Schedule, PlateauLowersAfterPatience) {
  const EbbSchedule s = plateau(false);
  EbbPlateau state = ebb_plateau_start();
  auto after = [&](double value) {
    ebb_plateau_update(&s, &state, value);
    return ebb_schedule_factor(&s, 0, 0, &state);
  };
  EXPECT_EQ(after(1.0), 1);
  EXPECT_EQ(after(0.99995), 1); // within the threshold: bad epoch 1
  EXPECT_EQ(after(2.0), 1);
  EXPECT_DOUBLE_EQ(after(std::nan("")), 0.1);
  EXPECT_DOUBLE_EQ(after(1.5), 0.1);
  EXPECT_DOUBLE_EQ(after(0.5), 0.1);
  EXPECT_EQ(state.best, 0.5);
  EXPECT_EQ(state.bad_epochs, 0);
}

TEST(Schedule, PlateauOfAScoreToMaximise) {
  const EbbSchedule s = plateau(true);
  EbbPlateau state = ebb_plateau_start();
  ebb_plateau_update(&s, &state, std::nan(""));
  EXPECT_EQ(state.bad_epochs, -1);
  for (double value : {0.5, 0.6, 0.55, 0.6}) ebb_plateau_update(&s, &state, value);
  EXPECT_EQ(state.best, 0.6);
  EXPECT_EQ(state.bad_epochs, 2);
  EXPECT_EQ(state.factor, 1);
  ebb_plateau_update(&s, &state, 0.59);
  EXPECT_DOUBLE_EQ(state.factor, 0.1);
}

TEST(Schedule, OtherKindsKeepNoState) {
  const EbbSchedule s = cosine(EBB_SCHEDULE_COSINE_WARMUP, 1, 2);
  EbbPlateau state = ebb_plateau_start();
  ebb_plateau_update(&s, &state, 3);
  EXPECT_EQ(state.bad_epochs, -1);
}

TEST(Schedule, BadSettingsAreNamed) {
  const int64_t zero = 0;
  EbbSchedule milestone = {}, gamma = {}, patience = plateau(false), shrink = plateau(false), unknown = {};
  milestone.kind = gamma.kind = EBB_SCHEDULE_MULTISTEP;
  milestone.milestones = &zero, milestone.n_milestones = 1;
  gamma.gamma = 2, patience.patience = -1, shrink.factor = 1;
  unknown.kind = static_cast<EbbScheduleKind>(EBB_SCHEDULES);
  const struct {
    EbbSchedule schedule;
    const char *says;
  } rows[] = {
      {cosine(EBB_SCHEDULE_COSINE_WARMUP, -1, 5), "num_warmup_steps is -1"},
      {cosine(EBB_SCHEDULE_COSINE_WARMUP_CLAMPED, 1, 0), "num_training_steps is 0"},
      {milestone, "milestone 0"},
      {gamma, "gamma of the multistep schedule is 2"},
      {patience, "patience of the plateau schedule is -1"},
      {shrink, "factor of the plateau schedule is 1"},
      {unknown, "schedule kind 5"},
  };
  for (const auto &row : rows) {
    EXPECT_EQ(ebb_schedule_check(&row.schedule), EBB_INVALID) << row.says;
    EXPECT_NE(std::string(ebb_error()).find(row.says), std::string::npos) << ebb_error();
  }
}

} // namespace
