#include "server/handlers/search_progress.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/server/scheduling/fake_clock.h"

namespace stylex {
namespace {

class Collector : public StreamSink<v1::FindAttributesResponse> {
 public:
  void Write(v1::FindAttributesResponse) override { ADD_FAILURE() << "progress is no result"; }
  void WriteLatest(v1::FindAttributesResponse response) override {
    told.push_back(response.progress());
  }
  std::vector<v1::SearchProgress> told;
};

TEST(SearchProgressTest, TellsAtOnceAndThenNowAndAgain) {
  FakeClock clock;
  Collector collector;
  SearchProgressReporter progress(&clock, &collector, 100);
  ASSERT_EQ(collector.told.size(), 1u);
  EXPECT_EQ(collector.told[0].done(), 0);
  EXPECT_EQ(collector.told[0].total(), 100);
  for (int done = 1; done <= 50; ++done) {
    clock.Advance(absl::Milliseconds(20));
    progress.Update(done, 100);
  }
  // 1 s of work: three more messages.
  ASSERT_EQ(collector.told.size(), 4u);
  EXPECT_EQ(collector.told[3].done(), 39);
  EXPECT_NEAR(collector.told[3].seconds_left(), 61 * 0.020, 1e-6);
}

TEST(SearchProgressTest, WhatTookLongBeforeIsNotExpectedOfTheRest) {
  FakeClock clock;
  Collector collector;
  SearchProgressReporter progress(&clock, &collector, 1000);
  clock.Advance(absl::Seconds(10));  // reading, and waiting for the device
  progress.Update(1, 1000);
  EXPECT_EQ(collector.told.back().seconds_left(), 0) << "nothing is known yet";
  for (int done = 2; done <= 100; ++done) {
    clock.Advance(absl::Milliseconds(10));
    progress.Update(done, 1000);
  }
  EXPECT_NEAR(collector.told.back().seconds_left(), 9, 1);
}

TEST(SearchProgressTest, TheTotalGrowsWithTheSearch) {
  FakeClock clock;
  Collector collector;
  SearchProgressReporter progress(&clock, &collector, 100);
  progress.Update(100, 100);
  clock.Advance(absl::Seconds(1));
  progress.Update(110, 140);
  EXPECT_EQ(collector.told.back().done(), 110);
  EXPECT_EQ(collector.told.back().total(), 140);
}

}  // namespace
}  // namespace stylex
