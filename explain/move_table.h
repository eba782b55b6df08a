// The state of a screened search for each move on each image: a first-order prediction, and the
// exact effect if it has been evaluated.
#ifndef STYLEX_EXPLAIN_MOVE_TABLE_H_
#define STYLEX_EXPLAIN_MOVE_TABLE_H_

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "explain/search_control.h"
#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

// Moves are numbered direction * S + coordinate. Not thread-safe; works on the cores that the
// control allows.
class MoveTable {
 public:
  virtual ~MoveTable() = default;

  // Computes the images' logits and the predictions. CANCELLED if it is told to stop.
  absl::Status Predict();
  // Computes the exact effects of `moves` on `images` that are not known yet.
  absl::Status Evaluate(std::span<const int64_t> images, std::span<const int64_t> moves);

  int64_t images() const { return images_; }
  int64_t moves() const { return moves_; }
  int64_t evaluations() const { return evaluations_; }
  // The coordinate and direction that a move stands for.
  Coordinate CoordinateOf(int64_t move) const {
    return {move % (moves_ / 2), static_cast<int>(move / (moves_ / 2))};
  }
  // The decision on the unmodified image; known after Predict.
  int64_t decided(int64_t image) const { return decided_[static_cast<size_t>(image)]; }
  // Changes of the target's logit.
  float predicted(int64_t image, int64_t move) const { return predicted_[At(image, move)]; }
  // Whether exact() has been computed.
  bool known(int64_t image, int64_t move) const { return known_[At(image, move)] != 0; }
  float exact(int64_t image, int64_t move) const { return exact_[At(image, move)]; }
  // Whether the move makes the target the decision; only if known.
  bool flips(int64_t image, int64_t move) const { return known_[At(image, move)] == kFlips; }

 protected:
  // The exact effect of a move on an image.
  struct Outcome {
    float change = 0;  // of the target's logit
    bool flips = false;
  };

  const SearchControl& control() const { return control_; }

  // `side_by_side`: several images are processed in parallel.
  MoveTable(int64_t images, int64_t moves, bool side_by_side, SearchControl control);

  // Of `length` images from `start`: decisions [length], predicted changes [length, moves].
  virtual absl::Status PredictImages(int64_t start, int64_t length, std::span<int64_t> decided,
                                     std::span<float> predicted) = 0;
  // Of an image, in the order of `moves`.
  virtual absl::StatusOr<std::vector<Outcome>> EvaluateImage(int64_t image,
                                                             std::span<const int64_t> moves,
                                                             const GiveWay& within) = 0;

 private:
  static constexpr uint8_t kKnown = 1, kFlips = 2;

  size_t At(int64_t image, int64_t move) const {
    return static_cast<size_t>(image * moves_ + move);
  }
  absl::Status EvaluateUnknown(int64_t image, std::span<const int64_t> moves,
                               const GiveWay& within);

  const int64_t images_, moves_;
  const bool side_by_side_;
  const SearchControl control_;
  std::vector<float> predicted_, exact_;
  std::vector<uint8_t> known_;
  std::vector<int64_t> decided_;
  std::atomic<int64_t> evaluations_ = 0;
};

// Moves of images under a model, predicted by one backward pass per image and evaluated by
// ImageVariants.
class ModelMoves : public MoveTable {
 public:
  // All of these must outlive it.
  ModelMoves(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
             int64_t target, double shift, SearchControl control);

 protected:
  absl::Status PredictImages(int64_t start, int64_t length, std::span<int64_t> decided,
                             std::span<float> predicted) override;
  absl::StatusOr<std::vector<Outcome>> EvaluateImage(int64_t image, std::span<const int64_t> moves,
                                                     const GiveWay& within) override;

 private:
  const Stylex& model_;
  const StyleVectors& styles_;
  const StyleRanges& ranges_;
  const int64_t target_;
  const double shift_;
  std::vector<float> base_;  // the target's logits
};

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_MOVE_TABLE_H_
