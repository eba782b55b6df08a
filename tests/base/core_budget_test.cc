#include "base/core_budget.h"

#include <gtest/gtest.h>

#include <thread>

#include "absl/time/time.h"
#include "base/clock.h"

namespace stylex {
namespace {

TEST(CoreBudgetTest, NoCoreIsLeftUnlessSomebodyAsks) { EXPECT_FALSE(CoreBudget().core_is_left()); }

TEST(CoreBudgetTest, ACoreIsLeftForAsLongAsWasAsked) {
  CoreBudget budget;
  const absl::Time asked = Clock::Real().Now();
  budget.LeaveACoreFor(absl::Milliseconds(30));
  const bool left = budget.core_is_left();
  // On a machine that was busy elsewhere the time may be over already.
  EXPECT_TRUE(left || Clock::Real().Now() - asked >= absl::Milliseconds(30));
  while (Clock::Real().Now() - asked < absl::Milliseconds(40)) {
    std::this_thread::yield();
  }
  EXPECT_FALSE(budget.core_is_left());
}

TEST(CoreBudgetTest, TheLastOneWhoAsksDecides) {
  CoreBudget budget;
  budget.LeaveACoreFor(absl::Hours(1));
  EXPECT_TRUE(budget.core_is_left());
  budget.LeaveACoreFor(absl::ZeroDuration());
  EXPECT_FALSE(budget.core_is_left());
}

TEST(CoreBudgetTest, ThoseThatShareHaveEqualPartsOfWhatIsNotLeftToOthers) {
  CoreBudget budget;
  EXPECT_EQ(budget.CoresOfEach(8), 8);
  budget.Share(3);
  EXPECT_EQ(budget.CoresOfEach(8), 2);
  EXPECT_EQ(budget.CoresOfEach(2), 1);
  budget.LeaveACoreFor(absl::Hours(1));
  EXPECT_EQ(budget.CoresOfEach(7), 2);
  EXPECT_EQ(budget.CoresOfEach(1), 1);
  budget.Share(1);
  EXPECT_EQ(budget.CoresOfEach(8), 7);
}

TEST(CoreBudgetTest, OtherThreadsSeeIt) {
  CoreBudget budget;
  std::thread([&budget] { budget.LeaveACoreFor(absl::Hours(1)); }).join();
  EXPECT_TRUE(budget.core_is_left());
}

}  // namespace
}  // namespace stylex
