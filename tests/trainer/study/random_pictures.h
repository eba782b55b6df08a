// A data set of random pictures of the tiny model's size, some of which cannot be read.
#ifndef STYLEX_TESTS_TRAINER_STUDY_RANDOM_PICTURES_H_
#define STYLEX_TESTS_TRAINER_STUDY_RANDOM_PICTURES_H_

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tests/explain/tiny_model.h"
#include "trainer/data/dataset.h"

namespace stylex {

class RandomPictures : public Dataset {
 public:
  // The same number in both splits; those of `broken` fail in both.
  explicit RandomPictures(int64_t count, std::set<int64_t> broken = {})
      : Dataset({.resolution = kTinyResolution, .channels = 1}),
        count_(count),
        broken_(std::move(broken)) {}

  int64_t size(Split) const override { return count_; }
  int64_t label(Split, int64_t) const override { return kNoLabel; }
  std::string name(Split, int64_t index) const override { return absl::StrCat("picture", index); }
  absl::StatusOr<Bitmap> Load(Split split, int64_t index) const override {
    if (broken_.contains(index)) {
      return absl::DataLossError(absl::StrCat(name(split, index), ": truncated"));
    }
    Bitmap bitmap = Bitmap::Make(kTinyResolution, kTinyResolution, 1);
    std::mt19937 random(static_cast<uint32_t>(index) * 2 + (split == Split::kTrain ? 1 : 0));
    for (uint8_t& byte : bitmap.data) {
      byte = static_cast<uint8_t>(random() % 256);
    }
    return bitmap;
  }

 private:
  const int64_t count_;
  const std::set<int64_t> broken_;
};

}  // namespace stylex

#endif  // STYLEX_TESTS_TRAINER_STUDY_RANDOM_PICTURES_H_
