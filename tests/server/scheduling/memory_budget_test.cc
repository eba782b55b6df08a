#include "server/scheduling/memory_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace stylex {
namespace {

using ::testing::ElementsAre;

bool StillWanted() { return true; }

void AwaitWaiting(const MemoryBudget& budget, size_t count) {
  while (budget.waiting() < count) {
    std::this_thread::yield();
  }
}

TEST(MemoryBudgetTest, SharesAreCountedAndGivenBack) {
  MemoryBudget budget(100);
  {
    const auto first = budget.TryTake(60);
    ASSERT_TRUE(first.has_value());
    EXPECT_FALSE(budget.TryTake(41).has_value());
    const auto second = budget.Take(40, StillWanted);
    ASSERT_TRUE(second.has_value());
    EXPECT_EQ(budget.used(), 100);
  }
  EXPECT_EQ(budget.used(), 0);
  EXPECT_TRUE(budget.Fits(100));
  EXPECT_FALSE(budget.Fits(101));
}

TEST(MemoryBudgetTest, AMovedShareIsGivenBackOnce) {
  MemoryBudget budget(100);
  {
    MemoryBudget::Share kept;
    {
      std::optional<MemoryBudget::Share> share = budget.TryTake(70);
      kept = std::move(*share);
    }
    EXPECT_EQ(budget.used(), 70);
  }
  EXPECT_EQ(budget.used(), 0);
}

TEST(MemoryBudgetTest, ALargeShareIsNotOvertaken) {
  MemoryBudget budget(100);
  std::optional<MemoryBudget::Share> held = budget.TryTake(50);
  std::vector<int> order;
  std::thread large([&] {
    const auto share = budget.Take(80, StillWanted);
    order.push_back(80);
  });
  AwaitWaiting(budget, 1);
  EXPECT_FALSE(budget.TryTake(10).has_value()) << "somebody waits";
  std::thread small([&] {
    const auto share = budget.Take(40, StillWanted);
    order.push_back(40);
  });
  AwaitWaiting(budget, 2);
  EXPECT_EQ(budget.used(), 50) << "40 would be free, but 80 was first";
  held.reset();
  large.join();
  small.join();
  EXPECT_THAT(order, ElementsAre(80, 40));
  EXPECT_EQ(budget.used(), 0);
}

TEST(MemoryBudgetTest, WhoeverGivesUpLetsTheNextOnePass) {
  MemoryBudget budget(100);
  const auto held = budget.TryTake(50);
  std::atomic<bool> wanted = true;
  std::thread impatient(
      [&] { EXPECT_FALSE(budget.Take(80, [&] { return wanted.load(); }).has_value()); });
  AwaitWaiting(budget, 1);
  std::thread next([&] { EXPECT_TRUE(budget.Take(40, StillWanted).has_value()); });
  AwaitWaiting(budget, 2);
  wanted = false;
  impatient.join();
  next.join();
  EXPECT_EQ(budget.used(), 50);
}

}  // namespace
}  // namespace stylex
