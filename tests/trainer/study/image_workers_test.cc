#include "trainer/study/image_workers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <map>
#include <set>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "tests/trainer/study/random_pictures.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Keeps everything that is reported.
class RecordedProgress : public Progress {
 public:
  void Warn(const std::string& message) override {
    const MutexLock lock(&mutex_);
    warnings_.insert(message);
  }
  void Start(const std::string& what, int64_t done, int64_t total) override {
    started = absl::StrCat(what, " ", done, " of ", total);
  }
  void Advance(int64_t done, const std::string&) override { advanced.push_back(done); }
  void End() override { ended = true; }

  std::set<std::string> warnings() {
    const MutexLock lock(&mutex_);
    return warnings_;
  }

  std::string started;
  std::vector<int64_t> advanced;  // OnEach calls Advance under a lock of its own
  bool ended = false;

 private:
  Mutex mutex_;
  std::set<std::string> warnings_ ABSL_GUARDED_BY(mutex_);
};

class OnEachTest : public testing::TestWithParam<int> {
 protected:
  RecordedProgress progress_;
};

TEST_P(OnEachTest, DoesEveryPieceOnceAndTellsOfEach) {
  constexpr int64_t kCount = 37;
  Mutex mutex;
  std::map<int64_t, int> done;
  EXPECT_TRUE(OnEach(kCount, GetParam(), "pieces", &progress_, [&](int64_t i) {
                const MutexLock lock(&mutex);
                ++done[i];
                return absl::OkStatus();
              }).ok());
  EXPECT_EQ(done.size(), kCount);
  EXPECT_EQ(done.begin()->first, 0);
  EXPECT_EQ(done.rbegin()->first, kCount - 1);
  for (const auto& [i, times] : done) {
    EXPECT_EQ(times, 1) << i;
  }
  EXPECT_EQ(progress_.started, "pieces 0 of 37");
  ASSERT_EQ(progress_.advanced.size(), kCount);
  for (int64_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(progress_.advanced[static_cast<size_t>(i)], i + 1);
  }
  EXPECT_TRUE(progress_.ended);
}

TEST_P(OnEachTest, AnExceptionOfAWorkerIsTheStatus) {
  EXPECT_EQ(OnEach(10, GetParam(), "pieces", &progress_,
                   [](int64_t i) -> absl::Status {
                     if (i == 4) {
                       throw std::runtime_error("element 0 does not require grad\nframe 0");
                     }
                     return absl::OkStatus();
                   }),
            absl::InternalError("element 0 does not require grad"));
}

TEST_P(OnEachTest, StopsAtTheFirstErrorAndReturnsIt) {
  std::atomic<int> called = 0;
  const absl::Status status =
      OnEach(1'000'000, GetParam(), "pieces", &progress_, [&](int64_t i) -> absl::Status {
        ++called;
        return i == 5 ? absl::DataLossError("piece 5 is lost") : absl::OkStatus();
      });
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status.message(), "piece 5 is lost");
  EXPECT_LT(called, 1'000'000);
  EXPECT_FALSE(progress_.ended);
}

TEST_P(OnEachTest, GradientsAreOffInEveryWorker) {
  std::atomic<int> with_gradients = 0;
  EXPECT_TRUE(OnEach(20, GetParam(), "pieces", &progress_, [&](int64_t) {
                with_gradients += torch::GradMode::is_enabled() ? 1 : 0;
                return absl::OkStatus();
              }).ok());
  EXPECT_EQ(with_gradients, 0);
  EXPECT_TRUE(torch::GradMode::is_enabled()) << "the caller's are left alone";
}

TEST_P(OnEachTest, NothingToDoIsDone) {
  EXPECT_TRUE(OnEach(0, GetParam(), "pieces", &progress_, [](int64_t) {
                return absl::InternalError("called");
              }).ok());
  EXPECT_TRUE(progress_.ended);
  EXPECT_TRUE(progress_.advanced.empty());
}

INSTANTIATE_TEST_SUITE_P(Workers, OnEachTest, testing::Values(0, 1, 2, 4));

TEST(OnEachWorkersTest, WorkSideBySide) {
  RecordedProgress progress;
  Mutex mutex;
  CondVar met;
  int present = 0;
  EXPECT_TRUE(OnEach(2, 2, "pieces", &progress, [&](int64_t) {
                const MutexLock lock(&mutex);
                ++present;
                met.NotifyAll();
                while (present < 2) {  // would wait for ever for a worker alone
                  met.Wait(&mutex);
                }
                return absl::OkStatus();
              }).ok());
}

TEST(OnEachImageTest, GivesEachImageWithItsPlaceInTheOrder) {
  const RandomPictures pictures(10);
  RecordedProgress progress;
  Mutex mutex;
  std::map<size_t, Bitmap> seen;
  const std::vector<int64_t> order = {7, 2, 9};
  EXPECT_TRUE(OnEachImage(pictures, Split::kTrain, order, 2, "images", &progress,
                          [&](const Bitmap& image, size_t i) {
                            const MutexLock lock(&mutex);
                            seen[i] = image;
                            return absl::OkStatus();
                          })
                  .ok());
  ASSERT_EQ(seen.size(), 3);
  for (size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(seen[i], pictures.Load(Split::kTrain, order[i]).value());
    EXPECT_NE(seen[i], pictures.Load(Split::kValidation, order[i]).value());
  }
}

TEST(OnEachImageTest, LeavesOutWhatCannotBeReadAndSaysSo) {
  const RandomPictures pictures(6, {1, 4});
  RecordedProgress progress;
  Mutex mutex;
  std::set<size_t> seen;
  EXPECT_TRUE(OnEachImage(pictures, Split::kValidation, {4, 0, 1, 5}, 2, "images", &progress,
                          [&](const Bitmap&, size_t i) {
                            const MutexLock lock(&mutex);
                            seen.insert(i);
                            return absl::OkStatus();
                          })
                  .ok());
  EXPECT_THAT(seen, ElementsAre(1, 3));
  EXPECT_THAT(progress.warnings(),
              ElementsAre("left out: picture1: truncated", "left out: picture4: truncated"));
  EXPECT_EQ(progress.advanced.size(), 4) << "they count as done";
}

TEST(OnEachImageTest, AnErrorOfTheWorkEndsIt) {
  const RandomPictures pictures(6);
  RecordedProgress progress;
  const absl::Status status = OnEachImage(
      pictures, Split::kValidation, {0, 1, 2}, 1, "images", &progress, [](const Bitmap&, size_t i) {
        return i == 1 ? absl::CancelledError("enough") : absl::OkStatus();
      });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(progress.advanced, ElementsAre(1));
}

}  // namespace
}  // namespace stylex
