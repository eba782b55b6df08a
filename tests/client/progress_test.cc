// The bar, as text.
#include "client/progress.h"

#include <gtest/gtest.h>

namespace stylex {
namespace {

TEST(ProgressTextTest, TellsHowFarHowFastAndHowLong) {
  EXPECT_EQ(ProgressText(0, 0, 100, 0), "[--------------------] 0 of 100");
  EXPECT_EQ(ProgressText(50, 0, 100, 10),
            "[##########----------] 50 of 100, 5.0 a second, 10 s left");
  EXPECT_EQ(ProgressText(100, 0, 100, 10),
            "[####################] 100 of 100, 10.0 a second, 0 s left");
}

TEST(ProgressTextTest, NothingToDoIsDone) {
  EXPECT_EQ(ProgressText(0, 0, 0, 0), "[####################] 0 of 0");
  EXPECT_EQ(ProgressText(0, 0, 0, 5), "[####################] 0 of 0") << "and has no rate";
}

TEST(ProgressTextTest, ThreeOfSevenFillThreeSevenths) {
  EXPECT_EQ(ProgressText(3, 0, 7, 3), "[########------------] 3 of 7, 1.0 a second, 4 s left");
}

TEST(ProgressTextTest, WhatWasDoneBeforeIsNoSpeed) {
  EXPECT_EQ(ProgressText(50, 40, 100, 10),
            "[##########----------] 50 of 100, 1.0 a second, 50 s left");
  EXPECT_EQ(ProgressText(50, 50, 100, 10), "[##########----------] 50 of 100");
}

TEST(ProgressTextTest, LongTimesAreInMinutesAndHours) {
  EXPECT_EQ(ProgressText(10, 0, 1000, 1).substr(23 + 10), ", 10.0 a second, 1:39 min left");
  EXPECT_EQ(ProgressText(1, 0, 7201, 1).substr(23 + 9), ", 1.0 a second, 2:00 h left");
}

}  // namespace
}  // namespace stylex
