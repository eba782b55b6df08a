#include "explain/side_by_side.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace stylex {
namespace {

constexpr int kThreads = 3;

class SideBySideTest : public ::testing::Test {
 protected:
  SideBySideTest() { at::set_num_threads(kThreads); }
  ~SideBySideTest() override { at::set_num_threads(before_); }

  // The thread that ran each of `count` pieces of a few milliseconds.
  std::vector<int> Doers(int64_t count, const GiveWay& give_way = nullptr) {
    std::vector<int> doers(static_cast<size_t>(count), -1);
    const absl::Status status =
        SideBySide(count, /*parallel=*/true, {.give_way = give_way, .cores = &cores_},
                   [&](int64_t i, const GiveWay&) {
                     std::this_thread::sleep_for(std::chrono::milliseconds(5));
                     doers[static_cast<size_t>(i)] = at::get_thread_num();
                     return absl::OkStatus();
                   });
    EXPECT_TRUE(status.ok()) << status;
    return doers;
  }
  static int64_t Count(const std::vector<int>& doers, int thread) {
    return std::count(doers.begin(), doers.end(), thread);
  }

  CoreBudget cores_;

 private:
  const int before_ = at::get_num_threads();
};

TEST_F(SideBySideTest, UsesEveryThreadAndDoesEveryPieceOnce) {
  const std::vector<int> doers = Doers(60);
  for (int thread = 0; thread < kThreads; ++thread) {
    EXPECT_GT(Count(doers, thread), 0) << "thread " << thread;
  }
  EXPECT_EQ(Count(doers, -1), 0);
}

TEST_F(SideBySideTest, LeavesACoreWhileItShould) {
  cores_.LeaveACoreFor(absl::Minutes(1));
  const std::vector<int> doers = Doers(60);
  EXPECT_GT(Count(doers, 0), 0);
  EXPECT_GT(Count(doers, 1), 0);
  EXPECT_EQ(Count(doers, kThreads - 1), 0);
  EXPECT_EQ(Count(doers, -1), 0);
}

TEST_F(SideBySideTest, SharesTheCores) {
  cores_.Share(kThreads);
  for (const int pieces :
       {2, 60}) {  // few are done by the caller alone, without waiting for others
    EXPECT_EQ(Count(Doers(pieces), 0), pieces);
  }
}

TEST_F(SideBySideTest, LeavesACoreFromTheMiddleOfItsWork) {
  int asked = 0;
  const std::vector<int> doers = Doers(90, [this, &asked] {
    if (++asked == 5) {
      cores_.LeaveACoreFor(absl::Minutes(1));
    }
    return true;
  });
  EXPECT_GT(Count(doers, kThreads - 1), 0);
  EXPECT_LT(Count(doers, kThreads - 1), Count(doers, 0) / 2);
}

TEST_F(SideBySideTest, TakesTheCoreBack) {
  cores_.LeaveACoreFor(absl::Milliseconds(20));
  EXPECT_GT(Count(Doers(90), kThreads - 1), 0);
}

TEST_F(SideBySideTest, WorksOnOneThread) {
  at::set_num_threads(1);
  cores_.LeaveACoreFor(absl::Minutes(1));
  EXPECT_EQ(Count(Doers(5), 0), 5);
}

TEST_F(SideBySideTest, ARestingThreadDoesNotOutlastTheWork) {
  cores_.LeaveACoreFor(absl::Minutes(1));
  const auto start = std::chrono::steady_clock::now();
  int64_t done = 0;
  const absl::Status status =
      SideBySide(1, /*parallel=*/true, {.cores = &cores_}, [&done](int64_t, const GiveWay&) {
        ++done;
        return absl::InternalError("broken");
      });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(done, 1);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(SideBySideTest, AnExceptionIsAFailure) {
  for (const bool parallel : {false, true}) {
    EXPECT_EQ(SideBySide(20, parallel, {},
                         [](int64_t i, const GiveWay&) -> absl::Status {
                           if (i == 3) {
                             throw std::runtime_error("broken piece");
                           }
                           return absl::OkStatus();
                         }),
              absl::InternalError("broken piece"));
  }
}

TEST_F(SideBySideTest, AnExceptionOfGivingWayIsAFailureAndHoldsNobodyUp) {
  int asked = 0;
  const GiveWay give_way = [&asked]() -> bool {
    if (++asked == 2) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      throw std::runtime_error("no answer");
    }
    return true;
  };
  const absl::Status status =
      SideBySide(60, /*parallel=*/true, {.give_way = give_way}, [](int64_t, const GiveWay& within) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return within() ? absl::OkStatus() : absl::CancelledError("");
      });
  EXPECT_FALSE(status.ok());
}

}  // namespace
}  // namespace stylex
