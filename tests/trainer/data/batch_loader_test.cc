#include "trainer/data/batch_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kSide = 4;

// Images identified by their brightness; the left half is darker than the right one.
class NumberedImages : public Dataset {
 public:
  explicit NumberedImages(int64_t size, std::set<int64_t> unreadable = {})
      : Dataset({.resolution = kSide, .channels = 1}),
        size_(size),
        unreadable_(std::move(unreadable)) {
    labels_ = {"even", "odd"};
  }
  int64_t size(Split) const override { return size_; }
  int64_t label(Split, int64_t index) const override { return index % 2; }
  std::string name(Split, int64_t index) const override { return absl::StrCat("image ", index); }
  absl::StatusOr<Bitmap> Load(Split split, int64_t index) const override {
    if (unreadable_.contains(index)) {
      return absl::DataLossError(absl::StrCat(name(split, index), " is broken"));
    }
    Bitmap bitmap = Bitmap::Make(kSide, kSide, 1, static_cast<uint8_t>(index % 250));
    for (int y = 0; y < kSide; ++y) {
      std::fill_n(bitmap.pixel(kSide / 2, y), kSide / 2, static_cast<uint8_t>(index % 250 + 5));
    }
    return bitmap;
  }

 private:
  int64_t size_;
  std::set<int64_t> unreadable_;
};

// Images that differ from each of their mirror images and turns: one bright row with a brighter
// end.
class CornerImages : public NumberedImages {
 public:
  explicit CornerImages(int64_t size) : NumberedImages(size) {}
  absl::StatusOr<Bitmap> Load(Split, int64_t index) const override {
    Bitmap bitmap = Bitmap::Make(kSide, kSide, 1, static_cast<uint8_t>(index));
    std::fill_n(bitmap.pixel(0, 0), kSide, uint8_t{200});
    *bitmap.pixel(0, 0) = 255;
    return bitmap;
  }
};

class Warnings {
 public:
  std::function<void(const std::string&)> Collector() {
    return [this](const std::string& text) {
      MutexLock lock(&mutex_);
      texts_.push_back(text);
    };
  }
  std::vector<std::string> texts() {
    MutexLock lock(&mutex_);
    return texts_;
  }

 private:
  Mutex mutex_;
  std::vector<std::string> texts_ ABSL_GUARDED_BY(mutex_);
};

std::vector<Batch> Take(const Dataset& dataset, const BatchLoaderOptions& options, int count) {
  Warnings ignored;
  BatchLoader loader(dataset, options, ignored.Collector());
  std::vector<Batch> batches;
  for (int i = 0; i < count; ++i) {
    batches.push_back(loader.Next().value());
  }
  return batches;
}

void ExpectEqual(const Batch& a, const Batch& b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_TRUE(a.images.equal(b.images)) << "images of step " << a.step;
  EXPECT_TRUE(a.labels.equal(b.labels)) << "labels of step " << a.step;
  EXPECT_TRUE(a.indices.equal(b.indices)) << "indices of step " << a.step;
}

BatchLoaderOptions Augmented() {
  BatchLoaderOptions options;
  options.batch_size = 7;
  options.horizontal_flip = true;
  options.shift_pixels = 1;
  options.seed = 5;
  return options;
}

TEST(BatchLoaderTest, SameBatchesWhateverTheThreads) {
  const NumberedImages dataset(20);
  BatchLoaderOptions options = Augmented();
  const std::vector<Batch> one = Take(dataset, options, 40);
  for (const int threads : {2, 4}) {
    options.threads = threads;
    const std::vector<Batch> more = Take(dataset, options, 40);
    for (size_t i = 0; i < one.size(); ++i) {
      ExpectEqual(one[i], more[i]);
    }
  }
}

TEST(BatchLoaderTest, SameBatchesWhereverItStarts) {
  const NumberedImages dataset(20);
  BatchLoaderOptions options = Augmented();
  const std::vector<Batch> whole = Take(dataset, options, 30);
  for (const int64_t start : {1, 3, 17}) {
    options.start_step = start;
    const std::vector<Batch> rest = Take(dataset, options, 12);
    for (size_t i = 0; i < rest.size(); ++i) {
      ExpectEqual(whole[static_cast<size_t>(start) + i], rest[i]);
    }
  }
}

TEST(BatchLoaderTest, AnotherSeedGivesOtherBatches) {
  const NumberedImages dataset(20);
  BatchLoaderOptions options = Augmented();
  const std::vector<Batch> five = Take(dataset, options, 1);
  options.seed = 6;
  EXPECT_FALSE(five[0].indices.equal(Take(dataset, options, 1)[0].indices));
}

// 21 images in batches of 6: epochs end within batches, and a batch may span two epochs.
TEST(BatchLoaderTest, EveryImageOnceAnEpoch) {
  constexpr int64_t kImages = 21;
  const NumberedImages dataset(kImages);
  BatchLoaderOptions options;
  options.batch_size = 6;
  options.threads = 3;
  std::vector<int64_t> seen;
  for (const Batch& batch : Take(dataset, options, 14)) {
    for (int64_t i = 0; i < batch.indices.size(0); ++i) {
      const int64_t index = batch.indices[i].item<int64_t>();
      seen.push_back(index);
      EXPECT_EQ(batch.labels[i].item<int64_t>(), index % 2);
      EXPECT_NEAR(batch.images[i][0][0][0].item<double>(), static_cast<double>(index) / 127.5 - 1,
                  1e-6);
    }
  }
  ASSERT_EQ(seen.size(), 4 * kImages);
  std::set<std::vector<int64_t>> orders;
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    std::vector<int64_t> part(seen.begin() + epoch * kImages, seen.begin() + (epoch + 1) * kImages);
    orders.insert(part);
    std::sort(part.begin(), part.end());
    for (int64_t i = 0; i < kImages; ++i) {
      ASSERT_EQ(part[static_cast<size_t>(i)], i) << "epoch " << epoch;
    }
  }
  EXPECT_EQ(orders.size(), 4) << "epochs in the same order";
}

TEST(BatchLoaderTest, BatchesGreaterThanTheDataSet) {
  const NumberedImages dataset(3);
  BatchLoaderOptions options;
  options.batch_size = 12;
  options.threads = 4;
  for (const Batch& batch : Take(dataset, options, 20)) {
    for (int64_t index = 0; index < 3; ++index) {
      EXPECT_EQ(batch.indices.eq(index).sum().item<int64_t>(), 4);
    }
  }
}

TEST(BatchLoaderTest, FlipsAboutHalfOfTheImages) {
  const NumberedImages dataset(40);
  BatchLoaderOptions options;
  options.batch_size = 40;
  const std::vector<Batch> plain = Take(dataset, options, 5);
  options.horizontal_flip = true;
  const std::vector<Batch> flipped = Take(dataset, options, 5);
  int64_t mirrored = 0;
  for (size_t b = 0; b < plain.size(); ++b) {
    EXPECT_TRUE(plain[b].indices.equal(flipped[b].indices));
    for (int64_t i = 0; i < 40; ++i) {
      const torch::Tensor mirror = plain[b].images[i].flip({2});
      const bool is_mirror = flipped[b].images[i].equal(mirror);
      EXPECT_TRUE(is_mirror || flipped[b].images[i].equal(plain[b].images[i]));
      mirrored += is_mirror ? 1 : 0;
    }
  }
  EXPECT_GT(mirrored, 60);
  EXPECT_LT(mirrored, 140);
}

// Which of the eight symmetries of the square `image` is of `plain`: quarter turns, plus 4 where it
// is mirrored before; -1: none.
int SymmetryOf(const torch::Tensor& image, const torch::Tensor& plain) {
  for (int mirrored = 0; mirrored < 2; ++mirrored) {
    const torch::Tensor start = mirrored == 1 ? plain.flip({2}) : plain;
    for (int quarters = 0; quarters < 4; ++quarters) {
      if (image.equal(torch::rot90(start, quarters, {1, 2}))) {
        return quarters + 4 * mirrored;
      }
    }
  }
  return -1;
}

// How often each symmetry is drawn in 400 images of which no two symmetries look the same.
std::vector<int64_t> CountSymmetries(BatchLoaderOptions options) {
  const CornerImages dataset(50);
  options.batch_size = 50;
  BatchLoaderOptions plain_options = options;
  plain_options.horizontal_flip = plain_options.rotations = false;
  const std::vector<Batch> plain = Take(dataset, plain_options, 8);
  const std::vector<Batch> moved = Take(dataset, options, 8);
  std::vector<int64_t> counts(8, 0);
  for (size_t b = 0; b < plain.size(); ++b) {
    EXPECT_TRUE(plain[b].indices.equal(moved[b].indices));
    EXPECT_TRUE(plain[b].labels.equal(moved[b].labels));
    for (int64_t i = 0; i < 50; ++i) {
      const int symmetry = SymmetryOf(moved[b].images[i], plain[b].images[i]);
      EXPECT_GE(symmetry, 0) << "pixels that are not those of the image";
      ++counts[static_cast<size_t>(std::max(symmetry, 0))];
    }
  }
  return counts;
}

TEST(BatchLoaderTest, TurnsByEachQuarterAboutAsOften) {
  BatchLoaderOptions options;
  options.rotations = true;
  const std::vector<int64_t> counts = CountSymmetries(options);
  for (size_t quarters = 0; quarters < 4; ++quarters) {
    EXPECT_NEAR(static_cast<double>(counts[quarters]), 100, 40) << quarters;  // 4.6 deviations
    EXPECT_EQ(counts[quarters + 4], 0) << "mirrored without being asked to";
  }
}

TEST(BatchLoaderTest, TurnsAndMirrorsMakeTheEightSymmetries) {
  BatchLoaderOptions options;
  options.rotations = true;
  options.horizontal_flip = true;
  for (const int64_t count : CountSymmetries(options)) {
    EXPECT_NEAR(static_cast<double>(count), 50, 30);  // 4.5 deviations
  }
}

TEST(BatchLoaderTest, TurnedBatchesAreTheSameWhateverTheThreadsAndTheStart) {
  const NumberedImages dataset(20);
  BatchLoaderOptions options = Augmented();
  options.rotations = true;
  const std::vector<Batch> one = Take(dataset, options, 30);
  options.threads = 3;
  options.start_step = 11;
  const std::vector<Batch> rest = Take(dataset, options, 12);
  for (size_t i = 0; i < rest.size(); ++i) {
    ExpectEqual(one[11 + i], rest[i]);
  }
}

// The values are those drawn by the generator that the standard fixes: they are what runs without
// turns have seen since before there were any.
TEST(BatchLoaderTest, WithoutTurnsTheAugmentationIsWhatItAlwaysWas) {
  const CornerImages dataset(16);
  BatchLoaderOptions options;
  options.batch_size = 16;
  options.horizontal_flip = true;
  options.seed = 9;
  const Batch batch = Take(dataset, options, 1)[0];
  options.horizontal_flip = false;
  const Batch plain = Take(dataset, options, 1)[0];
  std::string mirrored;
  for (int64_t i = 0; i < 16; ++i) {
    mirrored += batch.images[i].equal(plain.images[i]) ? '.' : 'M';
  }
  EXPECT_EQ(mirrored, "M.M.MM.MMMM.MMM.");
}

TEST(BatchLoaderTest, WithoutAugmentationImagesAreAsLoaded) {
  const NumberedImages dataset(10);
  BatchLoaderOptions options;
  options.batch_size = 10;
  for (const Batch& batch : Take(dataset, options, 3)) {
    EXPECT_TRUE(batch.images.slice(3, 0, 2).lt(batch.images.slice(3, 2, 4)).all().item<bool>());
  }
}

TEST(BatchLoaderTest, OneUnreadableImageIsNamedOnceAndReplaced) {
  constexpr int64_t kBroken = 31;
  const NumberedImages whole(200);
  const NumberedImages faulty(200, {kBroken});
  BatchLoaderOptions options = Augmented();
  options.batch_size = 50;
  options.threads = 3;
  const std::vector<Batch> expected = Take(whole, options, 12);  // three epochs
  Warnings warnings;
  BatchLoader loader(faulty, options, warnings.Collector());
  int64_t replaced = 0;
  for (const Batch& batch : expected) {
    const Batch got = loader.Next().value();
    for (int64_t i = 0; i < 50; ++i) {
      if (batch.indices[i].item<int64_t>() == kBroken) {
        ++replaced;
        EXPECT_EQ(got.indices[i].item<int64_t>(), kBroken + 1);
        EXPECT_EQ(got.labels[i].item<int64_t>(), (kBroken + 1) % 2);
      } else {
        EXPECT_TRUE(got.images[i].equal(batch.images[i]));
        EXPECT_TRUE(got.indices[i].equal(batch.indices[i]));
      }
    }
  }
  EXPECT_EQ(replaced, 3);
  EXPECT_THAT(warnings.texts(), ElementsAre(HasSubstr("image 31 is broken")));
}

TEST(BatchLoaderTest, TooManyUnreadableImagesAreAnError) {
  const NumberedImages dataset(100, {1, 2, 3, 4, 5});
  BatchLoaderOptions options;
  options.batch_size = 100;
  Warnings warnings;
  BatchLoader loader(dataset, options, warnings.Collector());
  const absl::Status status = loader.Next().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("of 100 training images cannot be read"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("is broken"));
}

TEST(BatchLoaderTest, NoReadableImageIsAnError) {
  const NumberedImages dataset(2, {0, 1});
  Warnings warnings;
  BatchLoader loader(dataset, {}, warnings.Collector());
  EXPECT_EQ(loader.Next().status().code(), absl::StatusCode::kDataLoss);
}

class ThrowingImages : public NumberedImages {
 public:
  ThrowingImages() : NumberedImages(10) {}
  absl::StatusOr<Bitmap> Load(Split, int64_t) const override {
    throw std::runtime_error("no memory for it");
  }
};

TEST(BatchLoaderTest, AnExceptionIsTheBatchsStatus) {
  const ThrowingImages dataset;
  Warnings warnings;
  BatchLoader loader(dataset, {}, warnings.Collector());
  EXPECT_EQ(loader.Next().status(), absl::InternalError("no memory for it"));
}

TEST(BatchLoaderTest, GoesAwayAtAnyMoment) {
  const NumberedImages dataset(10);
  Warnings warnings;
  for (const int taken : {0, 1, 5}) {
    for (const int threads : {1, 4}) {
      for (int again = 0; again < 10; ++again) {
        BatchLoaderOptions options;
        options.threads = threads;
        options.ahead = 2;
        BatchLoader loader(dataset, options, warnings.Collector());
        for (int i = 0; i < taken; ++i) {
          ASSERT_TRUE(loader.Next().ok());
        }
      }
    }
  }
}

TEST(ForEachBatchTest, GoesThroughTheSplitInOrder) {
  const NumberedImages dataset(10, {4});
  Warnings warnings;
  std::vector<int64_t> seen;
  std::vector<int64_t> steps;
  const absl::Status status = ForEachBatch(dataset, Split::kValidation, 4, 9, warnings.Collector(),
                                           [&](const Batch& batch) {
                                             steps.push_back(batch.step);
                                             for (int64_t i = 0; i < batch.indices.size(0); ++i) {
                                               seen.push_back(batch.indices[i].item<int64_t>());
                                             }
                                             return absl::OkStatus();
                                           });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 5, 6, 7, 8));
  EXPECT_THAT(steps, ElementsAre(0, 1, 2));
  EXPECT_THAT(warnings.texts(), ElementsAre(HasSubstr("image 4 is broken")));
}

TEST(ForEachBatchTest, ASplitOfBrokenImagesIsAnError) {
  const NumberedImages dataset(3, {0, 1, 2});
  Warnings warnings;
  const absl::Status status = ForEachBatch(dataset, Split::kValidation, 4, 0, warnings.Collector(),
                                           [](const Batch&) { return absl::OkStatus(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("not one of 3 validation images can be read, e.g. image "
                                          "0 is broken"));
}

TEST(ForEachBatchTest, PassesTheVisitorsErrorOn) {
  const NumberedImages dataset(10);
  Warnings warnings;
  int visits = 0;
  const absl::Status status =
      ForEachBatch(dataset, Split::kTrain, 4, 0, warnings.Collector(), [&](const Batch&) {
        ++visits;
        return absl::CancelledError("enough");
      });
  EXPECT_EQ(status, absl::CancelledError("enough"));
  EXPECT_EQ(visits, 1);
}

}  // namespace
}  // namespace stylex
